//! [`PerturbReport`]: what was learned of perturbations, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](PerturbReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::AlignmentSummary;
use scgpt_eval::perturbation::{PerturbEvaluation, Split};
use serde::Serialize;

use super::{PerturbConfig, Perturbation, experiment::PerturbExperiment};
use crate::training::{Curves, Learned, Session, Trial};

/// The result of training an artefact.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct PerturbReport {
    /// The file.
    pub path: String,
    /// Cells with a condition.
    pub cells: usize,
    /// Of these, controls.
    pub controls: usize,
    /// Genes of the data, and which the model knows.
    pub genes: AlignmentSummary,
    /// Cells that express no gene the model knows.
    pub without_genes: usize,
    /// Perturbed genes that are not measured: the network is told of them without a value.
    pub unmeasured: Vec<String>,
    /// Conditions left out: too few cells, no controls of their cell type, or an unknown gene.
    pub dropped: Vec<String>,
    /// Conditions trained on, validated by and judged by.
    pub split: Split,
    /// Conditions in no part of it.
    pub not_split: Vec<String>,
    /// The settings.
    pub config: PerturbConfig,
    /// How the network was trained.
    #[serde(flatten)]
    pub learned: Learned,
    /// Scores of the tested conditions, if any were kept.
    pub evaluation: Option<PerturbEvaluation>,
    /// How it learned.
    #[serde(flatten)]
    pub curves: Curves,
}

impl PerturbReport {
    /// What became of the cells of a design, and of the first `trial`, whose network is the artefact.
    pub(super) fn new(
        of: &Perturbation<'_>,
        session: &Session<'_>,
        path: String,
        trial: &Trial<PerturbExperiment<'_>>,
        evaluation: Option<PerturbEvaluation>,
    ) -> Self {
        let (trained, split) = (&trial.trained, &trial.parts.split);
        let (training, network) = trained.in_force();
        let design = &of.design;
        let is_control = |group: &usize| design.control(*group) == *group;
        let count =
            |groups: &mut dyn Iterator<Item = usize>| groups.map(|g| design.counts[g]).sum();
        let perturbed = design.perturbed_conditions();
        Self {
            without_genes: session.n_without_genes(),
            path,
            cells: count(&mut (0..design.groups.len())),
            controls: count(&mut (0..design.groups.len()).filter(is_control)),
            genes: of.genes.clone(),
            unmeasured: of.unmeasured().0,
            dropped: design.dropped.iter().chain(&of.untold).cloned().collect(),
            not_split: perturbed
                .iter()
                .map(ToString::to_string)
                .filter(|condition| !split.has(condition))
                .collect(),
            split: split.clone(),
            config: PerturbConfig { network, training, ..of.config.clone() },
            learned: trained.learned(),
            evaluation,
            curves: trained.curves(),
        }
    }
}
