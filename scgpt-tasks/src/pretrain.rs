//! Cells → a network: generative pre-training, from scratch or continued.

mod baseline;
mod card;
mod config;
mod imputation;
mod page;
mod report;
mod task;

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{
    CellSplit, EpochOrder, GeneVocab, Keyed, Purpose, ShardFolder, SpecialToken, TokenScratch,
};
use scgpt_model::{Gep, ModelDir, Preprocess, Scgpt, ScgptConfig, Strictness, write_model_dir};
use scgpt_train::{RunHistory, RunOptions, Watch, fit};
use serde_json::json;

pub use self::{
    baseline::MeanExpression,
    config::{NetworkConfig, Preset, PretrainConfig},
    report::PretrainReport,
};
use self::{
    report::Data,
    task::{PretrainTask, VALIDATION_EPOCH},
};
use crate::{
    embed::Embedder,
    error::{Error, Result},
};

/// Cells whose values tell the genes' means.
const BASELINE_CELLS: usize = 20_000;

/// Where a pre-training run reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct PretrainOptions<'a> {
    /// The folder of token shards.
    pub shards: &'a Path,
    /// The folder of the run.
    pub run: &'a Path,
    /// Whether to go on from the newest checkpoint of the run.
    pub resume: bool,
    /// Optimiser steps between checkpoints, beside those at validations.
    pub checkpoint_every: Option<u64>,
    /// Checkpoints kept, beside the best.
    pub keep: usize,
}

/// A run that can begin: shards, configuration and starting model are sound and belong together.
///
/// # Reference
/// `pretrain.py` on the development branch. Differs: see [`Preset::config`]; a run resumes; the
/// second pass begins at a step, not at an iteration counted from a wrong start; a new network's
/// first guess is the middle bin, not zero.
#[derive(Debug)]
pub struct Pretraining<'a> {
    config: &'a PretrainConfig,
    options: PretrainOptions<'a>,
    device: &'a Device,
    shards: ShardFolder,
    start: Start,
    split: CellSplit,
}

impl<'a> Pretraining<'a> {
    /// Opens and checks everything; writes nothing.
    ///
    /// # Errors
    /// If shards, configuration or starting model are invalid or do not belong together, or no
    /// cell is left to train on.
    pub fn prepare(
        config: &'a PretrainConfig,
        options: &PretrainOptions<'a>,
        device: &'a Device,
    ) -> Result<Self> {
        config.validate()?;
        let shards = ShardFolder::open(options.shards)?;
        let start = Start::new(config, &shards, device)?;
        config.objectives.check(&start.network)?;
        config.training.validate(&start.network)?;
        let split =
            CellSplit::new(shards.n_cells(), config.validation_share, config.training.seed)?;
        if split.training().is_empty() {
            return Err(Error::Option(format!(
                "`{}` has {} cells, {} of them held out: none is left to train on",
                options.shards.display(),
                shards.n_cells(),
                split.held_out().len()
            )));
        }
        Ok(Self { config, options: *options, device, shards, start, split })
    }

    /// The network before its first step, as a model that embeds.
    ///
    /// # Errors
    /// None that [`prepare`](Self::prepare) did not find.
    pub fn untrained(&self) -> Result<Embedder> {
        let Start { network, preprocess, model, .. } = &self.start;
        Embedder::new(model.clone(), network.clone(), *preprocess, self.shards.vocab().clone())
    }

    /// Trains; the network is then in `model` in the folder of the run.
    ///
    /// # Errors
    /// Everything that stops [`fit`].
    pub fn run(self, watch: &dyn Watch) -> Result<PretrainReport> {
        let Self { config, options, device, shards, start, split } = self;
        let validation = EpochOrder::new(split.held_out(), config.training.seed, VALIDATION_EPOCH)
            .cells_from(0)
            .take(config.validation_cells)
            .collect();
        let mut task = PretrainTask {
            shards: &shards,
            config,
            network: &start.network,
            cls_value: start.preprocess.cls_value,
            classes: start.classes,
            validation,
            mean: MeanExpression::new(start.network.vocab_size),
            split,
        };
        task.mean = mean_expression(&task)?;
        let run = RunOptions {
            folder: options.run,
            settings: json!({
                "config": config,
                "network": start.network,
                "data": shards.manifest().vocab,
                "cells": shards.manifest().shards,
            }),
            resume: options.resume,
            checkpoint_every: options.checkpoint_every,
            keep: options.keep,
        };
        let network = &start.network;
        let outcome = fit(&task, start.model, network, &config.training, &run, device, watch)?;
        let history = RunHistory::read(options.run)?;
        let report = PretrainReport::new(config, Data::of(&task, &options), &outcome, history);
        write_model_dir(
            &options.run.join("model"),
            true,
            network,
            &start.preprocess,
            &options.shards.join(&shards.manifest().vocab.file),
            &card::text(&report),
            |path| outcome.model.save(path),
        )?;
        Ok(report)
    }
}

