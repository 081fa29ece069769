//! [`MethodScores`]: scores of the method that answers, and of each beside it, on the cells that judge.

use scgpt_eval::LabelEvaluation;
use scgpt_stats::Interval;
use serde::Serialize;

use super::method::Method;

/// The scores of one method on the cells that judge.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MethodScores {
    /// The method, if it is one that can be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Name of the method.
    pub name: String,
    /// Share of the cells that are right, with an interval over the repeats or, of a single one, by
    /// a bootstrap over cells.
    pub accuracy: Interval,
    /// Mean F1 of the classes, with an interval of the same kind.
    pub macro_f1: Interval,
    /// By how much the accuracy is above that of the method that answers: repeat by repeat or, of a single one,
    /// cell by cell.
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
    /// By how much the accuracy is above that of the method that answers.
    pub lead: f64,
    /// Area under the ROC curve of unseen classes.
    pub unseen: Option<f64>,
}

impl MethodScores {
    /// The scores of a method in one repeat: its own scores, its lead over the one that answers, and how
    /// well it tells unseen classes from known ones.
    pub(super) fn new(
        method: Option<Method>,
        name: &str,
        evaluation: &LabelEvaluation,
        lead: Interval,
        unseen: Option<f64>,
    ) -> Self {
        let LabelEvaluation { accuracy, macro_f1, .. } = *evaluation;
        let [one, f1, ahead] = [accuracy, macro_f1, lead].map(|interval| interval.mean);
        let repeats = vec![RepeatScores { accuracy: one, macro_f1: f1, lead: ahead, unseen }];
        let unseen = unseen.map(|area| Interval::of_repetitions(&[area]));
        Self { method, name: name.into(), accuracy, macro_f1, lead, unseen, repeats }
    }

    /// Adds another repeat of the same methods; their order may be another.
    pub(super) fn add(methods: &mut Vec<Self>, others: Vec<Self>) {
        if methods.is_empty() {
            *methods = others;
            return;
        }
        for method in methods.iter_mut() {
            let Some(other) = others.iter().find(|other| other.name == method.name) else {
                continue;
            };
            method.repeats.extend(&other.repeats);
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
