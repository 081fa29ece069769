//! [`Norms`]: running statistics move by the batches of a step in their order, whichever worker has seen them.

use burn::prelude::*;
use scgpt_data::narrow;
use scgpt_model::{BatchStatistics, DomainNorm, Scgpt, host_values};

use crate::{error::Result, workers::Workers};

/// The batch norm of a network, and what it has seen in a step.
pub(crate) struct Norms<'m> {
    norm: Option<&'m DomainNorm>,
    /// Statistics of each batch of this worker.
    own: Vec<Vec<BatchStatistics>>,
}

impl<'m> Norms<'m> {
    pub(crate) fn of(model: &'m Scgpt) -> Self {
        let mut norms = Self { norm: model.input_norm.as_ref(), own: Vec::new() };
        // Of passes that were no part of a step.
        norms.passed(true);
        norms
    }

    /// Takes note of the batch that has passed since; the statistics do not move if it `only_looked`.
    pub(crate) fn passed(&mut self, only_looked: bool) {
        let statistics = self.norm.map(DomainNorm::take_statistics).unwrap_or_default();
        if !only_looked {
            self.own.push(statistics);
        }
    }

    /// Moves the running statistics by the batches of so many rounds of all workers.
    pub(crate) fn run(self, rounds: usize, workers: &Workers, device: &Device) -> Result<()> {
        let Some(norm) = self.norm else { return Ok(()) };
        for round in 0..rounds {
            let own = self.own.get(round).map(Vec::as_slice).unwrap_or_default();
            if workers.size() == 1 {
                norm.run(own);
                continue;
            }
            for (numbers, n) in workers.gather(&flat(own), own.len())? {
                norm.run(&statistics(&numbers, n, device));
            }
        }
        Ok(())
    }
}

/// Of each batch the number of its domain, the means and the variances.
fn flat(statistics: &[BatchStatistics]) -> Vec<f32> {
    let of = |BatchStatistics { domain, both }: &BatchStatistics| {
        let [mean, var] = both.clone().map(host_values);
        [vec![f32::from_bits(narrow(*domain))], mean, var].concat()
    };
    statistics.iter().flat_map(of).collect()
}

fn statistics(numbers: &[f32], n: usize, device: &Device) -> Vec<BatchStatistics> {
    let of = |numbers: &[f32]| {
        let (domain, both) = numbers.split_first()?;
        let (mean, var) = both.split_at(both.len() / 2);
        let domain = domain.to_bits() as usize;
        let both = [mean, var].map(|values| Tensor::from_data(values, device));
        Some(BatchStatistics { domain, both })
    };
    numbers.chunks((numbers.len() / n.max(1)).max(1)).filter_map(of).collect()
}
