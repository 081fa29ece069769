//! Outputs: who may write one, where it is made, and how it appears whole or not at all.
//!
//! ```text
//! cells.h5ad                        the output: the old one until the rename, then the new one
//! .scgpt-1a2b3c4d.lock              the claim: a lock of the system while a process writes
//! .scgpt-1a2b3c4d-q7Zk2x/           the place: a folder, removed with all that is left in it
//!   cells.h5ad                        what is being built
//!   replaced/                         a folder that is about to be replaced, for a moment
//! ```
//!
//! All are in one folder, so that a rename never becomes a copy. The digits are of a hash of the
//! output's name, by which a new owner of the claim knows what a killed one has left.

mod claim;
mod durable;
mod existing;
mod kind;
mod place;

pub use self::{
    claim::{Claim, folder_entries},
    durable::make_durable,
    existing::Existing,
    kind::OutputKind,
    place::{Place, check_apart, check_output, write_file},
};
