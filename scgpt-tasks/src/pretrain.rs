//! What can be learned from cells alone?
//!
//! Generative pre-training hides genes of every cell from the network, which learns to predict them:
//! from scratch, or continuing from a model. Cells are read from token shards, as `scgpt convert`
//! writes them with [`write_shards`](scgpt_data::write_shards).
//!
//! Network and batches are those of the other trainings, but not their session: that makes shards of a
//! source, trains from several seeds, judges by cells of the source and leaves an artefact, while here
//! the cells are shards already and the last validation is the verdict.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_tasks::pretrain::{PretrainConfig, PretrainOptions, Pretraining, Preset};
//! use scgpt_train::Unwatched;
//!
//! let config = PretrainConfig { batch_size: 16, ..Preset::Laptop.config() };
//! let mut options = PretrainOptions::new(Path::new("cells.shards"), Path::new("run"));
//! options.keep = 2;
//! let device = Device::default();
//! let report = Pretraining::prepare(&config, &options, &device)?.run(&Unwatched)?;
//! println!("{} steps; the network is in `run/model`", report.steps);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod card;
mod config;
mod held_out;
mod imputation;
mod page;
mod report;
mod task;

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{
    CellQuery, CellSplit, ChosenCells, EpochOrder, Existing, Observer, ShardFolder, SpecialToken,
};
use scgpt_eval::doubts_of_shards;
use scgpt_model::{Adapters, GeneRows, NetworkPart, Preprocess, ScgptConfig};
use scgpt_train::{RunOptions, TrainObserver, Workers};
use serde_json::json;

use self::task::PretrainTask;
pub use self::{
    config::{Preset, PretrainConfig},
    report::{PretrainData, PretrainReport},
};
use crate::{
    embed::Embedder,
    error::{Error, Result},
    folder_kind::FolderKind,
    mean_expression::MeanExpression,
    model_folder::{MODEL, write_model},
    start_vectors::START,
    training::{
        Checkpoint, CoExpression, Run, StartingNetwork, Thinning, TrainingCells, VALIDATION_EPOCH,
    },
    usage::Usage,
};

/// Name of the network's folder in the folder of a run.
const FOLDER: &str = "model";
/// Most cells from whose values the means of genes are computed.
const BASELINE_CELLS: usize = 20_000;

/// Where a pre-training run reads and writes.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_tasks::pretrain::PretrainOptions;
///
/// let mut options = PretrainOptions::new(Path::new("cells.shards"), Path::new("run"));
/// options.checkpoint_every = Some(1000);
/// assert!(!options.resume);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PretrainOptions<'a> {
    /// The folder of token shards.
    pub shards: &'a Path,
    /// The folder of the run.
    pub run: &'a Path,
    /// Whether to go on from the newest checkpoint of the run.
    pub resume: bool,
    /// Optimiser steps between checkpoints. There is one at every validation, too; with `None`
    /// there are no others.
    pub checkpoint_every: Option<u64>,
    /// Number of newest checkpoints that are kept, beside the best.
    pub keep: usize,
    /// Whether blocks are computed again for their gradients, for less memory; with `None` where adapters learn.
    pub recompute: Option<bool>,
    /// Whether to stop after a few steps, which tell what the run needs, see
    /// [`Event::Rehearsed`](scgpt_train::Event::Rehearsed).
    pub rehearse: bool,
    /// The workers that share the training, of which this process is one.
    pub workers: &'a Workers,
}

