//! `scgpt integrate`.

mod apply;
mod modalities;
mod objectives;
mod simple;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_data::{Additions, CellSource, RowSpool};
use scgpt_eval::{BatchesTold, IntegrationScores, baseline::BaselineOptions};
use scgpt_model::InputNorm;
use scgpt_tasks::integrate::{
    CellModalities, IntegrateArtefact, IntegrateConfig, IntegrateMethod, IntegrateOptions,
    IntegrateReport, Integrated, Integration, IntegrationMethod, Pairing, SimpleArtefact, Tutorial,
    batches_told,
};
use serde_json::Value;

use self::modalities::ModalityArgs;
use crate::{
    better::Again,
    commands::Cli,
    flags::options_of,
    learn::LearnArgs,
    neighbourhood::NeighbourhoodArgs,
    output::{Printer, beside, print_settings, temporary},
    plan::Load,
    progress::Bar,
    settings::{layered, named},
    warnings::{PAGE, Warnings},
    workers,
};

/// Integrate batches, and modalities: an embedding in which they are mixed, in a copy of the file
///
/// Several modalities (genes, proteins, open chromatin) come as MuData (.h5mu), as one file with
/// var/feature_types, or as files that are joined by the names of cells; cells may lack some of them.
/// A feature expressed in a cell is a token; values are binned by cell and modality. A copy of .h5mu
/// has the embedding of all cells at its root; several files become one .h5ad.
///
/// With --model a checkpoint is fine-tuned; without, a small network learns from these cells alone: it
/// begins with what genes have in common, and keeps that if training does not gain on it. Batches that
/// a classifier cannot tell apart are left as they are, unless --input-norm or --objectives dar=1 asks.
/// The output is a copy of the file with obsm/X_scGPT; scores by the labels, which are not learned
/// from, stand beside those of other methods in a report. The folder --artefact embeds further
/// cells of the same batches: pass it as --model, and nothing is trained. Stopped by Ctrl-C or
/// killed, --resume goes on.
///
/// --method takes a simple method in place of the network: seconds, no training, and as good on many cells, as the
/// report says. It writes obsm/X_harmony, X_combat, X_pca or X_lsi. Of several modalities, pca is of all of them side by
/// side (LSI of open chromatin), harmony the same without batches, and combat is not to be had; weighted nearest
/// neighbours are in the report alone, as they are a graph. Only pca of one modality has places for further cells, by
/// its artefact as --model. best trains the network and takes what has the highest overall score by --label.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt integrate pbmc.h5ad --batch-key batch --label cell_type --model scGPT_human -o integrated.h5ad\n  \
    scgpt integrate pbmc.h5ad --batch-key batch -o integrated.h5ad\n  \
    scgpt integrate pbmc.h5ad --batch-key batch --method harmony -o integrated.h5ad\n  \
    scgpt integrate pbmc.h5ad --batch-key batch --label cell_type --method best -o integrated.h5ad\n  \
    scgpt integrate pbmc.h5ad --batch-key batch --label cell_type --objectives ecs=0,dar=2 --ablate -o integrated.h5ad\n  \
    scgpt integrate more.h5ad --model integrated.model -o more-integrated.h5ad\n  \
    scgpt integrate cite.h5mu --batch-key donor --label cell_type -o integrated.h5mu\n  \
    scgpt integrate lane1.h5 lane2.h5 --sample lane1,lane2 --batch-key sample -o integrated.h5ad\n  \
    scgpt integrate RNA=rna.h5ad Protein=adt.h5ad --prefix Protein=p_ -o integrated.h5ad\n  \
    scgpt integrate mosaic.h5mu --batch-key batch --complete completed.h5ad -o integrated.h5mu\n  \
    scgpt integrate mosaic.h5mu --batch-key batch --links peaks_near_genes.csv -o integrated.h5mu")]
