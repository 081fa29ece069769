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
    /// Path of the file.
    pub path: String,
    /// Number of cells with a condition.
    pub cells: usize,
    /// Number of controls among them.
    pub controls: usize,
    /// The genes of the data, and which of them the model knows.
    pub genes: AlignmentSummary,
    /// Number of cells that express no gene the model knows.
    pub without_genes: usize,
    /// Perturbed genes that are not measured: the network is told of them without a value.
    pub unmeasured: Vec<String>,
    /// Conditions that were left out: too few cells, no controls of their cell type, or a gene that
    /// the model does not know.
    pub dropped: Vec<String>,
    /// The conditions trained on, validated by and judged by.
    pub split: Split,
    /// Conditions that are in no part of the split.
    pub not_split: Vec<String>,
    /// The settings that were in force.
    pub config: PerturbConfig,
    /// How the network was trained.
    #[serde(flatten)]
    pub learned: Learned,
    /// Scores of the tested conditions, if any were kept.
    pub evaluation: Option<PerturbEvaluation>,
    /// How losses and scores changed as the network learned.
    #[serde(flatten)]
    pub curves: Curves,
}

impl PerturbReport {
    /// The report of the cells of a design, and of the first `trial`, whose network is the
    /// artefact.
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
