//! Single-cell files to token batches.

mod anndata;
mod check;
mod csr;
mod error;
mod frame;
mod h5;
mod row_spool;
mod rowsort;
mod source;
mod tenx;
mod write;
mod zarr;

pub use crate::{
    anndata::AnnData,
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    row_spool::RowSpool,
    source::{CellSource, Layer, MatrixSummary, Source, Summary},
    tenx::TenX,
    write::{Additions, CopyReport, check_output, export, save_copy},
};
