//! [`BatchesTold`]: whether there is anything to correct between batches.

use std::fmt;

use scgpt_data::{CellSource, CellSubset, Observer, Result, narrow};
use scgpt_stats::{SparseCell, column_means, stratified, subsample};
use serde::{Deserialize, Serialize};

use crate::baseline::{BaselineOptions, LogisticRegression, hvg_pca};

/// Most cells that are looked at: enough to know a share to a percent, and few enough for seconds.
const CELLS: usize = 2000;
/// Parts of the cells; each is predicted from the others.
const FOLDS: usize = 5;
/// Share of what chance leaves to be told from which on batches count as different.
const TELLING: f64 = 0.1;

/// How often the batch of a cell can be predicted from where the cell lies.
///
/// If batches do not differ, their corrections, such as norms by batch or an adversarial objective,
/// can only remove what sets cells apart.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::BatchesTold;
///
/// // Along the first axis lies the batch of a cell, along the second nothing.
/// let batches: Vec<usize> = (0..200).map(|cell| cell % 2).collect();
/// let place = |cell: usize| [batches[cell] as f32 + 0.01 * (cell % 7) as f32, (cell % 5) as f32];
/// let rows: Vec<f32> = (0..200).flat_map(place).collect();
/// let told = BatchesTold::by(&rows, 2, &batches, 0, &Silent)?;
/// assert_eq!((told.right, told.chance, told.can_be()), (1.0, 0.5, true));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchesTold {
    /// Share of the cells whose batch is predicted rightly from the other cells, 0 to 1.
    pub right: f64,
    /// Share of the largest batch, which is how often a prediction is right that looks at no cell.
    pub chance: f64,
    /// Number of cells that were looked at.
    pub n_cells: usize,
}

impl BatchesTold {
    /// Predicts batches from principal components of variable genes, for at most 2 000 cells of
    /// `source`; `batches` are numbers `0..`, one a cell.
    ///
    /// # Errors
    /// Those of [`hvg_pca`].
    pub fn of(
        source: &mut dyn CellSource,
        batches: &[usize],
        options: &BaselineOptions,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let chosen = subsample(batches.len(), CELLS, seed);
        let batches: Vec<usize> = chosen.iter().map(|&cell| batches[cell]).collect();
        let pca = hvg_pca(&mut CellSubset::new(source, chosen), options, observer)?;
        observer.begin("telling batches apart", 0);
        Self::by(&pca.rows, pca.n_components, &batches, seed, observer)
    }

    /// Predicts the batches `0..` of cells from their `rows`, `[n, d]` row-major, by multinomial
    /// logistic regression in five folds, each of which has cells of every batch.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is not one row a batch.
    pub fn by(
        rows: &[f32],
        d: usize,
        batches: &[usize],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        assert_eq!(rows.len(), d * batches.len(), "one row a cell");
        let cells = standardised(rows, d);
        let codes: Vec<Option<u32>> = batches.iter().map(|&batch| Some(narrow(batch))).collect();
        let folds: [Vec<usize>; FOLDS] = stratified(&codes, &[1.0 / FOLDS as f64; FOLDS - 1], seed);
        let of = |cells_of: &[usize]| -> (Vec<SparseCell>, Vec<u32>) {
            cells_of.iter().map(|&cell| (cells[cell].clone(), narrow(batches[cell]))).unzip()
        };
        let right_of = |fold: usize| -> Result<usize> {
            let tuning = (fold + 1) % FOLDS;
            let others = (0..FOLDS).filter(|other| ![fold, tuning].contains(other));
            let learned: Vec<usize> = others.flat_map(|other| folds[other].clone()).collect();
            let [learned, tuned, test] =
                [&learned, &folds[tuning], &folds[fold]].map(|cells| of(cells));
            let [learned, tuned] = [(&*learned.0, &*learned.1), (&*tuned.0, &*tuned.1)];
            let fitted = LogisticRegression::fit(learned, tuned, d, observer)?;
            let said = fitted.predict(&test.0);
            Ok(said.iter().zip(&test.1).filter(|(said, batch)| said.0 == **batch).count())
        };
        let n = batches.len().max(1) as f64;
        let largest = (0..=batches.iter().copied().max().unwrap_or(0))
            .map(|batch| batches.iter().filter(|&&other| other == batch).count());
        Ok(Self {
            right: (0..FOLDS).map(right_of).sum::<Result<usize>>()? as f64 / n,
            chance: largest.max().unwrap_or(0) as f64 / n,
            n_cells: batches.len(),
        })
    }

