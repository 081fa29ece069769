//! `scgpt evaluate grn`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use scgpt_eval::network::{EdgeKind, GeneNetwork, NetworkEvaluation};
use scgpt_stats::EdgeScores;

use super::PageArgs;
use crate::{gene_list, output::Printer, progress::Bar, warnings::Warnings};

/// A gene network against known regulations
///
/// Edge lists of any tool are read (csv, tsv, parquet): source, target and weight by their usual names.
/// Candidates are the pairs of a regulator of the truth and another of its genes, among the genes that
/// both have; edges are ranked by the size of their weight, and those that are not listed come last.
/// The table that `scgpt simulate --perturb` writes is a truth with direction and sign.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt evaluate grn network/difference.csv --truth screen.network.csv -o report.html\n  \
    scgpt evaluate grn grnboost2.tsv --truth dorothea.csv --genes measured.txt\n  \
    scgpt evaluate grn similarity.parquet --undirected --truth known.csv --json")]
pub(crate) struct GrnArgs {
    /// Edge list to judge
    input: PathBuf,
    /// Edge list of known regulations, from regulators to targets
    #[arg(long, value_name = "FILE", env = "SCGPT_TRUTH")]
    truth: PathBuf,
    /// File with a gene a line: those that edges could have been between [default: those listed]
    #[arg(long, value_name = "FILE")]
    genes: Option<PathBuf>,
    /// Edges count in both directions
    #[arg(long)]
    undirected: bool,
    #[command(flatten)]
    page: PageArgs,
}

pub(crate) fn run(args: &GrnArgs, printer: Printer) -> Result<()> {
    let inputs = [&args.input, &args.truth].into_iter().chain(&args.genes);
    args.page.check(inputs.map(PathBuf::as_path))?;
    let kind = if args.undirected { EdgeKind::Undirected } else { EdgeKind::Directed };
    let network = GeneNetwork::read(&args.input, kind)?;
    let truth = GeneNetwork::read(&args.truth, EdgeKind::Directed)?;
    let mut warnings = Warnings::new(printer);
    if let Some(sign) = network.looks_undirected() {
        warnings.tell(format!(
            "`{}` looks undirected, but is judged as directed: {sign}; with --undirected, edges count in both \
             directions",
            args.input.display()
        ));
    }
    if let Some(sign) = truth.looks_undirected() {
        warnings.tell(format!(
            "the truth `{}` looks undirected, but is taken as directed: {sign}; list edges both ways if both \
             are true",
            args.truth.display()
        ));
    }
    let genes = args.genes.as_deref().map(read_genes).transpose()?;
    let bar = Bar::new(printer);
    let evaluation = NetworkEvaluation::new(&network, &truth, genes.as_deref(), &bar)
        .with_context(|| format!("`{}` with `{}`", args.input.display(), args.truth.display()))?;
    let scores = |scores: &EdgeScores| {
        format!(
            "AUPRC {:.4} ({:.2} × random), early precision {:.4} ({:.2} × random), AUROC {:.3}, F1 {:.3}",
            scores.auprc,
            scores.auprc_ratio,
            scores.early_precision,
            scores.early_precision_ratio,
            scores.auroc,
            scores.f1
        )
    };
    let known = &evaluation.truth;
    let mut rows = vec![
        (
            "truth",
            format!(
                "{} edges of {} regulators among {} genes, which are all that its {} and the network's {} have in common",
                known.edges,
                known.regulators,
                known.genes,
                evaluation.genes_of_truth,
                evaluation.genes_of_network
            ),
        ),
        ("candidates", format!("{}, {} of them listed", known.candidates, evaluation.listed)),
        ("scores", scores(&evaluation.scores)),
    ];
    rows.extend(evaluation.reversed.as_ref().map(|turned| ("turned round", scores(turned))));
    let right = evaluation.sign_accuracy.map(|share| format!("{:.1} % right", 100.0 * share));
    rows.extend(right.map(|right| ("signs", right)));
    rows.push(("verdict", evaluation.verdict()));
    let page = || evaluation.page(&args.input.display().to_string());
    rows.extend(args.page.write(&warnings, page)?);
    args.page.say(printer, &warnings.beside(&evaluation), &rows)
}

/// The genes of a file, each once.
fn read_genes(path: &Path) -> Result<Vec<String>> {
    let mut genes = gene_list::read(path)?;
    genes.sort_unstable();
    genes.dedup();
    Ok(genes)
}
