//! `scgpt grn attention`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_data::{CellSource as _, Column, Existing, OutputKind, Place, Table, check_apart};
use scgpt_eval::network::{EdgeKind, GeneNetwork, GeneSets};
use scgpt_model::Strictness;
use scgpt_tasks::{
    embed::Embedder,
    grn::{
        AttentionNetworks, AttentionOptions, AttentionReport, NetworkMethod, NetworkRow,
        NetworkSetting, TargetList,
    },
};

use super::{Format, MakerArgs, is_result, write_baselines};
use crate::{
    better::Again,
    commands::Cli,
    gene_remarks,
    output::Printer,
    progress::Bar,
    stream::StreamArgs,
    warnings::{PAGE, REPORT, Warnings},
};

/// Targets that the summary shows.
const SHOWN: usize = 10;

/// The folder of the results.
const FOLDER: OutputKind = OutputKind {
    name: "a folder of `scgpt grn attention`",
    is_one: |folder| {
        let is_there = |name: &str| folder.join(name).is_file();
        is_there(REPORT) && NETWORKS.iter().any(|name| is_there(name))
    },
    holds: |entry| {
        is_result(entry, &[&NETWORKS[..], &[REPORT, PAGE, TARGETS, ENRICHMENT]].concat())
    },
};
const TARGETS: &str = "targets.csv";
const ENRICHMENT: &str = "enrichment.csv";
/// Edge lists of two groups, and of a single one, in every format.
const NETWORKS: [&str; 12] = [
    "control.csv",
    "perturbed.csv",
    "difference.csv",
    "shuffled.csv",
    "network.csv",
    "beyond_shuffled.csv",
    "control.parquet",
    "perturbed.parquet",
    "difference.parquet",
    "shuffled.parquet",
    "network.parquet",
    "beyond_shuffled.parquet",
];

/// Networks from attention: which genes does a gene look at, and does that change?
///
/// Scores of attention (rows are queries, the genes that look; columns are keys, the genes that are
/// looked at) become ranks in each row, then in each column, averaged over heads and cells. An edge goes
/// from the key to the query: the targets of a gene are its column. Two groups give three networks:
/// control, perturbed, and their difference with p values from permuted labels; a single group is
/// compared with copies of its cells whose values are shuffled. Simpler networks of the same genes and
/// cells are made beside them, and the report says which is to be trusted more.
///
/// --method takes one of these in place of attention, in the same files and without a model; there are no p values then,
/// and of a single group one network. best is what finds the known regulations of --truth best.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt grn attention screen.h5ad --model scGPT_human --condition condition --control ctrl --gene KLF1 -o klf1/\n  \
    scgpt grn attention pbmc.h5ad --model scGPT_human --condition disease --control healthy --group lupus -o lupus/\n  \
    scgpt grn attention pbmc.h5ad --model scGPT_human --gmt reactome.gmt --gene STAT1 -o network/\n  \
    scgpt grn attention screen.h5ad --method pearson --condition condition --control ctrl --gene KLF1 -o klf1/\n  \
    scgpt grn attention screen.h5ad --model scGPT_human --method best --truth known.csv -o network/\n  \
    scgpt evaluate grn klf1/difference.csv --truth known.csv")]
