//! [`LearnArgs`]: what commands that train an artefact have in common.

mod run;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{GeneNames, Layer};
use scgpt_tasks::LearnOptions;
use scgpt_train::{Part, TrainConfig};

pub(crate) use self::run::RunArgs;
use crate::{
    matrix::MatrixArgs,
    training::{Training, saved_settings},
    workers,
};

/// Options of every training of an artefact.
#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Parts that do not learn: genes, values, conditions, transformer, expression_heads, blocks:N
    #[arg(long, value_name = "PARTS", value_delimiter = ',', env = "SCGPT_FREEZE")]
    freeze: Vec<Part>,
    /// Train and judge that often, with other seeds and another part to judge by, for intervals
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..),
        env = "SCGPT_REPEATS"
    )]
    repeats: u64,
    /// Do not compare with simple methods
    #[arg(long)]
    pub(crate) no_baselines: bool,
    #[command(flatten)]
    pub(crate) matrix: MatrixArgs,
}

impl LearnArgs {
    /// Files with settings of the artefact in `output`; see [`RunArgs::files`].
    pub(crate) fn files(&self, output: Option<&Path>, config: Option<&Path>) -> Vec<PathBuf> {
        self.run.files(output.and_then(saved_settings), config)
    }

    /// Options of the training: where the artefact goes, and how often it is trained.
    pub(crate) fn options<'a>(
        &self,
        output: &'a Path,
        layer: &'a Layer,
        gene_names: &'a GeneNames,
    ) -> LearnOptions<'a> {
        let mut options = LearnOptions::new(output, layer);
        options.gene_names = gene_names;
        options.resume = self.run.resumes();
        options.checkpoint_every = Some(self.run.checkpoint_every());
        options.recompute = self.run.recompute;
        options.rehearse = self.run.plans();
        options.repeats = self.repeats;
        options.workers = workers::current();
        options
    }

    /// Changes the settings as the flags say; see [`RunArgs::apply`].
    pub(crate) fn apply(
        &self,
        model: &mut Option<PathBuf>,
        batch_size: &mut usize,
        training: &mut TrainConfig,
    ) {
        self.run.apply(model, batch_size, training);
        if !self.freeze.is_empty() {
            training.freeze.clone_from(&self.freeze);
        }
    }

    /// Claims the folder of the artefact; see [`Training::claim`].
    pub(crate) fn claim<'a>(
        &self,
        output: &Path,
        is_artefact: fn(&Path) -> bool,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Training> {
        Training::claim(output, self.run.begin(), is_artefact, inputs)
    }
}
