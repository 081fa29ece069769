//! [`StudyReport`]: what all runs of a study tell.

use std::collections::BTreeMap;

use scgpt_data::{Column, Table};
use serde::Serialize;

use super::{ContextMap, Measure, RunResult, StudyCurve, StudyOutline};

/// What the runs of a study tell: see the [example of the module](super).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StudyReport {
    /// What was planned.
    pub outline: StudyOutline,
    /// What is there, in the order of the plan.
    pub results: Vec<RunResult>,
    /// Names of the runs that are not there.
    pub missing: Vec<String>,
    /// Measures over the number of cells.
    pub curves: Vec<StudyCurve>,
    /// Contexts beside targets.
    pub contexts: Vec<ContextMap>,
    /// What runs cost.
    pub costs: Vec<Cost>,
}

/// What runs of one size cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// What the runs have in common but their seed, in words.
    pub group: String,
    /// Number of runs.
    pub runs: usize,
    /// Mean number of cells trained on.
    pub cells: f64,
    /// Mean number of steps.
    pub steps: f64,
    /// Number of parameters.
    pub parameters: usize,
    /// Mean time of training, in seconds.
    pub seconds: f64,
}

impl StudyReport {
    /// Judges what is there of a study; results that are not of the plan are left out.
    pub fn new(outline: StudyOutline, results: Vec<RunResult>) -> Self {
        let mut found: BTreeMap<String, RunResult> =
            results.into_iter().map(|result| (result.name.clone(), result)).collect();
        let (mut results, mut missing) = (Vec::new(), Vec::new());
        for run in &outline.runs {
            match found.remove(&run.name).filter(|result| result.choices == run.choices) {
                Some(result) => results.push(result),
                None => missing.push(run.name.clone()),
            }
        }
        Self {
            curves: StudyCurve::all(&outline, &results),
            contexts: ContextMap::all(&outline, &results),
            costs: costs(&outline, &results),
            outline,
            results,
            missing,
        }
    }

    /// Every measure that a run has, with its target, in order.
    pub(super) fn measured(&self) -> Vec<(&str, Measure)> {
        let all = Measure::ALL.into_iter().chain([Measure::GeneMeans]);
        let columns = self
            .outline
            .targets
            .iter()
            .flat_map(|target| all.clone().map(move |measure| (target.as_str(), measure)));
        let is_there = |&(target, measure): &(&str, Measure)| {
            self.results.iter().any(|result| result.score(target, measure).is_some())
        };
        columns.filter(is_there).collect()
    }

    /// All results: a run a row, its choices, what it cost, and its measures.
    pub fn table(&self) -> Table {
        let of = |value: &dyn Fn(&RunResult) -> f64| {
            Column::Float(self.results.iter().map(|result| Some(value(result))).collect())
        };
        let count = |value: fn(&RunResult) -> u64| {
            let number = |result: &RunResult| i64::try_from(value(result)).ok();
            Column::Integer(self.results.iter().map(number).collect())
        };
        let text = |value: &dyn Fn(&RunResult) -> String| {
            Column::Text(self.results.iter().map(|result| Some(value(result))).collect())
        };
        let mut columns = vec![("run".to_owned(), text(&|result| result.name.clone()))];
        for (at, axis) in self.outline.axes.iter().enumerate() {
            columns.push((axis.name.clone(), text(&|result| result.choices[at].clone())));
        }
        columns.extend([
            ("training_cells".to_owned(), count(|result| result.cells as u64)),
            ("steps".to_owned(), count(|result| result.steps)),
            ("parameters".to_owned(), count(|result| result.parameters as u64)),
            ("seconds".to_owned(), of(&|result| (10.0 * result.seconds).round() / 10.0)),
        ]);
        for (target, measure) in self.measured() {
            let scores = self.results.iter().map(|result| result.score(target, measure));
            let name = format!("{target}.{}", measure.name());
            columns.push((name, Column::Float(scores.collect())));
        }
        Table { columns }
    }
}

