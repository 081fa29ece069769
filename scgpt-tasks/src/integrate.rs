//! Where do cells lie, whatever their batch and modality?
//!
//! [`Integration`] learns an embedding in which batches are mixed and cell types are not, and leaves an
//! artefact, [`IntegrateArtefact`], that embeds further cells of the same batches.
//!
//! A cell goes this way. The genes that vary within most batches are chosen, and cells become
//! tokens of these genes alone. Training hides some of their values, which are to be predicted from
//! the others (GEP, GEPC); pulls the embeddings of similar cells together (ECS); and lets an
//! adversarial head tell the batch of an embedding, against which the encoder learns (DAR). Tokens
//! are normalised batch by batch. Held-out cells select the network, all cells are embedded by it,
//! and labels, if there are any, say how well batches are mixed and types kept apart, beside other
//! methods on the same cells.
//!
//! Paper: Cui et al., *scGPT*, Nature Methods 2024, integration of batches and of multi-omic data.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Layer, Silent, Source};
//! use scgpt_tasks::{
//!     LearnOptions, Recipe,
//!     integrate::{
//!         IntegrateArtefact, IntegrateConfig, IntegrateOptions, IntegratedOptions, Integration,
//!     },
//! };
//! use scgpt_train::Unwatched;
//!
//! let device = Device::default();
//! let artefact = Path::new("lung.model");
//! let mut cells = Source::open(Path::new("lung.h5ad"))?;
//! let config = IntegrateConfig { hvg: 2000, ..IntegrateConfig::of(Recipe::Scratch) };
//! let mut options = IntegrateOptions::new(LearnOptions::new(artefact, &Layer::X));
//! options.batch_key = Some("donor");
//! options.label = Some("cell_type");
//! let integration = Integration::prepare(&cells, &config, options, &device)?;
//! let integrated = integration.run(&mut cells, None, &Unwatched, &Silent)?;
//! println!("{:?}", integrated.report.verdict());
//!
//! let options = IntegratedOptions::default();
//! let mut others = Source::open(Path::new("more.h5ad"))?;
//! let artefact = IntegrateArtefact::open(artefact, &device)?;
//! let embedding = artefact.embed(&mut others, &options, &Silent)?;
//! println!("{} rows of unit length", embedding.rows.n_rows());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ablation;
mod artefact;
mod batches;
mod card;
mod cell_modalities;
mod comparison;
mod complete;
mod config;
mod cross_modal;
mod crossing;
mod experiment;
mod links;
mod method;
mod modality;
mod mosaic;
mod page;
mod panel;
mod ranking;
mod report;
mod score;
mod scored;
mod shown;
mod simple;
mod simple_artefact;
mod sizes;
mod task;
mod tutorial;

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{CellSource, GeneNames, GeneSubset, GeneVocab, Observer, RNA, RowSpool};
use scgpt_eval::{BatchesTold, Labels, baseline::BaselineOptions};
use scgpt_train::TrainObserver;

pub use self::{
    ablation::Ablated,
    artefact::{IntegrateArtefact, IntegrateRecord, IntegratedOptions},
    batches::batches_told,
    cell_modalities::{CellModalities, Pairing},
    complete::{Completed, GeneratedBy, GeneratedModality, GeneratedScores, HeldOutErrors},
    config::IntegrateConfig,
    links::{LinksReport, UnknownNames},
    method::IntegrateMethod,
    mosaic::{CarriedTypes, MosaicScores},
    ranking::ChosenIntegration,
    report::{IntegrateData, IntegrateReport},
    scored::IntegrationMethod,
    simple::{SimpleData, SimpleIntegration, SimpleReport, SimplyIntegrated},
    simple_artefact::{ProjectedCells, SimpleArtefact, SimpleRecord},
    sizes::{BatchSize, ModalitySize},
    tutorial::Tutorial,
};
use self::{
    complete::check_truth,
    experiment::{Cells, IntegrateExperiment},
    links::Links,
    modality::Multimodal,
    panel::{FeaturePanel, align},
    score::SpaceJudge,
    shown::{Annotated, Map},
};
use crate::{
    embed::Embedding,
    error::Result,
    training::{Checkpoint, LearnOptions, Mistakes, Observers, Session, Trial},
    usage::Usage,
};

