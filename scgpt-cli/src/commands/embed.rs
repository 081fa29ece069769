//! `scgpt embed`.

mod genes;
mod part;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{Additions, CellSource, GeneNames, Sampling, TieMode, VariableFlavour};
use scgpt_model::Strictness;
use scgpt_tasks::embed::{EmbedOptions, EmbedReport, Embedder, VariableOptions};
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::part::REPORT;
use crate::{
    cell_page::{CellPageArgs, MadePage},
    cells_output::{OR_TABLE, OutputArgs, PartArgs},
    effective::write_effective,
    gene_remarks,
    neighbourhood::NeighbourhoodArgs,
    output::Printer,
    progress::Bar,
    run::Run,
    stream::{StreamArgs, TokenArgs},
    warnings::Warnings,
};

/// Name of the record in `uns`.
const RECORD: &str = "scgpt";

/// Embed cells: obsm/X_scGPT in a copy of the file
///
/// Reads h5ad, AnnData-zarr (folder or zip, or a folder at https:// or s3://) and 10x (h5, or a
/// matrix.mtx folder); the format is found by content. The output is a copy with the embedding, everything else untouched; a page
/// with gene coverage and a map of the cells, and the options in force, are written beside it.
/// Results do not depend on batch size or threads. With --genes the output is a table of vectors of
/// genes: without cells those of the model's vocabulary, with cells their mean states in these.
#[derive(Debug, Args, Serialize)]
#[command(after_help = "Examples:\n  \
    scgpt embed pbmc.h5ad --model scGPT_human -o embedded.h5ad\n  \
    scgpt embed s3://bucket/cells.zarr --model scGPT_human -o embedded.h5ad\n  \
    scgpt embed cells.h5ad --model scGPT_human --part 3/16 -o parts/
  \
    scgpt embed filtered_feature_bc_matrix/ --model scGPT_human -o embedded.zarr --hvg 3000\n  \
    scgpt embed --genes --model scGPT_human -o genes.parquet")]
#[command(mut_arg("output", |output| output.help(OR_TABLE)))]
pub(crate) struct EmbedArgs {
    /// File or folder of cells
    #[serde(skip)]
    #[arg(required_unless_present = "genes")]
    input: Option<PathBuf>,
    /// Write vectors of genes, not of cells
    #[arg(long)]
    #[serde(skip)]
    genes: bool,
    /// Model directory
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    #[command(flatten)]
    #[serde(skip)]
    output: OutputArgs,
    #[command(flatten)]
    #[serde(skip)]
    part: PartArgs,
    /// What happens to values on a bin edge
    #[arg(long, value_enum, default_value_t, env = "SCGPT_TIE_MODE")]
    tie_mode: TieMode,
    /// Which genes are kept when a cell has more than fit
    #[arg(long, value_enum, default_value_t, env = "SCGPT_SAMPLING")]
    sampling: Sampling,
    #[command(flatten)]
    #[serde(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    #[serde(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    #[serde(flatten)]
    neighbourhood: NeighbourhoodArgs,
    /// Use only the N most variable genes
    #[arg(long, value_name = "N", env = "SCGPT_HVG")]
    hvg: Option<usize>,
    /// Measure of variability [default: seurat_v3 for counts, else cell_ranger]
    #[arg(long, value_enum, env = "SCGPT_HVG_FLAVOR")]
    hvg_flavor: Option<VariableFlavour>,
    /// Column of obs: genes variable within most of its batches
    #[arg(long, value_name = "NAME", env = "SCGPT_BATCH_KEY")]
    batch_key: Option<String>,
    /// Name of the embedding in obsm
    #[arg(long, value_name = "NAME", default_value = "X_scGPT", value_parser = key, env = "SCGPT_KEY")]
    key: String,
    #[command(flatten)]
    #[serde(flatten)]
    page: CellPageArgs,
    /// Accept a checkpoint that does not fit its configuration
    #[arg(long)]
    partial: bool,
}

