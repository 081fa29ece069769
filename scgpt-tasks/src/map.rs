//! Labels of cells from their neighbours in a reference.

mod blocks;
mod check;
mod index;
mod lists;
mod manifest;
mod mapped;
mod query;
mod vote;

pub use self::{
    index::{ReferenceCells, ReferenceIndex},
    manifest::{IndexLabels, IndexManifest, MadeBy, Search, Segment},
    query::{MapOptions, MappedCells, MappedLabels},
    vote::{Ballot, Voting, confidence, majority, proportional},
};

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its number in the index.
    pub cell: usize,
    /// Its Euclidean distance; embeddings have length 1, so at most 2.
    pub distance: f64,
}