#[command(mut_arg("model", |model| model.help(
    "Model directory to fine-tune, or the artefact of an integration to embed further cells \
    [default: a small network learns from scratch]"
)))]
#[command(mut_arg("output", |output| output.value_name("FILE").help(
    "File to write: .h5ad, .h5mu of the same, or .zarr for a folder; .csv, .tsv or .parquet for a table of the \
    embedding"
)))]
pub(crate) struct IntegrateArgs {
    /// File or folder of cells; several are joined by the names of cells, or are samples of their own with --sample.
    /// MODALITY=FILE names what it
    /// measures: RNA, Protein, ATAC
    #[arg(required_unless_present = "print_config", value_name = "INPUT")]
    inputs: Vec<String>,
    /// Column of obs with the batches; of several files, `input` has their names, and `sample` those of --sample
    #[arg(long, value_name = "NAME", env = "SCGPT_BATCH_KEY")]
    batch_key: Option<String>,
    /// Column of obs with labels to score by; nothing is learned from them
    #[arg(long, value_name = "NAME", env = "SCGPT_LABEL")]
    label: Option<String>,
    /// What integrates: the network, a simple method without one, or the best of all by scores of --label
    /// [default: network]
    #[arg(long, value_enum, value_name = "METHOD", env = "SCGPT_METHOD")]
    method: Option<IntegrateMethod>,
    /// Folder of the artefact and the report [default: the output's name with .model]
    #[arg(long, value_name = "DIR")]
    artefact: Option<PathBuf>,
    /// Genes that vary most within the batches, which cells are compared by [default: 1200; 300 for a
    /// new network of a mosaic that hardly any cells link]
    #[arg(long, value_name = "N", env = "SCGPT_HVG")]
    hvg: Option<usize>,
    /// Most tokens per cell while training
    #[arg(long, value_name = "N", env = "SCGPT_MAX_LENGTH")]
    max_length: Option<usize>,
    /// Weights of objectives: gep, gep_zero, gepc, gepc_zero, ecs, dar; 0 leaves one out
    #[arg(long, value_name = "NAME=WEIGHT", value_delimiter = ',', env = "SCGPT_OBJECTIVES")]
    objectives: Vec<String>,
    /// Batch normalisation of the tokens [default: domain_specific; none if batches cannot be told, for a
    /// mosaic, and for several modalities with --model]
    #[arg(long, value_enum, env = "SCGPT_INPUT_NORM")]
    input_norm: Option<InputNorm>,
    /// Do not tell the expression heads which batch a cell is of
    #[arg(long)]
    no_batch_labels: bool,
    /// What selects the network and ends the training: loss; thinning, the share of cells that a random
    /// half of their counts finds again, or foscttm, the share of others between the modalities of a cell, by
    /// which the start is kept if nothing is better; or another metric of the validation: gepc, dar_accuracy,
    /// …; with --label also avg_bio, avg_batch, overall [default: loss; thinning if batches cannot be told;
    /// foscttm for a new network of a mosaic]
    #[arg(long, value_name = "METRIC", env = "SCGPT_SELECT_BY")]
    select_by: Option<String>,
    /// Share of the cells that selects the network [default: 0.1]
    #[arg(long, value_name = "SHARE", env = "SCGPT_VALIDATION")]
    validation: Option<f64>,
    /// Train once more without each part, for a table of what it contributes
    #[arg(long)]
    ablate: bool,
    /// As the reference does: ties of bins at random, its lengths and epsilon, one batch after the
    /// other in every epoch, `<cls>` hidden too; with several modalities, only the gene vectors of
    /// --model are kept, and no modality is hidden as a whole
    #[arg(long)]
    parity: bool,
    #[command(flatten)]
    neighbourhood: NeighbourhoodArgs,
    #[command(flatten)]
    learn: LearnArgs,
    // Behind all others, which would be listed below its heading.
    #[command(flatten)]
    modalities: ModalityArgs,
}