/// Which batches are mixed, and where the artefact goes.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::Layer;
/// use scgpt_tasks::{LearnOptions, integrate::IntegrateOptions};
///
/// let learn = LearnOptions::new(Path::new("lung.model"), &Layer::X);
/// let mut options = IntegrateOptions::new(learn);
/// options.batch_key = Some("donor");
/// options.ablate = true;
/// assert!(options.label.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IntegrateOptions<'a> {
    /// Column of `obs` with the batches; `None` for cells of several modalities that are one batch.
    pub batch_key: Option<&'a str>,
    /// How well batches can be told apart, if that was found out by [`batches_told`]; for the report.
    pub told: Option<BatchesTold>,
    /// Column of `obs` with labels to score by; nothing is learned from them.
    pub label: Option<&'a str>,
    /// Which matrix is read, where the artefact goes, and how often the training is repeated.
    pub learn: LearnOptions<'a>,
    /// Number of cells computed at once when nothing is learned.
    pub predict_batch: usize,
    /// Other methods to compare with, on the same cells; `None` leaves them out.
    pub baselines: Option<&'a BaselineOptions>,
    /// Whether to train once more without each objective.
    pub ablate: bool,
    /// What the features measure, if not all of them gene expression.
    pub modalities: Option<&'a CellModalities>,
    /// Whether to generate the modalities that cells were not measured in.
    pub complete: bool,
    /// Folder of temporary files; `None` is the system's.
    pub temporary: Option<&'a Path>,
}

impl<'a> IntegrateOptions<'a> {
    /// Cells of one batch and one modality, without labels, other methods or further trainings; 8
    /// cells are computed at once when nothing is learned. One of `batch_key` and `modalities` has
    /// to be set, or there is nothing to integrate.
    pub fn new(learn: LearnOptions<'a>) -> Self {
        Self {
            batch_key: None,
            told: None,
            label: None,
            learn,
            predict_batch: 8,
            baselines: None,
            ablate: false,
            modalities: None,
            complete: false,
            temporary: None,
        }
    }

    /// What the network is used for.
    pub(crate) fn usage(&self) -> Usage {
        match self.modalities {
            Some(_) => Usage::IntegrateModalities,
            None => Usage::Integrate,
        }
    }
}

/// Cells of several batches and settings, checked to belong together.
///
/// ```no_run
/// use std::path::Path;
///
/// use burn::prelude::Device;
/// use scgpt_data::{Layer, Silent, Source};
/// use scgpt_tasks::{
///     LearnOptions, Recipe,
///     integrate::{IntegrateConfig, IntegrateOptions, Integration},
/// };
/// use scgpt_train::Unwatched;
///
/// // A checkpoint is fine-tuned, and the cells it learns from need no labels.
/// let model = Path::new("whole-human");
/// let mut config = IntegrateConfig::of(Recipe::of(Some(model))?);
/// config.model = Some(model.into());
/// let mut options = IntegrateOptions::new(LearnOptions::new(Path::new("lung.model"), &Layer::X));
/// options.batch_key = Some("donor");
/// let device = Device::default();
/// let mut cells = Source::open(Path::new("lung.h5ad"))?;
/// let integration = Integration::prepare(&cells, &config, options, &device)?;
/// let integrated = integration.run(&mut cells, None, &Unwatched, &Silent)?;
/// println!("{} rows of unit length", integrated.embedding.rows.n_rows());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Integration<'a> {
    config: &'a IntegrateConfig,
    options: IntegrateOptions<'a>,
    device: &'a Device,
    /// The model that is fine-tuned, unless the network is new.
    checkpoint: Option<Checkpoint>,
    vocab: GeneVocab,
    batches: Labels,
    labels: Option<Labels>,
    /// Which features belong to which genes, if a table says so.
    links: Option<Links>,
    /// The features of several modalities, once they are chosen.
    multimodal: Option<Multimodal>,
}

