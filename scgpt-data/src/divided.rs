//! Cells of a file, divided among machines: each does a contiguous part of them and writes what it found as a file; all
//! of these joined are what one machine would have found.
//!
//! ```text
//! cells.h5ad ─┬ part 1/2 ─► embedded.part-0001-of-0002.parquet ─┬► Parts ─► JoinedCells: Additions, record
//!             └ part 2/2 ─► embedded.part-0002-of-0002.parquet ─┘
//! ```
//!
//! A file has a row for each cell of its part: the name, the new columns of `obs`, and each new matrix of `obsm` as a
//! list of fixed size. Its metadata `scgpt.part` are a [`PartManifest`]: whose cells these are, of which run, and a hash
//! of the rows. What is said of all cells together, a *record* such as counts of tokens, is merged by rules that the
//! files bring along ([`Merge`]).

mod arrow;
mod complete;
mod file;
mod joined;
mod manifest;
mod merge;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use self::complete::{check_complete, differing};
pub use self::{
    file::{PartFile, make_part_file},
    joined::{JoinedCells, Parts},
    manifest::{DividedCells, DividedRun, PartManifest, PartRecord},
    merge::Merge,
};
