//! `scgpt perturb`: one file per subcommand.

mod predict;
mod prepare;
mod reverse;
mod train;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use scgpt_data::{CellSource, Column};
use scgpt_eval::perturbation::{
    Condition, DesignOptions, MethodResponses, PerturbEvaluation, singles, singles_and_pairs,
};
use scgpt_tasks::perturb::{PerturbArtefact, RespondOptions};
use serde::Serialize;

use crate::{
    gene_list,
    output::{Printer, some_of},
    precision::PrecisionArgs,
    warnings::Warnings,
};

/// Predict responses to gene perturbations, and find which perturbation explains a state
#[derive(Debug, Args)]
pub(crate) struct PerturbArgs {
    #[command(subcommand)]
    command: PerturbCommand,
}

#[derive(Debug, Subcommand)]
enum PerturbCommand {
    // What a command says of itself is with its arguments.
    Prepare(prepare::PrepareArgs),
    Train(Box<train::TrainArgs>),
    Predict(predict::PredictArgs),
    Reverse(Box<reverse::ReverseArgs>),
}

pub(crate) fn run(args: PerturbArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    match args.command {
        PerturbCommand::Prepare(args) => prepare::run(&args, printer),
        PerturbCommand::Train(args) => train::run(&args, config, printer),
        PerturbCommand::Predict(args) => predict::run(&args, printer),
        PerturbCommand::Reverse(args) => reverse::run(&args, printer),
    }
}

/// Where conditions are, and how they are written.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct DesignArgs {
    /// Column of obs with the conditions
    #[arg(long, value_name = "NAME", default_value = "condition", env = "SCGPT_CONDITION_KEY")]
    condition_key: String,
    /// Name of the control, besides ctrl
    #[arg(long, value_name = "NAME", default_value = "ctrl", env = "SCGPT_CONTROL")]
    control: String,
    /// What stands between the genes of a condition
    #[arg(long, value_name = "TEXT", default_value = "+", env = "SCGPT_SEPARATOR")]
    separator: String,
    /// Column of obs with cell types, each compared with controls of its own
    #[arg(long, value_name = "NAME", env = "SCGPT_CELL_TYPE_KEY")]
    cell_type_key: Option<String>,
}

impl DesignArgs {
    /// Warns of what is probably wrong in the columns of conditions and cell types.
    pub(crate) fn doubts(&self, source: &dyn CellSource, warnings: &mut Warnings) -> Result<()> {
        let mut obs = source.obs()?;
        let labels = std::iter::once(&self.condition_key).chain(&self.cell_type_key);
        let labels: Vec<&str> = labels.map(String::as_str).collect();
        // Controls may well be called `none`.
        let conditions = obs.columns.iter_mut().find(|(name, _)| *name == self.condition_key);
        if let Some((_, column)) = conditions {
            let is_perturbed = |label: &String| *label != self.control;
            let labels = column.labels().into_iter().map(|label| label.filter(is_perturbed));
            *column = Column::Text(labels.collect());
        }
        warnings.doubts(&obs, &labels, None);
        Ok(())
    }

    pub(crate) fn options(&self) -> DesignOptions<'_> {
        let mut options = DesignOptions::default();
        options.condition_key = &self.condition_key;
        options.control = &self.control;
        options.separator = &self.separator;
        options.cell_type_key = self.cell_type_key.as_deref();
        options
    }
}

/// Warns if no perturbed gene is measured: usually the names in a condition are separated wrongly.
pub(crate) fn remark_on_unmeasured(
    unmeasured: &[String],
    perturbed: usize,
    warnings: &mut Warnings,
) {
    if perturbed > 0 && unmeasured.len() == perturbed {
        warnings.tell(format!(
            "none of the {perturbed} perturbed genes is among the genes measured, such as {}: are the genes of \
             a condition joined by another --separator, or are genes and conditions named by different ids?",
            some_of(unmeasured)
        ));
    }
}

/// Conditions to try.
#[derive(Clone, Debug, Args, Serialize)]
struct CandidateArgs {
    /// File of candidate genes, one a line, or `all`: those perturbed in training
    #[arg(long, value_name = "FILE", env = "SCGPT_CANDIDATES")]
    candidates: Option<PathBuf>,
    /// Also every pair of the candidate genes
    #[arg(long, requires = "candidates")]
    pairs: bool,
}

impl CandidateArgs {
    /// The candidates; `None` if the option is not given.
    fn conditions(&self, artefact: &PerturbArtefact) -> Result<Option<Vec<Condition>>> {
        let Some(path) = &self.candidates else { return Ok(None) };
        let genes = if path.as_os_str() == "all" {
            trained_genes(artefact)?
        } else {
            gene_list::read(path)?
        };
        let conditions = if self.pairs { singles_and_pairs(&genes) } else { singles(&genes) }
            .with_context(|| format!("--candidates {}", path.display()))?;
        Ok(Some(conditions))
    }
}

/// How responses are predicted.
#[derive(Clone, Debug, Args)]
struct RespondArgs {
    /// Cell type whose controls are started from, if the artefact tells several apart
    #[arg(long, value_name = "NAME", env = "SCGPT_CELL_TYPE")]
    cell_type: Option<String>,
    /// Predicted cells of each condition
    #[arg(long, value_name = "N", default_value_t = 30, env = "SCGPT_CELLS")]
    cells: usize,
    /// Genes predicted together; 0 for all [default: as many as in training]
    #[arg(long, value_name = "N", env = "SCGPT_GENES_PER_PASS")]
    genes_per_pass: Option<usize>,
    #[command(flatten)]
    precision: PrecisionArgs,
}

impl RespondArgs {
    /// Checks everything that can be checked before the artefact is opened.
    fn check(&self) -> Result<()> {
        if self.cells == 0 {
            bail!("--cells is 0, expected at least 1");
        }
        Ok(())
    }

    fn options(&self, artefact: &PerturbArtefact) -> Result<RespondOptions> {
        let mut options = RespondOptions::new(self.cells);
        options.cell_type = artefact.cell_type(self.cell_type.as_deref())?;
        options.genes_per_pass = self.genes_per_pass;
        Ok(options)
    }
}

/// Genes of the conditions that an artefact was made from.
fn trained_genes(artefact: &PerturbArtefact) -> Result<Vec<String>> {
    let split = &artefact.record().split;
    let mut genes = Vec::new();
    for name in split.train.iter().chain(&split.validation).chain(&split.test) {
        let condition = Condition::parse(name, "+", "ctrl")?;
        genes.extend(condition.genes().iter().cloned());
    }
    genes.sort();
    genes.dedup();
    if genes.is_empty() {
        bail!("the artefact names no perturbed gene: name candidates in a file");
    }
    Ok(genes)
}

/// The scores of all methods in a summary.
pub(crate) fn scores(evaluation: &PerturbEvaluation) -> Vec<(&'static str, String)> {
    let of = |score: &str| {
        let line = |method: &MethodResponses| format!("{}: {}", method.name, method.scores[score]);
        let methods = evaluation.methods.iter().chain(&evaluation.ceiling);
        methods.map(line).collect::<Vec<_>>().join("\n")
    };
    let mut rows = vec![
        ("Pearson Δ", of("pearson_delta")),
        ("Pearson Δ, top 20", of("pearson_delta_non_dropout")),
        ("centroid accuracy", of("centroid_accuracy")),
        ("MSE, top 20", of("mse_non_dropout")),
    ];
    rows.extend(evaluation.verdict().map(|verdict| ("verdict", verdict)));
    rows
}
