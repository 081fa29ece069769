//! Single-cell files to token batches.

mod csr;
mod error;
mod frame;
mod source;

pub use crate::{
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    source::{CellSource, Layer, MatrixSummary, Summary},
};
