//! `scgpt study run`.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use burn::prelude::Device;
use clap::Args;
use scgpt_data::{Claim, Error, Existing, PartNumber, check_apart, similar_names};
use scgpt_eval::study::RunResult;
use scgpt_tasks::study::{
    PreparedStudy, RunState, Study, StudyRun, claim_study, read_study, write_shared,
};
use serde_json::json;

use super::{children::Children, file, plan::Plan};
use crate::{
    device::ComputeArgs,
    interrupt,
    output::Printer,
    progress::{Bar, TrainBar},
    run::is_cancelled,
    warnings::Warnings,
};

/// How long a run waits for a process that has its folder, and how often it looks.
const PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(50);

/// Name of the file that said what to do, in the folder of a study.
const FILE: &str = "study.toml";

/// Train and measure the runs of a study, as far as they are not done
///
/// Every run has a folder, a log and a result of its own, and is a program of its own while it runs. Stopped by Ctrl-C or
/// killed, a study goes on when it is started again, each run where it was; what is done is not done again. Several
/// machines may share the folder, each with a part of the runs, or all with all of them: a run is one's at a time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt study plan study.toml\n  \
    scgpt study run study.toml -o study --jobs 4\n  \
    scgpt study run study.toml -o study --part 2/3\n  \
    scgpt study report study")]
pub(crate) struct RunArgs {
    /// File that says what varies and what is measured
    input: PathBuf,
    /// Folder of the study
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Runs at a time; they share the cores, unless --threads says how many each has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// The part of the runs that is done here, such as 2/3
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    part: PartNumber,
    /// The one run, by its name, that is done here, in this program
    #[arg(long, value_name = "NAME", conflicts_with_all = ["part", "jobs"])]
    only: Option<String>,
    /// Stop once the standard input ends
    #[arg(long, hide = true)]
    with_input: bool,
    /// Repeat runs that were made by other settings or of another corpus
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(super) fn run(args: &RunArgs, printer: Printer) -> Result<()> {
    if args.with_input {
        interrupt::with_input();
    }
    // Before anything else: the number of threads is set once.
    let device = args.compute.open()?;
    let study = file::read(&args.input)?;
    let mut warnings = Warnings::new(printer);
    let only = args.only.as_deref().map(|name| named(&study, name)).transpose()?;
    // Nothing is written before all runs are known to be possible.
    if only.is_none() {
        let plan = Plan::new(&study, &device)?;
        printer.remark(&format!("{} runs are planned", plan.runs.len()));
    }
    let inputs = study.targets.values().map(|target| target.file.as_path());
    check_apart(&args.output, inputs.chain([study.data.as_path(), args.input.as_path()]))?;
    claim_study(&args.output)?;
    let bar = Bar::new(printer);
    let prepared = study.prepare(&args.output, &bar)?;
    bar.finish();
    warnings.all(prepared.remarks());
    if let Some(run) = only {
        let result = alone(args, &prepared, run, &device, printer)?;
        return printer.written(&warnings.beside(&result), &rows(&result));
    }
    let text = fs::read_to_string(&args.input)?;
    write_shared(&args.output.join(FILE), &text)?;
    let done = several(args, &study, &prepared, printer)?;
    let record = json!({
        "folder": args.output, "planned": study.runs.len(), "done": done.done, "before": done.before,
        "elsewhere": done.elsewhere, "failed": done.failed,
    });
    let mut rows = vec![(
        "runs",
        format!("{} done now, {} before, of {}", done.done.len(), done.before, study.runs.len()),
    )];
    if done.elsewhere > 0 {
        rows.push(("elsewhere", format!("{} are being done by other processes", done.elsewhere)));
    }
    let left = missing(&args.output)?;
    if left == 0 {
        rows.push(("next", format!("scgpt study report {}", args.output.display())));
    } else {
        rows.push(("missing", format!("{left} of the whole study")));
    }
    if let Some((name, problem)) = done.failed.first() {
        bail!(
            "{} of {} runs failed; `{name}`: {problem} (all of it in `{}`)",
            done.failed.len(),
            study.runs.len(),
            args.output.join("runs").join(name).join(super::children::LOG).display()
        );
    }
    printer.written(&warnings.beside(&record), &rows)
}

/// Number of runs of the study that are not done.
fn missing(folder: &Path) -> Result<usize> {
    Ok(read_study(folder)?.missing.len())
}

/// The run of that name.
fn named<'a>(study: &'a Study, name: &str) -> Result<&'a StudyRun> {
    let names = || study.runs.iter().map(|run| run.plan.name.as_str());
    let hint = || similar_names(name, names()).hint();
    let found = study.runs.iter().find(|run| run.plan.name == name);
    found.ok_or_else(|| anyhow!("the study has no run `{name}`{}", hint()))
}

/// Whether another process has the folder of a run.
fn is_elsewhere(folder: &Path) -> bool {
    matches!(Claim::of_folder(folder), Err(Error::Busy { .. }))
}

