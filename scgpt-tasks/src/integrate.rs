//! Cells of many batches → an embedding in which batches are mixed, and an artefact that embeds
//! others.

mod ablation;
mod artefact;
mod batches;
mod card;
mod config;
mod page;
mod panel;
mod report;
mod score;
mod task;
mod trial;

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{CellSource, GeneSubset, GeneVocab, Layer, ShardFolder};
use scgpt_model::{ModelDir, Strictness};
use scgpt_train::Watch;

pub use self::{
    ablation::Ablated,
    artefact::{IntegrateArtefact, IntegrateRecord, IntegratedOptions},
    config::IntegrateConfig,
    report::{BatchSize, IntegrateData, IntegrateReport, IntegrationMethod},
};
use self::{
    panel::Panel,
    score::Judge,
    trial::{Trial, Trials},
};
use crate::{
    baseline::{BaselineOptions, Place, Rival, integration_rivals},
    cluster::ClusterOptions,
    embed::{Embedder, Embedding},
    error::{Error, Result},
    labels::Labels,
    observe::Observer,
    training::RunFolder,
};

/// What the cells without any integration are called among the methods.
const UNINTEGRATED: &str = "Unintegrated";

/// What is trained on, and where.
#[derive(Clone, Copy, Debug)]
pub struct IntegrateOptions<'a> {
    /// Column of `obs` with the batches.
    pub batch_key: &'a str,
    /// Column of `obs` with labels to score by; nothing is learned from them.
    pub label: Option<&'a str>,
    /// The matrix.
    pub layer: &'a Layer,
    /// Column of `var` with the genes' names; the best one if none.
    pub gene_column: Option<&'a str>,
    /// The folder of the artefact; training happens in `training` in it.
    pub output: &'a Path,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Optimiser steps between checkpoints, beside those at validations.
    pub checkpoint_every: Option<u64>,
    /// Cells computed at once when nothing is learned.
    pub predict_batch: usize,
    /// Other methods to compare with, on the same cells; none to leave them out.
    pub baselines: Option<&'a BaselineOptions>,
    /// How often all is done anew with other seeds, at least once; embedding and artefact are those
    /// of the first.
    pub repeats: u64,
    /// Whether to train once more without each objective.
    pub ablate: bool,
    /// Folder of temporary files; the system's if none.
    pub temporary: Option<&'a Path>,
}

/// Cells of batches and settings that belong together.
#[derive(Debug)]
pub struct Integration<'a> {
    config: &'a IntegrateConfig,
    options: IntegrateOptions<'a>,
    device: &'a Device,
    vocab: GeneVocab,
    batches: Labels,
    labels: Option<Labels>,
}

/// An integration.
#[derive(Debug)]
pub struct Integrated {
    /// What was learned, and how good it is.
    pub report: IntegrateReport,
    /// One row of unit length per cell, in the order of the source.
    pub embedding: Embedding,
}

impl<'a> Integration<'a> {
    /// Checks that batches, labels, settings and network are sound and belong together; writes
    /// nothing.
    ///
    /// # Errors
    /// If there are not two batches of two cells, or a cell has none; if all labels are the same;
    /// if the settings contradict themselves or the network; if the model cannot be opened or knows
    /// too few of the genes.
    pub fn prepare(
        source: &dyn CellSource,
        config: &'a IntegrateConfig,
        options: IntegrateOptions<'a>,
        device: &'a Device,
    ) -> Result<Self> {
        config.validate(options.label.is_some())?;
        let obs = source.obs()?;
        let batches = batches::read(&obs, options.batch_key)?;
        batches::check(&batches, options.batch_key)?;
        let labels = options.label.map(|name| Labels::read(&obs, name)).transpose()?;
        if let (Some(name), Some(Labels { classes, .. })) = (options.label, &labels)
            && let [only] = classes.as_slice()
        {
            return Err(Error::Option(format!(
                "all cells with a label in column `{name}` of `obs` have the same (`{only}`), so that nothing can be \
                 told apart by it: name another column with --label, or none"
            )));
        }
        let var = source.var(options.layer)?;
        let vocab = match &config.model {
            Some(path) => GeneVocab::from_json(ModelDir::open(path)?.vocab_path())?,
            None => GeneVocab::from_genes([&var], options.gene_column)?,
        };
        vocab.align(&var, options.gene_column)?;
        let integration = Self { config, options, device, vocab, batches, labels };
        let network = integration.start(config, config.hvg)?.config;
        config.objectives.check(&network)?;
        config.training.validate(&network)?;
        Ok(integration)
    }

