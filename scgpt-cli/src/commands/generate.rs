//! `scgpt generate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use scgpt_data::{Additions, GeneNames};
use scgpt_model::{Confidence, Generation, Promoted, Strictness};
use scgpt_tasks::generate::{
    Ask, GenerateOptions, GenerateReport, GeneratedCells, Generator, Scores,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    cell_page::{CellPageArgs, MadePage},
    cells_output::OutputArgs,
    effective::write_effective,
    gene_list, gene_remarks,
    output::{Printer, temporary},
    progress::Bar,
    stream::{StreamArgs, TokenArgs},
    warnings::Warnings,
};

/// Column of `obs` with the error of each cell.
const ERROR: &str = "scgpt_generation_error";

/// Generate expression: hidden genes, missing genes, or cells from embeddings
///
/// Without --genes, a share of each cell's expressed genes is hidden and generated from the others,
/// beside simple guesses: a test of the model. With --genes, these are generated for every cell from
/// its other genes, or with --from-embedding from its embedding alone, as value bins in
/// obsm/X_scgpt_generated; uns/scgpt_generated/genes names the columns.
#[derive(Debug, Args, Serialize)]
#[command(after_help = "Examples:\n  \
    scgpt generate pbmc.h5ad --model run/model -o tested.h5ad --hide 0.25 --rounds 4\n  \
    scgpt generate pbmc.h5ad --model run/model -o filled.h5ad --genes panel.txt\n  \
    scgpt generate embedded.h5ad --model run/model -o cells.h5ad --genes panel.txt --from-embedding X_scGPT")]
pub(crate) struct GenerateArgs {
    /// File or folder of cells
    #[serde(skip)]
    input: PathBuf,
    /// Model directory, of a generatively pre-trained model
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    model: PathBuf,
    #[command(flatten)]
    #[serde(skip)]
    output: OutputArgs,
    /// Share of each cell's expressed genes to hide
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, env = "SCGPT_HIDE")]
    hide: f64,
    /// Text file with one gene per line: generate these
    #[arg(long, value_name = "FILE")]
    genes: Option<PathBuf>,
    /// Start from cell embeddings: a name in obsm, or `own` for those the model makes
    #[arg(long, value_name = "NAME", requires = "genes")]
    from_embedding: Option<String>,
    /// Rounds; in each, an equal part of the genes becomes known
    #[arg(long, value_name = "N", default_value_t = 4, env = "SCGPT_ROUNDS")]
    rounds: usize,
    /// Which genes become known first
    #[arg(long, value_enum, default_value_t = Rule::Dropout, env = "SCGPT_CONFIDENCE")]
    confidence: Rule,
    /// Passes of --confidence dropout
    #[arg(long, value_name = "N", default_value_t = 4, env = "SCGPT_SAMPLES")]
    samples: usize,
    #[command(flatten)]
    #[serde(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    #[serde(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    #[serde(flatten)]
    page: CellPageArgs,
}

/// The kinds of [`Confidence`] by name; the number that one of them has is --samples.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// Those whose prediction varies least when parts of the input are dropped
    #[value(alias = "dropout_variance")]
    Dropout,
    /// Those whose predictions from tokens and from the cell embedding agree best
    Agreement,
    /// By lot, as a control
    Random,
    /// Those with the largest predicted value
    #[value(alias = "largest_value")]
    Largest,
}