/// The result of an integration.
#[derive(Debug)]
pub struct Integrated {
    /// What was learned, and how good it is.
    pub report: IntegrateReport,
    /// One row of unit length per cell, in the order of the source.
    pub embedding: Embedding,
    /// Where the best method puts the cells, if the best was asked for and is not the network; the report
    /// says which it is.
    pub best: Option<RowSpool>,
    /// The cells in all modalities, if that was asked for.
    pub completed: Option<Completed>,
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
        let mut mistakes = Mistakes::found(config.validate(options.label))?;
        mistakes.check_batch("predict_batch", options.predict_batch);
        if let Some(problem) = config.method.problem(options.baselines.is_some()) {
            mistakes.add("method", problem);
        }
        mistakes.tell()?;
        let obs = source.obs()?;
        let batches = batches::of(&obs, &options)?;
        let labels = batches::labels(&obs, options.label)?;
        let var = source.var(options.learn.layer)?;
        let names = GeneNames {
            all_features: options.modalities.is_some() || options.learn.gene_names.all_features,
            ..options.learn.gene_names.clone()
        };
        let checkpoint = Checkpoint::open(config.model.as_deref(), options.usage())?;
        let vocab = match &checkpoint {
            Some(checkpoint) => checkpoint.vocab.clone(),
            None => GeneVocab::from_genes([&var], &names)?,
        };
        let alignment = align(&vocab, &var, &options)?;
        let links = Links::of(config, options.modalities, &var, &alignment.column)?;
        // Of several modalities, features that the model does not know are added once they are chosen.
        let vocab = match options.modalities {
            None => config.new_genes.extend(vocab, &var, &names)?,
            Some(_) => vocab,
        };
        let rna = [RNA.to_owned()];
        config.check_features(options.modalities.map_or(&rna, |cells| cells.modalities.names()))?;
        if let Some(cells) = options.modalities {
            let linked = links.as_ref().map(Links::modalities).unwrap_or_default();
            cells.check(options.batch_key.map(|_| &batches), linked)?;
        }
        let multimodal = None;
        let integration =
            Self { config, options, device, checkpoint, vocab, batches, labels, links, multimodal };
        integration.check_network()?;
        Ok(integration)
    }

    /// The same cells under settings that were made once it was known how well their batches can be
    /// [`told`](Self::told). What the settings say of the model and its new genes has to be as it was.
    ///
    /// # Errors
    /// If the settings contradict themselves or the network.
    pub fn under(self, config: &'a IntegrateConfig, told: Option<BatchesTold>) -> Result<Self> {
        config.validate(self.options.label)?;
        let options = IntegrateOptions { told, ..self.options };
        let integration = Self { config, options, ..self };
        integration.check_network()?;
        Ok(integration)
    }

    /// Checks that the settings fit the network with which training begins.
    fn check_network(&self) -> Result<()> {
        let network = self.start(self.config, self.config.hvg)?.config;
        self.config.objectives.check(&network)?;
        self.config.training.validate(&network)?;
        if self.options.complete { self.check_completion(&network) } else { Ok(()) }
    }

    /// Trains, embeds, scores, and writes the artefact. If modalities that were not measured are
    /// generated, they are compared with `truth`, which has the same cells and features.
    /// Checkpoints stay until [`clear_training`](crate::clear_training), so that a run that ends
    /// before all is written can go on.
    ///
    /// # Errors
    /// If cells cannot be read or a file cannot be written, and everything that stops
    /// [`fit`](scgpt_train::fit).
    pub fn run(
        mut self,
        source: &mut dyn CellSource,
        truth: Option<&mut dyn CellSource>,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<Integrated> {
        let LearnOptions { layer, .. } = self.options.learn;
        // What is wrong with it should be known before hours of training.
        if let Some(truth) = &truth {
            check_truth(&**truth, &source.obs()?.index, &source.var(layer)?.index)?;
        }
        let codes: Vec<u32> = self.batches.codes.iter().flatten().copied().collect();
        let (config, options, vocab) = (self.config, &self.options, &self.vocab);
        let panel = match self.options.modalities {
            None => {
                let panel = FeaturePanel::choose(source, vocab, config, options, &codes, observer)?;
                match self.checkpoint.as_ref().filter(|_| !config.new_genes.are_left_out()) {
                    None => panel,
                    Some(checkpoint) => {
                        let (panel, vocab) = panel.joining(vocab, &checkpoint.vocab)?;
                        self.vocab = vocab;
                        panel
                    }
                }
            }
            Some(cells) => {
                let (panel, vocab, chosen) =
                    Multimodal::choose(source, vocab, config, options, cells, &codes, observer)?;
                (self.vocab, self.multimodal) = (vocab, Some(chosen));
                panel
            }
        };
        let mut features = self.chosen(&mut *source, &panel)?;
        let names = GeneNames::found_in(&panel.gene_column);
        let observers = Observers { watch, observer };
        let (learn, device) = (self.options.learn, self.device);
        let session = Session::open(learn, &mut features, &self.vocab, &names, device, observers)?;
        let cells = Cells::new(&self, &session, &panel);
        self.learn(&cells, source, truth)
    }

    /// Trains on cells that are tokens already, then embeds, scores and writes.
    ///
    /// The network of the first repeat stays in memory to the end; those of other repeats and of ablations are
    /// gone once they are scored.
    fn learn(
        &self,
        cells: &Cells<'_>,
        source: &mut dyn CellSource,
        truth: Option<&mut dyn CellSource>,
    ) -> Result<Integrated> {
        let Cells { session, panel, .. } = *cells;
        let observer = session.observer;
        let judge = SpaceJudge::of_all(self.labels.as_ref(), &self.domains());
        let mut scores = Vec::new();
        let mut chosen;
        let compared: &mut dyn CellSource = if self.multimodal.is_some() {
            // Of a hundred thousand peaks, those that were not chosen are of no use to the network.
            chosen = self.chosen(&mut *source, panel)?;
            &mut chosen
        } else {
            &mut *source
        };
        let first = session.trials(
            compared,
            &self.config.training,
            |training| cells.experiment(training),
            |trial| {
                observer.begin("scoring", 0);
                let rows = trial.verdict.all_rows()?;
                scores.push(judge.judge(&rows, trial.trained.network.d_model, observer)?);
                Ok(())
            },
        )?;
        let rows = first.verdict.all_rows()?;
        let mosaic = self.mosaic_scores(&rows, first.trained.network.d_model, observer)?;
        let ablated =
            if self.options.ablate { cells.ablate(compared, &judge)? } else { Vec::new() };
        let asked_by = Some(IntegrateMethod::Network);
        let mut methods =
            vec![IntegrationMethod { asked_by, ..IntegrationMethod::new("scGPT", scores) }];
        methods.extend(self.zero_shot(cells, compared, &judge)?);
        let simple = self.baselines(source, &judge, observer)?;
        methods.extend(simple.iter().map(|it| it.scored.clone()));
        IntegrationMethod::compare(&mut methods);
        let (chosen, best) = self.best(&methods, simple)?;
        let (completed, generated) = match &self.multimodal {
            Some(chosen) if self.options.complete => {
                let mut compared = self.chosen(&mut *source, panel)?;
                let held_out: Vec<usize> =
                    first.parts.validation.iter().map(|&cell| session.ids[cell]).collect();
                let trained = &first.trained;
                let (rows, report) = self.complete(
                    &mut compared,
                    chosen,
                    panel,
                    trained,
                    &held_out,
                    truth,
                    observer,
                )?;
                let features = compared.var(self.options.learn.layer)?;
                (Some(Completed { features, rows }), report)
            }
            _ => (None, Vec::new()),
        };
        let shown = Annotated {
            options: &self.options,
            batches: &self.batches,
            labels: self.labels.as_ref(),
            gene_names: &GeneNames::found_in(&panel.gene_column),
            seed: self.config.training.seed,
        };
        let map = Map::of(&shown, source, &rows, first.trained.network.d_model, observer)?;
        let source = source.summary();
        let report = IntegrateReport {
            chosen,
            mosaic,
            ..IntegrateReport::new(cells, &first, source, map, methods, ablated, generated)
        };
        self.publish(cells, &first, &report)?;
        Ok(Integrated { report, embedding: first.verdict, best, completed })
    }

    /// The cells by the features that the network compares them by.
    fn chosen<'s>(
        &self,
        source: &'s mut dyn CellSource,
        panel: &FeaturePanel,
    ) -> Result<GeneSubset<'s>> {
        Ok(GeneSubset::new(source, self.options.learn.layer, panel.columns.clone())?)
    }

    /// The number of the batch of every cell.
    ///
    /// [`prepare`](Self::prepare) has checked that every cell has one.
    fn domains(&self) -> Vec<usize> {
        self.batches.codes.iter().flatten().map(|&code| code as usize).collect()
    }

    /// The modalities and their sizes; empty if there is only one.
    fn modality_sizes(&self) -> Vec<ModalitySize> {
        match (&self.multimodal, self.options.modalities) {
            (Some(chosen), Some(cells)) => chosen.sizes(cells, &self.domains()),
            _ => Vec::new(),
        }
    }

    /// Writes the artefact.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn publish(
        &self,
        cells: &Cells<'_>,
        first: &Trial<IntegrateExperiment<'_>>,
        report: &IntegrateReport,
    ) -> Result<()> {
        let record = IntegrateRecord {
            batch_key: self.options.batch_key.unwrap_or_default().into(),
            batches: self.batches.classes.clone(),
            counts: first.parts.sizes.iter().map(|batch| batch.training).collect(),
            genes: cells.panel.names(&self.vocab),
            include_zeros: self.config.include_zeros,
            tie_mode: self.config.tie_mode,
            seed: self.config.training.seed,
            modalities: self.multimodal.as_ref().map(|cells| cells.of_tokens.clone()),
        };
        cells.session.publish(artefact::KIND, record, &first.trained, &card::text(report), &[])
    }
}
