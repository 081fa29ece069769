//! Outputs: who may write one, where it is made, and how it appears whole or not at all.

mod claim;
mod durable;
mod existing;
mod kind;
mod place;

pub use self::{
    claim::{Claim, is_under_construction},
    durable::make_durable,
    existing::Existing,
    kind::OutputKind,
    place::{Place, check_apart, check_output, write_file},
};
