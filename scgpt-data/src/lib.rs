//! Single-cell files to token batches.

mod binning;
mod collate;
mod csr;
mod error;
mod frame;
mod keyed;
mod source;
mod token;
mod vocab;

pub use crate::{
    binning::{BinScratch, Binner, TieMode},
    collate::{Collator, TokenBatch, buckets},
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    keyed::{Keyed, Purpose},
    source::{CellSource, Layer, MatrixSummary, Summary},
    token::{CellTokens, ConditionToken, Sampling, TokenConfig, TokenScratch, Tokenizer},
    vocab::{
        Alignment, AlignmentSummary, Candidate, Duplicate, GeneToken, GeneVocab, SpecialToken,
    },
};
