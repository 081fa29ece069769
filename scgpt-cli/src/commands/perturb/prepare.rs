//! `scgpt perturb prepare`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::{InputState, InputValues};
use scgpt_eval::perturbation::{PrepareOptions, Prepared, prepare};

use super::{DesignArgs, remark_on_unmeasured};
use crate::{
    cells_output::OutputArgs,
    gene_remarks,
    matrix::MatrixArgs,
    output::{Printer, check_cells_output, some_of},
    progress::Bar,
    warnings::Warnings,
};

/// Bring perturbed cells into the layout that training reads
///
/// Writes perturb_processed.h5ad of GEARS: log1p of values normalised to 10 000, conditions such as
/// ctrl, A+ctrl and A+B in obs, gene names in var, and the genes that differ most from the controls
/// of the cell type (Welch's t-test) in uns. Values that are normalised or logged already are not
/// normalised or logged again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt perturb prepare screen.h5ad --condition-key guide --control non-targeting --separator _ -o prepared.h5ad\n  \
    scgpt perturb prepare screen.h5ad --condition-key perturbation --cell-type-key cell_line --hvg 5000 -o prepared.h5ad")]
pub(crate) struct PrepareArgs {
    /// File or folder of perturbed cells
    input: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    design: DesignArgs,
    #[command(flatten)]
    matrix: MatrixArgs,
    /// Conditions with fewer cells are left out
    #[arg(long, value_name = "N", default_value_t = 2, env = "SCGPT_MIN_CELLS")]
    min_cells: usize,
    /// Keep that many of the most variable genes, and those perturbed [default: all genes]
    #[arg(long, value_name = "N", env = "SCGPT_HVG")]
    hvg: Option<usize>,
}

pub(crate) fn run(args: &PrepareArgs, printer: Printer) -> Result<()> {
    check_cells_output(&args.output.path, [args.input.as_path()], args.output.existing())?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.matrix.choice.open(&args.input, &mut warnings)?;
    args.design.doubts(&source, &mut warnings)?;
    let (design, layer) = (args.design.options(), args.matrix.layer());
    let gene_names = args.matrix.gene_names();
    let mut options = PrepareOptions::new(&design, &args.output.path);
    options.layer = &layer;
    options.gene_names = &gene_names;
    options.min_cells = args.min_cells;
    options.variable_genes = args.hvg;
    options.existing = args.output.existing();
    let bar = Bar::new(printer);
    let prepared = prepare(&mut source, &options, &bar)?;
    bar.finish();
    let so = "they are written all the same, and count as zeros in the means";
    warnings.without_counts(prepared.without_counts, so);
    remark_on(&prepared, &mut warnings, printer);
    printer.written(
        &warnings.beside(&prepared),
        &[
            (
                "cells",
                format!(
                    "{} written, {} of them controls; {} left out",
                    prepared.cells, prepared.controls, prepared.cells_left_out
                ),
            ),
            ("genes", format!("{} by `{}`", prepared.genes, prepared.gene_column)),
            (
                "conditions",
                format!("{} singles, {} combinations", prepared.singles, prepared.combinations),
            ),
            ("values", values(&prepared)),
            ("output", args.output.path.display().to_string()),
        ],
    )
}

/// A line that says what the values were, and what became of them.
fn values(prepared: &Prepared) -> String {
    let found = InputValues { state: prepared.input_state, total: prepared.input_total };
    match found {
        InputValues { state: InputState::Log1p, total: None } => {
            "were log1p of cells with different sums, as of some genes alone; kept as they are"
                .into()
        }
        found => format!("were {found}; now log1p of values that sum to 10000 in every cell"),
    }
}

fn remark_on(prepared: &Prepared, warnings: &mut Warnings, printer: Printer) {
    if !prepared.dropped.is_empty() {
        warnings.tell(format!(
            "left out, as they have too few cells or no controls: {}",
            some_of(&prepared.dropped)
        ));
    }
    let others = (prepared.other_features > 0).then(|| prepared.other_features.to_string());
    gene_remarks::remark_on_others(others.as_deref(), printer);
    remark_on_unmeasured(&prepared.unmeasured, prepared.perturbed, warnings);
    if (1..prepared.perturbed).contains(&prepared.unmeasured.len()) {
        printer.remark(&format!(
            "note: {} perturbed genes are not among the genes measured: {}",
            prepared.unmeasured.len(),
            some_of(&prepared.unmeasured)
        ));
    }
}