pub(crate) fn run(args: &IntegrateArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    let LearnArgs { run, matrix, .. } = &args.learn;
    if let Some(done) = args.by_artefact(printer) {
        return done;
    }
    run.meet(printer)?;
    let artefact = args.artefact();
    let files = args.learn.files(artefact.as_deref(), config);
    if run.print_config {
        return show_settings(args, &files, printer);
    }
    let asked = args.settings(&files, None, None)?;
    args.refuse_workers(&asked)?;
    if asked.method.is_simple() {
        return simple::run(args, &asked, artefact, printer);
    }
    let (Some(output), Some(artefact)) = (&run.output, artefact) else {
        bail!("the cells and --output are needed");
    };
    let (layer, gene_names) = (matrix.layer(), matrix.gene_names());
    let mut warnings = Warnings::new(printer);
    let mut source = args.modalities.open(&args.inputs, &matrix.choice, &mut warnings)?;
    let inputs = || source.paths().chain(args.modalities.truth()).chain(run.model.as_deref());
    let training = args.learn.claim(&artefact, IntegrateArtefact::is_at, inputs())?;
    training.check(output, |existing| source.check_output(output, inputs(), existing))?;
    let (complete, mut truth) = args.modalities.completion(&source, &training)?;
    let modalities = source.modalities(&layer)?;
    let pairing = modalities.as_ref().map(CellModalities::pairing);
    let settings = |told| args.settings(&files, pairing, told);
    // What is wrong should be known before the cells are read.
    let planned = settings(None)?;
    let what = (&planned.network, &planned.training, Some(&planned.objectives));
    let device = run.open(planned.model.as_deref(), what, &mut warnings)?;
    let mut baselines = BaselineOptions::default();
    baselines.layer = layer.clone();
    let temporary = temporary(output);
    let (plan, place) = run.plan(&artefact)?;
    let learn = args.learn.options(&place, &layer, &gene_names);
    let mut options = IntegrateOptions::new(learn);
    options.batch_key = args.batch_key.as_deref();
    options.modalities = modalities.as_ref();
    options.label = args.label.as_deref();
    options.baselines = (!args.learn.no_baselines).then_some(&baselines);
    options.ablate = args.ablate;
    options.complete = complete.is_some();
    options.temporary = temporary.as_deref();
    let labels: Vec<&str> = args.label.as_deref().into_iter().collect();
    warnings.doubts(&source.source().obs()?, &labels, args.batch_key.as_deref());
    options.predict_batch = planned.batch_size.clamp(1, 8);
    let prepared = Integration::prepare(source.source(), &planned, options, &device)?;
    // The recipe of the reference does not depend on it.
    let told =
        if args.parity { None } else { prepared.told(source.source_mut(), &Bar::new(printer))? };
    remark_on_batches(told, printer);
    let settings = settings(told.as_ref())?;
    let prepared = prepared.under(&settings, told)?;
    let truth = truth.as_mut().map(|truth| truth as &mut dyn CellSource);
    if let Some(plan) = plan {
        let both = (&settings.network, &settings.training);
        let load = Load::new(settings.model.as_deref(), settings.batch_size, both);
        let cells = source.source_mut();
        return plan.run(load, printer, |steps, bar| prepared.run(cells, truth, steps, bar));
    }
    // Nothing is written, or removed, before everything is known to be sound.
    let outputs = [Some(output.as_path()), complete];
    training.begin(&settings, "integrate", outputs.into_iter().flatten(), printer)?;
    let Integrated { mut report, embedding, best, completed } = training
        .run(printer, |steps, cells| prepared.run(source.source_mut(), truth, steps, cells))?;
    warnings.all(report.caution());
    warnings.said(report.learned.advice.as_ref());
    warnings.all(report.learned.kept_start.clone());
    warnings.without_compared(
        report.data.without_genes,
        "they are embedded, but were not learned from, and their embeddings mean nothing",
    );
    remark_on(&report, &mut warnings, printer);
    if report.config.method == IntegrateMethod::Network
        && let Some(command) = report.better().and_then(|better| again(args, better, output))
    {
        warnings.better(&command);
    }
    let mut record = serde_json::to_value(&embedding.report)?;
    record["integration"] = record_of(&report, &artefact)?;
    let (bar, seed) = (Bar::new(printer), settings.training.seed);
    let best = best.and_then(|rows| Some((report.chosen.as_ref()?.method.key()?, rows)));
    // Neighbours, map and clusters are of what is given to people: the best, if it was asked for.
    let (space, rows) =
        best.as_ref().map_or(("X_scGPT", &embedding.rows), |(key, rows)| (*key, rows));
    let found = args.neighbourhood.find(rows, seed, &bar)?;
    report.place(found.shown());
    let mut additions = additions(embedding.rows, best, record);
    let neighbours = found.add_to(&mut additions, space, source.source(), output)?;
    if let (Some(path), Some(completed)) = (complete, completed) {
        let made =
            modalities::make_completed(completed, source.source(), path, training.existing(path)?)?;
        training.publish(made)?;
    }
    let made = source.make(output, &layer, training.existing(output)?, additions, &bar, printer)?;
    training.publish(made)?;
    warnings.write(&artefact, &report, report.page())?;
    training.finish()?;
    let mut rows = summary(&report, output, &artefact);
    rows.extend(neighbours.into_iter().chain(warnings.better_row()));
    printer.written(&warnings.beside(&report), &rows)
}

/// What is written of the cells: the rows of the network, and of the best method if that is another.
fn additions(rows: RowSpool, best: Option<(&'static str, RowSpool)>, record: Value) -> Additions {
    let best = best.map(|(key, rows)| (key.to_owned(), rows));
    Additions {
        obsm: std::iter::once(("X_scGPT".into(), rows)).chain(best).collect(),
        uns: vec![("scgpt".into(), record)],
        ..Additions::default()
    }
}

/// This run with another method, which writes beside what this one does.
fn again(args: &IntegrateArgs, method: IntegrateMethod, output: &Path) -> Option<Again> {
    let name = method.name();
    let beside = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        path.with_extension(format!("{name}.{extension}")).display().to_string()
    };
    let mut command = Again::this_run(Cli::command(), "integrate")?
        .with("method", name)
        .with("output", &beside(output));
    if let Some(artefact) = &args.artefact {
        command = command.with("artefact", &format!("{}.{name}", artefact.display()));
    }
    // What is about a network, and what would replace the results of this run.
    let dropped = ["model", "ablate", "complete", "truth", "resume", "force"];
    Some(dropped.into_iter().fold(command, Again::without))
}

