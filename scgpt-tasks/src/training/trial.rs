//! [`Experiment`] and [`Session`]: the one skeleton of training on the cells of a source.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{CellSource, GeneNames, GeneVocab, Observer, ShardFolder, write_file};
use scgpt_model::{Adapters, Scgpt};
use scgpt_train::{Event, Task, TrainConfig, TrainObserver};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    CoExpression, LearnOptions, RunFolder, StartingNetwork,
    cells::source_cells,
    folder::{Codes, content},
    rate::shortfall,
    run::{Run, Trained},
    thinning::ThinnedCells,
};
use crate::{
    artefact::{ArtefactKind, CARD, MODEL_FILES, VOCABULARY},
    error::{Error, Result},
    start_vectors::START,
};

/// One training on the cells of a source, from one seed. It holds what differs between the tasks;
/// [`Session::trial`] is what they have in common.
pub(crate) trait Experiment {
    /// The parts of the cells that the seed makes: those to learn from, and those that select and
    /// judge.
    type Parts;
    /// The batches of the training, and their losses.
    type Task<'t>: Task
    where
        Self: 't;
    /// The judgement of the trained network.
    type Verdict;

    /// The settings of the training. Its seed decides everything that is drawn.
    fn training(&self) -> &TrainConfig;

    /// The network before its first step.
    fn start(&self) -> Result<StartingNetwork>;

    /// Divides the cells.
    fn split(&self) -> Result<Self::Parts>;

    /// What a network learns from the parts.
    fn task<'t>(
        &'t self,
        start: &'t StartingNetwork,
        parts: &'t Self::Parts,
    ) -> Result<Self::Task<'t>>;

    /// How genes vary together over the cells to learn from, along `n` directions; gene vectors may begin
    /// with it.
    fn co_expression(
        &self,
        parts: &Self::Parts,
        task: &Self::Task<'_>,
        n: usize,
    ) -> Result<CoExpression>;

    /// The new network, further fitted to the cells to learn from before its first step.
    fn fitted(
        &self,
        model: Scgpt,
        _start: &StartingNetwork,
        _task: &Self::Task<'_>,
    ) -> Result<Scgpt> {
        Ok(model)
    }

    /// The cells whose halves are to find each other in every validation, if there are any.
    fn thinned(&self, task: &Self::Task<'_>) -> Option<ThinnedCells>;

    /// Settings that have to be the same if a run is to go on, beside the shape of the network.
    fn settings(&self, parts: &Self::Parts) -> Map<String, Value>;

    /// What has to be the same of each cell and of its genes if a run is to go on, each with its
    /// name.
    fn codes<'t>(&'t self, task: &'t Self::Task<'_>) -> Codes<'t>;

    /// Judges the trained network by the cells that were kept for that.
    fn judge(
        &self,
        source: &mut dyn CellSource,
        parts: &Self::Parts,
        task: &Self::Task<'_>,
        trained: &Trained,
    ) -> Result<Self::Verdict>;
}

/// The result of one training.
pub(crate) struct Trial<E: Experiment> {
    pub(crate) parts: E::Parts,
    pub(crate) trained: Trained,
    pub(crate) verdict: E::Verdict,
}

/// What all trials of one training have in common: the cells as tokens, the folder, and the
/// observers.
pub(crate) struct Session<'a> {
    pub(crate) learn: LearnOptions<'a>,
    pub(crate) device: &'a Device,
    pub(crate) watch: &'a dyn TrainObserver,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) run: RunFolder,
    pub(crate) shards: ShardFolder,
    /// For each cell of the shards, its number in the source.
    pub(crate) ids: Vec<usize>,
    /// Number of cells of the source; those without known genes are not among the shards.
    pub(crate) n_cells: usize,
}

/// A file of an artefact beside its network.
pub(crate) struct ArtefactFile<'a> {
    pub(crate) name: &'static str,
    /// Writes the file to a path.
    pub(crate) write: &'a dyn Fn(&Path) -> Result<()>,
}

/// Who is told of a training: of its steps, and of the work around them.
#[derive(Clone, Copy)]
pub(crate) struct Observers<'a> {
    pub(crate) watch: &'a dyn TrainObserver,
    pub(crate) observer: &'a dyn Observer,
}

/// `None` of a worker that follows.
fn unless_followed<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::Followed) => Ok(None),
        result => result.map(Some),
    }
}

impl<'a> Session<'a> {
    /// Reads the cells of `source` as tokens of `vocab`.
    pub(crate) fn open(
        learn: LearnOptions<'a>,
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        gene_names: &GeneNames,
        device: &'a Device,
        Observers { watch, observer }: Observers<'a>,
    ) -> Result<Self> {
        let run = RunFolder::of(learn.output);
        let shards = run.cells(source, vocab, learn.layer, gene_names, observer)?;
        let ids = source_cells(&shards)?;
        let n_cells = source.summary().n_cells;
        Ok(Self { learn, device, watch, observer, run, shards, ids, n_cells })
    }

    /// Number of cells of the source that express none of the genes.
    pub(crate) fn n_without_genes(&self) -> usize {
        self.n_cells - self.ids.len()
    }

