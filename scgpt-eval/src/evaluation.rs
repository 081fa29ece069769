//! [`LabelEvaluation`]: all scores of predicted labels whose truth is known.

mod integration;
mod map;
mod page;

use scgpt_data::{Observer, Result};
use scgpt_stats::{
    ClassScores, Coverage, Interval, ReliabilityBin, area_under_roc, expected_calibration_error,
    reliability,
};
use serde::{Deserialize, Serialize};

pub use self::{
    integration::{CellColumn, IntegrationComparison, IntegrationScores, ScoredEmbedding},
    map::{LabelMap, MapCell},
};

/// Bins of a reliability diagram.
const BINS: usize = 10;

/// Predicted labels and what was said about them, one entry a cell.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::{LabelEvaluation, PredictedLabels};
///
/// let names = ["B".to_owned(), "T".to_owned()];
/// let predicted = PredictedLabels {
///     names: &names, truth: &[0, 0, 1, 1], predicted: &[0, 0, 1, 0],
///     confidence: None, sets: None, is_unknown: None, strangeness: None, is_known_class: None,
/// };
/// assert_eq!(LabelEvaluation::new(&predicted, 0, &Silent)?.scores.accuracy, 0.75);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PredictedLabels<'a> {
    /// Names of all classes, true and predicted.
    pub names: &'a [String],
    /// The true class of each cell, by its position in `names`.
    pub truth: &'a [u32],
    /// The predicted class of each cell, by its position in `names`.
    pub predicted: &'a [u32],
    /// How sure the prediction is, 0 to 1.
    pub confidence: Option<&'a [f32]>,
    /// The plausible classes of each cell.
    pub sets: Option<&'a [Vec<u32>]>,
    /// Whether the cell was said to be unlike all classes.
    pub is_unknown: Option<&'a [bool]>,
    /// How unlike all classes the cell was said to be; larger is stranger.
    pub strangeness: Option<&'a [f32]>,
    /// Whether a class, by its position in `names`, could be predicted at all.
    pub is_known_class: Option<&'a [bool]>,
}

/// Scores of predicted labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelEvaluation {
    /// Scores over the cells whose true class could be predicted.
    pub scores: ClassScores,
    /// Accuracy, with a bootstrap interval over the cells.
    pub accuracy: Interval,
    /// Macro F1, with an interval of the same kind.
    pub macro_f1: Interval,
    /// Whether confidence can be believed; `None` if predictions have none.
    pub calibration: Option<CalibrationScores>,
    /// Whether sets of plausible classes hold the true one; `None` if predictions have none.
    pub coverage: Option<Coverage>,
    /// Whether cells of classes that could not be predicted were recognised; `None` if there are
    /// none or nothing was said of it.
    pub unknown: Option<UnknownScores>,
}

/// Confidence against accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationScores {
    /// Expected calibration error.
    pub error: f64,
    /// Confidence and accuracy of cells of similar confidence.
    pub bins: Vec<ReliabilityBin>,
}

/// What became of cells of known and of other classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnknownScores {
    /// Number of cells of classes that could be predicted.
    pub n_known: usize,
    /// Share of those that were called unknown.
    pub known_rejected: f64,
    /// Number of cells of other classes.
    pub n_other: usize,
    /// Share of those that were called unknown.
    pub other_rejected: f64,
    /// Accuracy of cells of known classes that were not called unknown.
    pub accuracy_kept: f64,
    /// [`PredictedLabels::unseen_area`], which does not depend on the limit from which cells are
    /// called unknown.
    pub area: Option<f64>,
}

impl CalibrationScores {
    /// Compares the confidence of each cell, 0 to 1, with whether its label is right.
    ///
    /// # Panics
    /// If there are not as many answers as confidences.
    pub fn new(confidence: &[f32], is_right: &[bool]) -> Self {
        let bins = reliability(confidence, is_right, BINS);
        Self { error: expected_calibration_error(&bins), bins }
    }
}

impl PredictedLabels<'_> {
    /// By how much the accuracy is above that of another prediction of the same cells, with a
    /// bootstrap interval over the cells, drawn with that seed.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn lead_over(&self, other: &Self, seed: u64, observer: &dyn Observer) -> Result<Interval> {
        let cells = self.truth.iter().zip(self.predicted.iter().zip(other.predicted));
        let leads: Vec<f64> = cells
            .filter(|(class, _)| self.is_known(**class))
            .map(|(truth, (ours, theirs))| {
                f64::from(u8::from(ours == truth)) - f64::from(u8::from(theirs == truth))
            })
            .collect();
        let lead = |cells: &[usize]| {
            cells.iter().map(|&cell| leads[cell]).sum::<f64>() / cells.len().max(1) as f64
        };
        Interval::of_cells(leads.len(), seed, lead, observer)
    }

    fn is_known(&self, class: u32) -> bool {
        self.is_known_class.is_none_or(|known| known[class as usize])
    }

    /// How often a cell of a class that could not be predicted is stranger than one of a class that
    /// could (area under the ROC curve); `None` without strangeness, or if one of the two kinds has
    /// no cells.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn unseen_area(&self, observer: &dyn Observer) -> Result<Option<f64>> {
        let is_other: Vec<bool> = self.truth.iter().map(|&class| !self.is_known(class)).collect();
        let Some(strangeness) = self.strangeness else { return Ok(None) };
        area_under_roc(strangeness, &is_other, observer)
    }
}

