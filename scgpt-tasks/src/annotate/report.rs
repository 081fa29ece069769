//! [`AnnotateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](AnnotateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{AlignmentSummary, InputState};
use scgpt_eval::{CalibrationScores, LabelEvaluation, LabelMap};
use serde::Serialize;

use super::{
    AnnotateConfig, Annotation, Calibration, ClassSize, experiment::AnnotateExperiment,
    methods::MethodScores,
};
use crate::training::{Curves, Learned, Session, Trial, total};

/// The result of training an artefact.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AnnotateReport {
    /// The labelled cells.
    pub data: AnnotateData,
    /// The settings that were in force.
    pub config: AnnotateConfig,
    /// How the network was trained.
    #[serde(flatten)]
    pub learned: Learned,
    /// The calibration by the validation cells.
    pub calibration: Calibration,
    /// The network and simple methods on the same cells, if any were kept to judge them.
    pub methods: Vec<MethodScores>,
    /// Scores of the test cells, if any were kept.
    pub evaluation: Option<LabelEvaluation>,
    /// Calibration error of the test cells before the temperature.
    pub uncalibrated: Option<CalibrationScores>,
    /// How losses and scores changed as the network learned.
    #[serde(flatten)]
    pub curves: Curves,
    /// The test cells, or some of them, laid out by their embeddings.
    pub map: Option<LabelMap>,
}

/// The labelled cells.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AnnotateData {
    /// Path of the file.
    pub path: String,
    /// Column of `obs` with the classes.
    pub label: String,
    /// The classes that were learned, with their numbers of cells.
    pub classes: Vec<ClassSize>,
    /// Classes left out because they have too few cells.
    pub dropped: Vec<String>,
    /// Classes left out to see how well their cells are noticed.
    pub unseen: Vec<ClassSize>,
    /// Number of cells without a class.
    pub unlabelled: usize,
    /// Number of cells that express no gene the model knows.
    pub without_genes: usize,
    /// The genes of the data, and which of them the model knows.
    pub genes: AlignmentSummary,
    /// What the values of the matrix look like.
    pub input_state: Option<InputState>,
}

impl AnnotateReport {
    pub(super) fn new(
        annotation: &Annotation<'_>,
        session: &Session<'_>,
        path: String,
        trial: &Trial<AnnotateExperiment<'_>>,
        methods: Vec<MethodScores>,
    ) -> Self {
        let Trial { parts, trained, verdict } = trial;
        let (training, network) = trained.in_force();
        let judged = verdict.judged.as_ref();
        let sources = &session.shards.manifest().sources;
        Self {
            data: AnnotateData {
                path,
                label: annotation.options.label.into(),
                classes: parts.learned.clone(),
                dropped: annotation.dropped.clone(),
                unseen: parts.unseen.clone(),
                unlabelled: annotation.unlabelled,
                without_genes: session.n_without_genes(),
                genes: annotation.genes.clone(),
                input_state: sources.first().map(|source| source.input_state),
            },
            config: AnnotateConfig { network, training, ..annotation.config.clone() },
            learned: trained.learned(),
            calibration: verdict.calibration.clone(),
            methods,
            evaluation: judged.map(|judged| judged.evaluation.clone()),
            uncalibrated: judged.map(|judged| judged.uncalibrated.clone()),
            curves: trained.curves(),
            map: judged.map(|judged| judged.map.clone()),
        }
    }

    /// A sentence on whether the network is better than simple methods, if there are any to compare
    /// with. It goes by the difference on the same cells, whose interval is narrower than those of
    /// both scores.
    pub fn verdict(&self) -> Option<String> {
        let (network, baselines) = self.methods.split_first()?;
        // The last of equals is the first in the list.
        let by_accuracy =
            |a: &&MethodScores, b: &&MethodScores| a.accuracy.mean.total_cmp(&b.accuracy.mean);
        let best = baselines.iter().rev().max_by(by_accuracy)?;
        let [ours, theirs] = [network.accuracy.mean, best.accuracy.mean];
        Some(if best.lead.high < 0.0 {
            format!("The network is better than {} ({ours:.3} against {theirs:.3}).", best.name)
        } else if best.lead.low > 0.0 {
            format!(
                "{} is better than the network ({theirs:.3} against {ours:.3}): on these cells the simple method is the one to use.",
                capitalised(&best.name)
            )
        } else {
            format!(
                "These cells do not tell which is more accurate, the network ({ours:.3}) or {} ({theirs:.3}).",
                best.name
            )
        })
    }
}

/// The text with a capital letter at the beginning, as a sentence begins.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

impl AnnotateData {
    /// Numbers of cells of all classes together: trained on, validated on, judged on.
    pub fn totals(&self) -> [usize; 3] {
        total(self.classes.iter().map(ClassSize::parts))
    }

    /// Number of training cells of the largest class for each one of the smallest.
    pub fn imbalance(&self) -> f64 {
        let sizes = || self.classes.iter().map(|class| class.training);
        sizes().max().unwrap_or(0) as f64 / sizes().min().unwrap_or(0).max(1) as f64
    }
}
