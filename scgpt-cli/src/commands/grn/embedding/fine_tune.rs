//! `--fine-tune`: the model learns the cells before its vectors are taken.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use burn::prelude::Device;
use clap::Args;
use scgpt_data::Source;
use scgpt_model::{InputNorm, Lora};
use scgpt_tasks::{
    LearnOptions, NewGenes, Recipe,
    integrate::{IntegrateArtefact, IntegrateConfig, IntegrateOptions, Integration},
};
use serde::Serialize;

use super::EmbeddingArgs;
use crate::{
    output::{Printer, temporary},
    plan::{Load, Plan},
    training::Training,
    warnings::Warnings,
    workers::{self, Reducing},
};

/// Optimiser steps between checkpoints, beside those at validations.
const CHECKPOINT_EVERY: u64 = 200;

/// Options of the fine-tuning.
#[derive(Debug, Args, Serialize)]
pub(super) struct FineTuneArgs {
    /// First fine-tune the model on the cells as `scgpt integrate` does, whose artefact will be beside
    /// the folder, with .model; with --contextual without normalisation by batch
    #[arg(long, requires_all = ["data", "batch_key"])]
    pub(super) fine_tune: bool,
    /// Passes over the cells of --fine-tune [default: that of integrate]
    #[arg(long, value_name = "N", requires = "fine_tune", env = "SCGPT_EPOCHS")]
    epochs: Option<u64>,
    /// Batches of --fine-tune whose gradients are added up for a step; several workers share them [default: 1]
    #[arg(long, value_name = "N", requires = "fine_tune", env = "SCGPT_ACCUMULATE")]
    accumulate: Option<u64>,
    /// Genes that the model does not know, for --fine-tune: left out (none), or added with vectors that are
    /// drawn (random) or mapped from their co-expression with known genes (spectral) [default: none]
    #[arg(
        long,
        value_enum,
        value_name = "VECTORS",
        requires = "fine_tune",
        env = "SCGPT_NEW_GENES"
    )]
    new_genes: Option<NewGenes>,
    /// Rank of adapters that learn in --fine-tune instead of the model's weights, for less memory [default: all
    /// weights learn]
    #[arg(long, value_name = "RANK", requires = "fine_tune", env = "SCGPT_LORA")]
    lora: Option<usize>,
    /// Tell what --fine-tune will need, by a few of its steps, and leave nothing
    #[arg(long, requires = "fine_tune", conflicts_with = "resume")]
    #[serde(skip)]
    plan: bool,
}

impl FineTuneArgs {
    /// Meets other workers, if there are any, and claims the folder of the artefact; see [`Training::claim`].
    pub(super) fn claim(&self, args: &EmbeddingArgs, printer: Printer) -> Result<Option<Training>> {
        if !self.fine_tune {
            return Ok(None);
        }
        if self.plan {
            workers::refuse("--plan rehearses a training by one process")?;
        }
        workers::begin(Reducing::default(), printer)?;
        let inputs = args.data.as_deref().into_iter().chain(args.maker.model.as_deref());
        let (output, begin) = (artefact(&args.output)?, args.begin.begin());
        Training::claim(&output, begin, IntegrateArtefact::is_at, inputs).map(Some)
    }

    /// Changes the settings of the integration.
    fn apply(&self, config: &mut IntegrateConfig) {
        config.new_genes = self.new_genes.unwrap_or_default();
        let training = &mut config.training;
        if let Some(epochs) = self.epochs {
            training.epochs = epochs;
            training.least_steps = None;
        }
        training.accumulate = self.accumulate.unwrap_or(training.accumulate);
        training.lora = self.lora.map(Lora::of_rank).or(training.lora);
    }
}

/// Path of the artefact of the integration. It is beside the folder of the results, as that is
/// replaced as a whole.
fn artefact(output: &Path) -> Result<PathBuf> {
    let name = output.file_name().with_context(|| {
        format!("`{}` has no name beside which there could be an artefact", output.display())
    })?;
    let mut name = name.to_owned();
    name.push(".model");
    Ok(output.with_file_name(name))
}

/// Integrates the batches of the cells as `scgpt integrate` does by default, and returns the artefact.
pub(super) fn run(
    args: &EmbeddingArgs,
    source: &mut Source,
    training: &Training,
    device: &Device,
    warnings: &mut Warnings,
    printer: Printer,
) -> Result<Option<PathBuf>> {
    let artefact = artefact(&args.output)?;
    let mut config = IntegrateConfig::of(Recipe::of(args.maker.model.as_deref())?);
    config.model.clone_from(&args.maker.model);
    config.hvg = args.hvg.unwrap_or(config.hvg);
    config.training.seed = args.tokens.seed;
    args.tuning.apply(&mut config);
    if args.contextual {
        // Tokens that are normalised by batch cannot be compared between batches.
        config.input_norm = InputNorm::None;
    }
    let layer = args.stream.matrix.layer();
    let gene_names = args.stream.matrix.gene_names();
    let temporary = temporary(&args.output);
    let (plan, place) = Plan::asked(args.tuning.plan, &artefact)?;
    let mut learn = LearnOptions::new(&place, &layer);
    learn.rehearse = args.tuning.plan;
    learn.gene_names = &gene_names;
    learn.resume = training.resumes();
    learn.workers = workers::current();
    learn.checkpoint_every = Some(CHECKPOINT_EVERY);
    let mut options = IntegrateOptions::new(learn);
    options.batch_key = args.batch_key.as_deref();
    options.predict_batch = args.stream.batch_size;
    options.temporary = temporary.as_deref();
    let prepared = Integration::prepare(source, &config, options, device)?;
    if let Some(plan) = plan {
        let both = (&config.network, &config.training);
        let load = Load::new(config.model.as_deref(), config.batch_size, both);
        plan.run(load, printer, |steps, cells| prepared.run(source, None, steps, cells))?;
        return Ok(None);
    }
    let outputs = [args.output.as_path()];
    training.begin(&config, "grn embedding --fine-tune", outputs, printer)?;
    let integrated =
        training.run(printer, |steps, cells| prepared.run(source, None, steps, cells))?;
    let report = integrated.report;
    warnings.said(report.learned.advice.as_ref());
    warnings.all(report.learned.kept_start.clone());
    let without_genes = report.data.without_genes;
    warnings.without_compared(without_genes, "the model is not fine-tuned by them");
    warnings.write(&artefact, &report, report.page())?;
    Ok(Some(artefact))
}
