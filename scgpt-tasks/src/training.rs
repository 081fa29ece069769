//! The one skeleton of training: a network, the cells that become its batches, and what is made of
//! it.
//!
//! An [`Experiment`] says what differs between tasks, a [`Session`] does the rest: cells become
//! shards, a [`StartingNetwork`] is checked before it has weights, [`TrainingCells`] turn cells
//! into tokens and batches, a [`Run`] trains by `fit` of scgpt-train, and the artefact is written.
//! Gene vectors may begin with the [`CoExpression`] of the cells: all of a new network, or those of
//! [`NewGenes`] of a checkpoint.
//! What settings, pages and cards have in common is here, too: [`Mistakes`], rates and schedules of
//! recipes, [`Learned`] and [`Curves`], tables.

mod added_genes;
mod beginning;
mod card;
mod cells;
mod checkpoint;
mod curves;
mod folder;
mod heads;
mod mistakes;
mod network;
mod options;
mod parameter;
mod parts;
mod rate;
mod report;
mod run;
mod settings;
mod spectral;
mod start;
mod thinning;
mod trial;

pub use self::{
    added_genes::{AddedGenes, VectorMap},
    folder::clear_training,
    network::{GeneStart, NetworkConfig, NewGenes, Recipe},
    options::LearnOptions,
    report::{Curves, Learned},
    thinning::ThinnedCells,
};
pub(crate) use self::{
    card::card_table,
    cells::{CellChoices, TrainingCells, VALIDATION_EPOCH, source_cells},
    checkpoint::Checkpoint,
    curves::{learning_curves, validation_curves},
    folder::{Codes, RunFolder},
    mistakes::{BATCH, Mistakes, TOKENS},
    parameter::{set, weights},
    parts::{part_sizes, size_line, total},
    rate::{as_in_the_tutorials, fine_tuning, from_scratch},
    run::{Run, Trained},
    settings::{network_rows, settings},
    spectral::{CoExpression, Link, OneSpace},
    start::{FirstGuess, StartingNetwork},
    thinning::{THINNING_CURVE, Thinning},
    trial::{ArtefactFile, Experiment, Observers, Session, Trial},
};
