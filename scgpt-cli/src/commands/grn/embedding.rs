//! `scgpt grn embedding`.

mod fine_tune;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, CommandFactory as _, ValueEnum};
use scgpt_data::{Additions, CellSource, Existing, OutputKind, Place, Source, check_apart};
use scgpt_eval::network::{GeneSets, ProgrammeOptions};
use scgpt_model::Strictness;
use scgpt_tasks::{
    embed::{Embedder, VariableOptions},
    grn::{
        EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, NO_START, NetworkMethod,
        StartNetwork, Universe,
    },
};
use serde::Serialize;

use self::{
    fine_tune::FineTuneArgs,
    tables::{additions, means, of_types, similar},
};
use super::{Format, MakerArgs, is_result, write_baselines};
use crate::{
    better::Again,
    cells_output::CellsOutput,
    commands::Cli,
    effective::write_effective,
    gene_list,
    output::Printer,
    progress::Bar,
    stream::{StreamArgs, TokenArgs},
    training::BeginArgs,
    warnings::{PAGE, REPORT, Warnings},
    workers,
};

/// The folder of the results.
const FOLDER: OutputKind = OutputKind {
    name: "a folder of `scgpt grn embedding`",
    is_one: |folder| FILES.iter().all(|name| folder.join(name).is_file()),
    holds: |entry| {
        let others = [VECTORS, ENRICHMENT, SCORES, SIMILAR, TYPES, CELLS];
        is_result(entry, &[&FILES[..], &others].concat())
    },
};

/// Files of every run.
const FILES: [&str; 8] = [
    "edges.csv",
    "edges.parquet",
    "network.graphml",
    "neighbours.csv",
    "programmes.csv",
    REPORT,
    PAGE,
    "report.config.toml",
];
/// Vectors, if there are any.
const VECTORS: &str = "gene_embeddings.parquet";
const ENRICHMENT: &str = "enrichment.csv";
const SCORES: &str = "programme_scores.csv";
const SIMILAR: &str = "similar.csv";
const TYPES: &str = "edges_by_type.csv";
const CELLS: &str = "cells.h5ad";

/// Networks from gene embeddings: which genes are alike, and which form programmes?
///
/// Compares the vectors of genes: those of the model's table, or (--contextual) the mean state of a gene
/// over the cells that express it. Writes a network of similar genes with p values and FDR of a null, one
/// of nearest neighbours, programmes (Leiden communities), their gene sets, and their scores in cells and
/// cell types; the report compares them with correlations and trees of the same genes' expression. For
/// vectors that have seen the cells, --fine-tune integrates their batches first; or give the artefact
/// of `scgpt integrate` as --model.
///
/// --method takes one of these in place of vectors, in the same files and without a model: an edge is a pair of genes
/// whose weight, whatever its sign, is large, without p values. best is what tells genes of the sets of --gmt best.
#[derive(Debug, Args, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "flags, each on its own")]
#[command(after_help = "Examples:\n  \
    scgpt grn embedding --model scGPT_human --data pbmc.h5ad --gmt reactome.gmt -o network/\n  \
    scgpt grn embedding --model scGPT_human --data pbmc.h5ad --contextual --per cell_type -o network/\n  \
    scgpt grn embedding --method pearson --data pbmc.h5ad --gmt reactome.gmt -o network/\n  \
    scgpt grn embedding --model scGPT_human --method best --data pbmc.h5ad --gmt reactome.gmt -o network/\n  \
    scgpt grn embedding --model scGPT_human --genes tfs.txt --gene STAT1 --threshold 0.3 -o network/\n  \
    scgpt grn embedding --model scGPT_human --data pbmc.h5ad --fine-tune --batch-key batch -o network/\n  \
    scgpt evaluate grn network/edges.csv --undirected --truth known.csv")]