    /// Trains, embeds, scores, and writes the artefact.
    ///
    /// # Errors
    /// If cells cannot be read or a file cannot be written, and everything that stops
    /// [`fit`](scgpt_train::fit).
    pub fn run(
        self,
        source: &mut dyn CellSource,
        watch: &dyn Watch,
        observer: &dyn Observer,
    ) -> Result<Integrated> {
        let run = RunFolder::of(self.options.output);
        let IntegrateOptions { layer, resume, .. } = self.options;
        let codes: Vec<u32> = self.batches.codes.iter().flatten().copied().collect();
        let settings = (self.config, &self.options);
        let panel = Panel::choose(source, &self.vocab, settings, &codes, observer)?;
        let shards = {
            let mut genes = GeneSubset::new(source, layer, panel.columns.clone())?;
            let column = Some(panel.gene_column.as_str());
            run.cells(&mut genes, &self.vocab, (layer, column), resume, observer)?
        };
        let trials = Trials::new(&self, &panel, &shards, watch, observer)?;
        let judge = self.judge();
        let first = trials.trial(source, self.config, &run.repeat(0))?;
        let rows = first.embedding.all_rows()?;
        observer.begin("scoring", 0);
        let mut scores = vec![judge.judge(&rows, first.network.d_model)?];
        for repeat in 1..self.options.repeats {
            let mut config = self.config.clone();
            config.training.seed = config.training.seed.wrapping_add(repeat);
            let trial = trials.trial(source, &config, &run.repeat(repeat))?;
            scores.push(judge.judge(&trial.embedding.all_rows()?, trial.network.d_model)?);
        }
        let ablated =
            if self.options.ablate { trials.ablate(source, &run, &judge)? } else { Vec::new() };
        let mut methods = vec![IntegrationMethod { name: "scGPT".into(), scores }];
        methods.extend(self.zero_shot(&trials, source, &judge, observer)?);
        methods.extend(self.rivals(source, &judge, observer)?);
        IntegrationMethod::compare(&mut methods);
        let report =
            IntegrateReport::new(&trials, &first, source.summary(), (methods, ablated), &rows);
        self.publish(&run, (&shards, &panel), &first, &report)?;
        Ok(Integrated { report, embedding: first.embedding })
    }

    /// The number of the batch of every cell.
    fn domains(&self) -> Vec<usize> {
        self.batches.codes.iter().flatten().map(|&code| code as usize).collect()
    }

    /// Scores of embeddings of all cells.
    fn judge(&self) -> Judge {
        let domains = self.domains();
        let all: Vec<usize> = (0..domains.len()).collect();
        Judge::new(&all, self.labels.as_ref(), &domains, ClusterOptions::default())
    }

    /// The checkpoint as it was, if one was fine-tuned.
    fn zero_shot(
        &self,
        trials: &Trials<'_>,
        source: &mut dyn CellSource,
        judge: &Judge,
        observer: &dyn Observer,
    ) -> Result<Option<IntegrationMethod>> {
        let Some(path) = self.config.model.as_ref().filter(|_| self.options.baselines.is_some())
        else {
            return Ok(None);
        };
        let embedder = Embedder::open(path, self.device, Strictness::Partial)?;
        let rows = embedder.embed(source, &trials.embed_options(), observer)?.all_rows()?;
        let scores = vec![judge.judge(&rows, embedder.encoder().d_model())?];
        Ok(Some(IntegrationMethod { name: "scGPT, not fine-tuned".into(), scores }))
    }

    /// Other methods on the same cells.
    fn rivals(
        &self,
        source: &mut dyn CellSource,
        judge: &Judge,
        observer: &dyn Observer,
    ) -> Result<Vec<IntegrationMethod>> {
        let Some(options) = self.options.baselines else { return Ok(Vec::new()) };
        let seed = self.config.training.seed;
        integration_rivals(source, &self.domains(), options, seed, observer)?
            .into_iter()
            .map(|Rival { name, place }| {
                let Place::Rows { rows, width } = place else { return Ok(None) };
                Ok(Some(IntegrationMethod { name, scores: vec![judge.judge(&rows, width)?] }))
            })
            .filter_map(Result::transpose)
            .collect()
    }

    /// Writes the artefact, and removes what is of no further use.
    fn publish(
        &self,
        run: &RunFolder,
        (shards, panel): (&ShardFolder, &Panel),
        first: &Trial,
        report: &IntegrateReport,
    ) -> Result<()> {
        let network = (&first.network, &first.preprocess);
        let built = run.build(shards, &first.outcome.model, network, &card::text(report))?;
        let record = IntegrateRecord {
            batch_key: self.options.batch_key.into(),
            batches: self.batches.classes.clone(),
            counts: first.batches.iter().map(|batch| batch.training).collect(),
            genes: panel.names(&self.vocab),
            include_zeros: self.config.include_zeros,
            tie_mode: self.config.tie_mode,
            seed: self.config.training.seed,
        };
        artefact::KIND.publish(record, &built, self.options.output, &[])?;
        run.clear(self.options.repeats);
        ablation::clear(run);
        Ok(())
    }
}