#[command(mut_arg("batch_size", |batch_size| batch_size.default_value("2")))]
pub(crate) struct AttentionArgs {
    /// File or folder of cells
    input: PathBuf,
    #[command(flatten)]
    maker: MakerArgs,
    /// Column of obs with groups of cells: conditions, cell types, disease… [default: one group]
    #[arg(long, value_name = "NAME", env = "SCGPT_CONDITION_KEY")]
    condition: Option<String>,
    /// The group that others are compared with
    #[arg(long, value_name = "NAME", requires = "condition", env = "SCGPT_CONTROL")]
    control: Option<String>,
    /// The other group [default: that in which --gene is perturbed alone, else all others]
    #[arg(long, value_name = "NAME", requires = "condition")]
    group: Option<String>,
    /// Gene whose targets are asked for; again for another
    #[arg(long, value_name = "GENE")]
    gene: Vec<String>,
    /// Layer of the network, counted from 0: a number, or last
    #[arg(long, value_name = "N", default_value = "last", value_parser = layer, env = "SCGPT_ATTENTION_LAYER")]
    attention_layer: Layer,
    /// Look at the N most variable genes and those asked for, the same in all cells
    #[arg(long, value_name = "N", default_value_t = 1200, env = "SCGPT_HVG")]
    hvg: usize,
    /// Look at that many cells of a group at most, chosen at random
    #[arg(long, value_name = "N", default_value_t = 500, env = "SCGPT_MAX_CELLS")]
    max_cells: usize,
    /// Permutations for p values; 0 for none
    #[arg(long, value_name = "N", default_value_t = 20, env = "SCGPT_PERMUTATIONS")]
    permutations: usize,
    /// Known regulations to judge all networks by: an edge list from regulators to targets
    #[arg(long, value_name = "FILE", env = "SCGPT_TRUTH")]
    truth: Option<PathBuf>,
    /// File of gene sets that lists of targets are tested for; again for another
    #[arg(long, value_name = "FILE")]
    gmt: Vec<PathBuf>,
    /// Strongest edges written of each network; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100_000, env = "SCGPT_EDGES")]
    edges: usize,
    /// Format of the edge lists
    #[arg(long, value_enum, default_value = "csv", env = "SCGPT_FORMAT")]
    format: Format,
    /// Make no simpler networks to compare with: correlations and trees of expression, gene embeddings
    #[arg(long)]
    no_baselines: bool,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    /// Folder to write: edge lists, targets, enrichment, report, and in baselines/ the simpler networks
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    stream: StreamArgs,
    /// Replace a folder of an earlier run
    #[arg(long)]
    force: bool,
}

/// A layer by its number.
#[derive(Clone, Copy, Debug)]
struct Layer(Option<usize>);

fn layer(text: &str) -> Result<Layer, String> {
    match text {
        "last" => Ok(Layer(None)),
        number => number
            .parse()
            .map(|number| Layer(Some(number)))
            .map_err(|_| "expected a number from 0, or last".into()),
    }
}

