//! `scgpt study plan`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::prelude::Device;
use clap::Args;
use scgpt_tasks::study::{RunSize, Study, StudyRun, read_study};
use serde_json::json;

use super::file;
use crate::{device, output::Printer};

/// Say which runs a study is, whether they can be made, and roughly what they cost
///
/// Reads the corpus and writes nothing. If some runs are done, the time of the others follows from theirs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt study plan study.toml\n  \
    scgpt study plan study.toml --folder study")]
pub(crate) struct PlanArgs {
    /// File that says what varies and what is measured
    input: PathBuf,
    /// Folder of the study, for what is done of it
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs with their sizes, and how long all of them take.
pub(super) struct Plan<'a> {
    pub(super) runs: Vec<(&'a StudyRun, RunSize)>,
}

impl<'a> Plan<'a> {
    /// Checks all runs of a study.
    ///
    /// # Errors
    /// Naming the run that cannot be made.
    pub(super) fn new(study: &'a Study, device: &Device) -> Result<Self> {
        let size = |run: &'a StudyRun| -> Result<(&'a StudyRun, RunSize)> {
            let size = study.size(run, device).map_err(anyhow::Error::from);
            Ok((run, size.map_err(|error| error.context(format!("run `{}`", run.plan.name)))?))
        };
        Ok(Self { runs: study.runs.iter().map(size).collect::<Result<_>>()? })
    }
}

/// Multiplications of a run, about: of all products with weights, forwards and backwards.
fn work(run: &StudyRun, size: &RunSize) -> f64 {
    let network = &run.config.network;
    let (d, d_ff) = (network.d_model as f64, network.d_ff as f64);
    3.0 * size.tokens as f64 * network.n_layers as f64 * (4.0 * d * d + 2.0 * d * d_ff)
}

pub(super) fn run(args: &PlanArgs, printer: Printer) -> Result<()> {
    let study = file::read(&args.input)?;
    // Nothing is computed.
    let plan = Plan::new(&study, &device::open("auto")?)?;
    let done = args.folder.as_deref().map(done).transpose()?.unwrap_or_default();
    let seconds = |name: &str| done.iter().find(|(done, _)| done == name).map(|(_, it)| *it);
    let (mut spent, mut of_done, mut left) = (0.0, 0.0, 0.0);
    let mut lines = vec![format!("{:>9} {:>8} {:>9}  run", "cells", "steps", "tokens")];
    let mut record = Vec::new();
    for (run, size) in &plan.runs {
        let time = seconds(&run.plan.name);
        match time {
            Some(seconds) => {
                spent += seconds;
                of_done += work(run, size);
            }
            None => left += work(run, size),
        }
        let state = time.map_or_else(String::new, |seconds| format!("  (done in {seconds:.0} s)"));
        let tokens = format!("{:.1} M", size.tokens as f64 / 1e6);
        let RunSize { cells, steps, .. } = size;
        lines.push(format!("{cells:>9} {steps:>8} {tokens:>9}  {}{state}", run.plan.name));
        record.push(json!({
            "name": run.plan.name, "choices": run.plan.choices, "cells": cells, "steps": steps,
            "tokens": size.tokens, "seconds": time,
        }));
    }
    let time = (of_done > 0.0).then(|| left * spent / of_done);
    let cost = match time {
        _ if left == 0.0 => "all runs are done".to_owned(),
        Some(seconds) => format!(
            "about {:.1} h are left for one job, as fast as the {} that are done",
            seconds / 3600.0,
            done.len()
        ),
        None => format!(
            "about {:.2} PFLOP; how long that takes is known when a run is done (--folder)",
            2.0 * left / 1e15
        ),
    };
    let targets: Vec<String> = study
        .targets
        .iter()
        .map(|(name, target)| {
            let measures: Vec<&str> = target.measures().iter().map(|it| it.name()).collect();
            format!("{name}: {} of {}", measures.join(", "), target.file.display())
        })
        .collect();
    let rows = [
        ("corpus", study.data.display().to_string()),
        ("measured on", targets.join("\n")),
        ("runs", lines.join("\n")),
        ("cost", cost),
    ];
    printer.result(
        &json!({ "runs": record, "seconds_left": time, "targets": study.targets, "data": study.data }),
        &rows,
    )
}

/// The runs of a folder that are done, and the seconds that each took.
fn done(folder: &Path) -> Result<Vec<(String, f64)>> {
    let report = read_study(folder)?;
    Ok(report.results.into_iter().map(|result| (result.name, result.seconds)).collect())
}
