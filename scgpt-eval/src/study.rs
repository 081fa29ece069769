//! What does it take: more cells, other cells, or a larger network?
//!
//! A study is many pre-training runs that differ in what their axes say, each measured on the same held-out cells,
//! the targets. [`StudyOutline`] is what was planned, a [`RunResult`] what one run gave, and [`StudyReport`] what
//! all of them tell: curves over the number of cells with [laws](scgpt_stats::PowerLaw), contexts beside targets,
//! the cost, and a table.
//!
//! ```
//! use scgpt_eval::study::{AxisRole, Measure, RunResult, StudyAxis, StudyOutline, StudyReport};
//!
//! let mut outline = StudyOutline::new("corpus", vec![
//!     StudyAxis::new("cells", AxisRole::Cells, ["1000", "2000"]),
//!     StudyAxis::new("seed", AxisRole::Seed, ["1", "2"]),
//! ]);
//! outline.targets = vec!["blood".into()];
//! let results: Vec<RunResult> = outline.runs.iter().map(|run| {
//!     let mut result = RunResult::new(run, run.choices[0].parse().unwrap());
//!     result.scores.entry("blood".into()).or_default().insert(Measure::Gep, 3e4 / result.cells as f64);
//!     result
//! }).collect();
//! let report = StudyReport::new(outline, results);
//! assert_eq!(report.curves[0].points[1].value.mean, 15.0);
//! assert!(report.curves[0].law_said().contains("2 sizes are too few"));
//! assert!(report.page().to_html().contains("blood"));
//! ```

mod contexts;
mod curves;
mod measure;
mod outline;
mod page;
mod report;
mod result;

pub use self::{
    contexts::{ContextMap, ContextVerdict},
    curves::{StudyCurve, StudyPoint},
    measure::Measure,
    outline::{AxisRole, PlannedRun, StudyAxis, StudyOutline},
    report::{Cost, StudyReport},
    result::RunResult,
};
