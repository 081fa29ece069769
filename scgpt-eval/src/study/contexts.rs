//! [`ContextMap`]: which cells it is best to learn from, for each target.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_stats::Interval;
use serde::Serialize;

use super::{AxisRole, Measure, RunResult, StudyOutline};

/// A measure of all contexts on all targets, by runs that differ in nothing else.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ContextMap {
    /// What was measured.
    pub measure: Measure,
    /// Names of the contexts.
    pub contexts: Vec<String>,
    /// Names of the targets.
    pub targets: Vec<String>,
    /// The means, `[contexts, targets]`, row by row; none where a target lacks the measure.
    pub means: Vec<Option<f64>>,
    /// The number of cells that all learned from, as the axis names it, if that varies.
    pub cells: Option<String>,
    /// What can be said of each target that has the measure.
    pub verdicts: Vec<ContextVerdict>,
}

/// Whether one context is best for a target.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ContextVerdict {
    /// The target.
    pub target: String,
    /// The context with the best mean, and the one after it.
    pub best: String,
    /// The next.
    pub next: String,
    /// How much better the best is, over pairs of runs that have all else in common.
    pub lead: Interval,
    /// Number of pairs.
    pub pairs: usize,
    /// Whether the lead is beyond what chance does.
    pub is_told: bool,
    /// The same as a sentence.
    pub said: String,
}

/// What runs of different contexts have in common: their values on all other axes.
type Key = Vec<String>;

impl ContextMap {
    /// The maps of all measures; none if contexts do not vary.
    pub(super) fn all(outline: &StudyOutline, results: &[RunResult]) -> Vec<Self> {
        let Some(axis) = outline.axis(AxisRole::Context) else { return Vec::new() };
        let contexts = &outline.axes[axis].values;
        if contexts.len() < 2 {
            return Vec::new();
        }
        let of = |measure| Self::new(outline, results, axis, measure);
        Measure::ALL.into_iter().filter_map(of).collect()
    }

    fn new(
        outline: &StudyOutline,
        results: &[RunResult],
        axis: usize,
        measure: Measure,
    ) -> Option<Self> {
        let contexts = &outline.axes[axis].values;
        let is_measured =
            |target: &&String| results.iter().any(|result| result.score(target, measure).is_some());
        let targets: Vec<&String> = outline.targets.iter().filter(is_measured).collect();
        let (cells, keys) = common(outline, results, axis, measure, &targets)?;
        let values = |context: &str, target: &str| -> Vec<f64> {
            let of = |key: &Key| {
                let is_it = |result: &&RunResult| {
                    result.choices[axis] == context && rest(result, axis) == *key
                };
                results.iter().find(is_it)?.score(target, measure)
            };
            keys.iter().filter_map(of).collect()
        };
        let mut means = Vec::new();
        for context in contexts {
            for target in &targets {
                let values = values(context, target);
                let n = values.len() as f64;
                means.push((n > 0.0).then(|| values.iter().sum::<f64>() / n));
            }
        }
        let verdict = |target: &String| {
            let all: Vec<(&String, Vec<f64>)> =
                contexts.iter().map(|context| (context, values(context, target))).collect();
            ContextVerdict::new(target, measure, all)
        };
        Some(Self {
            measure,
            contexts: contexts.clone(),
            verdicts: targets.iter().filter_map(|target| verdict(target)).collect(),
            targets: targets.into_iter().cloned().collect(),
            means,
            cells,
        })
    }

    /// How good each context is for a target compared with the others, from 0 to 1, row by row.
    pub(super) fn shades(&self) -> Vec<f64> {
        let n = self.targets.len();
        let error = |value: f64| self.measure.error(value);
        let of = |at: usize| {
            let column = self.means.iter().skip(at % n).step_by(n).flatten().map(|&it| error(it));
            let (low, high) = column.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                (low.min(x), high.max(x))
            });
            let Some(value) = self.means[at].map(error) else { return 0.0 };
            if high > low { 0.9 * (high - value) / (high - low) + 0.1 } else { 0.5 }
        };
        (0..self.means.len()).map(of).collect()
    }
}

/// The largest number of cells at which all contexts have runs that differ in nothing else, as its axis names it, and
/// what these runs have in common.
fn common(
    outline: &StudyOutline,
    results: &[RunResult],
    axis: usize,
    measure: Measure,
    targets: &[&String],
) -> Option<(Option<String>, Vec<Key>)> {
    let is_whole = |result: &&RunResult| {
        !targets.is_empty() && targets.iter().all(|it| result.score(it, measure).is_some())
    };
    let mut by_key: BTreeMap<Key, BTreeSet<&str>> = BTreeMap::new();
    for result in results.iter().filter(is_whole) {
        by_key.entry(rest(result, axis)).or_default().insert(&result.choices[axis]);
    }
    let n = outline.axes[axis].values.len();
    let shared = by_key.into_iter().filter(|(_, contexts)| contexts.len() == n).map(|(key, _)| key);
    let shared: Vec<Key> = shared.collect();
    let cells = outline.axis(AxisRole::Cells);
    let place = cells.map(|cells| cells - usize::from(cells > axis));
    let size = |key: &Key| place.map(|at| key[at].parse::<f64>().unwrap_or(0.0));
    let most = shared.iter().max_by(|a, b| {
        let (a, b) = (size(a).unwrap_or(0.0), size(b).unwrap_or(0.0));
        a.total_cmp(&b)
    })?;
    let cells = place.map(|at| most[at].clone());
    let keys = shared.iter().filter(|key| place.is_none_or(|at| key[at] == most[at]));
    Some((cells, keys.cloned().collect()))
}

/// The values of a run on all axes but that of contexts.
fn rest(result: &RunResult, axis: usize) -> Key {
    let others = result.choices.iter().enumerate().filter(|(at, _)| *at != axis);
    others.map(|(_, value)| value.clone()).collect()
}

impl ContextVerdict {
    /// Compares the best two contexts, by values that are paired; none without any.
    fn new(target: &str, measure: Measure, mut all: Vec<(&String, Vec<f64>)>) -> Option<Self> {
        let mean = |values: &[f64]| {
            let n = values.len() as f64;
            measure.error(values.iter().sum::<f64>() / n)
        };
        all.sort_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)));
        let [(best, of_best), (next, of_next), ..] = all.as_slice() else { return None };
        let pairs = of_best.iter().zip(of_next);
        let leads: Vec<f64> = pairs.map(|(a, b)| measure.error(*b) - measure.error(*a)).collect();
        if leads.is_empty() {
            return None;
        }
        let lead = Interval::of_repetitions(&leads);
        let is_told = leads.len() > 1 && lead.low > 0.0;
        let shown =
            |values: &[f64]| measure.shown(values.iter().sum::<f64>() / values.len() as f64);
        let own = if best.as_str() == target { ", its own," } else { "" };
        let (a, b) = (shown(of_best), shown(of_next));
        let of = format!("{} on `{target}`", measure.name());
        let chance = match leads.len() {
            1 => "one pair of runs says nothing of chance".to_owned(),
            n => format!("difference {lead} over {n} pairs of runs"),
        };
        let said = if is_told {
            format!(
                "{of}: corpus `{best}`{own} is best with {a}, before `{next}` with {b}; {chance}."
            )
        } else {
            format!(
                "{of}: these runs do not tell which corpus is best, `{best}`{own} with {a} or `{next}` with {b}; {chance}."
            )
        };
        Some(Self {
            target: target.into(),
            best: (*best).clone(),
            next: (*next).clone(),
            lead,
            pairs: leads.len(),
            is_told,
            said,
        })
    }
}
