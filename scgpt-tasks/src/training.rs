//! The one skeleton of training: a network, cells on their way into batches, and what becomes of them.

mod cells;
mod curves;
mod folder;
mod network;
mod options;
mod rate;
mod report;
mod settings;
mod start;
mod trial;

pub(crate) use self::{
    cells::{CellChoices, TrainingCells, VALIDATION_EPOCH},
    curves::{learning_curves, validation_curves},
    folder::{Codes, RunFolder},
    rate::{LEAST_STEPS, as_in_the_tutorials, fine_tuning_rate},
    settings::{network_rows, training_rows},
    start::{FirstGuess, StartingNetwork},
    trial::{ArtefactFile, Experiment, Observers, Session, Trained, Trial},
};
pub use self::{
    folder::clear_training,
    network::{NetworkConfig, Recipe},
    options::LearnOptions,
    report::{Curves, Learned},
};