#[command(mut_arg("resume", |resume| resume.requires("fine_tune").help(
    "Go on with a run of --fine-tune that was ended before everything was written"
)))]
#[command(mut_arg("force", |force| force.help("Replace a folder of an earlier run")))]
pub(crate) struct EmbeddingArgs {
    #[command(flatten)]
    #[serde(flatten)]
    maker: MakerArgs,
    /// File or folder of cells
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    data: Option<PathBuf>,
    /// Take the mean state of a gene over the cells that express it, instead of its vector in the table
    #[arg(long, requires = "data")]
    contextual: bool,
    /// What cosines are of: vectors as they are, or without the mean of all genes [default: centred
    /// with --contextual, else raw, as the reference]
    #[arg(long, value_enum, env = "SCGPT_COSINE")]
    cosine: Option<Cosine>,
    #[command(flatten)]
    #[serde(flatten)]
    tuning: FineTuneArgs,
    /// Column of obs with cell types: scores, and with --contextual vectors and networks, of each
    /// [default: for scores, one that looks like cell types]
    #[arg(long, value_name = "NAME", requires = "data", env = "SCGPT_PER")]
    per: Option<String>,
    /// Genes of the network: names joined by commas, or a file with one a line [default: the most
    /// variable ones, or all of the vocabulary without --data]
    #[arg(long, value_name = "GENES", conflicts_with = "hvg")]
    genes: Option<String>,
    /// The N most variable genes are those of the network [default: 1200]
    #[arg(long, value_name = "N", requires = "data", env = "SCGPT_HVG")]
    hvg: Option<usize>,
    /// Column of obs with batches: genes variable within most of them, and what --fine-tune mixes
    #[arg(long, value_name = "NAME", requires = "data", env = "SCGPT_BATCH_KEY")]
    batch_key: Option<String>,
    /// Least cosine similarity of an edge, or weight by a simple method [default: 0.4; by a simple method
    /// what a thousand pairs reach]
    #[arg(long, value_name = "COSINE", allow_negative_numbers = true, env = "SCGPT_THRESHOLD")]
    threshold: Option<f64>,
    /// Genes of a neighbourhood, the gene itself included
    #[arg(long, value_name = "N", default_value_t = 15, env = "SCGPT_NEIGHBOURS")]
    neighbours: usize,
    /// Resolution of programmes: the higher, the more and the smaller
    #[arg(long, value_name = "R", default_value_t = 2.0, env = "SCGPT_RESOLUTION")]
    resolution: f64,
    /// Fewest genes of a programme
    #[arg(long, value_name = "N", default_value_t = 5, env = "SCGPT_LEAST_GENES")]
    least_genes: usize,
    /// File of gene sets (GMT) that programmes are tested for; again for another
    #[arg(long, value_name = "FILE")]
    gmt: Vec<PathBuf>,
    /// What they are compared with: the genes of the network, all of the data that the model knows, or
    /// a number of genes
    #[arg(long, value_name = "WHAT", default_value_t, env = "SCGPT_BACKGROUND")]
    background: Universe,
    /// Gene whose most similar ones are listed, in the network however little it varies; again for
    /// another
    #[arg(long, value_name = "GENE")]
    gene: Vec<String>,
    /// How many similar genes are listed
    #[arg(long, value_name = "N", default_value_t = 20, env = "SCGPT_SIMILAR")]
    similar: usize,
    /// Make no simpler networks to compare with: correlations and, of at most 2000 genes, partial
    /// correlations and trees of expression; they take minutes
    #[arg(long)]
    no_baselines: bool,
    /// Make them of that many cells at most, chosen at random
    #[arg(long, value_name = "N", default_value_t = 1000, env = "SCGPT_MAX_CELLS")]
    max_cells: usize,
    /// Strongest edges written of each of them; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100_000, env = "SCGPT_EDGES")]
    edges: usize,
    #[command(flatten)]
    #[serde(flatten)]
    tokens: TokenArgs,
    /// Folder to write: edge lists, programmes, report, a copy of the cells with vectors and scores, and
    /// in baselines/ the simpler networks
    #[arg(long, short, value_name = "DIR")]
    #[serde(skip)]
    output: PathBuf,
    /// Write no copy of the cells
    #[arg(long)]
    no_cells: bool,
    #[command(flatten)]
    #[serde(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    #[serde(skip)]
    begin: BeginArgs,
}

/// What cosines are computed of; the library's option `centre` is a yes, a no, or neither.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Cosine {
    /// Vectors as they are
    Raw,
    /// Vectors without the mean of all genes
    Centred,
}

