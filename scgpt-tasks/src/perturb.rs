//! How do cells respond to the perturbation of genes, and which perturbation explains a state?
//!
//! [`Perturbation`] learns from perturbed cells beside controls; [`PerturbArtefact::respond`]
//! predicts cells under perturbations that were never made, and [`PerturbArtefact::reverse`] looks
//! up the states of other cells among predicted ones.
//!
//! A pair goes this way. A control cell and a perturbed one are drawn, or the means of several of
//! each; the genes of a step are drawn, too. The control's values are the known tokens, a flag says
//! of each gene whether it is the perturbed one, and the network learns the values of the perturbed
//! cell, beginning with "nothing changes". Some conditions select the network, others judge it,
//! beside simple methods that need no network. Later whole profiles are predicted, from controls
//! that the artefact keeps.
//!
//! Paper: Cui et al., *scGPT*, Nature Methods 2024, perturbation response prediction and reverse perturbation.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Layer, Silent, Source};
//! use scgpt_eval::perturbation::{Condition, DesignOptions, SplitMode};
//! use scgpt_tasks::{
//!     LearnOptions, Recipe,
//!     perturb::{
//!         PerturbArtefact, PerturbConfig, PerturbOptions, Perturbation, RespondOptions,
//!         ReverseOptions, SplitChoice,
//!     },
//! };
//! use scgpt_train::Unwatched;
//!
//! let device = Device::default();
//! let artefact = Path::new("screen.model");
//! let mut cells = Source::open(Path::new("screen.h5ad"))?; // logarithms of normalised counts
//! let config = PerturbConfig { pool: 16, ..PerturbConfig::of(Recipe::Scratch) };
//! let (design, split) = (DesignOptions::default(), SplitChoice::Mode(SplitMode::Simulation));
//! let options = PerturbOptions::new(&design, &split, LearnOptions::new(artefact, &Layer::X));
//! let perturbation = Perturbation::prepare(&mut cells, &config, options, &device)?;
//! perturbation.run(&mut cells, &Unwatched, &Silent)?;
//!
//! let artefact = PerturbArtefact::open(artefact, &device)?;
//! let conditions = [Condition::new(["KLF1"]), Condition::new(["GATA1", "KLF1"])];
//! let options = RespondOptions::new(100);
//! let responses = artefact.respond(&conditions, &options, &device, &Silent)?;
//! println!("{:?}", responses.conditions[0].most_changed);
//!
//! let options = ReverseOptions::new(&design, &Layer::X);
//! let mut state = Source::open(Path::new("state.h5ad"))?;
//! let reversal = artefact.reverse(&mut state, &conditions, &responses, &options, &Silent)?;
//! println!("{:?}", reversal.groups[0].ranked);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artefact;
mod card;
mod config;
mod experiment;
mod files;
mod method;
mod page;
mod pairs;
mod panel;
mod predict;
mod profiles;
mod report;
mod respond;
mod responses_page;
mod reverse;

use std::{collections::BTreeSet, path::Path};

use burn::prelude::Device;
use scgpt_data::{
    Advice, AlignmentSummary, CellSource, Existing, GeneNames, GeneVocab, Layer, Observer, Setting,
    SpooledCells, export,
};
use scgpt_train::TrainObserver;

pub use self::{
    artefact::{PerturbArtefact, PerturbRecord},
    config::PerturbConfig,
    method::{ChosenMethod, JudgedMethod, ResponseMethod},
    predict::GivenControls,
    profiles::TrainingProfile,
    report::PerturbReport,
    respond::{RespondOptions, Response, Responses},
    reverse::{Reversal, ReverseOptions, ReversedGroup},
};
use self::{experiment::PerturbExperiment, panel::ResponsePanel};
use crate::{
    error::{Error, Result},
    training::{ArtefactFile, Checkpoint, LearnOptions, Observers, Session, Trial},
    usage::Usage,
};
use scgpt_eval::perturbation::{
    Condition, Design, DesignOptions, Moments, PerturbEvaluation, Split, SplitMode, check_values,
    gene_column,
};

/// Which perturbations are learned, and where the artefact goes.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::Layer;
/// use scgpt_eval::perturbation::{DesignOptions, SplitMode};
/// use scgpt_tasks::{
///     LearnOptions,
///     perturb::{PerturbOptions, SplitChoice},
/// };
///
/// let (design, split) = (DesignOptions::default(), SplitChoice::Mode(SplitMode::Simulation));
/// let learn = LearnOptions::new(Path::new("screen.model"), &Layer::X);
/// let mut options = PerturbOptions::new(&design, &split, learn);
/// options.baselines = true;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PerturbOptions<'a> {
    /// Where the conditions are, and how they are written.
    pub design: &'a DesignOptions<'a>,
    /// Which matrix is read, where the artefact goes, and how often the training is repeated. If no
    /// column of gene names is set, the one that names most of the perturbed genes is taken.
    pub learn: LearnOptions<'a>,
    /// How conditions are divided.
    pub split: &'a SplitChoice,
    /// Whether simple methods are judged on the same conditions.
    pub baselines: bool,
}