    /// Runs as many trials as were asked for, each an `experiment` that trains as `training` says
    /// but from the next seed, and calls `each` with every one. Returns the first, whose network is
    /// the artefact.
    pub(crate) fn trials<E: Experiment>(
        &self,
        source: &mut dyn CellSource,
        training: &TrainConfig,
        experiment: impl Fn(TrainConfig) -> E,
        mut each: impl FnMut(&Trial<E>) -> Result<()>,
    ) -> Result<Trial<E>> {
        let mut trial = |repeat: u64| {
            let seed = training.seed.wrapping_add(repeat);
            let experiment = experiment(TrainConfig { seed, ..training.clone() });
            self.trial(&experiment, source, &self.run.repeat(repeat))
        };
        // A worker that follows takes part in every trial, and has none to judge.
        let first = unless_followed(trial(0))?;
        first.iter().try_for_each(&mut each)?;
        for repeat in 1..self.learn.repeats {
            unless_followed(trial(repeat))?.iter().try_for_each(&mut each)?;
        }
        first.ok_or(Error::Followed)
    }

    /// Begins a network, divides the cells, trains and judges.
    pub(crate) fn trial<E: Experiment>(
        &self,
        experiment: &E,
        source: &mut dyn CellSource,
        folder: &Path,
    ) -> Result<Trial<E>> {
        let start = experiment.start()?;
        let parts = experiment.split()?;
        let task = experiment.task(&start, &parts)?;
        let mut settings = experiment.settings(&parts);
        settings.insert("network".into(), serde_json::json!(start.config));
        settings.insert("cells".into(), content(&self.shards, &experiment.codes(&task)));
        let training = experiment.training();
        let settings = Value::Object(settings);
        let options = self.learn.run(folder, settings);
        let thinned = experiment.thinned(&task);
        let vocab = self.shards.vocab();
        let run = Run { options, training, thinned, vocab, device: self.device, watch: self.watch };
        let advice = self.advice(&start, training, task.batches_per_epoch());
        let trained = run.train(
            &task,
            &start,
            |n| experiment.co_expression(&parts, &task, n),
            |model| experiment.fitted(model, &start, &task),
        )?;
        let trained = Trained { advice, ..trained };
        let verdict = experiment.judge(source, &parts, &task, &trained)?;
        drop(task);
        Ok(Trial { parts, trained, verdict })
    }

    /// Advice about a fine-tuning that is too short; it is also given at once.
    fn advice(
        &self,
        start: &StartingNetwork,
        training: &TrainConfig,
        batches_per_epoch: u64,
    ) -> Option<String> {
        if !start.is_fine_tuned() {
            return None;
        }
        let advice = shortfall(training, start.config.d_model, batches_per_epoch)?;
        self.watch.event(&Event::Undertrained { advice: &advice });
        Some(advice)
    }

    /// Writes the artefact: the network, its card, further files, gene vectors that it began with if they
    /// came from the cells, adapters if it learned by them, and last the record by which it is known.
    pub(crate) fn publish(
        &self,
        kind: ArtefactKind,
        record: impl Serialize,
        trained: &Trained,
        card: &str,
        files: &[ArtefactFile<'_>],
    ) -> Result<()> {
        let Trained { network, preprocess, .. } = trained;
        let built = self.run.build(&self.shards, trained.model(), network, preprocess, card)?;
        for ArtefactFile { name, write } in files {
            write(&built.join(name))?;
        }
        let mut names: Vec<&str> = MODEL_FILES.to_vec();
        names.extend(files.iter().map(|file| file.name));
        if let Some(vectors) = &trained.beginning.vectors {
            vectors.save(&built.join(START))?;
            names.push(START);
        }
        if trained.save_adapters(&built.join(Adapters::FILE))? {
            names.push(Adapters::FILE);
        } else {
            // Those of an artefact that is replaced belong to it alone.
            drop(std::fs::remove_file(self.learn.output.join(Adapters::FILE)));
        }
        kind.publish(record, &built, self.learn.output, &names)
    }

    /// The same cells, read as tokens of another vocabulary, for a method that needs no network.
    pub(crate) fn without_network(
        &self,
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
    ) -> Result<Self> {
        let Self { learn, device, watch, observer, n_cells, .. } = *self;
        let run = self.run.without_network()?;
        let shards = run.cells(source, vocab, learn.layer, learn.gene_names, observer)?;
        let ids = source_cells(&shards)?;
        Ok(Self { learn, device, watch, observer, run, shards, ids, n_cells })
    }

    /// Writes an artefact that has no network: its vocabulary, its card, further files, and last the record.
    pub(crate) fn publish_without_network(
        &self,
        kind: ArtefactKind,
        record: impl Serialize,
        vocab: &GeneVocab,
        card: &str,
        files: &[ArtefactFile<'_>],
    ) -> Result<()> {
        let built = self.run.emptied()?;
        vocab.write_json(built.join(VOCABULARY))?;
        write_file(&built.join(CARD), card)?;
        for ArtefactFile { name, write } in files {
            write(&built.join(name))?;
        }
        let names = files.iter().map(|file| file.name).chain([VOCABULARY]);
        kind.publish(record, &built, self.learn.output, &names.collect::<Vec<_>>())
    }
}
