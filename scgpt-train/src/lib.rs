//! Training scGPT: from tensors to weights.
//!
//! ```text
//! for each step:
//!     batch     = the cells that (seed, epoch, step) choose
//!     losses    = Objectives::terms(model, batch)          named, weighted, summed
//!     gradients = one backward pass, reduced over workers, clipped by their global norm
//!     numbers   = losses and norm, read from the device at once; not finite: stop
//!     model     = Adam(gradients) at the rate of the schedule
//!     now and then: validate, write a checkpoint from which the run goes on bit for bit
//! ```

mod error;
mod gradients;
mod loss;
mod objective;
mod optimizer;
mod schedule;
mod terms;

pub use crate::{
    error::{Error, Result},
    gradients::{NamedGradients, Reduce, SingleDevice},
    loss::{
        contrastive, cross_entropy, elastic_cell_similarity, masked_relative_error,
        masked_squared_error, negative_log_bernoulli,
    },
    objective::{Objectives, Targets},
    optimizer::{Optimizer, OptimizerConfig},
    schedule::{Progress, Schedule},
    terms::{LossTerms, Term},
};
