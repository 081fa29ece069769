//! The page about a study.

use scgpt_report::{Curve, CurvePoint, HeatMap, Page};
use scgpt_stats::Interval;

use super::{ContextMap, Measure, StudyCurve, StudyReport};

/// Runs whose measures are listed one by one.
const LISTED: usize = 60;

impl StudyReport {
    /// Curves with the intervals of their seeds and the laws fitted to them, contexts beside targets, what it cost,
    /// and all runs.
    pub fn page(&self) -> Page {
        let mut page = Page::new("Study", &self.outline.data);
        let planned = self.outline.runs.len();
        let seconds: f64 = self.results.iter().map(|result| result.seconds).sum();
        page.numbers(&[
            ("runs", format!("{} of {planned}", self.results.len())),
            ("held-out files", self.outline.targets.len().to_string()),
            ("time of training", time(seconds)),
        ]);
        if !self.missing.is_empty() {
            let some = scgpt_data::some_of(&self.missing);
            page.warnings(&[format!(
                "{} of {planned} runs are missing: {some}",
                self.missing.len()
            )]);
        }
        let axes = self.outline.axes.iter();
        let axes: Vec<(&str, String)> =
            axes.map(|axis| (axis.name.as_str(), axis.values.join(", "))).collect();
        page.section("What varies").table(&axes);
        for measure in Measure::ALL {
            self.measure(&mut page, measure);
        }
        costs(&mut page, self);
        runs(&mut page, self);
        page
    }

    /// The curves of a measure, a figure a target, their laws, and contexts beside targets.
    fn measure(&self, page: &mut Page, measure: Measure) {
        let curves: Vec<&StudyCurve> =
            self.curves.iter().filter(|curve| curve.measure == measure).collect();
        if curves.is_empty() {
            return;
        }
        page.section(measure.title());
        if measure == Measure::Gep {
            page.text(
                "Mean squares in squared value bins: of the same hidden genes of the same cells for every run.",
            );
            for target in &self.outline.targets {
                self.gene_means(page, target);
            }
        }
        if let Some(map) = self.contexts.iter().find(|map| map.measure == measure) {
            contexts(page, map);
        }
        let is_drawn = curves.iter().any(|curve| curve.points.len() > 1);
        for target in self.outline.targets.iter().filter(|_| is_drawn) {
            let of_target = || curves.iter().filter(|curve| curve.target == *target);
            let mut drawn: Vec<Curve> = of_target().map(|curve| self::drawn(curve)).collect();
            if drawn.is_empty() {
                continue;
            }
            drawn.extend(self.baseline(target, measure, &drawn));
            let caption = format!(
                "On `{target}`: discs are means, bars their 95 % intervals over seeds, dashed lines fitted laws."
            );
            page.curves(&drawn, ["cells learned from", measure.name()], &caption);
        }
        if is_drawn {
            laws(page, measure, &curves);
        }
    }

    /// What the means of genes over the cells that were learned from reach.
    fn gene_means(&self, page: &mut Page, target: &str) {
        let means = self.results.iter().filter_map(|it| it.score(target, Measure::GeneMeans));
        let (low, high) =
            means.fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        if low <= high {
            page.text(&format!(
                "On `{target}` the means of genes over the cells that were learned from reach {low:.2} to {high:.2}, \
                 without looking at a cell."
            ));
        }
    }

    /// What a simple method reaches without a network, as a level line.
    fn baseline(&self, target: &str, measure: Measure, drawn: &[Curve]) -> Option<Curve> {
        let value = *self.outline.baselines.get(target)?.get(&measure)?;
        let sizes = drawn.iter().flat_map(|curve| curve.points.iter().map(|point| point.size));
        let (low, high) = sizes
            .fold((f64::INFINITY, 0.0_f64), |(low, high), size| (low.min(size), high.max(size)));
        let name = format!("no network {}", measure.shown(value));
        Some(Curve { name, points: Vec::new(), fit: vec![[low, value], [high, value]] })
    }
}

