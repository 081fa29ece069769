//! [`StepCells`]: the cells of all batches of a step, for losses that compare cells to see.
//!
//! Such a loss is no sum over cells, so the gradients of batches that see their own cells alone are not those of
//! one large batch. Where each batch sees the embeddings of all others, as constants, each computes the loss of all
//! and the part of its gradient that goes through its own cells; these parts add up to the whole gradient.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use scgpt_model::host_values;

use crate::{error::Result, terms::LossTerms, workers::Workers};

/// Embeddings of all cells of a step: of each batch, in their order, the numbers of what its losses compare, one after
/// the other, and how many cells it has.
pub(crate) struct StepCells(Vec<(Vec<f32>, usize)>);

impl StepCells {
    /// Those of all workers, given those of this one: every `W`th batch of `size`.
    pub(crate) fn gathered(
        own: &[(Vec<f32>, usize)],
        size: usize,
        workers: &Workers,
    ) -> Result<Self> {
        let mut batches = Vec::new();
        for round in 0..size.div_ceil(workers.size()) {
            let (numbers, n_cells) = own.get(round).map_or((&[][..], 0), |it| (&it.0, it.1));
            batches.extend(workers.gather(numbers, n_cells)?);
        }
        batches.truncate(size);
        Ok(Self(batches))
    }

    /// What `terms` compare, on the host.
    pub(crate) fn compared(terms: &LossTerms) -> Vec<f32> {
        let passes = terms.between().iter().flat_map(|(_, passes)| passes);
        passes.flat_map(|pass| host_values(pass.clone().inner())).collect()
    }

    /// The losses between cells of batch `index`, of all cells: their gradients go through its own, and their values
    /// are its share of the loss.
    pub(crate) fn seen_by(&self, terms: &mut LossTerms, index: usize) {
        let all: usize = self.0.iter().map(|(_, n_cells)| n_cells).sum();
        let share = self.0[index].1 as f64 / all.max(1) as f64;
        let mut place = 0;
        terms.compare(|between, passes| {
            let mut whole = Vec::new();
            for own in passes {
                whole.push(self.whole(own, index, place));
                place += own.dims()[1];
            }
            let loss = between.loss(&whole);
            let value = loss.clone().detach() * share;
            loss.clone() - loss.detach() + value
        });
    }

    /// One pass of all cells, `[n, d]`, of which the numbers of a cell's earlier passes are `place`.
    fn whole(&self, own: &Tensor<2>, index: usize, place: usize) -> Tensor<2> {
        let [_, d] = own.dims();
        let of = |(batch, (numbers, n)): (usize, &(Vec<f32>, usize))| {
            if batch == index {
                return own.clone().cast(DType::F32);
            }
            let numbers = numbers[place * n..(place + d) * n].to_vec();
            Tensor::from_data(TensorData::new(numbers, [*n, d]), &own.device())
        };
        Tensor::cat(self.0.iter().enumerate().map(of).collect(), 0)
    }
}
