//! Single-cell files to token batches.

mod binning;
mod collate;
mod csr;
mod error;
mod frame;
mod keyed;
mod mask;
mod normalize;
mod row_spool;
mod source;
mod state;
mod token;
mod variable;
mod vocab;
mod write;

pub use crate::{
    binning::{BinScratch, Binner, TieMode},
    collate::{Collator, TokenBatch, buckets},
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::{Column, Frame},
    keyed::{Keyed, Purpose},
    mask::{Hide, Mask, split},
    normalize::{check_logged, log1p, median_total, normalise_total, totals},
    row_spool::RowSpool,
    source::{CellSource, Layer, MatrixSummary, Summary},
    state::{InputState, StateDetector},
    token::{CellTokens, ConditionToken, Sampling, TokenConfig, TokenScratch, Tokenizer},
    variable::{VariableConfig, VariableFlavour, VariableGenes, variable_genes},
    vocab::{
        Alignment, AlignmentSummary, Candidate, Duplicate, GeneToken, GeneVocab, SpecialToken,
    },
    write::{Additions, CopyReport, check_output, export, save_copy},
};
