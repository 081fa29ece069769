//! [`Reducing`]: how workers sum gradients, as people say it.

use clap::ValueEnum;
use scgpt_train::Reduce;

/// How several workers sum gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reducing {
    /// With the bits of one that accumulates as many batches
    #[default]
    Ordered,
    /// By MPI, once a step
    #[cfg(feature = "mpi")]
    Fast,
    /// As fast, from GPU to GPU
    #[cfg(feature = "nccl")]
    Nccl,
}

impl From<Reducing> for Reduce {
    fn from(reducing: Reducing) -> Self {
        if reducing == Reducing::Ordered { Self::Ordered } else { Self::Fast }
    }
}
