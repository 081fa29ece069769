//! [`Sum`]: gradients and losses of the batches of a step, added up whichever worker has computed them.

mod layout;
mod ordered;

use burn::prelude::*;
use scgpt_model::Scgpt;

use self::{layout::Layout, ordered::Ordered};
use crate::{
    computed::Computed,
    error::Result,
    workers::{Reduce, Workers},
};

/// The sum so far.
pub(crate) enum Sum<'a> {
    /// Of one process.
    Own(Computed),
    /// Of each worker's own batches; those of all are added up at the end.
    Fast(Computed, Layout, &'a Workers),
    /// In the order of the batches.
    Ordered(Ordered<'a>),
}

impl<'a> Sum<'a> {
    /// Nothing yet, of the gradients of a network.
    pub(crate) fn new(workers: &'a Workers, model: &Scgpt, device: &Device) -> Self {
        let Some(transport) = workers.transport() else { return Self::Own(Computed::default()) };
        let layout = Layout::of(model, device);
        match workers.reduce() {
            Reduce::Fast => Self::Fast(Computed::default(), layout, workers),
            Reduce::Ordered => Self::Ordered(Ordered::new(transport, layout, workers.bucket())),
        }
    }

    /// Adds what the workers have computed, each of one batch or, in the last round, of none.
    pub(crate) fn add(&mut self, computed: Computed) -> Result<()> {
        match self {
            Self::Own(sum) | Self::Fast(sum, ..) => sum.add(computed),
            Self::Ordered(sum) => sum.add(computed)?,
        }
        Ok(())
    }

    /// The whole, on the device.
    pub(crate) fn total(self) -> Result<Computed> {
        match self {
            Self::Own(sum) => Ok(sum),
            Self::Fast(sum, layout, workers) => {
                Ok(layout.computed(&workers.sum(layout.flat(sum))?))
            }
            Self::Ordered(sum) => sum.total(),
        }
    }
}