/// A curve as it is drawn.
fn drawn(curve: &StudyCurve) -> Curve {
    let point = |point: &super::StudyPoint| {
        let Interval { mean, low, high } = point.value;
        CurvePoint { size: point.cells, mean, low, high }
    };
    Curve {
        name: named(&curve.group).into(),
        points: curve.points.iter().map(point).collect(),
        fit: curve.fitted(),
    }
}

/// What the curves follow, and how much is gained from the fewest cells to the most.
fn laws(page: &mut Page, measure: Measure, curves: &[&StudyCurve]) {
    page.text(if measure.is_error() {
        "Law: error = floor + gain · N^−exponent, N the number of cells, with a 95 % bootstrap interval of the exponent."
    } else {
        "Law: one minus the score = floor + gain · N^−exponent, N the number of cells, with a 95 % bootstrap interval \
         of the exponent."
    });
    let row = |curve: &&StudyCurve| {
        let (first, last) = (curve.points.first(), curve.points.last());
        let value = |point: Option<&super::StudyPoint>| {
            point.map_or_else(String::new, |point| {
                format!("{} ({:.0})", measure.shown(point.value.mean), point.cells)
            })
        };
        let change = curve.change.map_or_else(String::new, |change| change.to_string());
        vec![
            curve.target.clone(),
            named(&curve.group).into(),
            value(first),
            value(last),
            change,
            curve.law_said(),
        ]
    };
    let heading = ["target", "learned from", "fewest (cells)", "most (cells)", "change", "law"];
    page.columns(&heading, &curves.iter().map(row).collect::<Vec<_>>());
}

fn contexts(page: &mut Page, map: &ContextMap) {
    for verdict in &map.verdicts {
        page.text(&verdict.said);
    }
    if map.targets.len() < 2 {
        return;
    }
    let label = |mean: &Option<f64>| mean.map_or_else(String::new, |mean| map.measure.shown(mean));
    let heat = HeatMap {
        rows: &map.contexts,
        columns: &map.targets,
        shades: map.shades(),
        labels: map.means.iter().map(label).collect(),
        axes: ["learned from", "measured on"],
    };
    let cells =
        map.cells.as_ref().map_or_else(String::new, |cells| format!(", {cells} cells each"));
    let caption = format!(
        "Means of {} over runs that differ in nothing else{cells}; darker is better within a column.",
        map.measure.name()
    );
    page.heat_map(&heat, &caption);
}

fn costs(page: &mut Page, report: &StudyReport) {
    if report.costs.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = report
        .costs
        .iter()
        .map(|cost| {
            vec![
                named(&cost.group).into(),
                cost.runs.to_string(),
                format!("{:.0}", cost.cells),
                cost.parameters.to_string(),
                format!("{:.0}", cost.steps),
                time(cost.seconds),
            ]
        })
        .collect();
    page.section("Cost")
        .text("Means over seeds; the time is that of training, on whatever machine a run had.");
    page.columns(&["runs", "number", "cells", "parameters", "steps", "time"], &rows);
}

fn runs(page: &mut Page, report: &StudyReport) {
    let measured = report.measured();
    if measured.is_empty() {
        return;
    }
    let named: Vec<String> =
        measured.iter().map(|(target, measure)| format!("{target} {}", measure.name())).collect();
    let heading: Vec<&str> = ["run"].into_iter().chain(named.iter().map(String::as_str)).collect();
    let row = |result: &super::RunResult| {
        let shown = |(target, measure): &(&str, Measure)| {
            let value = result.score(target, *measure);
            value.map_or_else(String::new, |value| measure.shown(value))
        };
        [result.name.clone()].into_iter().chain(measured.iter().map(shown)).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = report.results.iter().take(LISTED).map(row).collect();
    page.section("Runs");
    let more = report.results.len().saturating_sub(LISTED);
    if more > 0 {
        page.text(&format!("The first {LISTED}; the table of values has {more} more."));
    }
    page.columns(&heading, &rows);
}

/// The name of a group of runs.
fn named(group: &str) -> &str {
    if group.is_empty() { "all runs" } else { group }
}

/// A time in the unit that suits it.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
