//! [`Groups`]: silhouettes of labels and of batches from one comparison of all cells.

use std::collections::BTreeMap;

use scgpt_stats::{ClassDistance, silhouette};

/// Cells by label and batch.
pub(super) struct Groups<'a> {
    labels: &'a [usize],
    /// The group of every cell.
    pub(super) of_cells: Vec<usize>,
    /// For each label its groups, one a batch, and the number of cells of each.
    of_labels: Vec<Vec<(usize, usize)>>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(labels: &'a [usize], batches: &[usize]) -> Self {
        let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for pair in labels.iter().copied().zip(batches.iter().copied()) {
            *sizes.entry(pair).or_default() += 1;
        }
        let mut of_labels = vec![Vec::new(); labels.iter().max().map_or(0, |last| last + 1)];
        let mut numbers = BTreeMap::new();
        for (number, (&(label, batch), &size)) in sizes.iter().enumerate() {
            of_labels[label].push((number, size));
            numbers.insert((label, batch), number);
        }
        let pairs = labels.iter().zip(batches);
        let of_cells = pairs.map(|(&label, &batch)| numbers[&(label, batch)]).collect();
        Self { labels, of_cells, of_labels }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.of_labels.iter().map(Vec::len).sum()
    }

    /// The silhouettes of a cell, by label and by batch within its label, from the sums of its
    /// distances to the cells of every group.
    pub(super) fn silhouettes(&self, cell: usize, sums: &[f64]) -> [f64; 2] {
        let own = self.labels[cell];
        let of_label = |groups: &Vec<(usize, usize)>| {
            let parts = groups.iter().map(|&(group, size)| (sums[group], size));
            let (sum, n_cells) = parts.fold((0.0, 0), |all, part| (all.0 + part.0, all.1 + part.1));
            ClassDistance { sum, n_cells }
        };
        let others = self.of_labels.iter().enumerate().filter(|(label, _)| *label != own);
        let by_label =
            silhouette(of_label(&self.of_labels[own]), others.map(|(_, groups)| of_label(groups)));
        let group = self.of_cells[cell];
        let (own, others): (Vec<_>, Vec<_>) =
            self.of_labels[own].iter().partition(|(number, _)| *number == group);
        let sized =
            |&&(group, size): &&(usize, usize)| ClassDistance { sum: sums[group], n_cells: size };
        let by_batch = silhouette(sized(&own[0]), others.iter().map(sized));
        [by_label, by_batch]
    }

    /// How well labels are told apart, 0 to 1.
    pub(super) fn label_separation(silhouettes: &[[f64; 2]]) -> f64 {
        let sum: f64 = silhouettes.iter().map(|both| both[0]).sum();
        f64::midpoint(sum / silhouettes.len().max(1) as f64, 1.0)
    }

    /// How well batches are mixed within labels, 0 to 1; `None` if no label has several batches,
    /// one of them with several cells.
    pub(super) fn batch_mixing(&self, silhouettes: &[[f64; 2]]) -> Option<f64> {
        let mut sums = vec![0.0; self.of_labels.len()];
        for (&label, both) in self.labels.iter().zip(silhouettes) {
            sums[label] += 1.0 - both[1].abs();
        }
        let means = self.of_labels.iter().zip(&sums).filter_map(|(groups, sum)| {
            let n: usize = groups.iter().map(|(_, size)| size).sum();
            (groups.len() > 1 && groups.len() < n).then(|| sum / n as f64)
        });
        let means: Vec<f64> = means.collect();
        (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};
    use scgpt_stats::{Neighbours, batch_mixing, label_separation};

    use super::*;

    #[test]
    fn one_comparison_gives_what_several_give() {
        let (n, d) = (150, 7);
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows: Vec<f32> = (0..n * d).map(|i| key.uniform(i as u64) as f32).collect();
        // Label 1 has no cells, label 3 one batch, label 4 one cell.
        let label = |cell: usize| if cell == 9 { 4 } else { [0, 2, 3][cell % 3] };
        let labels: Vec<usize> = (0..n).map(label).collect();
        let batches: Vec<usize> =
            (0..n).map(|cell| if labels[cell] == 3 { 0 } else { cell * 7 % 4 }).collect();
        let groups = Groups::new(&labels, &batches);
        let (_, both) = Neighbours::with_sums(
            &rows,
            d,
            3,
            &groups.of_cells,
            groups.len(),
            &|cell, sums| groups.silhouettes(cell, sums),
            &Silent,
        )
        .unwrap();
        let separation = Groups::label_separation(&both);
        assert!((separation - label_separation(&rows, d, &labels, &Silent).unwrap()).abs() < 1e-6);
        let expected = batch_mixing(&rows, d, &labels, &batches, &Silent).unwrap().unwrap();
        assert!((groups.batch_mixing(&both).unwrap() - expected).abs() < 1e-6);
        let alone = Groups::new(&labels, &[0; 150]);
        assert_eq!(alone.batch_mixing(&both), None);
    }
}
