//! `--fine-tune`: the model learns the cells before its vectors are taken.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use burn::prelude::Device;
use scgpt_data::Source;
use scgpt_model::{InputNorm, Lora};
use scgpt_tasks::{
    LearnOptions, Recipe,
    integrate::{IntegrateArtefact, IntegrateConfig, IntegrateOptions, Integration},
};

use super::EmbeddingArgs;
use crate::{
    output::{Printer, temporary},
    plan::{Load, Plan},
    training::Training,
    warnings::Warnings,
};

/// Optimiser steps between checkpoints, beside those at validations.
const CHECKPOINT_EVERY: u64 = 200;

/// Claims the folder of the artefact; see [`Training::claim`].
pub(super) fn claim(args: &EmbeddingArgs) -> Result<Training> {
    let inputs = args.data.as_deref().into_iter().chain(args.maker.model.as_deref());
    Training::claim(&artefact(&args.output)?, args.begin.begin(), IntegrateArtefact::is_at, inputs)
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
    config.new_genes = args.new_genes.unwrap_or_default();
    config.training.seed = args.tokens.seed;
    if let Some(epochs) = args.epochs {
        config.training.epochs = epochs;
        config.training.least_steps = None;
    }
    config.training.lora = args.lora.map(Lora::of_rank).or(config.training.lora);
    if args.contextual {
        // Tokens that are normalised by batch cannot be compared between batches.
        config.input_norm = InputNorm::None;
    }
    let layer = args.stream.matrix.layer();
    let gene_names = args.stream.matrix.gene_names();
    let temporary = temporary(&args.output);
    let (plan, place) = Plan::asked(args.plan, &artefact)?;
    let mut learn = LearnOptions::new(&place, &layer);
    learn.rehearse = plan.is_some();
    learn.gene_names = &gene_names;
    learn.resume = training.resumes();
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