pub(crate) fn run(args: &EmbeddingArgs, printer: Printer) -> Result<()> {
    let genes_file = args.genes.iter().map(Path::new).filter(|path| path.is_file());
    let inputs = args.maker.model.iter().chain(&args.data).chain(&args.gmt);
    check_apart(&args.output, inputs.map(PathBuf::as_path).chain(genes_file))?;
    let method = args.check_method()?;
    let training = args.tuning.claim(args, printer)?;
    let existing = match &training {
        Some(training) => training.existing(&args.output)?,
        None => args.begin.existing(),
    };
    // A result is of one run: the folder appears whole or not at all. A worker that follows the first writes none.
    let is_first = workers::current().is_first();
    let place = is_first.then(|| Place::deep_folder(&args.output, existing, FOLDER)).transpose()?;
    let libraries = args.gmt.iter().map(|path| GeneSets::read(path));
    let libraries = libraries.collect::<Result<Vec<_>, _>>()?;
    let genes = args.genes.as_deref().map(names).transpose()?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let choice = &args.stream.matrix.choice;
    let open = |data: &PathBuf| choice.open(data, &mut warnings);
    let mut source = args.data.as_ref().map(open).transpose()?;
    if let Some(source) = &source {
        let labels: Vec<&str> = args.per.as_deref().into_iter().collect();
        warnings.doubts(&source.obs()?, &labels, args.batch_key.as_deref());
    }
    let tuned = match (&mut source, &training) {
        (Some(source), Some(training)) => {
            let tuned = fine_tune::run(args, source, training, &device, &mut warnings, printer)?;
            // It was only planned.
            let Some(tuned) = tuned else { return Ok(()) };
            Some(tuned)
        }
        _ => None,
    };
    let Some(place) = place else { return Ok(()) };
    let model =
        tuned.as_deref().or(args.maker.model.as_deref()).filter(|_| method.rule().is_none());
    let open = |model| Embedder::open(model, &device, Strictness::Strict);
    let embedder = model.map(open).transpose()?;
    let embedder = embedder.map(|it| it.with_precision(args.stream.precision.precision));
    if let Some(embedder) = embedder.as_ref().filter(|_| args.contextual) {
        args.stream.precision.remark_on(embedder.encoder().precision(), &mut warnings);
    }
    let bar = Bar::new(printer);
    let options = args.options(genes);
    let cells = source.as_mut().map(|source| source as &mut dyn CellSource);
    let found = EmbeddingNetworks::by(embedder.as_ref(), cells, &libraries, &options, &bar)?;
    bar.finish();
    warnings.without_genes(found.report.without_genes, "their programme scores mean nothing");
    if let Some(command) = found.report.better().and_then(|method| args.again(method)) {
        warnings.better(&command);
    }
    args.write(&found, &warnings, &place.path())?;
    let report = found.report.clone();
    if let Some(source) = source.as_mut().filter(|_| !args.no_cells) {
        let cells = place.path().join(CELLS);
        let additions = additions(
            embedder.as_ref().filter(|_| report.method.rule().is_none()),
            found,
            source,
            &options,
        )?;
        args.write_cells(additions, source, &cells, &bar, printer)?;
    }
    match training {
        Some(training) => {
            training.publish(place)?;
            training.finish()?;
        }
        None => place.publish()?,
    }
    args.print(&report, &warnings, printer)
}

/// Genes of a list: joined by commas, or one a line of a file.
fn names(list: &str) -> Result<Vec<String>> {
    let text =
        if Path::new(list).is_file() { gene_list::text(Path::new(list))? } else { list.to_owned() };
    let mut names: Vec<String> = Vec::new();
    for name in text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()) {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        bail!("--genes {list}: there is no gene");
    }
    Ok(names)
}

impl EmbeddingArgs {
    /// The method, checked to have what it needs.
    fn check_method(&self) -> Result<NetworkMethod> {
        let method = self.maker.method.unwrap_or_default();
        let name = method.name();
        match method {
            NetworkMethod::Network if self.maker.model.is_none() => {
                bail!("--model is needed for --method network")
            }
            NetworkMethod::Network => {}
            _ if self.data.is_none() => bail!("--data is needed for --method {name}"),
            NetworkMethod::Best if self.gmt.is_empty() => bail!(
                "--method best is chosen by known gene sets: give them by --gmt; halves of the cells tell what is stable, \
                 not what is right"
            ),
            NetworkMethod::Best if self.no_baselines => {
                bail!("--method best has nothing to choose among with --no-baselines")
            }
            _ if method.rule().is_some() && self.tuning.fine_tune => {
                bail!("--fine-tune is about a model, and --method {name} has none")
            }
            _ => {}
        }
        Ok(method)
    }

    /// This run with a simple method, which writes beside what this one does.
    fn again(&self, method: NetworkMethod) -> Option<Again> {
        let mut output = self.output.file_name()?.to_owned();
        output.push(format!(".{}", method.name()));
        let output = self.output.with_file_name(output).display().to_string();
        let command = Again::this_run(Cli::command(), "grn embedding")?
            .with("method", method.name())
            .with("output", &output);
        let dropped = [
            "model",
            "contextual",
            "cosine",
            "fine_tune",
            "epochs",
            "accumulate",
            "new_genes",
            "threshold",
            "precision",
            "force",
            "resume",
        ];
        Some(dropped.into_iter().fold(command, Again::without))
    }

