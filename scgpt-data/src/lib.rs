//! Single-cell files to token batches.
//!
//! ```text
//! Source ─► Csr blocks [cells, genes] ─► Tokenizer ─► CellTokens ─► Collator ─► TokenBatch [b, t]
//!   │                                       │
//!   └ var ─► GeneVocab::align ──────────────┴ Binner
//! ```
//!
//! [`Source`] opens h5ad, AnnData-zarr, 10x, MuData and scBank by content; [`CellSource`] is the one
//! trait of them all, and of whatever else gives cells in blocks. Nothing holds a whole matrix.
//! [`save_copy`] and [`export`] write results into a copy of the input, [`ShardWriter`] makes files
//! that training reads in any order, [`Table`] reads and writes CSV, TSV and parquet.
//!
//! Random choices are functions of [`Keyed`]: of a seed, a [`Purpose`], an epoch and a cell, which in
//! predictions is what it expresses ([`CellKey`]). This crate knows no tensor library.

mod anndata;
mod binning;
mod cell_source;
mod check;
mod collate;
mod condition_token;
mod csr;
mod empty_cells;
mod error;
mod foreign;
mod forward;
mod frame;
mod gene_subset;
mod guard;
mod h5;
mod hdf5;
mod hex;
mod inflate;
mod keyed;
mod logged;
mod loom;
mod mask;
mod memory_cells;
mod modality;
mod multimodal;
mod names;
mod narrow;
mod normalize;
mod observer;
mod output;
mod pages;
mod regular;
mod row_spool;
mod rowsort;
mod scbank;
mod setting;
mod shard;
mod source;
mod spooled;
mod state;
mod subset;
mod summary;
mod table;
mod tenx;
mod token;
mod variable;
mod vocab;
mod write;
mod zarr;

pub use crate::{
    anndata::AnnData,
    binning::{BinScratch, Binner, TieMode},
    cell_source::{CellBlocks, CellSource, ReadBlocks},
    collate::{Collator, TokenBatch, buckets},
    condition_token::ConditionToken,
    csr::{Csr, CsrRow},
    empty_cells::EmptyCells,
    error::{Error, Result},
    frame::{Column, Frame, numbers, obs_column},
    gene_subset::GeneSubset,
    guard::silence_guarded_panics,
    keyed::{Keyed, Purpose, name_key},
    logged::{LoggedCells, STATE_CELLS, TOTAL, gene_columns, input_state, input_values, unscaled},
    loom::Loom,
    mask::{Hide, Mask, split},
    memory_cells::MemoryCells,
    modality::{ATAC, Measured, Modalities, PROTEIN, RNA, modality_name, unlinked},
    multimodal::{
        ModalitySource, MultimodalCells, MultimodalInput, MultimodalOptions, open_modalities,
    },
    names::{absent_gene, similar_names, some_of, unknown_choice, unknown_gene},
    narrow::narrow,
    normalize::{LogScale, check_logged, log1p, median_total, normalise_total, totals},
    observer::{Observer, Silent, Watched},
    output::{
        Claim, OutputKind, Place, check_apart, check_output, is_under_construction, make_durable,
        write_file,
    },
    regular::open as open_file,
    row_spool::RowSpool,
    scbank::ScBank,
    setting::{Advice, Setting, SettingProblem, before_scaling},
    shard::{
        CellSplit, DomainBatches, EpochOrder, LabelColumn, Manifest, ShardEntry, ShardFolder,
        ShardLabels, ShardOptions, ShardWriter, SourceEntry, VocabEntry, write_shards,
    },
    source::Source,
    spooled::SpooledCells,
    state::{InputState, InputValues, StateDetector},
    subset::CellSubset,
    summary::{Layer, MatrixSummary, Summary},
    table::Table,
    tenx::TenX,
    token::{CellKey, CellTokens, Sampling, TokenConfig, TokenScratch, Tokenizer},
    variable::{
        VariableConfig, VariableFlavour, VariableGenes, flavour_of, variable_columns,
        variable_genes,
    },
    vocab::{
        Alignment, AlignmentSummary, Candidate, Duplicate, ExtendedVocab, GeneNames, GeneToken,
        GeneVocab, SpecialToken,
    },
    write::{Additions, CopyReport, export, export_mudata, make_copy, make_export, save_copy},
};
