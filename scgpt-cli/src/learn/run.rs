//! [`RunArgs`]: the options of every training, be it pre-training or that of an artefact.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use burn::prelude::Device;
use clap::Args;
use scgpt_data::Existing;
use scgpt_model::Lora;
use scgpt_tasks::{NetworkConfig, NewGenes, Recipe};
use scgpt_train::{Objectives, Precision, TrainConfig};

use crate::{
    device::ComputeArgs,
    output::Printer,
    plan::Plan,
    settings::recipe,
    training::{Begin, BeginArgs},
    warnings::Warnings,
    workers::{self, Reducing},
};

/// Options of every training: from which weights to where, for how long, and on what.
///
/// A model and an output are the first of the options that `--help` lists, before those of the command.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Model directory to fine-tune [default: a small network learns from scratch]
    #[arg(long, short, value_name = "DIR", display_order = 0, env = "SCGPT_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Folder of the artefact
    #[arg(
        long,
        short,
        value_name = "DIR",
        display_order = 0,
        required_unless_present = "print_config"
    )]
    pub(crate) output: Option<PathBuf>,
    /// Genes that --model does not know: left out (none), or added to its vocabulary with vectors that are
    /// drawn (random) or mapped from their co-expression with genes that it knows (spectral) [default: none]
    #[arg(long, value_enum, value_name = "VECTORS", env = "SCGPT_NEW_GENES")]
    pub(crate) new_genes: Option<NewGenes>,
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
    /// Batches whose gradients are added up for a step; several workers share them [default: 1]
    #[arg(long, value_name = "N", env = "SCGPT_ACCUMULATE")]
    accumulate: Option<u64>,
    /// Let objectives between cells (ECS, contrastive) see the cells of all batches of a step, not of one
    #[arg(long)]
    gather_cells: bool,
    /// How several workers sum gradients
    #[cfg(feature = "mpi")]
    #[arg(long, value_enum, value_name = "HOW", default_value_t, env = "SCGPT_REDUCE")]
    reduce: Reducing,
    /// Numbers that passes multiply: f32; bf16 or bf16x3, faster on a CPU that has instructions for them, see
    /// `scgpt inspect --system`, and bf16 or f16 on a GPU [default: f32]
    #[arg(long, value_name = "FORMAT", env = "SCGPT_PRECISION")]
    precision: Option<Precision>,
    /// Rank of adapters that learn instead of the weights of --model: less memory, and a file of a few MB
    /// beside the weights [default: all weights learn]
    #[arg(long, value_name = "RANK", env = "SCGPT_LORA")]
    lora: Option<usize>,
    /// Keep no states inside blocks, which are computed again for their gradients: less memory for more
    /// time, and the same result [default: true with --lora on a CPU, else false]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) recompute: Option<bool>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", env = "SCGPT_SEED")]
    seed: Option<u64>,
    /// Optimiser steps between checkpoints, beside those at validations
    #[arg(long, value_name = "N", default_value_t = 200, env = "SCGPT_CHECKPOINT_EVERY")]
    checkpoint_every: u64,
    /// Tell what the training will need, by a few of its steps, and leave nothing: parameters, memory, speed and
    /// time, and what would need less memory
    #[arg(long, conflicts_with = "resume")]
    plan: bool,
    /// Print the settings in force as TOML, and do nothing
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    begin: BeginArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

impl RunArgs {
    /// Meets the workers that were started together with this process, if there are any.
    pub(crate) fn meet(&self, printer: Printer) -> Result<()> {
        if self.print_config {
            return Ok(());
        }
        if self.plan {
            return workers::refuse("--plan rehearses a training by one process");
        }
        #[cfg(feature = "mpi")]
        let reduce = self.reduce;
        #[cfg(not(feature = "mpi"))]
        let reduce = Reducing::default();
        workers::begin(reduce, printer)
    }

    /// How the run begins.
    pub(crate) fn begin(&self) -> Begin {
        self.begin.begin()
    }

    /// Whether the run goes on where an earlier one ended.
    pub(crate) fn resumes(&self) -> bool {
        self.begin() == Begin::Resume
    }

