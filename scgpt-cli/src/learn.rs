//! What commands that train an artefact have in common: the options of training, and the folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{GeneNames, Layer};
use scgpt_tasks::LearnOptions;
use scgpt_train::{Part, Precision, TrainConfig};

use crate::training::{Begin, Training, saved_settings};

/// Options of every training of an artefact.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags, each on its own")]
pub(crate) struct LearnArgs {
    /// Parts that do not learn: genes, values, conditions, transformer, expression_heads, blocks:N
    #[arg(long, value_name = "PARTS", value_delimiter = ',', env = "SCGPT_FREEZE")]
    freeze: Vec<Part>,
    /// Passes over the cells
    #[arg(long, value_name = "N", env = "SCGPT_EPOCHS")]
    epochs: Option<u64>,
    /// Stop after that many optimiser steps
    #[arg(long, value_name = "N", env = "SCGPT_MAX_STEPS")]
    max_steps: Option<u64>,
    /// Cells per batch
    #[arg(long, value_name = "N", env = "SCGPT_BATCH_SIZE")]
    pub(crate) batch_size: Option<usize>,
    /// Learning rate
    #[arg(long, value_name = "RATE", env = "SCGPT_LR")]
    lr: Option<f64>,
    /// Number format of the passes: f32, bf16 or f16
    #[arg(long, value_name = "FORMAT", env = "SCGPT_PRECISION")]
    precision: Option<Precision>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", env = "SCGPT_SEED")]
    seed: Option<u64>,
    /// Train and judge that often, with other seeds and another part to judge by, for intervals
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..),
        env = "SCGPT_REPEATS"
    )]
    pub(crate) repeats: u64,
    /// Do not compare with simple methods
    #[arg(long)]
    pub(crate) no_baselines: bool,
    /// Optimiser steps between checkpoints, beside those at validations
    #[arg(long, value_name = "N", default_value_t = 200, env = "SCGPT_CHECKPOINT_EVERY")]
    pub(crate) checkpoint_every: u64,
    /// Go on from the newest checkpoint, with the settings of the run
    #[arg(long)]
    pub(crate) resume: bool,
    /// Print the settings in force as TOML, and do nothing
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Begin anew in a folder that is in use
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
}

impl LearnArgs {
    /// Files with settings, the first overlaid by the next: those of the run to resume, and that
    /// named by --config.
    pub(crate) fn files(&self, output: Option<&Path>, config: Option<&Path>) -> Vec<PathBuf> {
        let saved = output.filter(|_| self.resume).and_then(saved_settings);
        saved.into_iter().chain(config.map(Path::to_path_buf)).collect()
    }

    /// Where and how often an artefact is trained.
    pub(crate) fn options<'a>(
        &self,
        output: &'a Path,
        layer: &'a Layer,
        gene_names: &'a GeneNames,
    ) -> LearnOptions<'a> {
        LearnOptions {
            layer,
            gene_names,
            output,
            resume: self.resume,
            checkpoint_every: Some(self.checkpoint_every.max(1)),
            repeats: self.repeats,
        }
    }

    /// Changes settings as the flags say.
    pub(crate) fn apply(&self, training: &mut TrainConfig) {
        training.seed = self.seed.unwrap_or(training.seed);
        if let Some(epochs) = self.epochs {
            training.epochs = epochs;
            training.least_steps = None;
        }
        training.max_steps = self.max_steps.or(training.max_steps);
        training.optimizer.lr = self.lr.unwrap_or(training.optimizer.lr);
        training.precision = self.precision.unwrap_or(training.precision);
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
        Training::claim(output, Begin::of(self.resume, self.force), is_artefact, inputs)
    }
}