impl<'a> PerturbOptions<'a> {
    /// Learns the conditions of a design, divided by `split`, without simple methods beside the
    /// network.
    pub fn new(
        design: &'a DesignOptions<'a>,
        split: &'a SplitChoice,
        learn: LearnOptions<'a>,
    ) -> Self {
        Self { design, learn, split, baselines: false }
    }
}

/// Where a split comes from.
///
/// ```no_run
/// use std::path::Path;
///
/// use scgpt_eval::perturbation::Split;
/// use scgpt_tasks::perturb::SplitChoice;
///
/// // Judged by the same conditions as an earlier training.
/// let split = SplitChoice::Saved(Split::read(Path::new("earlier.model/split.json"))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SplitChoice {
    /// The conditions are divided by a rule, with the seed of the training.
    Mode(SplitMode),
    /// The conditions are divided as in a split that was saved before.
    Saved(Split),
}

/// Perturbed cells and settings, checked to belong together.
#[derive(Debug)]
pub struct Perturbation<'a> {
    config: &'a PerturbConfig,
    options: PerturbOptions<'a>,
    device: &'a Device,
    /// The model that is fine-tuned, unless the network is new.
    checkpoint: Option<Checkpoint>,
    vocab: GeneVocab,
    design: Design,
    panel: ResponsePanel,
    genes: AlignmentSummary,
    /// Conditions left out because the model cannot be told of one of their genes.
    untold: Vec<String>,
    /// The sum that all cells have before the logarithm, if they share one.
    total: Option<f64>,
}

impl<'a> Perturbation<'a> {
    /// Checks that conditions, settings and network are sound and belong together; writes nothing.
    ///
    /// # Errors
    /// If the condition column is missing or has no control, the values are not logarithms, the
    /// settings contradict themselves or the network, or the model knows too few of the genes.
    pub fn prepare(
        source: &mut dyn CellSource,
        config: &'a PerturbConfig,
        options: PerturbOptions<'a>,
        device: &'a Device,
    ) -> Result<Self> {
        config.validate()?;
        let mut design = Design::of(source, options.design, config.min_cells)?;
        let total = check_values(source, options.learn.layer)?;
        let var = source.var(options.learn.layer)?;
        let perturbed: Vec<Condition> = design.perturbed_conditions();
        let names: BTreeSet<&str> =
            perturbed.iter().flat_map(Condition::genes).map(String::as_str).collect();
        let given = options.learn.gene_names;
        let column = match &given.column {
            Some(column) => column.clone(),
            None => gene_column(&var, &names),
        };
        let gene_names = GeneNames { column: Some(column), ..given.clone() };
        let checkpoint = Checkpoint::open(config.model.as_deref(), Usage::Perturb)?;
        let vocab = if let Some(Checkpoint { vocab, .. }) = &checkpoint {
            let vocab = config.new_genes.extend(vocab.clone(), &var, &gene_names)?;
            if config.new_genes.are_left_out() {
                vocab
            } else {
                vocab.with_genes(names.iter().copied())?
            }
        } else {
            // A perturbed gene that is not measured is a token all the same.
            let measured = GeneVocab::from_genes([&var], &gene_names)?;
            let others = names.iter().filter(|name| measured.token(name).is_none()).copied();
            let genes = measured.names().filter(|name| !name.starts_with('<')).chain(others);
            GeneVocab::from_names(genes)?
        };
        let (panel, genes) = ResponsePanel::new(&vocab, &var, &gene_names)?;
        let untold = drop_untold(&mut design, &panel, &vocab)?;
        let perturbation = Self {
            config,
            options,
            device,
            checkpoint,
            vocab,
            design,
            panel,
            genes,
            untold,
            total,
        };
        let network = perturbation.start()?.config;
        config.training.validate(&network)?;
        perturbation.split(config.training.seed)?;
        Ok(perturbation)
    }

    /// Perturbed genes that are not measured, and the number of all perturbed genes.
    pub fn unmeasured(&self) -> (Vec<String>, usize) {
        let conditions = self.design.perturbed_conditions();
        let perturbed: BTreeSet<&String> = conditions.iter().flat_map(Condition::genes).collect();
        let is_measured = |gene: &&&String| self.panel.places.contains_key(**gene);
        let unmeasured = perturbed.iter().filter(|gene| !is_measured(gene));
        (unmeasured.map(|gene| (*gene).clone()).collect(), perturbed.len())
    }

