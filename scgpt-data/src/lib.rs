//! Single-cell files to token batches.

mod csr;
mod error;
mod frame;
mod row_spool;
mod source;
mod write;

pub use crate::{
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    row_spool::RowSpool,
    source::{CellSource, Layer, MatrixSummary, Summary},
    write::{Additions, CopyReport, check_output, export, save_copy},
};