pub(crate) fn run(args: &AttentionArgs, printer: Printer) -> Result<()> {
    let inputs =
        [&args.input].into_iter().chain(&args.maker.model).chain(&args.truth).chain(&args.gmt);
    check_apart(&args.output, inputs.map(PathBuf::as_path))?;
    // A result is of one run: the folder appears whole or not at all.
    let place = Place::deep_folder(&args.output, Existing::replaced_if(args.force), FOLDER)?;
    let truth = args
        .truth
        .as_deref()
        .map(|path| GeneNetwork::read(path, EdgeKind::Directed))
        .transpose()?;
    let gene_sets =
        args.gmt.iter().map(|path| GeneSets::read(path)).collect::<Result<Vec<_>, _>>()?;
    if !gene_sets.is_empty() && args.gene.is_empty() {
        bail!("--gmt tests lists of targets: say of which gene, by --gene");
    }
    let method = args.maker.method.unwrap_or_default();
    // The best may be found among simple methods alone.
    let model = args.maker.model.as_deref().filter(|_| method.rule().is_none());
    if method == NetworkMethod::Network && model.is_none() {
        bail!("--model is needed for --method network");
    }
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.stream.matrix.choice.open(&args.input, &mut warnings)?;
    let groups: Vec<&str> = args.condition.as_deref().into_iter().collect();
    warnings.doubts(&source.obs()?, &groups, None);
    let open = |model| Embedder::open(model, &device, Strictness::Strict);
    let embedder = model.map(open).transpose()?;
    let embedder = embedder.map(|it| it.with_precision(args.stream.precision.precision));
    match (&embedder, &args.maker.model) {
        (Some(embedder), _) => {
            args.stream.precision.remark_on(embedder.encoder().precision(), &mut warnings);
        }
        (None, Some(model)) => printer.remark(&format!(
            "note: `{}` needs no model: `{}` is not used",
            method.name(),
            model.display()
        )),
        (None, None) => {}
    }
    let matrix = args.stream.matrix.layer();
    let gene_names = args.stream.matrix.gene_names();
    let mut options = AttentionOptions::default();
    options.method = method;
    options.condition_key = args.condition.as_deref();
    options.control = args.control.as_deref();
    options.group = args.group.as_deref();
    options.genes = &args.gene;
    options.layer = args.attention_layer.0;
    options.n_variable = args.hvg;
    options.max_cells = args.max_cells;
    options.permutations = args.permutations;
    options.baselines = !args.no_baselines;
    options.truth = truth.as_ref();
    options.gene_sets = &gene_sets;
    options.matrix = &matrix;
    options.gene_names = &gene_names;
    options.batch_size = args.stream.batch_size;
    options.seed = args.seed;
    let bar = Bar::new(printer);
    let networks = match &embedder {
        Some(embedder) => embedder.attention_networks(&mut source, &options, &bar)?,
        None => AttentionNetworks::of_expression(&mut source, &options, &bar)?,
    };
    bar.finish();
    let report = &networks.report;
    gene_remarks::remark_on_others(report.other_features.as_deref(), printer);
    for group in report.groups.iter().filter(|group| group.cells < group.available) {
        printer.remark(&format!(
            "note: {} of {} cells of `{}` were looked at (--max-cells)",
            group.cells, group.available, group.name
        ));
    }
    warnings.without_genes(
        report.without_genes,
        if report.method.rule().is_some() {
            "they are zeros of every gene"
        } else {
            "what is seen in them is of the genes' identity alone"
        },
    );
    if let Some(command) = report.better().and_then(|method| args.again(method)) {
        warnings.better(&command);
    }
    args.write(&networks, &warnings, &place.path())?;
    place.publish()?;
    let mut rows = summary(report);
    rows.push(("output", args.output.display().to_string()));
    rows.extend(warnings.better_row());
    printer.written(&warnings.beside(report), &rows)
}

impl AttentionArgs {
    /// This run with a simple method, which writes beside what this one does.
    fn again(&self, method: NetworkMethod) -> Option<Again> {
        let mut output = self.output.file_name()?.to_owned();
        output.push(format!(".{}", method.name()));
        let output = self.output.with_file_name(output).display().to_string();
        let command = Again::this_run(Cli::command(), "grn attention")?
            .with("method", method.name())
            .with("output", &output);
        let dropped = ["model", "attention_layer", "permutations", "precision", "force"];
        Some(dropped.into_iter().fold(command, Again::without))
    }

