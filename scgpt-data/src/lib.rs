//! Single-cell files to token batches.
//!
//! ```text
//! Source ─► Csr blocks [cells, genes] ─► Tokenizer ─► CellTokens ─► Collator ─► TokenBatch [b, t]
//!   │                                       │
//!   └ var ─► GeneVocab::align ──────────────┴ Binner
//! ```
//!
//! [`Source`] opens h5ad, AnnData-zarr, 10x, loom and scBank by content, [`MemoryCells`] takes
//! matrices in memory; [`CellSource`] is the one trait of them all, and of whatever else gives cells
//! in blocks. Nothing holds a whole matrix of a file. [`save_copy`] and [`export`] write results into
//! a copy of the input, [`ShardWriter`] makes files that training reads in any order, [`Table`] reads
//! and writes CSV, TSV and parquet.
//!
//! Random choices are functions of [`Keyed`]: of a seed, a [`Purpose`], an epoch and a cell, which in
//! predictions is what it expresses ([`CellKey`]). This crate knows no tensor library.
//!
//! ```
//! use scgpt_data::{
//!     CellKey, CellSource as _, Collator, Csr, Frame, GeneNames, GeneVocab, Layer, MemoryCells,
//!     ReadBlocks as _, TokenConfig, TokenScratch, Tokenizer,
//! };
//!
//! // Two cells of three genes; `Source::open("cells.h5ad")?` gives those of a file.
//! let counts = Csr::of_rows(3, [(vec![0, 2], vec![4.0, 1.0]), (vec![1], vec![2.0])])?;
//! let var = Frame::of_names(["CD3D", "CD4", "not a gene"]);
//! let mut cells = MemoryCells::of(counts, Frame::of_names(["cell_1", "cell_2"]), var)?;
//!
//! // Which genes the model knows, and what it sees of every cell.
//! let vocab = GeneVocab::from_names(["<pad>", "<cls>", "CD3D", "CD4"])?;
//! let alignment = vocab.align(&cells.var(&Layer::X)?, &GeneNames::BEST)?;
//! let tokenizer = Tokenizer::new(&vocab, &alignment, TokenConfig::default())?;
//! let (mut tokens, mut scratch) = (Vec::new(), TokenScratch::default());
//! for block in cells.blocks(&Layer::X, 1024) {
//!     for row in block?.1.rows() {
//!         tokens.push(tokenizer.cell(row, CellKey::Content, &mut scratch));
//!     }
//! }
//! let batch = Collator::new(&vocab, -2.0).collate(tokens.iter().enumerate());
//! assert_eq!(batch.n_cells, 2);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! All but `cloud` are on unless `default-features = false`.
//!
//! - `h5ad`: h5ad and loom files, read and written.
//! - `zarr`: AnnData-zarr folders and zips, read; folders, written.
//! - `tenx`: `matrix.mtx` folders and `.h5` files of Cell Ranger; brings `h5ad`.
//! - `mudata`: MuData, and cells of several modalities joined from any files; brings `h5ad`.
//! - `scbank`: scBank folders of the reference implementation.
//! - `shards`: token shards for training.
//! - `parquet`: tables in parquet, and what was found of parts of cells.
//! - `query`: cells chosen by a condition in SQL; brings polars.
//! - `cloud`: AnnData-zarr and token shards at `https://` and `s3://`, and folders of a hub of models; brings `zarr`,
//!   a web client and tokio.
//!
//! What a build was made without is named by the error of [`Source::open`].
#![cfg_attr(
    not(all(
        feature = "h5ad",
        feature = "zarr",
        feature = "tenx",
        feature = "mudata",
        feature = "scbank",
        feature = "shards",
        feature = "parquet",
        feature = "query",
        feature = "cloud"
    )),
    allow(dead_code, reason = "what several formats share is not taken apart for each of them")
)]

mod address;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
mod anndata;
mod annotated;
mod binning;
mod cell_source;
mod check;
#[cfg(feature = "cloud")]
mod cloud;
mod collate;
mod condition_token;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
mod container;
mod csr;
mod differences;
#[cfg(all(feature = "parquet", any(feature = "h5ad", feature = "zarr")))]
mod divided;
mod empty_cells;
mod error;
mod foreign;
mod forward;
mod frame;
mod gene_subset;
mod guard;
#[cfg(feature = "h5ad")]
mod h5;
#[cfg(feature = "h5ad")]
mod hdf5;
mod hex;
#[cfg(feature = "cloud")]
mod hub;
mod inflate;
mod keyed;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
mod lent;
mod logged;
#[cfg(feature = "h5ad")]
mod loom;
mod mask;
mod memory_cells;
mod modality;
#[cfg(feature = "mudata")]
mod multimodal;
mod names;
mod narrow;
mod normalize;
mod observer;
mod output;
#[cfg(any(feature = "parquet", feature = "scbank"))]
mod pages;
mod part_number;
#[cfg(feature = "query")]
mod query;
mod regular;
mod row_spool;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
mod rowsort;
#[cfg(feature = "scbank")]
mod scbank;
mod setting;
#[cfg(feature = "shards")]
mod shard;
mod source;
mod spooled;
mod state;
mod subset;
mod summary;
mod table;
#[cfg(feature = "tenx")]
mod tenx;
mod thinning;
mod token;
mod variable;
mod vocab;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
mod write;
#[cfg(feature = "zarr")]
mod zarr;

