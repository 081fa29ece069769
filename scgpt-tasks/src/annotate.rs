//! Which type is each cell?
//!
//! [`Annotation`] trains an artefact on labelled cells; [`Artefact`] annotates others, and says how sure
//! it is of each, which types are plausible, and which cells are of a type that it never saw.
//!
//! A cell goes this way. The labelled cells are divided, type by type: most are learned from, some
//! select the network and calibrate its answers, and some judge it. A cell becomes the tokens of
//! what it expresses, the encoder turns them into an embedding, and the class head into one logit a
//! type. A temperature turns the logits into probabilities. Limits, which the cells of the second
//! part set, turn the probabilities into a set of plausible types, and say which cells are unlike
//! all types and so unknown.
//!
//! Paper: Cui et al., *scGPT*, Nature Methods 2024, cell type annotation.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Layer, Silent, Source};
//! use scgpt_tasks::{
//!     LearnOptions, Recipe,
//!     annotate::{AnnotateConfig, AnnotateOptions, Annotation, Artefact, PredictOptions},
//! };
//! use scgpt_train::Unwatched;
//!
//! let device = Device::default();
//! let artefact = Path::new("immune.model");
//! let mut labelled = Source::open(Path::new("labelled.h5ad"))?;
//! let config = AnnotateConfig { batch_size: 16, ..AnnotateConfig::of(Recipe::Scratch) };
//! let options = AnnotateOptions::new("cell_type", LearnOptions::new(artefact, &Layer::X));
//! let annotation = Annotation::prepare(&labelled, &config, options, &device)?;
//! let report = annotation.run(&mut labelled, &Unwatched, &Silent)?;
//! println!("{}", report.evaluation.map_or(0.0, |scores| scores.accuracy.mean));
//!
//! let artefact = Artefact::open(artefact, &device)?;
//! let mut options = PredictOptions::default();
//! options.coverage = 0.95;
//! let mut others = Source::open(Path::new("others.h5ad"))?;
//! let annotated = artefact.annotate(&mut others, &options, &Silent)?;
//! println!("{:?}, {:.0} % unknown", annotated.prediction(0), 100.0 * annotated.unknown_share());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod annotated_page;
mod artefact;
mod calibration;
mod card;
mod centre;
mod choice;
mod classifier;
mod config;
mod experiment;
mod explain;
mod gradients;
mod head;
mod held_out;
mod judge;
mod method;
mod methods;
mod page;
mod predict;
mod profiles;
mod recalibrate;
mod report;
mod scored;
mod simple;
mod sizes;
mod task;
mod verdict;
mod voting;

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{
    Advice, AlignmentSummary, CellSource, GeneNames, GeneToken, GeneVocab, Observer, Setting,
};
use scgpt_eval::{
    CellColours, ColourChoice, LabelMap, Labels,
    baseline::{BaselineOptions, SimpleMethod},
    label_colours,
};
use scgpt_train::{TrainConfig, TrainObserver};

pub use self::{
    annotated_page::FoundBeside,
    artefact::{Artefact, ArtefactRecord},
    calibration::{Calibration, UnknownScore},
    choice::Choice,
    config::{AnnotateConfig, ClassWeights, HeadStart},
    explain::{ExplainOptions, Explanation, GeneShare, TypeGenes},
    method::Method,
    methods::{MethodScores, RepeatScores},
    predict::{Annotated, AnnotatedCell, PredictOptions},
    report::{AnnotateData, AnnotateReport},
    sizes::ClassSize,
    voting::{CellClusters, ClusterVote},
};
use self::{
    classifier::METHOD, experiment::AnnotateExperiment, held_out::HELD_OUT, profiles::PROFILES,
    report::Finished,
};
use crate::{
    artefact::write_part,
    error::Result,
    training::{ArtefactFile, Checkpoint, LearnOptions, Mistakes, Observers, Session, Trial},
    usage::Usage,
};

