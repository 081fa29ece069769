//! `scgpt demo`: the other commands, one after the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser as _};
use scgpt_data::{
    CellSource as _, Claim, Error, GeneNames, Layer, Source, folder_entries, obs_column,
};
use scgpt_eval::{
    CellColours, CellMap, ColourChoice, Separation,
    baseline::{BaselineOptions, hvg_pca},
};
use scgpt_report::{Page, Scale, Series};
use scgpt_tasks::{
    GeneStart,
    embed::{EmbedOptions, Embedder},
    pretrain::{PretrainConfig, PretrainOptions, Pretraining},
};
use scgpt_train::{RunHistory, ValidationRecord};
use serde_json::json;

use crate::{
    commands::Cli,
    device::{self, set_threads_by_environment},
    output::{Printer, write_text},
    progress::Bar,
};

/// Settings of a network that learns something in a minute.
const SETTINGS: &str = include_str!("demo/pretrain.toml");

/// See it work: simulate cells, pre-train a small model on them, embed, open the report
///
/// Needs nothing but this program, and takes about two minutes on two cores. The report shows what
/// the model learned: how well cells of one type lie together before and after training, and by
/// principal components of variable genes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  scgpt demo")]
pub(crate) struct DemoArgs {
    /// Folder to write
    #[arg(long, short, value_name = "DIR", default_value = "scgpt-demo")]
    output: PathBuf,
    /// Number of cells
    #[arg(long, value_name = "N", default_value_t = 3000)]
    cells: usize,
    /// Number of genes
    #[arg(long, value_name = "N", default_value_t = 500)]
    genes: usize,
    /// Stop pre-training after that many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Overwrite files in the folder
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &DemoArgs, printer: Printer) -> Result<()> {
    set_threads_by_environment()?;
    let folder = &args.output;
    if folder.exists() && !args.force {
        bail!("`{}` exists; choose another folder with -o, or pass --force", folder.display());
    }
    let _claim = Claim::of_folder(folder)?;
    if folder_entries(folder).next().is_some() && !is_demo(folder) {
        return Err(Error::protected(folder, "it is no folder of `scgpt demo`").into());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let at = |name: &str| folder.join(name).display().to_string();
    let [data, shards, run, model, embedded] =
        ["cells.h5ad", "shards", "run", "run/model", "embedded.h5ad"].map(at);
    let settings = folder.join("pretrain.toml");
    write_text(&settings, SETTINGS)?;
    let [cells, genes, seed] =
        [args.cells.to_string(), args.genes.to_string(), args.seed.to_string()];

    printer.remark("Cells of five types in two batches:");
    let simulate = ["simulate", "-o", &data, "--cells", &cells, "--genes", &genes, "--seed", &seed];
    step(args, printer.step(), &simulate)?;

    printer.remark("\nTheir tokens, as a model reads them:");
    step(args, printer.step(), &["convert", &data, "-o", &shards])?;

    printer.remark("\nA small model learns to predict hidden genes:");
    let config = settings.display().to_string();
    let mut pretrain =
        vec!["pretrain", "--data", &shards, "--config", &config, "--seed", &seed, "-o", &run];
    let max_steps = args.max_steps.map(|steps| steps.to_string());
    if let Some(steps) = &max_steps {
        pretrain.extend(["--max-steps", steps]);
    }
    step(args, printer.step(), &pretrain)?;

    printer.remark("\nWhat it makes of the cells:");
    let embed = [
        "embed",
        &data,
        "--model",
        &model,
        "-o",
        &embedded,
        "--seed",
        &seed,
        "--color",
        "cell_type",
    ];
    step(args, printer.step(), &embed)?;

    let separations = separations(args, printer)?;
    let page_path = folder.join("report.html");
    write_text(&page_path, &page(args, &separations)?.to_html())?;
    printer.remark("\nClusters against the planted types (adjusted Rand index):");
    let lines = separations.iter().map(|it| format!("{:.2}  {}", it.scores.ari, it.name));
    let scores: Vec<_> = separations
        .iter()
        .map(|it| json!({"name": it.name, "ari": it.scores.ari, "nmi": it.scores.nmi}))
        .collect();
    printer.written(
        &json!({"scores": scores, "output": embedded, "report": page_path}),
        &[
            ("clusters", lines.collect::<Vec<_>>().join("\n")),
            ("output", embedded.clone()),
            ("report", page_path.display().to_string()),
        ],
    )?;
    printer.remark("\nOpen the report in a browser, and the output in scanpy.");
    Ok(())
}

/// Whether a demonstration was begun in a folder.
fn is_demo(folder: &Path) -> bool {
    let settings = fs::read_to_string(folder.join("pretrain.toml"));
    settings.is_ok_and(|text| text.lines().next() == SETTINGS.lines().next())
}

/// Shows a command as it would be typed, and runs it.
fn step(demo: &DemoArgs, printer: Printer, args: &[&str]) -> Result<()> {
    printer.remark(&format!("$ scgpt {}", args.join(" ")));
    let force = demo.force.then_some("--force");
    let cli =
        Cli::try_parse_from(std::iter::once("scgpt").chain(args.iter().copied()).chain(force))?;
    super::dispatch(cli.command, cli.global.config.as_deref(), printer)
}

/// How well types are told apart before and after training, and without a model.
fn separations(args: &DemoArgs, printer: Printer) -> Result<Vec<Separation>> {
    let folder = &args.output;
    let device = device::open("auto")?;
    let mut source = Source::open(folder.join("cells.h5ad"))?;
    let labels: Vec<String> = obs_column(&source.obs()?, "cell_type")?
        .labels()
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect();
    let mut options = EmbedOptions::default();
    options.seed = args.seed;
    let bar = Bar::new(printer);
    let [shards, run] = ["shards", "run"].map(|name| folder.join(name));
    let settings = read_settings(&run.join("config.toml"))?;
    let places = PretrainOptions::new(&shards, &run);
    let untrained = Pretraining::prepare(&settings, &places, &device)?.untrained(&bar)?;
    let trained = Embedder::open(&run.join("model"), &device, scgpt_model::Strictness::Strict)?;
    let before = match settings.start {
        GeneStart::Spectral => "Model before training (spectral start)",
        _ => "Model before training",
    };
    let mut separate = |name: &str, embedder: &Embedder| -> Result<Separation> {
        let embedding = embedder.embed(&mut source, &options, &bar)?;
        Ok(Separation::of_spool(name, &embedding.rows, &labels, args.seed, &bar)?)
    };
    let mut separations =
        vec![separate(before, &untrained)?, separate("Model after training", &trained)?];
    let baseline = hvg_pca(&mut source, &BaselineOptions::default(), &bar)?;
    separations.push(Separation::new(
        "Variable genes and PCA",
        &baseline.rows,
        baseline.n_components,
        &labels,
        args.seed,
        &bar,
    )?);
    bar.finish();
    Ok(separations)
}

fn read_settings(path: &Path) -> Result<PretrainConfig> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    toml::from_str(&text).with_context(|| format!("`{}`", path.display()))
}

