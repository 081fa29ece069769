//! Features that are open or not in a cell, such as peaks (flavours `accessibility` and `tfidf`).

use super::{VariableGenes, mean, moments::Moments};
use crate::csr::CsrRow;

/// What the weights of a cell would sum to if all peaks had one fragment a cell.
const SCALE: f64 = 1e4;

/// Selects by a number that `measure` makes of mean and variance of each feature, averaged over batches: a
/// batch of many cells counts for no more than one of few.
pub(super) fn select(
    batches: &[Moments],
    measure: fn((f64, f64)) -> f64,
    n_top: usize,
) -> VariableGenes {
    let tables: Vec<Vec<(f64, f64)>> = batches.iter().map(Moments::mean_and_variance).collect();
    let n_genes = batches.first().map_or(0, Moments::n_genes);
    let average = |of: &dyn Fn((f64, f64)) -> f64| -> Vec<f64> {
        (0..n_genes).map(|gene| mean(tables.iter().map(|table| of(table[gene])))).collect()
    };
    let normalised = average(&measure);
    let top = |scores: &dyn Fn(usize) -> f64| {
        let mut order: Vec<usize> = (0..n_genes).collect();
        order.sort_by(|&a, &b| scores(b).total_cmp(&scores(a)));
        order.truncate(n_top);
        order
    };
    let mut n_batches = vec![0; n_genes];
    for table in &tables {
        for gene in top(&|gene| measure(table[gene])) {
            n_batches[gene] += 1;
        }
    }
    VariableGenes {
        selected: top(&|gene| normalised[gene]),
        means: average(&|(mean, _)| mean),
        dispersions: average(&|(_, variance)| variance),
        normalised,
        n_batches,
        ranks: None,
    }
}

/// Weighs the values of cells by TF-IDF, `log1p(10⁴ · value / sum of the cell · cells / sum of the feature)`.
///
/// # Reference
/// `RunTFIDF(method = 1)` of Signac. Differs: none.
pub(super) struct Weights {
    /// For each feature, the number of cells over the sum of its values.
    rarity: Vec<f64>,
}

impl Weights {
    /// The weights over the cells of all batches.
    pub(super) fn new(batches: &[Moments]) -> Self {
        let mut all = Moments::default();
        all.resize(batches.first().map_or(0, Moments::n_genes));
        for batch in batches {
            all.merge(batch);
        }
        let rarity = |(mean, _): (f64, f64)| if mean > 0.0 { 1.0 / mean } else { 0.0 };
        Self { rarity: all.mean_and_variance().into_iter().map(rarity).collect() }
    }

    /// The weights of a cell's values, in their order.
    pub(super) fn of(&self, row: CsrRow<'_>) -> Vec<f32> {
        let sum: f64 = row.values.iter().copied().map(f64::from).sum();
        let weight = |(&feature, &value): (&u32, &f32)| {
            let share = if sum > 0.0 { f64::from(value) / sum } else { 0.0 };
            #[allow(clippy::cast_possible_truncation, reason = "as narrow as values")]
            let weight = (SCALE * share * self.rarity[feature as usize]).ln_1p() as f32;
            weight
        };
        row.indices.iter().zip(row.values).map(weight).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;
    use crate::csr::Csr;

    /// Two batches of two cells: peak 0 is open in all cells, 1 in both of the first batch, 2 in one of each.
    fn batches() -> (Csr, [usize; 4]) {
        let indices = vec![0, 1, 2, 0, 1, 0, 2, 0];
        (Csr::new(4, vec![0, 3, 5, 7, 8], indices, vec![1.0; 8]).unwrap(), [0, 0, 1, 1])
    }

    fn moments(weights: Option<&Weights>) -> Vec<Moments> {
        let (block, of) = batches();
        let mut moments = vec![Moments::default(); 2];
        for (batch, row) in of.into_iter().zip(block.rows()) {
            let values = weights.map_or_else(|| row.values.to_vec(), |weights| weights.of(row));
            moments[batch].add(CsrRow { indices: row.indices, values: &values });
        }
        for batch in &mut moments {
            batch.resize(4);
        }
        moments
    }

    #[test]
    fn the_most_open_come_first_and_ties_keep_the_order_of_the_data() {
        let found = select(&moments(None), |(mean, _)| mean, 2);
        assert_eq!(found.selected, [0, 1]);
        assert_eq!(found.normalised, [1.0, 0.5, 0.5, 0.0]);
        assert_eq!(found.n_batches, [2, 1, 1, 0]);
    }

    #[test]
    fn a_peak_that_is_open_everywhere_hardly_varies_by_its_weights() {
        let weights = Weights::new(&moments(None));
        let found = select(&moments(Some(&weights)), |(_, variance)| variance, 3);
        assert_eq!(found.selected, [2, 0, 1]);
        // Open in one of two cells of the first batch that have three and two peaks.
        let expected = (1e4_f64 / 3.0 * 2.0).ln_1p();
        assert!((f64::from(weights.of(batches().0.row(0))[2]) - expected).abs() < 1e-5);
        assert_eq!(found.normalised[3], 0.0, "never open");
    }
}
