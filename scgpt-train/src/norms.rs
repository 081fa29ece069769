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

    /// Moves the running statistics by the batches of all workers.
    pub(crate) fn run(self, workers: &Workers, device: &Device) -> Result<()> {
        let Some(norm) = self.norm else { return Ok(()) };
        if workers.size() == 1 {
            self.own.iter().for_each(|own| norm.run(own));
            return Ok(());
        }
        let own = self.own.iter().enumerate().flat_map(|(round, own)| {
            let index = round * workers.size() + workers.rank();
            own.iter().map(move |statistics| flat(index, statistics))
        });
        let own: Vec<Vec<f32>> = own.collect();
        let all = workers.gather(&own.concat(), own.len())?;
        let mut all: Vec<_> =
            all.iter().flat_map(|(numbers, n)| statistics(numbers, *n, device)).collect();
        // Those of one batch stay in their order.
        all.sort_by_key(|(index, _)| *index);
        for (_, statistics) in &all {
            norm.run(std::slice::from_ref(statistics));
        }
        Ok(())
    }
}

/// Of a batch of that index the number of its domain, the means and the variances.
fn flat(index: usize, BatchStatistics { domain, both }: &BatchStatistics) -> Vec<f32> {
    let [mean, var] = both.clone().map(host_values);
    let numbers = [index, *domain].map(|number| f32::from_bits(narrow(number)));
    [&numbers[..], &mean, &var].concat()
}

/// The `n` of which these are the numbers, and the indices of their batches.
fn statistics(numbers: &[f32], n: usize, device: &Device) -> Vec<(usize, BatchStatistics)> {
    let of = |numbers: &[f32]| {
        let (&[index, domain], both) = numbers.split_first_chunk()?;
        let (mean, var) = both.split_at(both.len() / 2);
        let both = [mean, var].map(|values| Tensor::from_data(values, device));
        Some((
            index.to_bits() as usize,
            BatchStatistics { domain: domain.to_bits() as usize, both },
        ))
    };
    numbers.chunks((numbers.len() / n.max(1)).max(1)).filter_map(of).collect()
}