    fn options(&self, genes: Option<Vec<String>>) -> EmbeddingNetworkOptions {
        let mut variable = VariableOptions::new(self.hvg.unwrap_or(1200));
        variable.batch_key.clone_from(&self.batch_key);
        let mut embed = self.stream.embed_options(&self.tokens, &self.output);
        embed.variable = Some(variable);
        let mut options = EmbeddingNetworkOptions::default();
        options.method = self.maker.method.unwrap_or_default();
        options.embed = embed;
        options.genes = genes;
        options.contextual = self.contextual;
        options.centre = self.cosine.map(|cosine| cosine == Cosine::Centred);
        options.per.clone_from(&self.per);
        options.threshold = self.threshold;
        options.programmes = ProgrammeOptions::default();
        options.programmes.neighbours = self.neighbours;
        options.programmes.resolution = self.resolution;
        options.programmes.least_genes = self.least_genes;
        options.programmes.seed = self.tokens.seed;
        options.universe = self.background;
        options.queries.clone_from(&self.gene);
        options.n_similar = self.similar;
        options.baselines = !self.no_baselines;
        options.baseline_cells = self.max_cells;
        options
    }

    fn write(&self, found: &EmbeddingNetworks, warnings: &Warnings, folder: &Path) -> Result<()> {
        fs::create_dir(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let path = |name: &str| folder.join(name);
        for name in &FILES[..3] {
            found.network.write(&path(name), Existing::Refuse)?;
        }
        found.neighbours.write(&path(FILES[3]), Existing::Refuse)?;
        found.programme_table().write(&path(FILES[4]), Existing::Refuse)?;
        if found.d > 0 {
            found.vector_table().write(&path(VECTORS), Existing::Refuse)?;
        }
        if !self.gmt.is_empty() {
            found.enrichment_table().write(&path(ENRICHMENT), Existing::Refuse)?;
        }
        if !found.similar.is_empty() {
            similar(found).write(&path(SIMILAR), Existing::Refuse)?;
        }
        if !found.type_networks.is_empty() {
            of_types(found).write(&path(TYPES), Existing::Refuse)?;
        }
        if let Some(scores) = found.scores.as_ref().filter(|scores| !scores.types.is_empty()) {
            means(&scores.types, &scores.means).write(&path(SCORES), Existing::Refuse)?;
        }
        write_baselines(folder, found.baselines(self.edges), Format::Csv)?;
        let subtitle = self.subject().display().to_string();
        warnings.write(folder, &found.report, found.page(&subtitle))?;
        write_effective(&path(REPORT), "grn embedding", self)
    }

    /// What the network is of: cells, or else a model.
    fn subject(&self) -> &Path {
        self.data.as_deref().or(self.maker.model.as_deref()).unwrap_or(Path::new(""))
    }

    /// Writes the copy of the cells.
    fn write_cells(
        &self,
        additions: Additions,
        source: &mut Source,
        output: &Path,
        bar: &Bar,
        printer: Printer,
    ) -> Result<()> {
        let place = CellsOutput {
            input: self.subject(),
            output,
            layer: &self.stream.matrix.layer(),
            existing: Existing::Refuse,
        };
        place.write(source, additions, bar, printer)?;
        Ok(())
    }

    fn print(&self, report: &EmbeddingReport, warnings: &Warnings, printer: Printer) -> Result<()> {
        let mut rows = vec![
            ("genes", report.genes.to_string()),
            (
                "edges",
                match report.method.rule() {
                    Some(rule) => {
                        format!("{} by {rule} of {:.3} or more", report.edges, report.threshold)
                    }
                    None => format!(
                        "{} of similarity {} or more, {} beyond chance",
                        report.edges,
                        // As it was given, but no more of it than is read.
                        (1e4 * report.threshold).round() / 1e4,
                        report.edges_beyond_chance
                    ),
                },
            ),
            (
                "programmes",
                format!("{} with {} genes", report.programmes, report.genes_in_programmes),
            ),
        ];
        let pathways = report.pathways.iter().filter(|it| it.pairs.is_some());
        let lines: Vec<String> = pathways
            .map(|it| {
                let area = it.pairs.unwrap_or(0.5);
                format!(
                    "{:24} {} pathways, pairs within a pathway AUC {area:.3}",
                    it.method, it.sets
                )
            })
            .collect();
        if !lines.is_empty() {
            rows.push(("pathways", lines.join("\n")));
        }
        let halves = report.replicates.iter().filter_map(|it| {
            let found = it.consistency?;
            Some(format!(
                "{:24} Spearman {:.2}, Jaccard {:.2}",
                it.method, found.spearman, found.jaccard
            ))
        });
        let halves: Vec<String> = halves.collect();
        if !halves.is_empty() {
            rows.push(("halves agree", halves.join("\n")));
        }
        let before = report.start.as_ref().map_or_else(|| NO_START.into(), StartNetwork::line);
        if report.method.rule().is_none() {
            rows.push(("before training", before));
        }
        rows.extend(
            report.because.iter().map(|why| ("method", format!("{}: {why}", report.method.name()))),
        );
        rows.push(("trust", report.verdict.clone()));
        rows.push(("output", self.output.display().to_string()));
        rows.extend(warnings.better_row());
        printer.written(&warnings.beside(report), &rows)
    }
}