    /// Trains, judges, and writes the artefact. Checkpoints stay until
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
    ) -> Result<PerturbReport> {
        let LearnOptions { layer, gene_names, .. } = self.options.learn;
        let (codes, n) = (&self.design.codes, self.design.groups.len());
        let mut moments = Moments::of(source, layer, codes, n, observer)?;
        moments.read_rankings(source, layer, codes)?;
        let names = GeneNames { column: Some(self.genes.column.clone()), ..gene_names.clone() };
        let observers = Observers { watch, observer };
        let (learn, device) = (self.options.learn, self.device);
        let session = Session::open(learn, source, &self.vocab, &names, device, observers)?;
        let mut evaluation: Option<PerturbEvaluation> = None;
        let first = session.trials(
            source,
            &self.config.training,
            |training| PerturbExperiment::new(&self, &session, &moments, training),
            |trial| {
                match (&mut evaluation, &trial.verdict) {
                    (Some(all), Some(one)) => all.add(one.clone()),
                    (all, one) => all.clone_from(one),
                }
                Ok(())
            },
        )?;
        let path = source.summary().path.display().to_string();
        let report = PerturbReport::new(&self, &session, path, &first, evaluation);
        self.publish(&session, &moments, &first, &report)?;
        Ok(report)
    }

    /// The conditions of one repeat's parts.
    fn split(&self, seed: u64) -> Result<Split> {
        let conditions = self.design.perturbed_conditions();
        Ok(match self.options.split {
            SplitChoice::Mode(mode) => Split::new(&conditions, *mode, seed)?,
            SplitChoice::Saved(split) => split.among(&conditions)?,
        })
    }

    /// Writes the artefact.
    fn publish(
        &self,
        session: &Session<'_>,
        moments: &Moments,
        first: &Trial<PerturbExperiment<'_>>,
        report: &PerturbReport,
    ) -> Result<()> {
        let (genes, types) = (&self.panel.names, &self.design.cell_types);
        let parts = &first.parts;
        let write = |mut source: SpooledCells, path: &Path| {
            let nothing = scgpt_data::Additions::default();
            Ok(export(&mut source, &Layer::X, path, &nothing, Existing::Replace)?)
        };
        let controls =
            |path: &Path| write(artefact::controls_source(genes, types, &parts.controls())?, path);
        let profiles = |path: &Path| {
            let known = self.training_profiles(moments, &parts.split);
            write(profiles::profiles_source(genes, types, &known)?, path)
        };
        let record = PerturbRecord {
            genes: genes.clone(),
            cell_types: types.clone(),
            pool: self.config.pool,
            genes_per_pass: self.config.genes_per_pass,
            seed: self.config.training.seed,
            total: self.total,
            split: parts.split.clone(),
            judged: Some(JudgedMethod::all(report.evaluation.as_ref())),
        };
        let files = [
            ArtefactFile { name: artefact::CONTROLS, write: &controls },
            ArtefactFile { name: artefact::PROFILES, write: &profiles },
        ];
        session.publish(artefact::KIND, record, &first.trained, &card::text(report), &files)
    }

    /// Mean expression of the controls, and of the conditions that are trained on or validate.
    fn training_profiles(&self, moments: &Moments, split: &Split) -> Vec<TrainingProfile> {
        let is_known = |group: &usize| {
            let condition = self.design.condition(*group);
            let name = condition.to_string();
            condition.is_control()
                || split.train.contains(&name)
                || split.validation.contains(&name)
        };
        (0..self.design.groups.len())
            .filter(is_known)
            .map(|group| TrainingProfile {
                cell_type: self.design.groups[group].cell_type as usize,
                condition: self.design.condition(group).clone(),
                cells: self.design.counts[group],
                mean: self.panel.part(&moments.mean(group)),
            })
            .collect()
    }
}

/// Leaves out the conditions with a gene that the model cannot be told of, and names them.
fn drop_untold(
    design: &mut Design,
    panel: &ResponsePanel,
    vocab: &GeneVocab,
) -> Result<Vec<String>> {
    let is_told = |group: usize| panel.targets(design.condition(group), vocab).is_ok();
    let told: Vec<bool> = (0..design.groups.len()).map(is_told).collect();
    let untold: Vec<String> = (0..told.len())
        .filter(|&group| !told[group])
        .map(|group| design.group_name(group))
        .collect();
    if design.perturbed().all(|group| !told[group]) {
        return Err(Error::unsuited(
            "no perturbed gene is in the vocabulary of the model",
            Advice::from(
                "is it of another species, are the conditions named by other ids, or do they join genes by another ",
            ) + Setting("separator")
                + "?",
        ));
    }
    design.retain(&told);
    Ok(untold)
}
