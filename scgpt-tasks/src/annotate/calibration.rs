//! [`Calibration`]: what held-out cells tell about confidence, plausible classes and unknown cells.

mod temperature;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::temperature::fit_temperature;
use super::centre::{Centre, UnitRow, nearest};

/// The measure of how unlike all classes a cell is; larger is stranger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownScore {
    /// By the largest probability.
    ///
    /// One minus it.
    Confidence,
    /// By all class scores together.
    ///
    /// Minus the logarithm of the summed exponentials of the logits (Liu et al. 2020).
    Energy,
    /// By the distance of its embedding to the mean of a class, for a cell of that class.
    ///
    /// One minus the cosine of the cell embedding with the mean of a class, in units of its mean
    /// over the training cells of that class, so that cells beside a dense class are strange. The
    /// class for which it is smallest counts.
    Distance,
    /// By that of the genes that it expresses.
    ///
    /// As the distance of embeddings, but of what the cell expresses, its value bins.
    #[default]
    Expression,
}

/// What was learned from held-out cells of known classes: how sure the network may be, which
/// classes are plausible, and how strange known cells are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Calibration {
    /// The temperature that logits are divided by before they become probabilities.
    pub temperature: f64,
    /// Number of held-out cells that it was made from; with none, nothing is calibrated.
    pub n_cells: usize,
    /// Of the held-out cells of each class, one minus the probability of that class, ascending.
    nonconformity: Vec<Vec<f32>>,
    /// Scores of strangeness of the held-out cells, ascending.
    strangeness: BTreeMap<UnknownScore, Vec<f32>>,
    /// Centres of the training cells of each class.
    centres: Vec<Centre>,
}

/// The limits that [`Calibration::limits`] makes of the two shares a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    /// For each class, its largest nonconformity at which it is plausible.
    sets: Vec<f32>,
    /// The score by which cells are found unknown.
    score: UnknownScore,
    /// The largest value of that score for a known cell.
    unknown: f32,
}

impl UnknownScore {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Confidence, Self::Energy, Self::Distance, Self::Expression];
}

/// What the network and the cell's expression say of one cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    /// Score of each class.
    pub(super) logits: &'a [f32],
    /// The cell embedding.
    pub(super) embedding: &'a [f32],
    /// How unlike the cells of all classes it is in what it expresses.
    pub(super) expression: f32,
}

/// The answer for one cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    /// The likeliest class.
    pub(super) class: u32,
    /// Probability of each class.
    pub(super) probabilities: Vec<f32>,
    /// Plausible classes, ascending; never empty.
    pub(super) set: Vec<u32>,
    /// How unlike all classes the cell is.
    pub(super) strangeness: f32,
    /// Whether it is stranger than known cells are.
    pub(super) is_unknown: bool,
}

impl Judgement {
    /// The probability of the likeliest class.
    pub(super) fn confidence(&self) -> f32 {
        self.probabilities[self.class as usize]
    }
}

