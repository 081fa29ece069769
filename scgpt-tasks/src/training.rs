//! What every training task begins with: a network, and cells on their way into batches.

mod cells;
mod curves;
mod folder;
mod network;

pub use self::network::{NetworkConfig, Recipe};
pub(crate) use self::{
    cells::{TrainingCells, VALIDATION_EPOCH},
    curves::{learning_curves, validation_curves},
    folder::RunFolder,
    network::{StartingNetwork, begin_at},
};
