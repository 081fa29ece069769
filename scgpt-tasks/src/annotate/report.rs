//! [`AnnotateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](AnnotateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{AlignmentSummary, InputState};
use scgpt_eval::{CalibrationScores, LabelEvaluation, LabelMap};
use scgpt_stats::Interval;
use serde::Serialize;

use super::{AnnotateConfig, Annotation, Calibration, ClassSize, experiment::AnnotateExperiment};
use crate::training::{Curves, Learned, Session, Trial, total};

/// The result of training an artefact.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AnnotateReport {
    /// The cells.
    pub data: AnnotateData,
    /// The settings.
    pub config: AnnotateConfig,
    /// How the network was trained.
    #[serde(flatten)]
    pub learned: Learned,
    /// What the validation cells told.
    pub calibration: Calibration,
    /// The network and simple methods on the same cells, if any were kept to judge them.
    pub methods: Vec<MethodScores>,
    /// Of the test cells, if any were kept.
    pub evaluation: Option<LabelEvaluation>,
    /// Calibration error of the test cells before the temperature.
    pub uncalibrated: Option<CalibrationScores>,
    /// How it learned.
    #[serde(flatten)]
    pub curves: Curves,
    /// The test cells, or some of them, by their embeddings.
    pub map: Option<LabelMap>,
}

/// The labelled cells.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AnnotateData {
    /// The file.
    pub path: String,
    /// Column of `obs` with the classes.
    pub label: String,
    /// The classes.
    pub classes: Vec<ClassSize>,
    /// Classes left out because they have too few cells.
    pub dropped: Vec<String>,
    /// Classes left out to see how well their cells are noticed.
    pub unseen: Vec<ClassSize>,
    /// Cells without a class.
    pub unlabelled: usize,
    /// Cells that express no gene the model knows.
    pub without_genes: usize,
    /// Genes of the data, and which the model knows.
    pub genes: AlignmentSummary,
    /// What the values look like.
    pub input_state: Option<InputState>,
}

/// How well a method does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MethodScores {
    /// The method.
    pub name: String,
    /// Share of the cells that are right: over the repeats, else by a bootstrap over cells.
    pub accuracy: Interval,
    /// Mean F1 of the classes, likewise.
    pub macro_f1: Interval,
    /// By how much the accuracy is above that of the network: repeat by repeat, else cell by cell.
    pub lead: Interval,
    /// How well cells of unseen classes are told from those of known ones (area under the ROC
    /// curve), over the repeats.
    pub unseen: Option<Interval>,
    /// The scores of each repeat.
    pub repeats: Vec<RepeatScores>,
}

/// Accuracy and F1 of a method on the cells that one repeat has held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RepeatScores {
    /// Share of the cells that are right.
    pub accuracy: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// By how much the accuracy is above that of the network.
    pub lead: f64,
    /// Area under the ROC curve of unseen classes.
    pub unseen: Option<f64>,
}

impl MethodScores {
    /// One repeat of a method: its scores, its lead over the network and how well it tells unseen
    /// classes from known ones.
    pub(super) fn new(
        name: &str,
        evaluation: &LabelEvaluation,
        lead: Interval,
        unseen: Option<f64>,
    ) -> Self {
        let LabelEvaluation { accuracy, macro_f1, .. } = *evaluation;
        let [one, f1, ahead] = [accuracy, macro_f1, lead].map(|interval| interval.mean);
        let repeats = vec![RepeatScores { accuracy: one, macro_f1: f1, lead: ahead, unseen }];
        let unseen = unseen.map(|area| Interval::of_repetitions(&[area]));
        Self { name: name.into(), accuracy, macro_f1, lead, unseen, repeats }
    }

    /// Adds another repeat of the same methods.
    pub(super) fn add(methods: &mut Vec<Self>, others: Vec<Self>) {
        if methods.is_empty() {
            *methods = others;
            return;
        }
        for (method, other) in methods.iter_mut().zip(others) {
            method.repeats.extend(other.repeats);
            let of = |score: fn(&RepeatScores) -> Option<f64>| {
                let scores: Vec<f64> = method.repeats.iter().filter_map(score).collect();
                (!scores.is_empty()).then(|| Interval::of_repetitions(&scores))
            };
            let share = |interval: Interval| interval.within(0.0, 1.0);
            let accuracy = of(|repeat| Some(repeat.accuracy)).map_or(method.accuracy, share);
            let macro_f1 = of(|repeat| Some(repeat.macro_f1)).map_or(method.macro_f1, share);
            let lead = of(|repeat| Some(repeat.lead)).unwrap_or(method.lead);
            let unseen = of(|repeat| repeat.unseen).map(share);
            *method = Self { accuracy, macro_f1, lead, unseen, ..method.clone() };
        }
    }
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

    /// A sentence on whether the network is worth its while, if there is something to compare with:
    /// by the difference on the same cells, whose interval is narrower than those of both.
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

/// A text as the beginning of a sentence.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

impl AnnotateData {
    /// Cells of all classes: trained on, validated on, judged on.
    pub fn totals(&self) -> [usize; 3] {
        total(self.classes.iter().map(ClassSize::parts))
    }

    /// Cells of the largest class for each cell of the smallest, in training.
    pub fn imbalance(&self) -> f64 {
        let sizes = || self.classes.iter().map(|class| class.training);
        sizes().max().unwrap_or(0) as f64 / sizes().min().unwrap_or(0).max(1) as f64
    }
}
