//! [`StudyCurve`]: a measure over the number of cells.

use std::collections::BTreeMap;

use scgpt_stats::{Interval, LawUntold, PowerLaw};
use serde::Serialize;

use super::{AxisRole, Measure, RunResult, StudyOutline};

/// A measure on a target over the number of cells that were learned from, for runs that differ in nothing else but
/// their seed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StudyCurve {
    /// The held-out file.
    pub target: String,
    /// What was measured.
    pub measure: Measure,
    /// What these runs have in common, in words; empty if the study varies nothing else.
    pub group: String,
    /// The points, by ascending number of cells.
    pub points: Vec<StudyPoint>,
    /// The law that the error follows; of scores, one minus the score is the error.
    pub law: Option<PowerLaw>,
    /// Why there is none.
    pub untold: Option<LawUntold>,
    /// The change from the fewest cells to the most, over the seeds that have both.
    pub change: Option<Interval>,
}

/// A mean over seeds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StudyPoint {
    /// Number of cells that were trained on: the mean, should seeds differ.
    pub cells: f64,
    /// The mean, with its interval over seeds; without a width if there is one.
    pub value: Interval,
    /// Number of runs.
    pub runs: usize,
}

/// Values at one size, by seed, with their numbers of cells.
type BySeed = BTreeMap<u64, (f64, f64)>;

impl StudyCurve {
    /// The curves of all targets, measures and groups of runs, in the order of the plan.
    pub(super) fn all(outline: &StudyOutline, results: &[RunResult]) -> Vec<Self> {
        let mut curves = Vec::new();
        for target in &outline.targets {
            for measure in Measure::ALL {
                let mut groups: Vec<(String, BTreeMap<usize, BySeed>)> = Vec::new();
                for result in results {
                    let Some(value) = result.score(target, measure) else { continue };
                    let name = outline.said(&result.choices, &[AxisRole::Context, AxisRole::Other]);
                    let at = groups.iter().position(|(group, _)| *group == name);
                    let at = at.unwrap_or_else(|| {
                        groups.push((name, BTreeMap::new()));
                        groups.len() - 1
                    });
                    let size = size(outline, result);
                    let of_size = groups[at].1.entry(size).or_default();
                    of_size.insert(result.seed, (value, result.cells as f64));
                }
                let new = |(group, sizes)| Self::new(target, measure, group, &sizes);
                curves.extend(groups.into_iter().map(new));
            }
        }
        curves
    }

    fn new(target: &str, measure: Measure, group: String, sizes: &BTreeMap<usize, BySeed>) -> Self {
        let most = if measure.is_error() { f64::INFINITY } else { 1.0 };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let point = |of_size: &BySeed| {
            let (values, cells): (Vec<f64>, Vec<f64>) = of_size.values().copied().unzip();
            StudyPoint {
                cells: mean(&cells),
                value: Interval::of_repetitions(&values).within(f64::NEG_INFINITY, most),
                runs: values.len(),
            }
        };
        let errors = sizes.values().flat_map(BTreeMap::values);
        let errors: Vec<[f64; 2]> =
            errors.map(|&(value, cells)| [cells, measure.error(value)]).collect();
        let law = PowerLaw::fit(&errors, 0);
        let ends = sizes.values().next().zip(sizes.values().next_back());
        let ends = ends.filter(|_| sizes.len() > 1);
        let change = ends.and_then(|(first, last)| {
            let both = first.iter().filter_map(|(seed, from)| Some(last.get(seed)?.0 - from.0));
            let both: Vec<f64> = both.collect();
            (!both.is_empty()).then(|| Interval::of_repetitions(&both))
        });
        Self {
            target: target.into(),
            measure,
            group,
            points: sizes.values().map(point).collect(),
            law: law.ok(),
            untold: law.err(),
            change,
        }
    }

    /// What the runs tell of a law, as a sentence.
    pub fn law_said(&self) -> String {
        match (&self.law, &self.untold) {
            (Some(law), _) => law.to_string(),
            (None, Some(why)) => format!("these runs do not tell: {why}"),
            (None, None) => "these runs do not tell".into(),
        }
    }

    /// Values of the law at sizes from the first to the last point, for drawing.
    pub(super) fn fitted(&self) -> Vec<[f64; 2]> {
        const STEPS: i32 = 40;
        let (Some(law), Some(first), Some(last)) =
            (&self.law, self.points.first(), self.points.last())
        else {
            return Vec::new();
        };
        let ratio = (last.cells / first.cells).powf(1.0 / f64::from(STEPS));
        let sizes = (0..=STEPS).map(|step| first.cells * ratio.powi(step));
        sizes.map(|cells| [cells, self.measure.error(law.at(cells))]).collect()
    }
}

/// What tells sizes apart: the value of the axis, as seeds may hold out one cell more or less; without one, the number
/// of cells to two digits.
fn size(outline: &StudyOutline, result: &RunResult) -> usize {
    let asked = outline.axis(AxisRole::Cells).and_then(|axis| result.choices[axis].parse().ok());
    asked.unwrap_or_else(|| {
        let unit = 10_usize.pow(result.cells.max(1).ilog10().saturating_sub(1));
        (result.cells + unit / 2) / unit * unit
    })
}