/// Coverage, and share of known cells, at which an artefact is judged, and at which it answers by
/// default.
const COVERAGE: f64 = 0.9;
const KNOWN_SHARE: f64 = 0.95;

/// Which labels are learned, and where the artefact goes.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::Layer;
/// use scgpt_tasks::{LearnOptions, annotate::AnnotateOptions};
///
/// // Cells of one type are left out, to see whether they are noticed.
/// let unseen = ["Plasma cell".to_owned()];
/// let learn = LearnOptions::new(Path::new("immune.model"), &Layer::X);
/// let mut options = AnnotateOptions::new("cell_type", learn);
/// options.unseen = &unseen;
/// assert!(options.batch_key.is_none() && options.baselines.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AnnotateOptions<'a> {
    /// Column of `obs` with the classes.
    pub label: &'a str,
    /// Column of `obs` with batches, for the objective that confuses them (DAR).
    pub batch_key: Option<&'a str>,
    /// Classes to leave out of training, so that their cells tell how well unknown cells are noticed.
    pub unseen: &'a [String],
    /// Which matrix is read, where the artefact goes, and how often the training is repeated.
    pub learn: LearnOptions<'a>,
    /// Cells computed at once when nothing is learned.
    pub predict_batch: usize,
    /// Simple methods to compare with, on the same cells; `None` leaves them out.
    pub baselines: Option<&'a BaselineOptions>,
}

impl<'a> AnnotateOptions<'a> {
    /// Learns all classes of the column `label`, without batches and without simple methods beside
    /// the network; 8 cells are computed at once when nothing is learned.
    pub fn new(label: &'a str, learn: LearnOptions<'a>) -> Self {
        Self { label, batch_key: None, unseen: &[], learn, predict_batch: 8, baselines: None }
    }
}

/// All genes of the data, whether a checkpoint knows them or not: what simple methods know cells by.
#[derive(Debug)]
struct AllGenes {
    vocab: GeneVocab,
    /// The token of each column; one that names a gene again, or no gene, has none.
    tokens: Vec<Option<GeneToken>>,
}

/// Labelled cells and settings, checked to belong together.
#[derive(Debug)]
pub struct Annotation<'a> {
    config: &'a AnnotateConfig,
    options: AnnotateOptions<'a>,
    device: &'a Device,
    /// The model that is fine-tuned, unless the network is new, or there is none.
    checkpoint: Option<Checkpoint>,
    vocab: GeneVocab,
    all_genes: AllGenes,
    labels: Labels,
    /// Number of cells without a label.
    unlabelled: usize,
    /// Classes left out because they have too few cells.
    dropped: Vec<String>,
    /// The labels that are left out of training.
    unseen: Labels,
    batches: Option<Labels>,
    /// The genes of the data, and which of them the model knows.
    genes: AlignmentSummary,
}

