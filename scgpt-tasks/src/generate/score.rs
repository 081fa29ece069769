//! [`Score`]: predictions against the truth where it is known, beside simple guesses.
//!
//! Everything is a sum over predicted values, so memory does not grow with cells, and means and
//! correlations come out at the end. Two guesses are scored on the same values: the mean of the gene
//! over the other cells, which knows no cell, and the mean of the cell, which knows no gene.

use scgpt_data::{AlignmentSummary, GeneToken};
use scgpt_model::{Generated, InferencePrecision, Prompt, Round};

use super::{
    GenerateOptions, GenerateReport,
    report::{RoundReport, Scores},
};
use crate::mean_expression::MeanExpression;

/// Pairs of prediction and truth kept for a picture.
const PAIRS: usize = 2000;

/// Sums over predicted values whose truth is known, of the network and of the guesses.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    network: Sums,
    gene_mean: Sums,
    cell_mean: Sums,
    n_predicted: u64,
    pairs: Vec<[f32; 2]>,
}

/// What errors and correlation are made of.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    squared: f64,
    absolute: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    /// Adds a prediction and its truth, in value bins.
    fn add(&mut self, predicted: f64, truth: f64) {
        let error = predicted - truth;
        self.n += 1.0;
        self.squared += error * error;
        self.absolute += error.abs();
        self.x += predicted;
        self.y += truth;
        self.xx += predicted * predicted;
        self.yy += truth * truth;
        self.xy += predicted * truth;
    }

    /// Errors and correlation; `None` without predictions.
    fn scores(&self) -> Option<Scores> {
        if self.n == 0.0 {
            return None;
        }
        let covariance = self.n * self.xy - self.x * self.y;
        let variances = (self.n * self.xx - self.x.powi(2)) * (self.n * self.yy - self.y.powi(2));
        Some(Scores {
            squared_error: self.squared / self.n,
            absolute_error: self.absolute / self.n,
            correlation: (variances > 0.0).then(|| covariance / variances.sqrt()),
        })
    }
}

impl Score {
    /// Adds a cell, and returns its mean squared error, NaN if no truth is known. If the means of
    /// genes include values that were hidden from the network (`mean_saw_truth`), the cell's own
    /// value is taken out of them first.
    pub(super) fn add(
        &mut self,
        prompt: &Prompt,
        truth: &[Option<f32>],
        generated: &Generated,
        mean: &MeanExpression,
        mean_saw_truth: bool,
    ) -> f64 {
        // The first known token is `<cls>`.
        let known = prompt.values.get(1..).unwrap_or_default();
        let cell_mean =
            known.iter().map(|&value| f64::from(value)).sum::<f64>() / known.len() as f64;
        let (mut n, mut squared) = (0.0, 0.0);
        for ((&gene, &truth), &predicted) in prompt.unknown.iter().zip(truth).zip(&generated.values)
        {
            self.n_predicted += 1;
            let Some(own) = truth else { continue };
            let (truth, predicted) = (f64::from(own), f64::from(predicted));
            let gene = GeneToken(gene.cast_unsigned());
            let guess = mean.without(gene, mean_saw_truth.then_some(own));
            self.network.add(predicted, truth);
            self.gene_mean.add(guess, truth);
            if cell_mean.is_finite() {
                self.cell_mean.add(cell_mean, truth);
            }
            n += 1.0;
            squared += (predicted - truth).powi(2);
            if self.pairs.len() < PAIRS && self.network.n.rem_euclid(7.0) == 0.0 {
                #[allow(clippy::cast_possible_truncation, reason = "a point of a picture")]
                self.pairs.push([truth as f32, predicted as f32]);
            }
        }
        if n > 0.0 { squared / n } else { f64::NAN }
    }

    /// The report, once all cells were added.
    pub(super) fn report(
        &self,
        options: &GenerateOptions,
        n_cells: usize,
        genes: AlignmentSummary,
        without_genes: usize,
        missing: Vec<String>,
        rounds: &[RoundSums],
    ) -> GenerateReport {
        GenerateReport {
            version: env!("CARGO_PKG_VERSION").into(),
            n_cells,
            genes,
            without_genes,
            n_predicted: self.n_predicted,
            network: self.network.scores(),
            gene_mean: self.gene_mean.scores(),
            cell_mean: self.cell_mean.scores(),
            rounds: rounds.iter().map(RoundSums::report).collect(),
            precision: InferencePrecision::Exact,
            missing,
            pairs: self.pairs.clone(),
            options: options.clone(),
        }
    }
}

/// Sums over one round: of all genes that were unknown, and of those that became known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundSums {
    asked: u64,
    moved: u64,
    n: f64,
    squared: f64,
    n_moved: f64,
    squared_moved: f64,
}

impl RoundSums {
    /// Adds one round of a cell.
    pub(super) fn add(&mut self, round: &Round<'_>, truth: &[Option<f32>]) {
        self.asked += round.asked.len() as u64;
        self.moved += round.moved.len() as u64;
        for (&position, &predicted) in round.asked.iter().zip(round.predictions) {
            let Some(truth) = truth[position] else { continue };
            let squared = f64::from(predicted - truth).powi(2);
            self.n += 1.0;
            self.squared += squared;
            if round.moved.binary_search(&position).is_ok() {
                self.n_moved += 1.0;
                self.squared_moved += squared;
            }
        }
    }

    /// The means of the round; `None` where no gene has a known truth.
    fn report(&self) -> RoundReport {
        let mean = |sum: f64, n: f64| (n > 0.0).then(|| sum / n);
        RoundReport {
            asked: self.asked,
            moved: self.moved,
            squared_error: mean(self.squared, self.n),
            squared_error_of_moved: mean(self.squared_moved, self.n_moved),
        }
    }
}