/// Does a run in this program. If another process has its folder, it is waited for: that of a study that was killed
/// stops with its step, and its run goes on here.
///
/// # Errors
/// If it has it for longer, this program is asked to stop, or the run fails.
fn alone(
    args: &RunArgs,
    prepared: &PreparedStudy<'_>,
    run: &StudyRun,
    device: &Device,
    printer: Printer,
) -> Result<RunResult> {
    let (watch, bar) = (TrainBar::new(printer), Bar::new(printer));
    let (folder, existing) = (prepared.run_folder(run), Existing::replaced_if(args.force));
    let begun = Instant::now();
    let mut is_said = false;
    let result = loop {
        match prepared.run(run, existing, device, &watch, &bar) {
            Err(scgpt_tasks::Error::Data(Error::Busy { path, process }))
                if path == folder && begun.elapsed() < PATIENCE =>
            {
                if is_cancelled() {
                    return Err(Error::Cancelled.into());
                }
                if !is_said {
                    is_said = true;
                    let most = PATIENCE.as_secs();
                    printer.remark(&format!(
                        "note: process {process} has this run; it is waited for, {most} s at most"
                    ));
                }
                sleep(TICK);
            }
            ended => break ended?,
        }
    };
    watch.finish();
    bar.finish();
    Ok(result)
}

/// What became of runs.
#[derive(Default)]
struct Outcome {
    /// Results of those that were done now, in the order of their ends.
    done: Vec<RunResult>,
    /// Number of those that were done before.
    before: usize,
    /// Number of those that others are doing.
    elsewhere: usize,
    failed: Vec<(String, String)>,
}

/// Does the runs of a part that are not done, several at a time.
fn several(
    args: &RunArgs,
    study: &Study,
    prepared: &PreparedStudy<'_>,
    printer: Printer,
) -> Result<Outcome> {
    let (part, parts) = (args.part.number(), args.part.of());
    let names: Vec<&str> = study.outline.part(part, parts).map(|run| run.name.as_str()).collect();
    let runs: Vec<&StudyRun> =
        study.runs.iter().filter(|run| names.contains(&run.plan.name.as_str())).collect();
    let mut found = Outcome::default();
    let mut left = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        match prepared.state(run) {
            RunState::Done => found.before += 1,
            RunState::Changed(differences) if !args.force => {
                return Err(Error::unsuited(
                    format!(
                        "`{}` was made otherwise: {}",
                        prepared.run_folder(run).display(),
                        differences.join("; ")
                    ),
                    "choose another folder by -o, or repeat such runs by --force",
                )
                .into());
            }
            _ => left.push(place),
        }
    }
    let jobs = usize::from(args.jobs);
    let mut children = Children::new(child_args(args, jobs), jobs);
    let (of, mut left) = (left.len(), left.into_iter());
    let mut ended = 0;
    loop {
        while children.has_room() && !is_cancelled() {
            let Some(place) = left.next() else { break };
            let folder = prepared.run_folder(runs[place]);
            // What another process does meanwhile is left to it.
            match Claim::of_folder(&folder) {
                Err(Error::Busy { .. }) => found.elsewhere += 1,
                claimed => {
                    drop(claimed?);
                    children.begin(place, &runs[place].plan.name, &folder)?;
                }
            }
        }
        if children.is_idle() {
            break;
        }
        let end = children.next()?;
        ended += 1;
        let run = runs[end.run];
        let name = &run.plan.name;
        if is_cancelled() {
            continue;
        }
        match (end.problem, prepared.result(run)) {
            (None, Some(result)) => {
                printer.remark(&format!("{ended} of {of}: {name}: {}", said(&result)));
                found.done.push(result);
            }
            (Some(_), _) if is_elsewhere(&prepared.run_folder(run)) => {
                printer.remark(&format!("{ended} of {of}: {name}: another process has it"));
                found.elsewhere += 1;
            }
            (Some(_), _) if prepared.state(run) == RunState::Done => {
                printer.remark(&format!("{ended} of {of}: {name}: another process had it first"));
                found.before += 1;
            }
            (problem, _) => {
                let problem = problem.unwrap_or_else(|| "it left no result".into());
                printer.remark(&format!("{ended} of {of}: {name}: failed: {problem}"));
                found.failed.push((name.clone(), problem));
            }
        }
    }
    if is_cancelled() {
        printer.remark("note: started again, the study goes on where it was");
        return Err(Error::Cancelled.into());
    }
    Ok(found)
}

/// The words by which a run is started as a program of its own, but for its name.
fn child_args(args: &RunArgs, jobs: usize) -> Vec<OsString> {
    let words = ["study", "run"].map(OsString::from);
    let paths = [args.input.clone().into(), "-o".into(), args.output.clone().into()];
    let force = args.force.then(|| "--force".into());
    let compute = args.compute.handed_on(jobs).into_iter().map(OsString::from);
    words.into_iter().chain(paths).chain(force).chain(compute).collect()
}

/// The measures of a run, and how long it took.
fn said(result: &RunResult) -> String {
    let scores = result.scores.iter().map(|(target, scores)| {
        let of = scores.iter().map(|(measure, value)| format!("{} {value:.3}", measure.name()));
        format!("{target} {}", of.collect::<Vec<_>>().join(" "))
    });
    format!("{} ({:.0} s)", scores.collect::<Vec<_>>().join("; "), result.seconds)
}

fn rows(result: &RunResult) -> Vec<(&'static str, String)> {
    vec![
        ("run", result.name.clone()),
        ("cells", result.cells.to_string()),
        ("steps", result.steps.to_string()),
        ("measures", said(result)),
    ]
}
