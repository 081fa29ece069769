//! Training scGPT: from tensors to weights.
//!
//! ```text
//! for each step:
//!     batch     = the cells that (seed, epoch, step) choose
//!     losses    = Objectives::terms(model, batch)          named, weighted, summed
//!     gradients = one backward pass, clipped by their global norm
//!     numbers   = losses and norm, read from the device at once; not finite: stop
//!     model     = Adam(gradients) at the rate of the schedule
//!     now and then: validate, write a checkpoint from which the run goes on bit for bit
//! ```
//!
//! A [`Task`] makes batches and computes their losses, most simply by [`Objectives`]; [`fit()`]
//! does the rest:
//!
//! ```no_run
//! use burn::prelude::Device;
//! use scgpt_model::{Scgpt, ScgptConfig};
//! use scgpt_train::{Outcome, Result, RunOptions, Task, TrainConfig, Unwatched, fit};
//!
//! fn train(task: &impl Task, model: Scgpt, network: &ScgptConfig) -> Result<Outcome> {
//!     let config = TrainConfig { epochs: 10, ..TrainConfig::default() };
//!     let run = RunOptions::new("runs/first".as_ref());
//!     fit(task, model, network, &config, &run, &Device::default(), &Unwatched)
//! }
//! ```

mod batch;
mod between;
mod checkpoint;
mod computed;
mod config;
mod error;
mod fit;
mod freeze;
mod gradients;
mod input;
mod log;
mod lora;
mod loss;
mod metric;
mod norms;
mod objective;
mod optimizer;
mod precision;
mod reading;
mod rehearsal;
mod run_options;
mod schedule;
mod share;
mod step;
mod step_cells;
mod sum;
mod task;
mod term;
mod terms;
mod train_observer;
mod workers;

pub use crate::{
    batch::{TrainBatch, TrainCell},
    checkpoint::{Best, Checkpoints, State, has_checkpoint},
    config::TrainConfig,
    error::{Error, Result},
    fit::{Outcome, fit},
    freeze::{Part, freeze},
    gradients::NamedGradients,
    input::InputBatch,
    log::RunHistory,
    loss::{
        contrastive, cross_entropy, elastic_cell_similarity, masked_relative_error,
        masked_squared_error, negative_log_bernoulli,
    },
    metric::Metric,
    objective::{Objectives, Targets},
    optimizer::{Optimizer, OptimizerConfig},
    precision::{LossScale, Precision},
    rehearsal::Rehearsal,
    run_options::RunOptions,
    schedule::{Progress, Schedule},
    task::{Batch, Task},
    term::Term,
    terms::LossTerms,
    train_observer::{Event, StepRecord, TrainObserver, Unwatched, ValidationRecord},
    workers::{Reduce, SumOnDevice, Transport, Workers},
};