impl<'a> PretrainOptions<'a> {
    /// A run from the beginning, with a checkpoint at each validation, of which the newest and the
    /// best stay.
    pub fn new(shards: &'a Path, run: &'a Path) -> Self {
        Self {
            shards,
            run,
            resume: false,
            checkpoint_every: None,
            keep: 1,
            recompute: None,
            rehearse: false,
            workers: &Workers::ALONE,
        }
    }
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
    chosen: Option<ChosenCells>,
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
        // What must not be replaced is said now, not after hours.
        MODEL.check(&options.run.join(FOLDER))?;
        let shards = ShardFolder::open(options.shards)
            .map_err(|error| FolderKind::Shards.instead(options.shards).unwrap_or(error.into()))?;
        let (share, seed) = (config.validation_share, config.training.seed);
        let query = config.condition.as_deref().map(str::parse::<CellQuery>).transpose()?;
        let chosen = query.map(|query| shards.choose(&query)).transpose()?;
        let start = Start::new(config, &shards, chosen.as_ref())?;
        config.objectives.check(&start.network.config)?;
        config.training.validate(&start.network.config)?;
        let mut split = match &chosen {
            Some(chosen) => CellSplit::of(chosen.cells.iter().copied(), share, seed)?,
            None => CellSplit::new(shards.n_cells(), share, seed)?,
        };
        if let Some(cells) = config.cells {
            split = split.limited(cells)?;
        }
        if let Some(column) = &config.balance {
            let labels = shards.labels(column)?;
            let groups = (0..shards.n_cells()).map(|cell| labels.code(cell));
            let groups = groups.collect::<Result<Vec<_>, _>>()?;
            split = split.balanced(|cell| groups[cell]);
        }
        if split.training().is_empty() {
            return Err(Error::option(format!(
                "`{}` has {} cells, {} of them held out: none is left to train on",
                options.shards.display(),
                split.held_out().len() + split.training().len(),
                split.held_out().len()
            )));
        }
        Ok(Self { config, options: *options, device, shards, start, chosen, split })
    }

    /// The cells of the shards that it is about, if they were chosen by a condition.
    pub fn chosen(&self) -> Option<&ChosenCells> {
        self.chosen.as_ref()
    }

    /// Doubts about the labels of the classes, a sentence each: what is probably a mistake.
    ///
    /// # Errors
    /// If the shards are broken.
    pub fn doubts(&self) -> Result<Vec<String>> {
        match &self.config.class_column {
            Some(column) => Ok(doubts_of_shards(&self.shards, column)?),
            None => Ok(Vec::new()),
        }
    }

    /// The network before its first step, as a model that embeds. A new one has the gene vectors
    /// that [`start`](PretrainConfig::start) asks for.
    ///
    /// # Errors
    /// If the shards are broken;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn untrained(&self, observer: &dyn Observer) -> Result<Embedder> {
        let StartingNetwork { config, preprocess, .. } = &self.start.network;
        let cells = self.cells()?;
        let (seed, vocab) = (self.config.training.seed, self.shards.vocab());
        let co_expression = |n| self.co_expression(&cells, n, observer);
        let beginning =
            self.start.network.begin(seed, vocab, self.device, co_expression, observer)?;
        Embedder::new(beginning.model, config.clone(), *preprocess, vocab.clone())
    }

    /// The cells on their way into batches.
    fn cells(&self) -> Result<TrainingCells<'_>> {
        Ok(TrainingCells::new(&self.shards, &self.start.network, self.config.cell_choices())?)
    }

    /// How genes vary together over the cells that are trained on, along `n` directions.
    fn co_expression(
        &self,
        cells: &TrainingCells<'_>,
        n: usize,
        observer: &dyn Observer,
    ) -> Result<CoExpression> {
        CoExpression::of(cells, &some(&self.split, CoExpression::CELLS), n, observer)
    }

    /// Trains. The network is then in `model` in the folder of the run.
    ///
    /// # Errors
    /// Everything that stops [`fit`](scgpt_train::fit()).
    pub fn run(&self, watch: &dyn TrainObserver) -> Result<PretrainReport> {
        let Self { config, options, device, shards, start, chosen: _, split } = self;
        let StartingNetwork { config: network, preprocess, .. } = &start.network;
        // The first worker alone validates.
        let [n_validation, n_baseline] = if options.workers.is_first() {
            [config.validation_cells, BASELINE_CELLS]
        } else {
            [0, 0]
        };
        let validation: Vec<usize> =
            EpochOrder::new(split.held_out(), config.training.seed, VALIDATION_EPOCH)
                .cells_from(0)
                .take(n_validation)
                .collect();
        let cells = self.cells()?;
        let task = PretrainTask {
            mean: mean_expression(&cells, &some(split, n_baseline))?,
            thinning: Thinning::new(&cells, &validation)?,
            cells,
            config,
            classes: start.classes.as_deref(),
            validation,
            split,
        };
        let mut run = RunOptions::new(options.run);
        run.settings = json!({
            "config": config,
            "network": network,
            "data": shards.manifest().vocab,
            "cells": shards.manifest().shards,
        });
        run.resume = options.resume;
        run.checkpoint_every = options.checkpoint_every;
        run.keep = options.keep;
        run.recompute = options.recompute;
        run.rehearse = options.rehearse;
        run.workers = options.workers;
        let run = Run {
            options: run,
            training: &config.training,
            thinned: task.thinning.sizes(),
            vocab: shards.vocab(),
            device,
            watch,
        };
        let trained = run.train(
            &task,
            &start.network,
            |n| self.co_expression(&task.cells, n, &watch),
            |model| start.network.fit_heads(model, &task, device, &watch),
        )?;
        let report = PretrainReport::new(config, PretrainData::of(&task, options), &trained);
        write_model(
            &options.run.join(FOLDER),
            Existing::Replace,
            network,
            preprocess,
            &options.shards.join(&shards.manifest().vocab.file),
            &card::text(&report),
            |path| {
                trained.model().save(path)?;
                trained.save_adapters(&path.with_file_name(Adapters::FILE))?;
                match &trained.beginning.vectors {
                    Some(vectors) => vectors.save(&path.with_file_name(START)),
                    None => Ok(()),
                }
            },
        )?;
        Ok(report)
    }
}