/// The network before its first step, and what belongs to it.
#[derive(Debug)]
struct Start {
    network: ScgptConfig,
    preprocess: Preprocess,
    model: Scgpt,
    classes: Option<Vec<i32>>,
}

impl Start {
    fn new(config: &PretrainConfig, shards: &ShardFolder, device: &Device) -> Result<Self> {
        let vocab = shards.vocab();
        let (classes, n_classes) = match &config.class_column {
            Some(column) => labels(shards, column)?,
            None => (None, 0),
        };
        let pad = vocab.special(SpecialToken::Pad).0 as usize;
        let Some(from) = &config.model else {
            let network = ScgptConfig { n_classes, ..config.new_network(vocab.len(), pad) };
            let preprocess =
                Preprocess { max_length: config.max_length, cls_value: network.pad_value };
            let seed = config.training.seed;
            device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
            let model = begin_at_the_middle_bin(network.init(device)?, &network);
            model.draw();
            return Ok(Self { network, preprocess, model, classes });
        };
        let folder = ModelDir::open(from)?;
        shards.check_vocab(&GeneVocab::from_json(folder.vocab_path())?)?;
        let network = ScgptConfig {
            n_classes,
            dropout: config.network.dropout,
            pad_token: Some(pad),
            ..folder.config().clone()
        };
        if !network.unknown_flag {
            return Err(Error::Option(format!(
                "`{}` has no embedding of unknown genes, so it cannot be pre-trained further",
                from.display()
            )));
        }
        let (model, loaded) = folder.weights().load(&network, device, Strictness::Partial)?;
        let is_class_head = |key: &String| key.starts_with("cls_decoder.");
        if !loaded.mismatched.is_empty() || !loaded.missing.iter().all(is_class_head) {
            // Says what does not fit.
            folder.load(device, Strictness::Strict)?;
        }
        let preprocess = Preprocess { max_length: config.max_length, ..*folder.preprocess() };
        Ok(Self { network, preprocess, model, classes })
    }
}

/// A new network whose first guess is the middle bin, the mean of all values, instead of zero: it
/// need not spend its first hundreds of steps on moving there.
fn begin_at_the_middle_bin(mut model: Scgpt, network: &ScgptConfig) -> Scgpt {
    if let Gep::Direct(head) = &mut model.gep
        && let Some(bias) = head.value.linear3.bias.take()
    {
        let middle = (network.n_bins / 2) as f32;
        head.value.linear3.bias = Some(bias.map(|bias| bias.zeros_like() + middle));
    }
    model
}

/// The class of every cell, and how many there are.
fn labels(shards: &ShardFolder, column: &str) -> Result<(Option<Vec<i32>>, usize)> {
    let labels = shards.labels(column)?;
    let n = labels.categories().len();
    let mut classes = Vec::with_capacity(shards.n_cells());
    for cell in 0..shards.n_cells() {
        let code = labels.code(cell)?.and_then(|code| i32::try_from(code).ok());
        classes.push(code.ok_or_else(|| {
            Error::Option(format!("cell {cell} of the shards has no label in `{column}`"))
        })?);
    }
    if n < 2 {
        return Err(Error::Option(format!(
            "`{column}` has {n} class: at least two are needed to learn to tell them apart"
        )));
    }
    Ok((Some(classes), n))
}

fn mean_expression(task: &PretrainTask<'_>) -> Result<MeanExpression> {
    let mut mean = MeanExpression::new(task.network.vocab_size);
    let tokenizer = task.tokenizer(VALIDATION_EPOCH)?;
    let mut scratch = TokenScratch::default();
    for cell in task.split.order(VALIDATION_EPOCH).cells_from(0).take(BASELINE_CELLS) {
        mean.add(&tokenizer.cell(task.shards.cell(cell)?, cell as u64, &mut scratch), 1);
    }
    Ok(mean)
}