    fn write(
        &self,
        networks: &AttentionNetworks,
        warnings: &Warnings,
        folder: &Path,
    ) -> Result<()> {
        let report = &networks.report;
        fs::create_dir(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        for &setting in report.settings() {
            let name = format!("{}.{}", setting.name(report.contrast()), self.format.extension());
            networks.network(setting, self.edges).write(&folder.join(name), Existing::Refuse)?;
        }
        write_baselines(folder, networks.baselines(self.edges), self.format)?;
        if !self.gene.is_empty() {
            targets(report).write(&folder.join(TARGETS), Existing::Refuse)?;
        }
        if !self.gmt.is_empty() {
            networks.enrichment_table().write(&folder.join(ENRICHMENT), Existing::Refuse)?;
        }
        warnings.write(folder, report, networks.page(&file_name(&self.input)))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn text(values: impl Iterator<Item = String>) -> Column {
    Column::Text(values.map(Some).collect())
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::Float(values.collect())
}

/// All targets of all genes asked for as a table; those of each gene are ordered by the difference.
fn targets(report: &AttentionReport) -> Table {
    let all = |list: &TargetList| {
        let ranked = list.strongest(NetworkSetting::Difference, list.targets.len());
        ranked.into_iter().cloned().map(|target| (list.gene.clone(), target)).collect::<Vec<_>>()
    };
    let rows: Vec<_> = report.targets.iter().flat_map(all).collect();
    let mut columns = vec![
        ("gene".to_owned(), text(rows.iter().map(|(gene, _)| gene.clone()))),
        ("target".to_owned(), text(rows.iter().map(|(_, target)| target.gene.clone()))),
    ];
    for &setting in report.settings() {
        let weights = rows.iter().map(|(_, target)| Some(target.weights[setting as usize]));
        columns.push((setting.name(report.contrast()).to_owned(), numbers(weights)));
    }
    columns.push(("p".to_owned(), numbers(rows.iter().map(|(_, target)| target.p))));
    columns.push(("fdr".to_owned(), numbers(rows.iter().map(|(_, target)| target.fdr))));
    Table { columns }
}

fn summary(report: &AttentionReport) -> Vec<(&'static str, String)> {
    let [first, second] = &report.groups;
    let is_alone = report.settings().len() == 1;
    let cells = if is_alone {
        format!("{} of {}", first.cells, first.name)
    } else if report.is_single {
        format!("{} of {}, and copies with shuffled values", first.cells, first.name)
    } else {
        format!("{} of {}, {} of {}", first.cells, first.name, second.cells, second.name)
    };
    let mut rows = vec![
        ("cells", cells),
        (
            "genes",
            match report.layer {
                Some(_) => format!(
                    "{} of {} known, of the {} of the model",
                    report.genes, report.genes_known, report.genes_of_model
                ),
                None => format!("{} of {}", report.genes, report.genes_known),
            },
        ),
    ];
    rows.extend(report.layer.map(|layer| ("layer", format!("{layer} (from 0)"))));
    if report.method != NetworkMethod::Network || report.because.is_some() {
        let because = report.because.iter().map(|why| format!(": {why}"));
        rows.push((
            "method",
            std::iter::once(report.method.name().to_owned()).chain(because).collect(),
        ));
    }
    if let Some(n) = report.significant {
        let all = report.genes * (report.genes - 1);
        rows.push(("differences", format!("{n} of {all} edges at FDR 5 %")));
    }
    let question =
        if report.is_single { NetworkSetting::Perturbed } else { NetworkSetting::Difference };
    let lists: Vec<String> = report
        .targets
        .iter()
        .map(|list| {
            let names = list.strongest(question, SHOWN).into_iter();
            let names: Vec<&str> = names.map(|target| target.gene.as_str()).collect();
            format!("{}: {}", list.gene, names.join(", "))
        })
        .collect();
    if !lists.is_empty() {
        rows.push(("targets", lists.join("\n")));
    }
    // Vectors of genes are the same for all cells: of them only known regulations tell.
    let told = |row: &&NetworkRow| row.consistency.is_some() || row.truth.is_some();
    let judged: Vec<&NetworkRow> = report.rows.iter().filter(told).collect();
    let width = judged.iter().map(|row| row.method.chars().count()).max().unwrap_or(0).max(24);
    let line = |row: &&NetworkRow| {
        let of = row.setting.map_or("", |setting| setting.name(report.contrast()));
        let number = |x: Option<f64>| x.map_or_else(|| "   –".into(), |x| format!("{x:4.2}"));
        let truth = row.truth.map_or_else(String::new, |scores| {
            format!(
                ", AUPRC ratio {:.2}, EPR {:.2}, AUROC {:.2}",
                scores.auprc_ratio, scores.early_precision_ratio, scores.auroc
            )
        });
        format!(
            "{:width$} {of:15} Spearman {}, Jaccard {}{truth}",
            row.method,
            number(row.consistency.map(|halves| halves.spearman)),
            number(row.consistency.map(|halves| halves.jaccard))
        )
    };
    rows.push(("halves agree", judged.iter().map(line).collect::<Vec<_>>().join("\n")));
    rows.push(("trust", report.verdict()));
    let of_attention =
        report.layer.map(|_| format!(", {:.1} s of it for attention", report.seconds_looking));
    rows.push(("time", format!("{:.1} s{}", report.seconds, of_attention.unwrap_or_default())));
    rows
}