impl LabelEvaluation {
    /// Scores the cells of a prediction; intervals are by a bootstrap over them, drawn with that
    /// seed.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If the entries of the prediction differ in length, or a class has no name.
    pub fn new(of: &PredictedLabels<'_>, seed: u64, observer: &dyn Observer) -> Result<Self> {
        let known: Vec<usize> =
            (0..of.truth.len()).filter(|&cell| of.is_known(of.truth[cell])).collect();
        let pick = |codes: &[u32], cells: &[usize]| -> Vec<u32> {
            cells.iter().map(|&cell| codes[cell]).collect()
        };
        let [truth, predicted] = [of.truth, of.predicted].map(|codes| pick(codes, &known));
        let is_right: Vec<bool> = truth.iter().zip(&predicted).map(|(a, b)| a == b).collect();
        let interval = |score: fn(&ClassScores) -> f64| {
            let of_sample = |cells: &[usize]| {
                score(&ClassScores::new(&pick(&truth, cells), &pick(&predicted, cells), of.names))
            };
            Interval::of_cells(truth.len(), seed, of_sample, observer)
        };
        let of_known = |values: &[f32]| -> Vec<f32> { known.iter().map(|&i| values[i]).collect() };
        Ok(Self {
            scores: ClassScores::new(&truth, &predicted, of.names),
            accuracy: interval(|scores| scores.accuracy)?,
            macro_f1: interval(|scores| scores.macro_f1)?,
            calibration: of
                .confidence
                .map(|confidence| CalibrationScores::new(&of_known(confidence), &is_right)),
            coverage: of.sets.map(|sets| {
                let sets: Vec<&[u32]> = known.iter().map(|&cell| &*sets[cell]).collect();
                Coverage::new(&truth, &sets, of.names.len())
            }),
            unknown: of
                .is_unknown
                .map(|is_unknown| UnknownScores::new(of, is_unknown, observer))
                .transpose()?,
        })
    }
}

impl UnknownScores {
    fn new(of: &PredictedLabels<'_>, is_unknown: &[bool], observer: &dyn Observer) -> Result<Self> {
        let is_known = |class| of.is_known(class);
        let cells = || of.truth.iter().zip(of.predicted).zip(is_unknown);
        let count = |wanted: &dyn Fn(u32, u32, bool) -> bool| {
            cells().filter(|&((&truth, &said), &unknown)| wanted(truth, said, unknown)).count()
        };
        let share = |a: usize, b: usize| a as f64 / b.max(1) as f64;
        let n_known = count(&|truth, _, _| is_known(truth));
        let n_other = of.truth.len() - n_known;
        let kept = count(&|truth, _, unknown| is_known(truth) && !unknown);
        let right = count(&|truth, said, unknown| is_known(truth) && !unknown && truth == said);
        Ok(Self {
            n_known,
            known_rejected: share(n_known - kept, n_known),
            n_other,
            other_rejected: share(count(&|truth, _, unknown| !is_known(truth) && unknown), n_other),
            accuracy_kept: share(right, kept),
            area: of.unseen_area(observer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn a_lead_on_the_same_cells_is_surer_than_both_scores() {
        let names = ["a", "b", "new"].map(str::to_owned);
        let truth: Vec<u32> = (0..220).map(|cell| if cell < 200 { 0 } else { 2 }).collect();
        let right_until = |n: usize| (0..220).map(|cell| u32::from(cell >= n)).collect::<Vec<_>>();
        let [ours, theirs] = [160, 150].map(right_until);
        let of = PredictedLabels {
            names: &names,
            truth: &truth,
            predicted: &ours,
            is_known_class: Some(&[true, true, false]),
            ..PredictedLabels::default()
        };
        let other = PredictedLabels { predicted: &theirs, ..of };
        let [a, b] = [&of, &other].map(|of| LabelEvaluation::new(of, 0, &Silent).unwrap().accuracy);
        assert!(a.low < b.high, "{a} {b}");
        let lead = of.lead_over(&other, 0, &Silent).unwrap();
        assert!((lead.mean - 0.05).abs() < 1e-12 && lead.low > 0.0, "{lead}");
        assert!(other.lead_over(&of, 0, &Silent).unwrap().high < 0.0);
        let same = of.lead_over(&of, 0, &Silent).unwrap();
        assert!(same.low.abs() + same.high.abs() < 1e-12, "{same}");
    }

    #[test]
    fn unseen_cells_are_told_by_strangeness() {
        let of = PredictedLabels {
            truth: &[0, 1, 1, 0],
            strangeness: Some(&[0.1, 0.9, 0.3, 0.3]),
            is_known_class: Some(&[true, false]),
            ..PredictedLabels::default()
        };
        assert_eq!(of.unseen_area(&Silent).unwrap(), Some(0.875));
        assert_eq!(PredictedLabels { strangeness: None, ..of }.unseen_area(&Silent).unwrap(), None);
        assert_eq!(
            PredictedLabels { is_known_class: None, ..of }.unseen_area(&Silent).unwrap(),
            None
        );
    }
}