/// Prints the settings in force.
fn show_settings(args: &IntegrateArgs, files: &[PathBuf], printer: Printer) -> Result<()> {
    let matrix = &args.learn.matrix;
    // What the cells are decides about the settings; without cells, those of paired ones are shown.
    if args.inputs.is_empty() {
        let pairing = args.modalities.are_named(&args.inputs).then_some(Pairing::Paired);
        return print_settings(&args.settings(files, pairing, None)?);
    }
    let (layer, gene_names) = (matrix.layer(), matrix.gene_names());
    let mut warnings = Warnings::new(printer);
    let mut source = args.modalities.open(&args.inputs, &matrix.choice, &mut warnings)?;
    let modalities = source.modalities(&layer)?;
    let mut options = IntegrateOptions::new(args.learn.options(Path::new(""), &layer, &gene_names));
    options.batch_key = args.batch_key.as_deref();
    options.modalities = modalities.as_ref();
    let told = if args.parity {
        None
    } else {
        batches_told(source.source_mut(), &options, &Bar::new(printer))?
    };
    remark_on_batches(told, printer);
    let pairing = modalities.as_ref().map(CellModalities::pairing);
    print_settings(&args.settings(files, pairing, told.as_ref())?)
}

impl IntegrateArgs {
    /// Refuses several workers where there is not one network to train.
    fn refuse_workers(&self, settings: &IntegrateConfig) -> Result<()> {
        if settings.method.is_simple() {
            return workers::refuse(&format!("{} trains no network", settings.method.name()));
        }
        if self.ablate {
            return workers::refuse("--ablate trains a network for each part");
        }
        Ok(())
    }

    /// Puts further cells into the space of an artefact, if the model is one; `None` if not.
    fn by_artefact(&self, printer: Printer) -> Option<Result<()>> {
        let run = &self.learn.run;
        let model = run.model.as_deref().filter(|_| !run.print_config)?;
        if IntegrateArtefact::is_at(model) {
            return Some(apply::run(self, model, printer));
        }
        SimpleArtefact::is_at(model).then(|| simple::apply(self, model, printer))
    }

    fn artefact(&self) -> Option<PathBuf> {
        let output = self.learn.run.output.as_deref();
        let beside_output = || output.map(|output| beside(output, "model"));
        self.artefact.clone().or_else(beside_output)
    }

    /// The settings: those of the flags, else of the file, else of the run to resume, else of the
    /// recipe, in which it matters whether cells of several modalities are a mosaic (`pairing`), whether links say how
    /// these belong together, and whether batches can be told apart (`told`).
    fn settings(
        &self,
        files: &[PathBuf],
        pairing: Option<Pairing>,
        told: Option<&BatchesTold>,
    ) -> Result<IntegrateConfig> {
        let recipe = self.learn.run.recipe(files)?;
        let is_multimodal = pairing.is_some();
        let links = named("links", self.modalities.links.as_deref(), files)?;
        let pairing = pairing.map(|it| if links.is_some() { it.with_links() } else { it });
        let (mut defaults, tutorial) = match pairing {
            Some(pairing) => (IntegrateConfig::of_modalities(recipe, pairing), Tutorial::MultiOmic),
            None => (IntegrateConfig::of(recipe), Tutorial::Integration),
        };
        defaults = defaults.for_batches(told);
        if is_multimodal && self.batch_key.is_none() {
            defaults = defaults.without_batches();
        }
        if self.parity {
            defaults.like_the_reference(tutorial);
        }
        let mut settings = layered(&defaults, files, &options_of(Cli::command(), "integrate"))?;
        let n_layers = settings.network.n_layers;
        settings.network = recipe.settle(settings.network);
        if is_multimodal && settings.only_genes {
            // Nothing but vectors of genes is kept.
            settings.network.n_layers = n_layers;
        }
        self.learn.apply(&mut settings.model, &mut settings.batch_size, &mut settings.training);
        settings.method = self.method.unwrap_or(settings.method);
        settings.new_genes = self.learn.run.new_genes.unwrap_or(settings.new_genes);
        settings.hvg = self.hvg.unwrap_or(settings.hvg);
        settings.max_length = self.max_length.unwrap_or(settings.max_length);
        settings.validation_share = self.validation.unwrap_or(settings.validation_share);
        settings.input_norm = self.input_norm.unwrap_or(settings.input_norm);
        settings.batch_labels &= !self.no_batch_labels;
        settings.other_features = self.modalities.other_features.unwrap_or(settings.other_features);
        settings.features.extend(self.modalities.features()?);
        settings.peak_flavour = self.modalities.peak_flavour.or(settings.peak_flavour);
        settings.links = self.modalities.links.clone().or(settings.links);
        if is_multimodal && self.batch_key.is_none() {
            // One batch is not told from another.
            settings.batch_labels = false;
            settings.objectives.dar = 0.0;
        }
        objectives::weigh(&mut settings.objectives, &self.objectives)?;
        if self.select_by.is_some() {
            settings.training.select_by.clone_from(&self.select_by);
        }
        Ok(settings)
    }
}