/// What runs cost that differ in their seed alone, in the order of the plan.
fn costs(outline: &StudyOutline, results: &[RunResult]) -> Vec<Cost> {
    use super::AxisRole::{Cells, Context, Other};
    let mut groups: Vec<(String, Vec<&RunResult>)> = Vec::new();
    for result in results {
        let name = outline.said(&result.choices, &[Cells, Context, Other]);
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, runs)) => runs.push(result),
            None => groups.push((name, vec![result])),
        }
    }
    let cost = |(group, runs): (String, Vec<&RunResult>)| {
        let n = runs.len() as f64;
        let mean = |of: fn(&RunResult) -> f64| runs.iter().map(|run| of(run)).sum::<f64>() / n;
        Cost {
            group,
            runs: runs.len(),
            cells: mean(|run| run.cells as f64),
            steps: mean(|run| run.steps as f64),
            parameters: runs.iter().map(|run| run.parameters).max().unwrap_or(0),
            seconds: mean(|run| run.seconds),
        }
    };
    groups.into_iter().map(cost).collect()
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Existing, Keyed, Purpose};
    use scgpt_stats::LawUntold;

    use super::*;
    use crate::study::{AxisRole, PlannedRun, StudyAxis};

    /// Two corpora of two tissues, five sizes, three seeds; each tissue is learned best from its own.
    fn report(keep: impl Fn(usize) -> bool) -> StudyReport {
        let sizes = ["1000", "2000", "4000", "8000", "16000"];
        let mut outline = StudyOutline::new(
            "corpus",
            vec![
                StudyAxis::new("seed", AxisRole::Seed, ["1", "2", "3"]),
                StudyAxis::new("tissue", AxisRole::Context, ["blood", "brain"]),
                StudyAxis::new("cells", AxisRole::Cells, sizes),
            ],
        );
        outline.targets = vec!["blood".into(), "brain".into()];
        outline.baselines.entry("blood".into()).or_default().insert(Measure::Nmi, 0.7);
        let result = |(at, run): (usize, &PlannedRun)| {
            let cells: usize = run.choices[2].parse().unwrap();
            let mut result = RunResult::new(run, cells);
            result.seed = run.choices[0].parse().unwrap();
            (result.steps, result.parameters, result.seconds) = (100, 5000, cells as f64 / 100.0);
            for (which, target) in ["blood", "brain"].into_iter().enumerate() {
                let key = Keyed::new(which as u64, Purpose::Simulate, 5, at as u64);
                let away = if run.choices[1] == target { 0.0 } else { 4.0 };
                let gep = 10.0 + 200.0 * (cells as f64).powf(-0.5) + away + 0.03 * key.normal(0);
                let scores = result.scores.entry(target.into()).or_default();
                scores.insert(Measure::Gep, gep);
                scores.insert(Measure::Nmi, 0.6 + 0.01 * key.normal(2));
            }
            result
        };
        let results = outline.runs.iter().enumerate().filter(|(at, _)| keep(*at)).map(result);
        let results = results.collect();
        StudyReport::new(outline, results)
    }

    #[test]
    fn laws_contexts_and_costs_are_found() {
        let report = report(|_| true);
        assert!(report.missing.is_empty());
        assert_eq!((report.curves.len(), report.contexts.len()), (2 * 2 * 2, 2));
        let curve = |measure| {
            let is_it = |it: &&StudyCurve| {
                it.target == "blood" && it.group == "blood" && it.measure == measure
            };
            report.curves.iter().find(is_it).unwrap()
        };
        let law = curve(Measure::Gep).law.unwrap();
        assert!(law.exponent.low < 0.5 && 0.5 < law.exponent.high, "{law}");
        assert_eq!(curve(Measure::Nmi).untold, Some(LawUntold::Flat));
        let change = curve(Measure::Gep).change.unwrap();
        assert!((change.mean + 200.0 * (1000_f64.powf(-0.5) - 16_000_f64.powf(-0.5))).abs() < 0.2);
        let [gep, nmi] = [&report.contexts[0], &report.contexts[1]];
        assert_eq!((gep.cells.as_deref(), gep.verdicts.len()), (Some("16000"), 2));
        assert!(gep.verdicts.iter().all(|it| it.is_told && it.best == it.target && it.pairs == 3));
        assert!(gep.verdicts[0].said.contains("corpus `blood`, its own, is best"));
        assert!(gep.means[0].unwrap() < gep.means[2].unwrap());
        assert!(gep.shades()[0] > gep.shades()[2]);
        assert!(nmi.verdicts.iter().all(|it| !it.is_told && it.said.contains("do not tell")));
        assert_eq!((report.costs.len(), report.costs[4].runs), (10, 3));
        assert!((report.costs[4].seconds - 160.0).abs() < 1e-9);
        let html = report.page().to_html();
        for part in ["exponent", "its own, is best", "do not tell", "stroke-dasharray"] {
            assert!(html.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_missing_is_said_and_the_rest_is_judged() {
        // The last size of `brain` is there in no seed.
        let report = report(|at| at % 10 != 9);
        assert_eq!(report.missing.len(), 3);
        assert_eq!(report.contexts[0].cells.as_deref(), Some("8000"));
        assert!(report.page().to_html().contains("3 of 30 runs are missing"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.csv");
        report.table().write(&path, Existing::Refuse).unwrap();
        let table = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 28);
        let heading = "run,seed,tissue,cells,training_cells,steps,parameters,seconds,blood.gep,blood.nmi,brain.gep,brain.nmi";
        assert_eq!(lines[0], heading);
        assert!(lines[1].starts_with("\"seed=1,tissue=blood,cells=1000\",1,blood,1000,1000,100,"));
        let none = report_of_none();
        assert_eq!((none.missing.len(), none.curves.len()), (30, 0));
        assert!(none.page().to_html().contains("30 of 30 runs are missing"));
    }

    fn report_of_none() -> StudyReport {
        report(|_| false)
    }
}
