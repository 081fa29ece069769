//! [`Predictor`]: predicts the cells of a condition.
//!
//! A few hundred genes are predicted together, as in training; a pass sees genes from all over the
//! panel, and the perturbed ones. A whole profile thus takes several passes, whose answers are put
//! together.

use std::cmp::Ordering;

use burn::prelude::Device;
use scgpt_data::{CellTokens, GeneToken, Keyed, Purpose};
use scgpt_model::{Scgpt, ScgptConfig, host_values};
use scgpt_train::InputBatch;

use super::panel::{PerturbedGenes, ResponsePanel};

/// About how many tokens are computed at once, which bounds the memory of a prediction over all
/// genes.
const TOKENS: usize = 16_384;

/// Control cells that predictions start from, row-major `[n, g]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Controls {
    pub(super) values: Vec<f32>,
    pub(super) n_genes: usize,
}

impl Controls {
    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.n_genes.max(1)
    }

    /// Control cells with `values`, `[n, g]`. They are ordered by their values: predictions draw
    /// cells by their place, and the place of a cell in a file must not matter.
    pub(super) fn new(values: &[f32], n_genes: usize) -> Self {
        let mut rows: Vec<&[f32]> = values.chunks_exact(n_genes.max(1)).collect();
        rows.sort_by(|a, b| {
            let mut orders = a.iter().zip(*b).map(|(a, b)| a.total_cmp(b));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        Self { values: rows.concat(), n_genes }
    }

    /// The mean of `pool` cells drawn for the predicted cell `index`; the same for every condition,
    /// so that predictions differ by the condition alone.
    pub(super) fn start(&self, index: usize, pool: usize, seed: u64) -> Vec<f32> {
        let key = Keyed::new(seed, Purpose::Pair, u64::MAX, index as u64);
        let mut sum = vec![0.0; self.n_genes];
        for member in 0..pool {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..n")]
            let cell = (key.uniform(member as u64) * self.len() as f64) as usize;
            let row = &self.values[cell * self.n_genes..(cell + 1) * self.n_genes];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for value in &mut sum {
            *value /= pool as f32;
        }
        sum
    }
}

/// What was found about control cells of another file.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GivenControls {
    /// The sum that they had before the logarithm, if it was another than in training and they were
    /// brought to that one.
    pub rescaled_from: Option<f64>,
    /// Number of those that express no gene of the artefact.
    pub without_genes: usize,
}

/// A trained network that predicts whole profiles.
#[derive(Clone, Copy)]
pub(super) struct Predictor<'a> {
    pub(super) model: &'a Scgpt,
    pub(super) network: &'a ScgptConfig,
    pub(super) panel: &'a ResponsePanel,
    pub(super) pad: GeneToken,
    /// Number of controls whose mean a predicted cell starts from.
    pub(super) pool: usize,
    /// Number of genes that are predicted together; 0 for all.
    pub(super) genes_per_pass: usize,
    pub(super) seed: u64,
}

impl Predictor<'_> {
    /// The first `n` predicted cells of a condition, row-major `[n, g]`. A cell depends on nothing but
    /// its number.
    pub(super) fn cells(
        &self,
        targets: &PerturbedGenes,
        controls: &Controls,
        n: usize,
        device: &Device,
    ) -> Vec<f32> {
        let g = self.panel.len();
        let starts: Vec<Vec<f32>> =
            (0..n).map(|cell| controls.start(cell, self.pool, self.seed)).collect();
        let mut predicted = vec![0.0; n * g];
        let passes = match self.genes_per_pass {
            0 => 1,
            most => g.div_ceil(most),
        };
        for pass in 0..passes {
            // Every pass sees genes from all over the panel, and the perturbed ones.
            let asked: Vec<usize> = (pass..g).step_by(passes).collect();
            let mut places = asked.clone();
            places.extend(targets.measured.iter().filter(|&&place| place % passes != pass));
            let together = (TOKENS / places.len().max(1)).max(1);
            for (block, starts) in starts.chunks(together).enumerate() {
                let said = self.forward(targets, &places, starts, device);
                let width = said.len() / starts.len();
                for (cell, row) in said.chunks(width).enumerate() {
                    let out = &mut predicted[(block * together + cell) * g..][..g];
                    asked.iter().zip(row).for_each(|(&place, &value)| out[place] = value);
                }
            }
        }
        predicted
    }

    /// The mean of `n` predicted cells, `[g]`.
    pub(super) fn mean(
        &self,
        targets: &PerturbedGenes,
        controls: &Controls,
        n: usize,
        device: &Device,
    ) -> Vec<f64> {
        mean(&self.cells(targets, controls, n, device), self.panel.len())
    }

    /// For each cell, the predicted values of the genes at `places`, and of perturbed genes that
    /// are not measured.
    fn forward(
        &self,
        targets: &PerturbedGenes,
        places: &[usize],
        starts: &[Vec<f32>],
        device: &Device,
    ) -> Vec<f32> {
        let tokens = |start: &Vec<f32>| self.panel.tokens(places, start, targets);
        let cells: Vec<CellTokens> = starts.iter().map(tokens).collect();
        let nothing = CellTokens::default();
        let cells = cells.iter().map(|known| [known, &nothing]);
        let input = InputBatch::new(cells, self.pad, self.network.pad_value).to_device(device);
        let predicted = self.model.predict(&self.model.encode(&input)).value;
        host_values(predicted)
    }
}

/// The mean, `[g]`, of rows `[n, g]`.
pub(super) fn mean(rows: &[f32], g: usize) -> Vec<f64> {
    let n = (rows.len() / g) as f64;
    let mut mean = vec![0.0; g];
    for row in rows.chunks(g) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_the_same_in_any_order() {
        let controls = Controls::new(&[2.0, 0.0, 1.0, 5.0, 1.0, 4.0], 2);
        assert_eq!(controls, Controls::new(&[1.0, 4.0, 1.0, 5.0, 2.0, 0.0], 2));
        assert_eq!(controls.len(), 3);
    }
}
