//! [`SpaceJudge`]: cells whose labels and batches are known, by which embeddings are scored.
//!
//! Every method puts the same cells somewhere, as rows or as a graph. All are scored by the same
//! labels and batches, so that scores can be compared; cells without a label are left out of all of
//! them.

use scgpt_data::Observer;
use scgpt_eval::{CellSpace, IntegrationScores, Labels};
use scgpt_stats::ClusterOptions;

use crate::error::Result;

/// Labels and batches of some cells.
#[derive(Clone, Debug)]
pub(super) struct SpaceJudge {
    /// Places of the cells that have a label; all of them if there are no labels.
    cells: Vec<usize>,
    labels: Option<Vec<usize>>,
    batches: Vec<usize>,
    options: ClusterOptions,
}

impl SpaceJudge {
    /// A judge of `cells`, which are numbers of entries of `labels` and `domains`.
    pub(super) fn new(
        cells: &[usize],
        labels: Option<&Labels>,
        domains: &[usize],
        options: ClusterOptions,
    ) -> Self {
        let label = |place: usize| labels.map_or(Some(0), |labels| labels.codes[cells[place]]);
        let places: Vec<usize> = (0..cells.len()).filter(|&place| label(place).is_some()).collect();
        let codes = places.iter().filter_map(|&place| label(place)).map(|code| code as usize);
        Self {
            labels: labels.map(|_| codes.collect()),
            batches: places.iter().map(|&place| domains[cells[place]]).collect(),
            cells: places,
            options,
        }
    }

    /// A judge of all cells of these batches.
    pub(super) fn of_all(labels: Option<&Labels>, domains: &[usize]) -> Self {
        let all: Vec<usize> = (0..domains.len()).collect();
        Self::new(&all, labels, domains, ClusterOptions::default())
    }

    /// Scores an embedding of the cells; `None` for a graph if some cells are left out.
    pub(super) fn space(
        &self,
        space: &CellSpace<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<IntegrationScores>> {
        match space {
            CellSpace::Rows { rows, width } => self.judge(rows, *width, observer).map(Some),
            CellSpace::Graph(graph) if self.cells.len() == graph.len() => {
                let labels = self.labels.as_deref();
                let scores =
                    IntegrationScores::new(space, labels, &self.batches, &self.options, observer)?;
                Ok(Some(scores))
            }
            CellSpace::Graph(_) => Ok(None),
        }
    }

    /// Scores embeddings `[n, width]` of the cells.
    pub(super) fn judge(
        &self,
        rows: &[f32],
        width: usize,
        observer: &dyn Observer,
    ) -> Result<IntegrationScores> {
        let all = rows.len() / width.max(1);
        let chosen: Vec<f32>;
        let rows = if self.cells.len() == all {
            rows
        } else {
            let row = |&cell: &usize| &rows[cell * width..(cell + 1) * width];
            chosen = self.cells.iter().flat_map(row).copied().collect();
            &chosen
        };
        let space = CellSpace::rows(rows, width);
        let labels = self.labels.as_deref();
        Ok(IntegrationScores::new(&space, labels, &self.batches, &self.options, observer)?)
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn cells_without_a_label_do_not_count() {
        let label = |cell: usize| (cell > 0).then(|| ["a", "b"][cell % 2].to_owned());
        let labels = Labels::new((0..41).map(label).collect());
        let domains: Vec<usize> = (0..41).map(|cell| cell / 2 % 2).collect();
        let rows: Vec<f32> =
            (0..41_u8).flat_map(|cell| [f32::from(cell % 2), f32::from(cell) / 400.0]).collect();
        let cells: Vec<usize> = (0..41).collect();
        let scores = SpaceJudge::new(&cells, Some(&labels), &domains, ClusterOptions::default())
            .judge(&rows, 2, &Silent)
            .unwrap();
        assert_eq!(scores.n_cells, 40);
        assert!(scores.asw_label > Some(0.9), "{scores:?}");
        let without = SpaceJudge::new(&cells, None, &domains, ClusterOptions::default());
        let scores = without.judge(&rows, 2, &Silent).unwrap();
        assert_eq!((scores.n_cells, scores.avg_bio), (41, None));
    }
}