impl<'a> Annotation<'a> {
    /// Checks that labels, settings and network are sound and belong together; writes nothing.
    ///
    /// # Errors
    /// If the label column is missing, numeric, has fewer than two classes with enough cells, or lacks
    /// a class that is to be left out; if the settings contradict themselves or the network; if the
    /// model cannot be opened or knows too few of the genes.
    pub fn prepare(
        source: &dyn CellSource,
        config: &'a AnnotateConfig,
        options: AnnotateOptions<'a>,
        device: &'a Device,
    ) -> Result<Self> {
        let mut mistakes = Mistakes::found(config.validate())?;
        mistakes.check_batch("predict_batch", options.predict_batch);
        mistakes.tell()?;
        let obs = source.obs()?;
        let in_file = scgpt_data::Error::in_file(&source.summary().path);
        let mut labels = Labels::read(&obs, options.label).map_err(&in_file)?;
        let unlabelled = labels.n_missing();
        let unseen = labels.take(options.unseen).map_err(&in_file)?;
        if config.test_share == 0.0 && !options.unseen.is_empty() {
            let problem =
                "is 0, but unseen types are judged beside cells of known types: keep some";
            return Err(Setting("test_share").wrong(problem).into());
        }
        let dropped = labels.drop_small(config.min_cells);
        if labels.classes.len() < 2 {
            let problem = format!(
                "column `{}` of `obs` has {} with at least {} cells, expected two classes or more to tell apart",
                options.label,
                match labels.classes.as_slice() {
                    [] => "no class".into(),
                    [only, ..] => format!("one class (`{only}`)"),
                },
                config.min_cells,
            );
            return Err(in_file(scgpt_data::Error::Option(problem)).into());
        }
        let batches = options.batch_key.map(|key| Labels::read(&obs, key)).transpose();
        let batches = batches.map_err(&in_file)?;
        if let Some(batches) = &batches {
            check_batches(batches, options.batch_key.unwrap_or_default(), config)
                .map_err(&in_file)?;
        }
        let var = source.var(options.learn.layer)?;
        let names = options.learn.gene_names;
        // A simple method has no use for one.
        let model = config.model.as_deref().filter(|_| config.method.simple().is_none());
        let checkpoint = Checkpoint::open(model, Usage::Annotate)?;
        let all = GeneVocab::from_genes([&var], names)?;
        let vocab = match &checkpoint {
            Some(Checkpoint { vocab, .. }) => {
                config.new_genes.extend(vocab.clone(), &var, names)?
            }
            None => all.clone(),
        };
        let genes = vocab.align(&var, names)?.summary();
        let all_genes = AllGenes { tokens: all.align(&var, names)?.tokens, vocab: all };
        let annotation = Self {
            config,
            options,
            device,
            checkpoint,
            vocab,
            all_genes,
            labels,
            unlabelled,
            dropped,
            unseen,
            batches,
            genes,
        };
        let network = annotation.start()?.config;
        config.objectives.check(&network)?;
        config.training.validate(&network)?;
        Ok(annotation)
    }