    /// Whether batches differ visibly: of what chance leaves to be told, at least a tenth is told; of
    /// many batches, each of few cells, at least twice as many cells are told as by chance.
    pub fn can_be(&self) -> bool {
        self.right - self.chance >= (TELLING * (1.0 - self.chance)).min(self.chance)
    }
}

impl fmt::Display for BatchesTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.can_be() { "can be" } else { "can hardly be" };
        write!(
            f,
            "Batches {verdict} told: a classifier is right about {:.1} % of {} cells it has not seen, the largest batch \
             is {:.1} %",
            100.0 * self.right,
            self.n_cells,
            100.0 * self.chance
        )
    }
}

/// Rows `[n, d]`, each column of mean 0 and variance 1, so that batches may lie along any of them.
fn standardised(rows: &[f32], d: usize) -> Vec<SparseCell> {
    let n = (rows.len() / d.max(1)).max(1) as f64;
    let column = |j: usize| rows.iter().skip(j).step_by(d).map(|&x| f64::from(x));
    let of_column = |(j, mean): (usize, f64)| {
        let deviation = (column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        (mean, if deviation > 0.0 { deviation } else { 1.0 })
    };
    let means = column_means(rows.chunks_exact(d.max(1)), d);
    let columns: Vec<(f64, f64)> = means.into_iter().enumerate().map(of_column).collect();
    #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
    let cell = |row: &[f32]| -> SparseCell {
        let number = |(x, (mean, deviation)): (&f32, &(f64, f64))| {
            ((f64::from(*x) - mean) / deviation) as f32
        };
        ((0..narrow(d)).collect(), row.iter().zip(&columns).map(number).collect())
    };
    rows.chunks_exact(d.max(1)).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;
    use crate::simulate::{SimulateOptions, Simulation};

    #[test]
    fn planted_batches_are_told_and_drawn_ones_are_not() {
        let cells = SimulateOptions { cells: 400, genes: 300, types: 3, batches: 2, seed: 4 };
        let mut source = Simulation::new(&cells, None).unwrap();
        let planted: Vec<usize> = (0..400).map(|cell| source.truth(cell).1).collect();
        let drawn: Vec<usize> = (0..400)
            .map(|cell| usize::from(Keyed::new(9, Purpose::Simulate, 9, cell).uniform(0) < 0.5))
            .collect();
        let options = BaselineOptions { n_genes: 200, n_components: 20, ..Default::default() };
        let mut of = |batches: &[usize]| {
            BatchesTold::of(&mut source, batches, &options, 0, &Silent).unwrap()
        };
        let (planted, drawn) = (of(&planted), of(&drawn));
        assert!(planted.can_be() && planted.right > 0.6, "{planted:?}");
        assert!(!drawn.can_be() && (drawn.right - 0.5).abs() < 0.1, "{drawn:?}");
        assert_eq!(planted.n_cells, 400);
    }

    #[test]
    fn of_many_batches_few_cells_need_to_be_told() {
        let told = |right, chance| BatchesTold { right, chance, n_cells: 2000 }.can_be();
        assert!(told(0.05, 0.015) && told(0.2, 0.09) && told(0.6, 0.5));
        assert!(!told(0.02, 0.015) && !told(0.093, 0.092) && !told(0.54, 0.5));
    }

    proptest! {
        #[test]
        fn shares_are_shares_and_threads_do_not_matter(
            rows in prop::collection::vec(-3.0_f32..3.0, 40..120),
            n_batches in 1_usize..4,
        ) {
            let n = rows.len() / 2;
            let batches: Vec<usize> = (0..n).map(|cell| cell % n_batches).collect();
            let told = BatchesTold::by(&rows[..2 * n], 2, &batches, 1, &Silent).unwrap();
            prop_assert!((0.0..=1.0).contains(&told.right));
            prop_assert!(told.chance >= 1.0 / n_batches as f64 - 1e-9);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            prop_assert_eq!(told, pool.install(|| BatchesTold::by(&rows[..2 * n], 2, &batches, 1, &Silent).unwrap()));
        }
    }
}