pub(crate) fn run(args: &GenerateArgs, printer: Printer) -> Result<()> {
    let inputs = [&args.input, &args.model].into_iter().chain(&args.genes).map(PathBuf::as_path);
    let page_path = args.page.path(&args.output);
    args.output.check(inputs, page_path.as_deref())?;
    let options = args.options()?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let names = (&options.layer, &options.gene_names);
    args.page.colors.check(&source, names, &[ERROR])?;
    let generator = Generator::open(&args.model, &device, Strictness::Strict)?
        .with_precision(args.stream.precision.precision);
    let bar = Bar::new(printer);
    let cells = generator.generate(&mut source, &options, &device, &bar)?;
    bar.finish();
    let report = &cells.report;
    gene_remarks::remark_on_others(report.genes.others().as_deref(), printer);
    gene_remarks::remark_on_other_names(&report.genes, printer);
    args.stream.precision.remark_on(report.precision, &mut warnings);
    let so = "what is generated for them is the same for all";
    warnings.without_genes(report.without_genes, so);
    if !report.missing.is_empty() {
        warnings.tell(format!(
            "{} genes are not in the model's vocabulary and left out: {}",
            report.missing.len(),
            shortened(&report.missing)
        ));
    }
    let made = page_path.map(|path| {
        let names = GeneNames { column: Some(report.genes.column.clone()), ..names.1.clone() };
        let added = [(ERROR.to_owned(), cells.errors.clone())];
        let choice = args.page.colors.choice(&added, &[], (&options.layer, &names));
        let page = cells.page(&mut source, &choice, &bar)?;
        anyhow::Ok(MadePage::new(path, page, &warnings))
    });
    let made = made.transpose()?;
    let GeneratedCells { genes, rows, errors, report } = cells;
    let record = json!({ "genes": genes, "report": report });
    let additions = Additions {
        obsm: rows.map(|rows| ("X_scgpt_generated".to_owned(), rows)).into_iter().collect(),
        obs: vec![(ERROR.into(), errors)],
        uns: vec![("scgpt_generated".into(), record)],
        ..Additions::default()
    };
    let copy = args.output.copy_of(&args.input, &options.layer);
    copy.write(&mut source, additions, &bar, printer)?;
    write_effective(&args.output.path, "generate", args)?;
    let mut rows = summary(args, &report);
    rows.extend(made.map(MadePage::write).transpose()?);
    printer.written(&warnings.beside(&report), &rows)
}

impl GenerateArgs {
    fn options(&self) -> Result<GenerateOptions> {
        if !(self.hide > 0.0 && self.hide < 1.0) {
            anyhow::bail!("--hide is {}, expected a share between 0 and 1", self.hide);
        }
        let ask = match (&self.genes, &self.from_embedding) {
            (None, _) => Ask::Hidden(self.hide),
            (Some(path), None) => Ask::Genes(gene_list::read(path)?),
            (Some(path), Some(name)) => Ask::Cells {
                genes: gene_list::read(path)?,
                embedding: (name != "own").then(|| name.clone()),
            },
        };
        let mut options = GenerateOptions::new(ask);
        options.generation = Generation {
            rounds: self.rounds,
            confidence: match self.confidence {
                Rule::Dropout => Confidence::DropoutVariance { samples: self.samples },
                Rule::Agreement => Confidence::Agreement,
                Rule::Random => Confidence::Random,
                Rule::Largest => Confidence::LargestValue,
            },
            promoted: Promoted::default(),
        };
        options.batch_size = self.stream.batch_size;
        options.max_length = self.tokens.max_length;
        options.seed = self.tokens.seed;
        options.gene_names = self.stream.matrix.gene_names();
        options.layer = self.stream.matrix.layer();
        options.temporary = temporary(&self.output.path);
        Ok(options)
    }
}

fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown}, …") } else { shown }
}

fn summary(args: &GenerateArgs, report: &GenerateReport) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("cells", report.n_cells.to_string()),
        ("genes", report.genes.line()),
        ("predicted values", report.n_predicted.to_string()),
    ];
    for (name, scores) in [
        ("error of the network", report.network),
        ("error of gene means", report.gene_mean),
        ("error of cell means", report.cell_mean),
    ] {
        if let Some(Scores { squared_error, correlation, .. }) = scores {
            let correlation =
                correlation.map_or_else(String::new, |value| format!(", correlation {value:.3}"));
            rows.push((name, format!("{squared_error:.2} squared bins{correlation}")));
        }
    }
    for (round, of) in report.rounds.iter().enumerate() {
        let error =
            of.squared_error_of_moved.map_or_else(String::new, |x| format!(", error {x:.2}"));
        let name = if round == 0 { "rounds" } else { "" };
        rows.push((name, format!("{} of {} became known{error}", of.moved, of.asked)));
    }
    rows.push(("output", args.output.path.display().to_string()));
    rows
}