/// Names and annotations of the cells that are drawn.
fn colours(args: &DemoArgs) -> Result<CellColours> {
    let mut source = Source::open(args.output.join("cells.h5ad"))?;
    let drawn = CellMap::sample(source.summary().n_cells, args.seed);
    let choice = ColourChoice {
        added: &[],
        known: &[],
        wanted: &["cell_type".to_owned()],
        layer: &Layer::X,
        gene_names: &GeneNames::BEST,
    };
    Ok(CellColours::choose(&mut source, &drawn, &choice)?)
}

fn page(args: &DemoArgs, separations: &[Separation]) -> Result<Page> {
    let mut page = Page::new(
        "scgpt demo",
        "simulated cells, a model pre-trained on them, and what it learned",
    );
    page.numbers(&[
        ("cells", args.cells.to_string()),
        ("genes", args.genes.to_string()),
        ("planted types", separations.first().map_or(0, |one| one.scores.n_labels).to_string()),
    ]);
    let history = RunHistory::read(&args.output.join("run"))?;
    let losses = history.steps.iter().map(|record| [record.step as f64, record.loss]).collect();
    let metric = |name: &str| -> Vec<[f64; 2]> {
        let of = |record: &ValidationRecord| {
            let metric = record.metrics.iter().find(|metric| metric.name == name)?;
            Some([record.step as f64, metric.value])
        };
        history.validations.iter().filter_map(of).collect()
    };
    let series = [("model", metric("gep")), ("means of genes", metric("mean_expression"))]
        .map(|(name, points)| Series { name: name.into(), points });
    page.section("Learning").lines(
        &[Series { name: "sum of losses".into(), points: losses }],
        ["optimiser step", "loss"],
        Scale::Logarithmic,
        "The training loss; it jumps where the second pass, from the cell embedding, joins in.",
    );
    page.lines(
        &series,
        ["optimiser step", "squared error"],
        Scale::Linear,
        "Error of hidden genes on cells that were held out, beside what the genes' means predict.",
    );
    Separation::describe(separations, "planted types", &colours(args)?, &mut page);
    page.text(
        "The cells are simple: types differ in the mean expression of their marker genes, which is \
         exactly what principal components find. What a model adds shows on real cells.",
    );
    Ok(page)
}