    /// Trains, calibrates, judges, and writes the artefact. Checkpoints stay until
    /// [`clear_training`](crate::clear_training), so that a run that ends before all is written can go on.
    ///
    /// # Errors
    /// If cells cannot be read or a file cannot be written, and everything that stops
    /// [`fit`](scgpt_train::fit).
    pub fn run(
        self,
        source: &mut dyn CellSource,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<AnnotateReport> {
        let learn = self.options.learn;
        let observers = Observers { watch, observer };
        let session =
            Session::open(learn, source, &self.vocab, learn.gene_names, self.device, observers)?;
        let mut methods = Vec::new();
        let first = if let Some(method) = self.config.method.simple() {
            self.simple_trials(method, &session, source, &mut methods)?
        } else {
            let trial = session.trials(
                source,
                &self.config.training,
                |training| AnnotateExperiment::new(&self, &session, training),
                |trial| {
                    MethodScores::add(&mut methods, trial.verdict.methods(observer)?);
                    Ok(())
                },
            )?;
            let Trial { parts, trained, verdict } = trial;
            Finished { parts, trained: Some(trained), verdict }
        };
        let path = source.summary().path.display().to_string();
        let colours = self.colours(&session, &first, source)?;
        let report = AnnotateReport::new(&self, &session, path, &first, methods, colours);
        let of_classes = label_colours(source, self.options.label, &self.labels.classes)?;
        self.publish(&session, &first, &report, of_classes)?;
        Ok(report)
    }

    /// Fits a simple method as often as was asked for, each time from the next seed, and adds the scores of
    /// all methods to `methods`. Returns the first.
    fn simple_trials(
        &self,
        method: SimpleMethod,
        session: &Session<'_>,
        source: &mut dyn CellSource,
        methods: &mut Vec<MethodScores>,
    ) -> Result<Finished> {
        if session.learn.rehearse {
            let problem = format!("cannot be told of {}, which trains no network", method.name());
            return Err(Setting("plan").wrong(problem).into());
        }
        let training = &self.config.training;
        let mut trial = |repeat: u64| -> Result<Finished> {
            let seed = training.seed.wrapping_add(repeat);
            let training = TrainConfig { seed, ..training.clone() };
            let experiment = AnnotateExperiment::new(self, session, training);
            let (parts, verdict) = experiment.simple(source, method)?;
            MethodScores::add(methods, verdict.methods(session.observer)?);
            Ok(Finished { parts, trained: None, verdict })
        };
        let first = trial(0)?;
        for repeat in 1..session.learn.repeats {
            trial(repeat)?;
        }
        Ok(first)
    }

    /// Names and annotations of the judged cells that are drawn.
    fn colours(
        &self,
        session: &Session<'_>,
        first: &Finished,
        source: &mut dyn CellSource,
    ) -> Result<CellColours> {
        if first.verdict.answers.judged.is_none() {
            return Ok(CellColours::default());
        }
        let LearnOptions { layer, gene_names, .. } = self.options.learn;
        let test = &first.parts.test;
        let drawn = LabelMap::sample(test.len(), first.verdict.seed);
        let cells: Vec<usize> = drawn.into_iter().map(|place| session.ids[test[place]]).collect();
        let column = source.obs()?.column(self.options.label).cloned();
        let added: Vec<_> =
            column.map(|it| (self.options.label.to_owned(), it)).into_iter().collect();
        let gene_names =
            GeneNames { column: Some(self.genes.column.clone()), ..gene_names.clone() };
        let choice =
            ColourChoice { added: &added, known: &[], wanted: &[], layer, gene_names: &gene_names };
        Ok(CellColours::choose(source, &cells, &choice)?)
    }

    /// Writes the artefact.
    fn publish(
        &self,
        session: &Session<'_>,
        first: &Finished,
        report: &AnnotateReport,
        colours: Vec<(String, String)>,
    ) -> Result<()> {
        let Finished { trained, verdict, .. } = first;
        let answers = &verdict.answers;
        let mut record = ArtefactRecord {
            method: verdict.method,
            label: self.options.label.into(),
            classes: self.labels.classes.clone(),
            colours: colours.into_iter().collect(),
            counts: report.data.classes.iter().map(|class| class.training).collect(),
            max_length: self.config.max_length,
            tie_mode: self.config.tie_mode,
            n_bins: None,
            seed: self.config.training.seed,
            calibration: answers.calibration.clone(),
        };
        let profiles = |path: &Path| write_part(path, &answers.profiles);
        let held_out = |path: &Path| answers.held_out.write(path);
        let files = [
            ArtefactFile { name: PROFILES, write: &profiles },
            ArtefactFile { name: HELD_OUT, write: &held_out },
        ];
        let card = card::text(report);
        match (&verdict.simple, trained) {
            (Some((method, vocab)), _) => {
                record.n_bins = Some(answers.n_bins);
                let ([profiles, held_out], write) = (files, |path: &Path| write_part(path, method));
                let files = [profiles, held_out, ArtefactFile { name: METHOD, write: &write }];
                session.publish_without_network(artefact::KIND, record, vocab, &card, &files)
            }
            (None, Some(trained)) => {
                session.publish(artefact::KIND, record, trained, &card, &files)
            }
            (None, None) => Ok(()),
        }
    }
}

/// Checks that there are batches which can be told apart.
fn check_batches(batches: &Labels, key: &str, config: &AnnotateConfig) -> scgpt_data::Result<()> {
    if config.objectives.dar == 0.0 {
        let problem = format!("`{key}` is of use to the DAR objective only: set ");
        let problem = Advice::from(problem) + Setting("objectives.dar") + ", such as 1";
        return Err(Setting("batch_key").wrong(problem).into());
    }
    if batches.classes.len() < 2 || batches.n_missing() > 0 {
        return Err(scgpt_data::Error::Option(format!(
            "column `{key}` of `obs` has {} batches and {} cells without one, expected at least two, and every cell in one",
            batches.classes.len(),
            batches.n_missing()
        )));
    }
    Ok(())
}
