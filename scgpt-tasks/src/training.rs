//! What every training task begins with: a network, and cells on their way into batches.

mod cells;
mod curves;
mod folder;
mod network;
mod options;
mod settings;

pub(crate) use self::{
    cells::{TrainingCells, VALIDATION_EPOCH, source_cells},
    curves::{learning_curves, validation_curves},
    folder::RunFolder,
    network::{StartingNetwork, begin_at},
    options::Run,
    settings::{network_rows, training_rows},
};
pub use self::{
    network::{NetworkConfig, Recipe},
    options::LearnOptions,
};
