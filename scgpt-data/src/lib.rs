//! Single-cell files to token batches.

mod anndata;
mod check;
mod csr;
mod error;
mod frame;
mod h5;
mod rowsort;
mod source;
mod tenx;
mod zarr;

pub use crate::{
    anndata::AnnData,
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    source::{CellSource, Layer, MatrixSummary, Source, Summary},
    tenx::TenX,
};
