//! What do its neighbours in a reference say of a cell?
//!
//! [`ReferenceIndex`] holds the embeddings and labels of reference cells on disk;
//! [`ReferenceIndex::map`] lets the nearest of them vote on the label of a cell, and finds cells
//! that are far from all of them.
//!
//! A reference cell goes this way. [`ReferenceCells`] are embeddings of unit length with labels,
//! and a note of what made them, which the index keeps because distances between embeddings of
//! different models mean nothing. Its vectors are written whole ([`Search::Exact`]), or one byte a
//! number and sorted into lists around centres ([`Search::Approximate`]). Last, the neighbours of a
//! sample of the cells are found: how far these are from each other tells what is far for a query.
//! A query meets the index a few thousand cells at a time; its neighbours become [`Found`], their
//! votes a [`MappedLabels`].
//!
//! Only centres have to be in memory; vectors and codes of labels are mapped, so the system reads
//! what is looked at and drops it again.
//!
//! ```no_run
//! use scgpt_data::{Frame, Column, RowSpool, Silent};
//! use scgpt_eval::Labels;
//! use scgpt_tasks::map::{MadeBy, MapOptions, ReferenceCells, ReferenceIndex, Search, Voting};
//!
//! // Embeddings are of unit length, from an `Embedder` or another program.
//! let mut rows = RowSpool::new(2)?;
//! for row in [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]] {
//!     rows.push(&row)?;
//! }
//! let types = ["B", "B", "T", "T"].map(|name| Some(name.to_owned())).to_vec();
//! let obs = Frame {
//!     columns: vec![("type".into(), Column::Text(types))],
//!     ..Frame::of_names(["a", "b", "c", "d"])
//! };
//! let cells = ReferenceCells {
//!     rows: &rows,
//!     labels: &[("type".into(), Labels::read(&obs, "type")?)],
//!     colours: Vec::new(),
//!     source: "four cells".into(),
//!     made_by: MadeBy::Obsm("X_pca".into()),
//!     genes: None,
//! };
//! let folder = tempfile::tempdir()?;
//! let folder = folder.path().join("index");
//! let index = ReferenceIndex::create(&folder, &cells, Search::Exact, &Silent)?;
//!
//! let mut query = RowSpool::new(2)?;
//! query.push(&[0.96, 0.28])?;
//! let mut options = MapOptions::default();
//! options.k = 3;
//! options.voting = Voting::Majority;
//! let mapped = index.map(&query, &options, &Silent)?;
//! let labels = &mapped.labels[0];
//! assert_eq!(labels.codes[0].map(|code| labels.names[code as usize].as_str()), Some("B"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocks;
mod check;
mod index;
mod lists;
mod manifest;
mod mapped;
mod page;
mod query;
mod vote;

pub use self::{
    index::{ReferenceCells, ReferenceIndex},
    manifest::{IndexLabels, IndexManifest, MadeBy, Search, Segment},
    query::{MapOptions, MappedCells, MappedLabels},
    vote::Voting,
};

/// A reference cell that is near to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its number in the index.
    pub cell: usize,
    /// Its Euclidean distance; embeddings have length 1, so at most 2.
    pub distance: f64,
}
