//! [`Ordered`]: the sum of several workers in the order of the batches.
//!
//! ```text
//! round k:   worker r has batch k·W + r      its numbers, flat, in W parts
//! exchange:  worker r takes part r of all    and adds them, in the order of the workers, to its part of the sum
//! at the end every worker takes all parts
//! ```
//!
//! So every number is added to in the order of the batches, as in one process, and its bits are the same. What a round
//! has computed is exchanged while the next one is; burn gives no gradient before a backward pass has ended.

use burn::{prelude::*, tensor::TensorData};
use scgpt_model::host_values;

use super::layout::{Layout, NOTHING};
use crate::{computed::Computed, error::Result, workers::Transport};

/// The sum so far, on the host.
pub(crate) struct Ordered<'a> {
    transport: &'a dyn Transport,
    layout: Layout,
    /// This worker's part of the sum, bucket by bucket.
    part: Vec<f32>,
    /// Numbers of a bucket of it.
    step: usize,
    /// Whether numbers of the last batch are on their way.
    is_passing: bool,
}

impl<'a> Ordered<'a> {
    /// Nothing yet; about `bucket` numbers are exchanged at once.
    pub(super) fn new(transport: &'a dyn Transport, layout: Layout, bucket: usize) -> Self {
        let n = transport.size();
        let part = vec![NOTHING; layout.len().div_ceil(n)];
        Self { transport, layout, part, step: (bucket / n).max(1), is_passing: false }
    }

    pub(super) fn add(&mut self, computed: Computed) -> Result<()> {
        let mut flat = host_values(self.layout.flat(computed));
        self.take()?;
        let n = self.transport.size();
        // Parts of one length; what is beyond the last number is never looked at.
        let len = self.part.len() * n;
        flat.reserve_exact(len - flat.len());
        flat.resize(len, NOTHING);
        for bucket in flat.chunks(self.step * n) {
            self.transport.begin_exchange(bucket.to_vec())?;
        }
        self.is_passing = true;
        Ok(())
    }

    /// Adds what was on its way.
    fn take(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_passing) {
            return Ok(());
        }
        for own in self.part.chunks_mut(self.step) {
            for theirs in self.transport.exchanged()?.chunks(own.len()) {
                own.iter_mut().zip(theirs).for_each(|(sum, number)| *sum += number);
            }
        }
        Ok(())
    }

    pub(super) fn total(mut self) -> Result<Computed> {
        self.take()?;
        let mut flat = Vec::with_capacity(self.part.len() * self.transport.size());
        for own in self.part.chunks(self.step) {
            flat.extend(self.transport.gather(own)?);
        }
        flat.truncate(self.layout.len());
        let flat = TensorData::new(flat, [self.layout.len()]);
        Ok(self.layout.computed(&Tensor::from_data(flat, self.layout.device())))
    }
}