/// The network before its first step, and the class of every cell if classes are learned.
#[derive(Debug)]
struct Start {
    network: StartingNetwork,
    classes: Option<Vec<i32>>,
}

impl Start {
    /// Reads the labels of classes, and begins a new network or opens the one to continue.
    ///
    /// # Errors
    /// If labels are missing, or the model is of no use or of another vocabulary.
    fn new(
        config: &PretrainConfig,
        shards: &ShardFolder,
        chosen: Option<&ChosenCells>,
    ) -> Result<Self> {
        let vocab = shards.vocab();
        let (classes, n_classes) = match &config.class_column {
            Some(column) => labels(shards, column, chosen)?,
            None => (None, 0),
        };
        let pad = vocab.special(SpecialToken::Pad).0 as usize;
        let checkpoint = Checkpoint::open(config.model.as_deref(), Usage::Pretrain)?;
        let Some(checkpoint) = &checkpoint else {
            let network = ScgptConfig { n_classes, ..config.new_network(vocab.len(), pad) };
            let preprocess =
                Preprocess { max_length: config.max_length, cls_value: network.pad_value };
            let network = StartingNetwork::new(network, preprocess, config.start);
            return Ok(Self { network, classes });
        };
        let adapt = |network: ScgptConfig| {
            // Over another vocabulary, padding has the token that it has there.
            let is_same = config.new_genes.are_left_out();
            let pad_token = if is_same { Some(pad) } else { network.pad_token };
            ScgptConfig { n_classes, pad_token, ..config.network.over(&network) }
        };
        let mut network = StartingNetwork::of(checkpoint, adapt, &[NetworkPart::Class])?;
        let known = &checkpoint.vocab;
        if config.new_genes.are_left_out() {
            shards.check_vocab(known)?;
        } else {
            let row = |name: &str| known.token(name).map(|token| token.0 as usize);
            let rows = vocab.names().map(row).collect();
            network = network.over(GeneRows { rows, only_genes: false }, config.new_genes);
            network.config.pad_token = Some(pad);
        }
        network.preprocess.max_length = config.max_length;
        Ok(Self { network, classes })
    }
}

/// The class of every cell, and the number of classes. Cells that were not chosen need none, and are of
/// the first; classes that none of the chosen has stay, so that a class has one number in all shards.
fn labels(
    shards: &ShardFolder,
    column: &str,
    chosen: Option<&ChosenCells>,
) -> Result<(Option<Vec<i32>>, usize)> {
    let labels = shards.labels(column)?;
    let n = labels.categories().len();
    let mut classes = vec![0; shards.n_cells()];
    let mut label = |cell: usize| {
        let code = labels.code(cell)?.and_then(|code| i32::try_from(code).ok());
        classes[cell] = code.ok_or_else(|| {
            Error::option(format!("cell {cell} of the shards has no label in `{column}`"))
        })?;
        Ok::<_, Error>(())
    };
    match chosen {
        Some(chosen) => chosen.cells.iter().try_for_each(|&cell| label(cell))?,
        None => (0..shards.n_cells()).try_for_each(label)?,
    }
    if n < 2 {
        return Err(Error::option(format!(
            "`{column}` has {n} class: at least two are needed to learn to tell them apart"
        )));
    }
    Ok((Some(classes), n))
}

/// At most `n` of the cells that are trained on, the same ones in every run; in the order in which they are read
/// soonest.
fn some(split: &CellSplit, n: usize) -> Vec<usize> {
    let mut cells: Vec<usize> = split.order(VALIDATION_EPOCH).cells_from(0).take(n).collect();
    cells.sort_unstable();
    cells
}

/// The mean value bin of every gene over some cells.
fn mean_expression(cells: &TrainingCells<'_>, some: &[usize]) -> Result<MeanExpression> {
    let mut mean = MeanExpression::new(cells.network.vocab_size);
    for some in some.chunks(1024) {
        for cell in cells.tokens(some, VALIDATION_EPOCH)? {
            mean.add(&cell, 1);
        }
    }
    Ok(mean)
}
