//! `--fine-tune`: the model learns the cells before its vectors are taken.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::prelude::Device;
use scgpt_data::Source;
use scgpt_model::InputNorm;
use scgpt_tasks::{IntegrateConfig, IntegrateOptions, Integration, LearnOptions, Recipe};

use super::EmbeddingArgs;
use crate::{
    learn::empty_training,
    output::{Printer, write_text},
    progress::{Bar, TrainBar},
};

/// The artefact of the integration, in the folder of the results.
pub(super) const ARTEFACT: &str = "tuned.model";

/// Integrates the batches of the cells as `scgpt integrate` does by default, and returns the artefact.
pub(super) fn run(
    args: &EmbeddingArgs,
    source: &mut Source,
    device: &Device,
    printer: Printer,
) -> Result<PathBuf> {
    let artefact = args.output.join(ARTEFACT);
    let mut config = IntegrateConfig::of(Recipe::of(Some(&args.model))?);
    config.model = Some(args.model.clone());
    config.hvg = args.hvg.unwrap_or(config.hvg);
    config.training.seed = args.seed;
    if let Some(epochs) = args.epochs {
        config.training.epochs = epochs;
        config.training.least_steps = None;
    }
    if args.contextual {
        // Tokens that are normalised by batch cannot be compared between batches.
        config.input_norm = InputNorm::None;
    }
    let layer = args.matrix.layer();
    let temporary = Path::new(".").join(args.output.parent().unwrap_or(Path::new("")));
    let options = IntegrateOptions {
        learn: LearnOptions {
            gene_column: args.matrix.gene_column.as_deref(),
            ..LearnOptions::new(&artefact, &layer)
        },
        batch_key: args.batch_key.as_deref(),
        label: None,
        predict_batch: args.batch_size,
        baselines: None,
        ablate: false,
        modalities: None,
        complete: false,
        temporary: Some(&temporary),
    };
    let prepared = Integration::prepare(source, &config, options, device)?;
    empty_training(&artefact)?;
    let (bar, train_bar) = (Bar::new(printer), TrainBar::new(printer));
    let integrated = prepared.run(source, None, &train_bar, &bar);
    train_bar.finish();
    bar.finish();
    let report = integrated?.report;
    write_text(&artefact.join("report.json"), &serde_json::to_string_pretty(&report)?)?;
    write_text(&artefact.join("report.html"), &report.page().to_html())?;
    Ok(artefact)
}
