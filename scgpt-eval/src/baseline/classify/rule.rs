//! [`Rule`]: how a simple method tells the class of a cell.

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use scgpt_stats::{Neighbours, SparseCell, dot};
use serde::{Deserialize, Serialize};

use crate::baseline::logistic::LogisticRegression;

/// Number of nearest cells that vote.
const NEIGHBOURS: usize = 15;
/// The score of a class without a cell to learn from, below that of the likeliest class.
const ABSENT: f32 = -30.0;
/// What the class of the nearest cell has before others with as many votes.
const NEARER: f64 = 1e-3;

/// A simple method of telling the classes of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimpleMethod {
    /// Logistic regression on variable genes.
    Logistic,
    /// The classes of the 15 nearest cells by principal components.
    Neighbours,
    /// The class whose mean is nearest by principal components.
    Centroid,
}

impl SimpleMethod {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Logistic, Self::Neighbours, Self::Centroid];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic regression",
            Self::Neighbours => "15 nearest neighbours",
            Self::Centroid => "nearest class mean",
        }
    }
}

/// What a method says of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellScore {
    /// A score for each class.
    pub scores: Vec<f32>,
    /// How unlike all classes the cell is: one minus the largest probability, the mean distance of the
    /// neighbours, or the distance to the nearest mean.
    pub strangeness: f32,
}

impl CellScore {
    /// The class with the largest score, the first of equals.
    pub fn class(&self) -> u32 {
        let mut best = (f32::NEG_INFINITY, 0);
        for (class, &score) in (0..).zip(&self.scores) {
            if score > best.0 {
                best = (score, class);
            }
        }
        best.1
    }
}

/// How a method tells classes, as it was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Rule {
    /// By variable genes.
    Logistic(LogisticRegression),
    /// By the nearest cells: where they lie, and their classes.
    Neighbours {
        /// `[n, d]`.
        positions: Vec<f32>,
        classes: Vec<u32>,
    },
    /// By the means of classes, of those that have cells.
    Centroid {
        means: Vec<Option<Vec<f64>>>,
        /// Mean squared distance of cells to the mean of their class.
        spread: f64,
    },
}

impl Rule {
    pub(super) fn logistic(
        learned: (&[SparseCell], &[u32]),
        tuning: (&[SparseCell], &[u32]),
        n_genes: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        Ok(Self::Logistic(LogisticRegression::fit(learned, tuning, n_genes, observer)?))
    }

    pub(super) fn neighbours(positions: Vec<f32>, classes: Vec<u32>) -> Self {
        Self::Neighbours { positions, classes }
    }

    /// The means of the classes of cells at `positions`, `[n, d]`.
    pub(super) fn centroid(positions: &[f32], d: usize, classes: &[u32], n_classes: usize) -> Self {
        let mut sums = vec![vec![0.0_f64; d]; n_classes];
        let mut counts = vec![0_usize; n_classes];
        let rows = || classes.iter().zip(positions.chunks_exact(d.max(1)));
        for (&class, row) in rows() {
            counts[class as usize] += 1;
            let sum = &mut sums[class as usize];
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let mean = |(sum, n): (Vec<f64>, usize)| {
            (n > 0).then(|| sum.into_iter().map(|x| x / n as f64).collect::<Vec<f64>>())
        };
        let means: Vec<Option<Vec<f64>>> = sums.into_iter().zip(counts).map(mean).collect();
        let squares =
            rows().filter_map(|(&class, row)| Some(squared(means[class as usize].as_ref()?, row)));
        let spread = squares.sum::<f64>() / classes.len().max(1) as f64;
        Self::Centroid { means, spread: spread.max(f64::MIN_POSITIVE) }
    }

    pub(super) fn method(&self) -> SimpleMethod {
        match self {
            Self::Logistic(_) => SimpleMethod::Logistic,
            Self::Neighbours { .. } => SimpleMethod::Neighbours,
            Self::Centroid { .. } => SimpleMethod::Centroid,
        }
    }

    /// A score for each of `k` classes, and a strangeness, for cells with these variable genes, which lie
    /// at these `positions`, `[n, d]`.
    ///
    /// Scores are logarithms of probabilities, up to a number that the classes share, of shares of votes, or
    /// minus squared distances in units of the mean one of a cell to its own class.
    pub(super) fn scores(
        &self,
        cells: &[SparseCell],
        positions: &[f32],
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<CellScore>> {
        let d = positions.len() / cells.len().max(1);
        if cells.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self {
            Self::Logistic(fitted) => {
                cells.par_iter().map(|cell| by_weights(fitted, cell, k)).collect()
            }
            Self::Neighbours { positions: learned, classes } => {
                let found = Neighbours::among(positions, learned, d, NEIGHBOURS, observer)?;
                let vote = |cells: &[(f64, usize)]| by_votes(cells, classes, k);
                found.cells().map(vote).collect()
            }
            Self::Centroid { means, spread } => {
                let rows = positions.chunks_exact(d.max(1));
                rows.map(|row| by_means(means, *spread, row)).collect()
            }
        })
    }

    /// How much a unit of each variable gene adds to the score of a class beyond the mean of the other classes;
    /// `None` where a score is no sum over genes. `loadings` are those of a gene along each component.
    pub(super) fn slopes<'l>(
        &self,
        class: u32,
        n_genes: usize,
        loadings: impl Fn(usize) -> &'l [f64],
    ) -> Option<Vec<f64>> {
        // Distances of classes have the same square of the cell itself, so that differences are linear in it.
        let (weights, place): (Box<dyn Fn(usize) -> Vec<f64> + '_>, usize) = match self {
            Self::Logistic(fitted) => {
                let place = fitted.classes().binary_search(&class).ok()?;
                (Box::new(|gene| fitted.slopes(gene).to_vec()), place)
            }
            Self::Centroid { means, spread } => {
                let place = means[..class as usize].iter().flatten().count();
                means.get(class as usize)?.as_ref()?;
                let along = move |gene: usize| {
                    let along = |mean: &Vec<f64>| 2.0 * dot(mean, loadings(gene)) / spread;
                    means.iter().flatten().map(along).collect()
                };
                (Box::new(along), place)
            }
            Self::Neighbours { .. } => return None,
        };
        let beyond = |gene: usize| {
            let of_classes = weights(gene);
            let others = (of_classes.len().max(2) - 1) as f64;
            let own = of_classes[place];
            own - (of_classes.iter().sum::<f64>() - own) / others
        };
        Some((0..n_genes).map(beyond).collect())
    }