/// The record of the training, for `uns["scgpt"]`.
fn record_of(report: &IntegrateReport, artefact: &Path) -> Result<Value> {
    Ok(serde_json::json!({
        "artefact": artefact.display().to_string(),
        "data": report.data,
        "objectives": report.config.objectives,
        "steps": report.learned.steps,
        "seed": report.config.training.seed,
        "methods": serde_json::to_value(&report.methods)?,
        "chosen": report.chosen,
    }))
}

/// The scores of methods in a summary.
fn scores(methods: &[IntegrationMethod]) -> impl Iterator<Item = (&'static str, String)> {
    let of = |score: fn(&IntegrationScores) -> Option<f64>| {
        let line = |method: &IntegrationMethod| {
            Some(format!("{}: {:.3}", method.name, method.mean(score)?))
        };
        methods.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    };
    let scores = [
        ("AvgBIO", of(|scores| scores.avg_bio)),
        ("AvgBATCH", of(|scores| scores.avg_batch)),
        ("overall", of(|scores| scores.overall)),
    ];
    scores.into_iter().filter(|(_, lines)| !lines.is_empty())
}

/// Says so if batches cannot be told apart.
fn remark_on_batches(told: Option<BatchesTold>, printer: Printer) {
    if let Some(told) = told.filter(|told| !told.can_be()) {
        printer.remark(&format!(
            "note: {told}; nothing makes them alike but what is asked for (input_norm, batch_labels, objectives.dar)"
        ));
    }
}

fn remark_on(report: &IntegrateReport, warnings: &mut Warnings, printer: Printer) {
    if report.config.method == IntegrateMethod::Best && report.chosen.is_none() {
        warnings.tell(
            "no method has scores of labels and batches: there is nothing to choose the best by"
                .into(),
        );
    }
    let data = &report.data;
    if data.label.is_none() {
        printer.remark("note: without --label it cannot be told how well biology is kept and batches are mixed");
    }
}

fn summary(
    report: &IntegrateReport,
    output: &Path,
    artefact: &Path,
) -> Vec<(&'static str, String)> {
    let data = &report.data;
    let [training, validation] = data.totals();
    let mut rows = vec![
        ("batches", data.batches_of()),
        ("cells", format!("{training} trained on, {validation} to select")),
        (
            "genes",
            format!(
                "{} by {}, of {} known, of the {} of the model",
                data.genes, data.flavour, data.known_genes, data.model_genes
            ),
        ),
        ("steps", report.learned.steps.to_string()),
    ];
    rows.extend(report.learned.new_genes.iter().map(|added| ("new genes", added.line())));
    rows.extend(modalities::summary(report));
    rows.extend(scores(&report.methods));
    rows.extend(report.verdict().map(|verdict| ("verdict", verdict)));
    rows.extend(
        report.chosen.iter().map(|it| ("best", format!("{}: {}", it.method.name(), it.because))),
    );
    let without = report
        .ablated
        .iter()
        .filter_map(|ablated| Some(format!("{}: {:.3}", ablated.without, ablated.scores.overall?)));
    let without: Vec<String> = without.collect();
    if !without.is_empty() {
        rows.push(("overall without", without.join("\n")));
    }
    let best = report.chosen.as_ref().and_then(|it| it.method.key());
    let also = best.filter(|key| *key != "X_scGPT").map(|key| format!("obsm[\"{key}\"] and "));
    let also = also.unwrap_or_default();
    rows.push(("output", format!("{}: {also}obsm[\"X_scGPT\"]", output.display())));
    rows.push(("artefact", artefact.display().to_string()));
    rows.push(("report", artefact.join(PAGE).display().to_string()));
    rows
}