impl Calibration {
    /// Calibrates by the `held_out` cells, whose classes are `truth`, and by the centres of the
    /// classes.
    ///
    /// The held-out cells are those that selected the network, which makes it look a little surer
    /// than it is of other cells; what a report says of test cells is free of that.
    ///
    /// # Reference
    /// Temperature: Guo et al. 2017. Prediction sets: split-conformal by class (Sadinle, Lei and
    /// Wasserman 2019).
    pub(super) fn new(held_out: &[Evidence<'_>], truth: &[u32], centres: Vec<Centre>) -> Self {
        let logits: Vec<&[f32]> = held_out.iter().map(|cell| cell.logits).collect();
        let mut calibration = Self {
            temperature: fit_temperature(&logits, truth),
            n_cells: truth.len(),
            nonconformity: vec![Vec::new(); centres.len()],
            strangeness: BTreeMap::new(),
            centres,
        };
        for (cell, &class) in held_out.iter().zip(truth) {
            let probabilities = calibration.probabilities(cell.logits);
            calibration.nonconformity[class as usize].push(1.0 - probabilities[class as usize]);
            for score in UnknownScore::ALL {
                let value = calibration.strangeness(score, cell, &probabilities);
                calibration.strangeness.entry(score).or_default().push(value);
            }
        }
        for scores in &mut calibration.nonconformity {
            scores.sort_by(f32::total_cmp);
        }
        for scores in calibration.strangeness.values_mut() {
            scores.sort_by(f32::total_cmp);
        }
        calibration
    }

    /// Calibrates by other held-out cells, or by the same ones with fewer genes; the centres stay.
    pub(super) fn anew(&self, held_out: &[Evidence<'_>], truth: &[u32]) -> Self {
        Self::new(held_out, truth, self.centres.clone())
    }

    /// Limits such that a share `coverage` of the cells of each class has that class in its set,
    /// and a share `known` of the cells of known classes is not called unknown by `score`.
    ///
    /// A class with too few held-out cells for its own limit has that of all cells together.
    pub(super) fn limits(&self, coverage: f64, known: f64, score: UnknownScore) -> Limits {
        let mut all: Vec<f32> = self.nonconformity.iter().flatten().copied().collect();
        all.sort_by(f32::total_cmp);
        let of_all = conformal(&all, coverage).unwrap_or(f32::INFINITY);
        let sets = self.nonconformity.iter();
        Limits {
            sets: sets.map(|scores| conformal(scores, coverage).unwrap_or(of_all)).collect(),
            score,
            unknown: self
                .strangeness
                .get(&score)
                .and_then(|scores| conformal(scores, known))
                .unwrap_or(f32::INFINITY),
        }
    }

    /// The answer for a cell.
    pub(super) fn judge(&self, limits: &Limits, cell: &Evidence<'_>) -> Judgement {
        let probabilities = self.probabilities(cell.logits);
        let strangeness = self.strangeness(limits.score, cell, &probabilities);
        let class = largest(&probabilities);
        let is_plausible = |&(class_of, probability): &(u32, &f32)| {
            class_of == class || 1.0 - probability <= limits.sets[class_of as usize]
        };
        let set = (0..).zip(&probabilities).filter(is_plausible).map(|(class, _)| class).collect();
        Judgement {
            class,
            set,
            strangeness,
            is_unknown: strangeness > limits.unknown,
            probabilities,
        }
    }

    fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        softmax(logits, self.temperature)
    }

    #[allow(clippy::cast_possible_truncation, reason = "scores are f32")]
    fn strangeness(&self, score: UnknownScore, cell: &Evidence<'_>, probabilities: &[f32]) -> f32 {
        match score {
            UnknownScore::Confidence => 1.0 - probabilities.iter().copied().fold(0.0, f32::max),
            UnknownScore::Energy => {
                let t = self.temperature;
                let logits = cell.logits;
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = logits.iter().map(|&x| (f64::from(x - most) / t).exp()).sum();
                -(f64::from(most) + t * sum.ln()) as f32
            }
            UnknownScore::Distance => nearest(&self.centres, &UnitRow::of(cell.embedding)),
            UnknownScore::Expression => cell.expression,
        }
    }
}

/// The limit under which a new score lies with probability `share`, from `n` ascending ones: the
/// `⌈(n + 1) · share⌉`-th; `None` if there are too few.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
fn conformal(ascending: &[f32], share: f64) -> Option<f32> {
    let rank = ((ascending.len() + 1) as f64 * share).ceil() as usize;
    ascending.get(rank.max(1) - 1).copied()
}

/// The position of the largest probability; of equal ones the first.
pub(super) fn largest(probabilities: &[f32]) -> u32 {
    let mut best = 0;
    for (class, &probability) in (0..).zip(probabilities) {
        if probability > probabilities[best as usize] {
            best = class;
        }
    }
    best
}

/// Probabilities from logits that are divided by a temperature.
#[allow(clippy::cast_possible_truncation, reason = "probabilities are f32")]
pub(super) fn softmax(logits: &[f32], temperature: f64) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> =
        logits.iter().map(|&x| (f64::from(x - most) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotate::scored::Scored;
    use scgpt_data::{Keyed, Purpose};

    /// What is known of cells; how strange their expression is does not matter here.
    fn evidence(cells: &Scored) -> Vec<Evidence<'_>> {
        let of = |(logits, embedding)| Evidence { logits, embedding, expression: logits[0] };
        cells.cells().map(of).collect()
    }

    /// Cells of `k` classes whose logits are right as often as their softmax at temperature 2 says.
    fn held_out(n: usize, k: usize, epoch: u64) -> (Scored, Vec<u32>) {
        let mut scored = Scored { n_classes: k, width: 2, rows: Vec::new() };
        let mut truth = Vec::new();
        for cell in 0..n {
            let key = Keyed::new(5, Purpose::Simulate, epoch, cell as u64);
            #[allow(clippy::cast_possible_truncation, reason = "test data")]
            let logits: Vec<f32> = (0..k as u64).map(|i| 8.0 * key.uniform(i) as f32).collect();
            let draw = key.uniform(99);
            let mut sum = 0.0;
            let class = softmax(&logits, 2.0).iter().position(|&p| {
                sum += f64::from(p);
                draw < sum
            });
            truth.push(u32::try_from(class.unwrap_or(k - 1)).unwrap());
            scored.rows.extend(logits);
            let angle = cell as f32 / n as f32;
            scored.rows.extend([angle.cos(), angle.sin()]);
        }
        (scored, truth)
    }

    fn centres(k: usize) -> Vec<Centre> {
        let cells = [[1.0, 0.1], [1.0, -0.1]].map(|row| UnitRow::of(&row));
        Centre::of_classes(vec![Centre::around(2, &cells); k])
    }

    #[test]
    fn the_temperature_is_found() {
        let (cells, truth) = held_out(4000, 5, 0);
        let calibration = Calibration::new(&evidence(&cells), &truth, centres(5));
        assert!((calibration.temperature - 2.0).abs() < 0.15, "{}", calibration.temperature);
        assert_eq!(calibration.n_cells, 4000);
    }

    #[test]
    fn sets_cover_and_known_cells_are_known() {
        let (cells, truth) = held_out(3000, 4, 1);
        let (others, others_truth) = held_out(3000, 4, 2);
        let calibration = Calibration::new(&evidence(&cells), &truth, centres(4));
        for score in UnknownScore::ALL {
            let limits = calibration.limits(0.9, 0.95, score);
            let judged: Vec<Judgement> =
                evidence(&others).iter().map(|cell| calibration.judge(&limits, cell)).collect();
            for class in 0..4 {
                let of_class: Vec<&Judgement> = judged
                    .iter()
                    .zip(&others_truth)
                    .filter(|(_, truth)| **truth == class)
                    .map(|(judged, _)| judged)
                    .collect();
                let covered = of_class.iter().filter(|cell| cell.set.contains(&class)).count();
                let share = covered as f64 / of_class.len() as f64;
                assert!((share - 0.9).abs() < 0.05, "{share}");
            }
            let unknown = judged.iter().filter(|cell| cell.is_unknown).count();
            assert!((unknown as f64 / 3000.0 - 0.05).abs() < 0.02, "{score:?} {unknown}");
            assert!(judged.iter().all(|cell| cell.set.contains(&cell.class)));
        }
    }

    #[test]
    fn without_cells_nothing_is_left_out() {
        let calibration = Calibration::new(&[], &[], centres(3));
        assert!((calibration.temperature - 1.0).abs() < 1e-12);
        let limits = calibration.limits(0.9, 0.95, UnknownScore::default());
        let cell = Evidence { logits: &[0.0, 1.0, 0.5], embedding: &[0.0, 1.0], expression: 9.0 };
        let judged = calibration.judge(&limits, &cell);
        assert_eq!((judged.class, judged.set, judged.is_unknown), (1, vec![0, 1, 2], false));
    }

    #[test]
    fn few_cells_of_a_class_borrow_the_limit_of_all() {
        assert_eq!(conformal(&[0.1, 0.2, 0.3], 0.5), Some(0.2));
        assert_eq!(conformal(&[0.1, 0.2, 0.3], 0.9), None);
        let (cells, mut truth) = held_out(200, 3, 3);
        for (cell, class) in truth.iter_mut().enumerate() {
            *class = if cell < 3 { 2 } else { *class % 2 };
        }
        let calibration = Calibration::new(&evidence(&cells), &truth, centres(3));
        let limits = calibration.limits(0.9, 0.95, UnknownScore::Energy);
        assert!(limits.sets.iter().all(|limit| limit.is_finite()));
    }
}
