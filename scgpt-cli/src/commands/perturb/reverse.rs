//! `scgpt perturb reverse`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::CellSource as _;
use scgpt_eval::perturbation::{Retrieval, singles};
use scgpt_tasks::perturb::{PerturbArtefact, Reversal, ReverseOptions};

use super::{CandidateArgs, DesignArgs, RespondArgs, trained_genes};
use crate::{
    cells_output::OutputArgs,
    device::ComputeArgs,
    matrix::MatrixArgs,
    output::{Printer, beside, check_new, some_of, write_text},
    progress::Bar,
    warnings::Warnings,
};

/// Groups that the summary shows.
const SHOWN: usize = 12;

/// Find the perturbation that explains cells
///
/// Predicts the state of every candidate, and searches the cells' states among them: each cell
/// votes for its nearest predicted profiles. So that a candidate is not found by the expression of
/// its own gene alone, that gene keeps the control's expression in the candidate's profile, unless
/// --see-targets is given. If the groups are conditions of known genes, the report tells how often
/// the truth is found, beside random candidates, one answer for all, and the nearest profile seen
/// in training.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt perturb reverse cells.h5ad --model screen/ --candidates genes.txt --pairs -o found.json\n  \
    scgpt perturb reverse held-out.h5ad --model screen/ --candidates all --group-key condition -o found.json\n  \
    scgpt perturb reverse cells.h5ad --model screen/ --predicted candidates.h5ad -o found.json\n  \
    scgpt perturb reverse disease.h5ad --model screen/ --group-key leiden -o found.json")]
#[command(mut_arg("cells", |cells| cells.help("Predicted profiles of each candidate")))]
#[command(mut_arg("output", |output| output.help("File to write: JSON, and a page beside it")))]
pub(crate) struct ReverseArgs {
    /// File or folder of cells to explain, log1p values
    input: PathBuf,
    /// Artefact of `perturb train`
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    #[command(flatten)]
    candidates: CandidateArgs,
    /// Search among these cells, written by `perturb predict`, instead of predicting the candidates
    #[arg(long, value_name = "FILE", conflicts_with_all = ["candidates", "cells"])]
    predicted: Option<PathBuf>,
    /// Column of obs that groups the cells: conditions, clusters… [default: the condition column if
    /// there is one, else all cells are one group]
    #[arg(long, value_name = "NAME", env = "SCGPT_GROUP_KEY")]
    group_key: Option<String>,
    /// Most nearest profiles of a cell that vote, and most candidates named
    #[arg(short, long, value_name = "N", default_value_t = 8, env = "SCGPT_K")]
    k: usize,
    /// Let a candidate be found by the expression of its own genes
    #[arg(long)]
    see_targets: bool,
    #[command(flatten)]
    respond: RespondArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    design: DesignArgs,
    #[command(flatten)]
    matrix: MatrixArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(crate) fn run(args: &ReverseArgs, printer: Printer) -> Result<()> {
    let report = beside(&args.output.path, "html");
    for path in [&args.output.path, &report] {
        let inputs = [&args.input, &args.model].into_iter().chain(&args.predicted);
        check_new(path, inputs.map(PathBuf::as_path), args.output.existing())?;
    }
    if args.k == 0 {
        bail!("-k is 0, expected at least 1");
    }
    args.respond.check()?;
    let device = args.compute.open()?;
    let precision = args.respond.precision;
    let artefact = PerturbArtefact::open(&args.model, &device)?.with_precision(precision.precision);
    let mut warnings = Warnings::new(printer);
    let mut source = args.matrix.choice.open(&args.input, &mut warnings)?;
    let (design, layer) = (args.design.options(), args.matrix.layer());
    let has_conditions = source.obs()?.column(design.condition_key).is_some();
    let group_key =
        args.group_key.as_deref().or_else(|| has_conditions.then_some(design.condition_key));
    warnings.doubts(&source.obs()?, &group_key.into_iter().collect::<Vec<_>>(), None);
    let respond = args.respond.options(&artefact)?;
    let cell_type = respond.cell_type;
    let bar = Bar::new(printer);
    let mut options = ReverseOptions::new(&design, &layer);
    options.group_key = group_key;
    options.cell_type = cell_type;
    options.k = args.k;
    options.see_targets = args.see_targets;
    let mut search = || -> Result<Reversal> {
        let (conditions, predicted) = if let Some(path) = &args.predicted {
            artefact.read_responses(path, cell_type)?
        } else {
            let conditions = match args.candidates.conditions(&artefact)? {
                Some(conditions) => conditions,
                None => singles(&trained_genes(&artefact)?)?,
            };
            let predicted = artefact.respond(&conditions, &respond, &device, &bar)?;
            (conditions, predicted)
        };
        Ok(artefact.reverse(&mut source, &conditions, &predicted, &options, &bar)?)
    };
    let found = search()?;
    bar.finish();
    if let Some(total) = found.rescaled_from {
        printer.remark(&super::predict::rescaled(&args.input, total, &artefact));
    }
    if !found.not_candidates.is_empty() {
        printer.remark(&format!(
            "note: not scored, as the truth is not among the candidates: {}",
            some_of(&found.not_candidates)
        ));
    }
    found.precision.inspect(|&computed| precision.remark_on(computed, &mut warnings));
    warnings.without_genes(found.without_genes, "their votes mean nothing");
    let told = warnings.beside(&found);
    write_text(&args.output.path, &serde_json::to_string_pretty(&told)?)?;
    write_text(&report, &warnings.on(found.page(&args.input.display().to_string())))?;
    let mut rows = summary(&found);
    rows.push(("output", args.output.path.display().to_string()));
    rows.push(("report", report.display().to_string()));
    printer.written(&told, &rows)
}

fn summary(found: &Reversal) -> Vec<(&'static str, String)> {
    let mut rows = vec![("candidates", found.candidates.to_string())];
    let lines: Vec<String> = found
        .groups
        .iter()
        .take(SHOWN)
        .map(|group| {
            let vote = |(name, share): &(String, f64)| format!("{name} ({:.0} %)", 100.0 * share);
            let votes: Vec<String> = group.votes.iter().take(3).map(vote).collect();
            let rank = group
                .rank
                .map_or_else(String::new, |[votes, _]| format!("; the truth is number {votes}"));
            format!("{}: {}{rank}", group.group, votes.join(", "))
        })
        .collect();
    rows.push(("found", lines.join("\n")));
    for (title, methods) in [("right", &found.methods), ("right, held out", &found.held_out)] {
        let line = |method: &Retrieval| {
            let k = method.hits.len();
            format!(
                "{}: {:.0} % in the first, {:.0} % in the first {k} ({:.0} % with one gene right), mean rank {:.0} %",
                method.name,
                100.0 * method.hits[0],
                100.0 * method.hits[k - 1],
                100.0 * method.partial_hits[k - 1],
                100.0 * method.mean_rank
            )
        };
        if !methods.is_empty() {
            rows.push((title, methods.iter().map(line).collect::<Vec<_>>().join("\n")));
        }
    }
    rows
}