    /// What happens to an output that exists.
    pub(crate) fn existing(&self) -> Existing {
        self.begin.existing()
    }

    /// Whether the training is to be planned.
    pub(crate) fn plans(&self) -> bool {
        self.plan
    }

    /// The rehearsal of the training whose output that would be, if it is to be planned, and where the training
    /// writes.
    pub(crate) fn plan(&self, output: &Path) -> Result<(Option<Plan>, PathBuf)> {
        Plan::asked(self.plan, output)
    }

    /// The seed that was given, else 0.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// Optimiser steps between checkpoints.
    pub(crate) fn checkpoint_every(&self) -> u64 {
        self.checkpoint_every.max(1)
    }

    /// Files with settings, each of which overrides those before it: the one that the run has
    /// `saved`, if it goes on, and the one named by --config.
    pub(crate) fn files(&self, saved: Option<PathBuf>, config: Option<&Path>) -> Vec<PathBuf> {
        let saved = saved.filter(|_| self.resumes());
        saved.into_iter().chain(config.map(Path::to_path_buf)).collect()
    }

    /// The recipe that the settings begin with.
    pub(crate) fn recipe(&self, files: &[PathBuf]) -> Result<Recipe> {
        recipe(self.model.as_deref(), files)
    }

    /// Opens the device. Warns if it multiplies other numbers than the settings ask for, and if the weights
    /// of `model` were learned with another attention.
    pub(crate) fn open(
        &self,
        model: Option<&Path>,
        (network, training, objectives): (&NetworkConfig, &TrainConfig, Option<&Objectives>),
        warnings: &mut Warnings,
    ) -> Result<Device> {
        let device = self.compute.open()?;
        if let Recipe::FineTune(learned) = Recipe::of(model)?
            && learned.attention != network.attention
        {
            warnings.tell(format!(
                "the weights of the model were learned with attention `{}`, and go on with `{}`",
                learned.attention.name(),
                network.attention.name()
            ));
        }
        let compares = objectives.is_some_and(Objectives::compare_cells);
        if training.gather_cells && !(compares && training.accumulate > 1) {
            let why = if compares { "a step is one batch" } else { "no objective compares cells" };
            warnings.tell(format!("{why}: --gather-cells changes nothing"));
        }
        if compares && training.accumulate > 1 && !training.gather_cells {
            warnings.tell(format!(
                "objectives between cells see those of one batch at a time, not of the {} of a step: \
                 --gather-cells changes that",
                training.accumulate
            ));
        }
        let asked = training.precision;
        let computed = asked.on(&device).map_err(|problem| anyhow!("precision {problem}"))?;
        if computed != asked {
            warnings.tell(format!(
                "steps are computed in f32: this processor has nothing faster for {asked}, see \
                 `scgpt inspect --system`"
            ));
        }
        Ok(device)
    }

    /// Changes the settings that every training has, as the flags say. If a number of epochs is
    /// given, there are no more epochs for the sake of a least number of steps.
    pub(crate) fn apply(
        &self,
        model: &mut Option<PathBuf>,
        batch_size: &mut usize,
        training: &mut TrainConfig,
    ) {
        if self.model.is_some() {
            model.clone_from(&self.model);
        }
        *batch_size = self.batch_size.unwrap_or(*batch_size);
        training.seed = self.seed.unwrap_or(training.seed);
        if let Some(epochs) = self.epochs {
            training.epochs = epochs;
            training.least_steps = None;
        }
        training.max_steps = self.max_steps.or(training.max_steps);
        training.optimizer.lr = self.lr.unwrap_or(training.optimizer.lr);
        training.accumulate = self.accumulate.unwrap_or(training.accumulate);
        training.gather_cells |= self.gather_cells;
        training.precision = self.precision.unwrap_or(training.precision);
        if let Some(rank) = self.lora {
            let given = training.lora.unwrap_or(Lora::of_rank(rank));
            training.lora = Some(Lora { rank, ..given });
        }
    }
}
