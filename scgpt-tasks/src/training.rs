//! What every training task begins with: a network, and cells on their way into batches.

mod cells;
mod curves;
mod folder;
mod network;
mod options;
mod rate;
mod settings;

pub(crate) use self::{
    cells::{TrainingCells, VALIDATION_EPOCH, source_cells},
    curves::{learning_curves, validation_curves},
    folder::{RunFolder, content},
    network::{StartingNetwork, begin_at},
    options::{Learned, Run},
    rate::{LEAST_STEPS, as_in_the_tutorials, fine_tuning_rate},
    settings::{network_rows, training_rows},
};
pub use self::{
    folder::{TRAINING, UNFINISHED, clear_training},
    network::{NetworkConfig, Recipe},
    options::LearnOptions,
};
