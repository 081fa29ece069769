//! [`StreamArgs`] and [`TokenArgs`]: how cells of a file are read, become tokens, and are computed.

use std::path::Path;

use clap::Args;
use scgpt_tasks::embed::EmbedOptions;
use serde::Serialize;

use crate::{device::ComputeArgs, matrix::MatrixArgs, output::temporary, precision::PrecisionArgs};

/// Options of every command that sends the cells of a file through a network, and trains none.
#[derive(Debug, Args, Serialize)]
pub(crate) struct StreamArgs {
    /// Cells computed at once; affects speed and memory only
    #[arg(long, value_name = "N", default_value_t = 8, env = "SCGPT_BATCH_SIZE")]
    pub(crate) batch_size: usize,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) precision: PrecisionArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) matrix: MatrixArgs,
}

/// Options of commands in which a cell may have fewer tokens than genes.
#[derive(Debug, Args, Serialize)]
pub(crate) struct TokenArgs {
    /// Most tokens per cell [default: the model's]
    #[arg(long, value_name = "N", env = "SCGPT_MAX_LENGTH")]
    pub(crate) max_length: Option<usize>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    pub(crate) seed: u64,
}

impl StreamArgs {
    /// The options with which cells are embedded whose rows go to `output`.
    pub(crate) fn embed_options(&self, tokens: &TokenArgs, output: &Path) -> EmbedOptions {
        let mut options = EmbedOptions::default();
        options.batch_size = self.batch_size;
        options.max_length = tokens.max_length;
        options.seed = tokens.seed;
        options.gene_names = self.matrix.gene_names();
        options.layer = self.matrix.layer();
        options.temporary = temporary(output);
        options
    }
}