    /// Whether it was fitted to cells with so many genes, components and classes; what was read from a file
    /// need not be.
    pub(super) fn is_of(&self, n_genes: usize, d: usize, n_classes: usize) -> bool {
        match self {
            Self::Logistic(fitted) => fitted.is_of(n_genes, n_classes),
            Self::Neighbours { positions, classes } => {
                Some(positions.len()) == classes.len().checked_mul(d)
                    && !classes.is_empty()
                    && classes.iter().all(|&class| (class as usize) < n_classes)
            }
            Self::Centroid { means, spread } => {
                means.len() == n_classes
                    && *spread > 0.0
                    && means.iter().flatten().all(|mean| mean.len() == d)
                    && means.iter().any(Option::is_some)
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "scores are f32")]
fn by_weights(fitted: &LogisticRegression, cell: &SparseCell, k: usize) -> CellScore {
    let of_classes = fitted.scores(cell);
    let most = of_classes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = of_classes.iter().map(|score| (score - most).exp()).sum();
    let mut scores = vec![most as f32 + ABSENT; k];
    for (&class, &score) in fitted.classes().iter().zip(&of_classes) {
        scores[class as usize] = score as f32;
    }
    CellScore { scores, strangeness: (1.0 - sum.recip()) as f32 }
}

/// One vote more than there are cells is divided among all classes, so that none is impossible.
#[allow(clippy::cast_possible_truncation, reason = "scores are f32")]
fn by_votes(cells: &[(f64, usize)], classes: &[u32], k: usize) -> CellScore {
    let voted: Vec<u32> = cells.iter().map(|&(_, cell)| classes[cell]).collect();
    let mut votes = vec![1.0 / k as f64; k];
    for &class in &voted {
        votes[class as usize] += 1.0;
    }
    votes[most(&voted, k, &voted) as usize] += NEARER;
    let sum: f64 = cells.iter().map(|&(distance, _)| distance).sum();
    CellScore {
        scores: votes.iter().map(|votes| (votes / (voted.len() + 1) as f64).ln() as f32).collect(),
        strangeness: (sum / cells.len().max(1) as f64) as f32,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "scores are f32")]
fn by_means(means: &[Option<Vec<f64>>], spread: f64, row: &[f32]) -> CellScore {
    let distances: Vec<Option<f64>> =
        means.iter().map(|mean| Some(squared(mean.as_ref()?, row))).collect();
    let least = distances.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let score = |distance: &Option<f64>| {
        distance.map_or(ABSENT - (least / spread) as f32, |distance| (-distance / spread) as f32)
    };
    CellScore { scores: distances.iter().map(score).collect(), strangeness: least.sqrt() as f32 }
}

fn squared(mean: &[f64], row: &[f32]) -> f64 {
    mean.iter().zip(row).map(|(mean, &x)| (mean - f64::from(x)).powi(2)).sum()
}

/// The most frequent class; of equals the first in `order`, else the first.
pub(super) fn most(classes: &[u32], n_classes: usize, order: &[u32]) -> u32 {
    let mut counts = vec![0_usize; n_classes];
    for &class in classes {
        counts[class as usize] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(0);
    let all = (0..).take(n_classes);
    order.iter().copied().chain(all).find(|&c| counts[c as usize] == highest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn ties_go_to_the_nearest() {
        assert_eq!(most(&[2, 1, 1, 2], 3, &[2, 1, 1, 2]), 2);
        assert_eq!(most(&[2, 1, 1, 2], 3, &[]), 1);
        let cells = [(1.0, 0), (2.0, 1), (3.0, 2), (4.0, 3)];
        let said = by_votes(&cells, &[2, 1, 1, 2], 4);
        assert_eq!(said.class(), 2);
        assert!(said.scores[0] < said.scores[1] && said.scores.iter().all(|x| x.is_finite()));
        assert!((said.strangeness - 2.5).abs() < 1e-6);
    }

    #[test]
    fn a_class_without_cells_is_never_said() {
        let positions = [0.0, 0.0, 0.2, 0.0, 9.0, 9.0, 9.2, 9.0];
        let rule = Rule::centroid(&positions, 2, &[0, 0, 2, 2], 3);
        assert!(rule.is_of(5, 2, 3) && !rule.is_of(5, 3, 3) && !rule.is_of(5, 2, 4));
        let cells = vec![(Vec::new(), Vec::new()); 2];
        let said = rule.scores(&cells, &[1.0, 1.0, 8.0, 8.0], 3, &Silent).unwrap();
        assert_eq!(said.iter().map(CellScore::class).collect::<Vec<_>>(), [0, 2]);
        assert!(said.iter().flat_map(|cell| &cell.scores).all(|score| score.is_finite()));
    }
}