#[cfg(any(feature = "h5ad", feature = "zarr"))]
pub use crate::anndata::AnnData;
#[cfg(all(feature = "parquet", any(feature = "h5ad", feature = "zarr")))]
pub use crate::divided::{
    DividedCells, DividedRun, JoinedCells, Merge, PartFile, PartManifest, PartRecord, Parts,
    make_part_file,
};
#[cfg(feature = "cloud")]
pub use crate::hub::{Fetched, FetchedFile, FetchedFolder, FolderAddress, FolderCache, WantedFile};
#[cfg(any(feature = "h5ad", feature = "zarr"))]
pub use crate::lent::{Lent, LentArray};
#[cfg(feature = "h5ad")]
pub use crate::loom::Loom;
#[cfg(feature = "mudata")]
pub use crate::multimodal::{
    ModalitySource, MultimodalCells, MultimodalInput, MultimodalOptions, open_modalities,
};
#[cfg(feature = "query")]
pub use crate::query::CellQuery;
#[cfg(feature = "scbank")]
pub use crate::scbank::ScBank;
#[cfg(feature = "shards")]
pub use crate::shard::{
    CellSplit, DomainBatches, DomainOrder, EpochOrder, LabelColumn, LabelKind, Manifest,
    ShardEntry, ShardFolder, ShardLabels, ShardOptions, ShardPart, ShardWriter, SourceEntry,
    VocabEntry, check_shard_part, find_shard_parts, join_shards, write_shards,
};
#[cfg(feature = "cloud")]
pub use crate::shard::{FetchedShards, ShardCache};
#[cfg(feature = "tenx")]
pub use crate::tenx::TenX;
#[cfg(feature = "mudata")]
pub use crate::write::make_mudata_part;
#[cfg(any(feature = "h5ad", feature = "zarr"))]
pub use crate::write::{
    Additions, CopyReport, export, export_mudata, make_cells_table, make_copy, make_export,
    make_part, make_slots, save_copy,
};
pub use crate::{
    address::is_url,
    annotated::{AnnotatedCells, JoinedTable, SAMPLE},
    binning::{BinScratch, Binner, TieMode},
    cell_source::{CellBlocks, CellSource, ReadBlocks},
    collate::{Collator, TokenBatch, buckets},
    condition_token::ConditionToken,
    csr::{Csr, CsrRow},
    differences::differences,
    empty_cells::EmptyCells,
    error::{Error, Result},
    frame::{Column, Frame, obs_column},
    gene_subset::GeneSubset,
    guard::silence_guarded_panics,
    keyed::{Keyed, Purpose},
    logged::{LoggedCells, STATE_CELLS, TOTAL, gene_columns, input_state, input_values, unscaled},
    mask::{Hide, Mask, split},
    memory_cells::MemoryCells,
    modality::{ATAC, Measured, Modalities, PROTEIN, RNA, modality_name, unlinked},
    names::{number_of, similar_names, some_of, unknown_choice},
    narrow::narrow,
    normalize::{LogScale, check_logged, log1p, median_total, normalise_total, totals},
    observer::{Observer, Silent, Watched},
    output::{
        Claim, Existing, OutputKind, Place, check_apart, check_output, folder_entries,
        make_durable, write_file,
    },
    part_number::PartNumber,
    regular::open as open_file,
    row_spool::RowSpool,
    setting::{Advice, Setting, SettingProblem},
    source::Source,
    spooled::SpooledCells,
    state::{InputState, InputValues},
    subset::{CellSubset, ChosenCells},
    summary::{CellChoice, Layer, MatrixSummary, Summary},
    table::Table,
    thinning::ThinnedCell,
    token::{CellKey, CellTokens, Sampling, TokenConfig, TokenScratch, Tokenizer},
    variable::{
        VariableConfig, VariableFlavour, VariableGenes, flavour_of, variable_columns,
        variable_genes,
    },
    vocab::{
        Alignment, AlignmentSummary, Candidate, Duplicate, ExtendedVocab, GeneNameKind, GeneNames,
        GeneToken, GeneVocab, Renamed, SpecialToken, absent_gene, unknown_gene,
    },
};
