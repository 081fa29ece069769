//! [`AnnotateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](AnnotateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{AlignmentSummary, InputState};
use scgpt_eval::{CalibrationScores, CellColours, LabelEvaluation, LabelMap};
use serde::Serialize;

use super::{
    AnnotateConfig, Annotation, Calibration, Choice, ClassSize, Method, experiment::LabelledParts,
    methods::MethodScores, verdict::LabelVerdict,
};
use crate::training::{Curves, Learned, Session, Trained, total};

/// What a report is of: the first repeat of a training.
pub(super) struct Finished {
    pub(super) parts: LabelledParts,
    /// The network, if one was trained.
    pub(super) trained: Option<Trained>,
    pub(super) verdict: LabelVerdict,
}

/// The result of training an artefact.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AnnotateReport {
    /// The labelled cells.
    pub data: AnnotateData,
    /// The settings that were in force.
    pub config: AnnotateConfig,
    /// The method that answers.
    pub method: Method,
    /// How it was chosen, if it was to be the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// How the network was trained, if one was.
    #[serde(flatten)]
    pub learned: Option<Learned>,
    /// The calibration by the validation cells.
    pub calibration: Calibration,
    /// The method that answers, and those beside it, on the same cells, if any were kept to judge them.
    pub methods: Vec<MethodScores>,
    /// Scores of the test cells, if any were kept.
    pub evaluation: Option<LabelEvaluation>,
    /// Calibration error of the test cells before the temperature.
    pub uncalibrated: Option<CalibrationScores>,
    /// How losses and scores changed as the network learned, if one did.
    #[serde(flatten)]
    pub curves: Option<Curves>,
    /// The test cells, or some of them, laid out by their embeddings.
    pub map: Option<LabelMap>,
    /// Names and annotations of the cells of the map.
    #[serde(skip)]
    pub(super) colours: CellColours,
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
        first: &Finished,
        methods: Vec<MethodScores>,
        colours: CellColours,
    ) -> Self {
        let Finished { parts, trained, verdict } = first;
        let mut config = annotation.config.clone();
        if let Some(trained) = trained {
            (config.training, config.network) = trained.in_force();
        }
        let judged = verdict.answers.judged.as_ref();
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
            config,
            method: verdict.method,
            choice: verdict.choice.clone(),
            learned: trained.as_ref().map(Trained::learned),
            calibration: verdict.answers.calibration.clone(),
            methods,
            evaluation: judged.map(|judged| judged.evaluation.clone()),
            uncalibrated: judged.map(|judged| judged.uncalibrated.clone()),
            curves: trained.as_ref().map(Trained::curves),
            map: judged.map(|judged| judged.map.clone()),
            colours,
        }
    }

    /// A sentence on whether the method that answers is better than the others, if there are any to compare
    /// with. It goes by the difference on the same cells, whose interval is narrower than those of
    /// both scores.
    pub fn verdict(&self) -> Option<String> {
        let (ours, best) = (self.methods.first()?, self.next_best()?);
        let name = self.method.subject();
        let their = best.method.map_or(best.name.as_str(), |method| method.subject());
        let [our_share, their_share] = [ours.accuracy.mean, best.accuracy.mean];
        Some(if best.lead.high < 0.0 {
            format!(
                "{} is better than {their} ({our_share:.3} against {their_share:.3}).",
                capitalised(name)
            )
        } else if best.lead.low > 0.0 {
            let which =
                if self.method == Method::Network { "the simple method" } else { "the other" };
            format!(
                "{} is better than {name} ({their_share:.3} against {our_share:.3}): on these cells {which} is the \
                 one to use.",
                capitalised(their)
            )
        } else {
            format!(
                "These cells do not tell which is more accurate, {name} ({our_share:.3}) or {their} \
                 ({their_share:.3})."
            )
        })
    }

    /// The method that the [verdict](Self::verdict) says is the one to use, if it is not the one that
    /// answers.
    pub fn better(&self) -> Option<Method> {
        self.next_best().filter(|best| best.lead.low > 0.0)?.method
    }

    /// The most accurate of the methods beside the one that answers.
    fn next_best(&self) -> Option<&MethodScores> {
        let (_, others) = self.methods.split_first()?;
        // The last of equals is the first in the list.
        let by_accuracy =
            |a: &&MethodScores, b: &&MethodScores| a.accuracy.mean.total_cmp(&b.accuracy.mean);
        others.iter().rev().max_by(by_accuracy)
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