pub(crate) fn run(args: &EmbedArgs, printer: Printer) -> Result<()> {
    let Some(input) = args.input.as_deref().filter(|_| !args.genes) else {
        args.part.none("--genes is of all cells")?;
        return genes::run(args, printer);
    };
    let (of_cells, of_all) = ((input, &[args.model.as_path()][..]), part::of_all(args));
    if let Some(output) = args.part.output("embed", of_cells, &args.output, of_all)? {
        return part::run(args, input, &output, printer);
    }
    let inputs = [input, &args.model];
    let page_path = args.page.path(&args.output);
    args.output.check_or_table(inputs, page_path.as_deref())?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(input, &mut warnings)?;
    let labels: Vec<&str> = args.page.colors.color.iter().map(String::as_str).collect();
    warnings.doubts(&source.obs()?, &labels, args.batch_key.as_deref());
    let (layer, gene_names) = (args.stream.matrix.layer(), args.stream.matrix.gene_names());
    let added = args.neighbourhood.columns();
    args.page.colors.check(&source, (&layer, &gene_names), added)?;
    let embedder = Embedder::open(&args.model, &device, args.strictness())?
        .with_precision(args.stream.precision.precision);
    args.stream.precision.remark_on(embedder.encoder().precision(), &mut warnings);
    remark_on_model(&embedder, &mut warnings, printer);

    let bar = Bar::new(printer);
    let embedding = embedder.embed(&mut source, &args.options(&args.output.path), &bar)?;
    bar.finish();
    let report = &embedding.report;
    remark_on_input(report, &mut warnings, printer);
    warnings.without_genes(report.tokens.n_empty, "their embeddings mean nothing");
    let found = args.neighbourhood.find(&embedding.rows, args.tokens.seed, &bar)?;
    let clusters = found.columns();
    let made = page_path.map(|path| {
        let names = GeneNames { column: Some(report.genes.column.clone()), ..gene_names };
        let choice = args.page.colors.choice(&clusters, &[], (&layer, &names));
        let page = embedding.page(&mut source, &choice, found.shown(), &bar)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    });
    let made = made.transpose()?;

    let mut record = record(args, report)?;
    let mut additions = Additions {
        obsm: vec![(args.key.clone(), embedding.rows)],
        uns: vec![(RECORD.into(), record.clone())],
        ..Additions::default()
    };
    let neighbours = found.add_to(&mut additions, &args.key, &source, &args.output.path)?;
    let copy = args.output.copy_of(input, &layer);
    let skipped = copy.write(&mut source, additions, &bar, printer)?;
    record["not_carried_over"] = skipped.into();
    record["cells_per_second"] = report.cells_per_second.into();
    record["timings"] = serde_json::to_value(report.timings)?;
    write_effective(&args.output.path, "embed", args)?;
    let mut rows = summary(args, report);
    rows.extend(neighbours);
    rows.extend(made.map(MadePage::write).transpose()?);
    printer.written(&warnings.beside(&record), &rows)
}

impl EmbedArgs {
    fn strictness(&self) -> Strictness {
        if self.partial { Strictness::Partial } else { Strictness::Strict }
    }

    /// The options by which cells are embedded whose rows go to `output`.
    fn options(&self, output: &Path) -> EmbedOptions {
        let mut options = self.stream.embed_options(&self.tokens, output);
        options.tie_mode = self.tie_mode;
        options.sampling = self.sampling;
        options.variable = self.hvg.map(|n_top| {
            let mut variable = VariableOptions::new(n_top);
            variable.flavour = self.hvg_flavor;
            variable.batch_key.clone_from(&self.batch_key);
            variable
        });
        options
    }
}

/// Takes a name that can be a key of `obsm`.
fn key(name: &str) -> Result<String, &'static str> {
    match name {
        "" => Err("expected a name"),
        name if name.contains('/') => Err("`/` separates elements, expected a plain name"),
        name => Ok(name.to_owned()),
    }
}

fn remark_on_model(embedder: &Embedder, warnings: &mut Warnings, printer: Printer) {
    let loaded = embedder.loaded();
    if !loaded.heads.is_empty() {
        printer.remark(&format!(
            "note: {} tensors of task heads are not needed and left aside",
            loaded.heads.len()
        ));
    }
    for (what, names) in [
        ("missing", &loaded.missing),
        ("of another shape", &loaded.mismatched),
        ("unused", &loaded.unused),
    ] {
        if !names.is_empty() {
            warnings.tell(format!("{} tensors {what}: {}", names.len(), names.join(", ")));
        }
    }
}

fn remark_on_input(report: &EmbedReport, warnings: &mut Warnings, printer: Printer) {
    if !report.input_state.is_counts() {
        printer.remark(&format!(
            "note: the values look like {}, the model was trained on raw counts; bins depend on the order of a \
             cell's values only, so this is usually harmless",
            report.input_state
        ));
    }
    gene_remarks::remark_on(report, warnings, printer);
}

/// The record of the run, for `uns["scgpt"]` and `--json`.
fn record(args: &EmbedArgs, report: &EmbedReport) -> Result<Value> {
    let mut record = serde_json::to_value(report)?;
    let command: Vec<String> =
        Run::current().args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    record["command"] = command.join(" ").into();
    record["output"] = args.output.path.display().to_string().into();
    record["model"]["path"] = args.model.display().to_string().into();
    Ok(record)
}

fn summary(args: &EmbedArgs, report: &EmbedReport) -> Vec<(&'static str, String)> {
    let tokens = &report.tokens;
    let mut rows = vec![
        ("cells", report.n_cells.to_string()),
        ("genes", report.genes_line()),
        ("values", report.input_state.to_string()),
        (
            "tokens",
            format!(
                "{:.0} per cell on average ({} to {}){}",
                tokens.total as f64 / report.n_cells as f64,
                tokens.min,
                tokens.max,
                match tokens.n_shortened {
                    0 => String::new(),
                    n => format!(", {n} cells sampled to {}", report.max_length),
                }
            ),
        ),
        (
            "speed",
            format!("{:.1} cells/s ({:.1} s)", report.cells_per_second, report.timings.total),
        ),
        (
            "output",
            format!(
                "{}: obsm[\"{}\"], {} wide",
                args.output.path.display(),
                args.key,
                report.width
            ),
        ),
    ];
    if let Some(variable) = &report.variable {
        rows.insert(
            2,
            (
                "variable",
                format!(
                    "{} genes by {}, {} known",
                    variable.n_selected, variable.flavour, variable.n_known
                ),
            ),
        );
    }
    rows
}
