//! `scgpt evaluate integration`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{
    CellSource, CellSubset, Column, EmptyCells, Error, GeneNames, Layer, Measured, Modalities,
    MultimodalCells, MultimodalInput, MultimodalOptions, Source, obs_column,
};
use scgpt_eval::{
    CellColours, CellColumn, CellMap, CellSpace, IntegrationComparison, Labels,
    baseline::{BaselineOptions, integration_baselines, multiomic_baselines},
};
use scgpt_report::Page;
use scgpt_stats::{ClusterOptions, Clustering};
use serde_json::json;

use super::PageArgs;
use crate::{
    cell_page::ColorArgs,
    choice::ChoiceArgs,
    output::{Printer, some_of},
    progress::Bar,
    warnings::Warnings,
};

/// Embeddings of several batches: are labels kept, and batches mixed?
///
/// Reads embeddings from obsm, of any tool, and scores them as scib does, beside the unintegrated
/// cells, variable genes, Harmony and ComBat; of several modalities, beside PCA of genes, LSI of
/// peaks, weighted nearest neighbours and Harmony. Cells without a label or batch are left out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt evaluate integration integrated.h5ad --embedding X_scGPT,X_scVI --batch-key batch \\\n    \
    --label cell_type -o report.html\n  \
    scgpt evaluate integration integrated.h5ad --embedding X_scGPT --batch-key donor_id \\\n    \
    --label cell_type --clustering louvain --layer counts")]
pub(crate) struct IntegrationArgs {
    /// File or folder of cells
    input: PathBuf,
    /// Names in obsm
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    embedding: Vec<String>,
    /// Column of obs with experimental batches
    #[arg(long, value_name = "NAME", env = "SCGPT_BATCH_KEY")]
    batch_key: String,
    /// Column of obs with cell types or other labels to be kept
    #[arg(long, value_name = "NAME", env = "SCGPT_LABEL")]
    label: String,
    /// How cells are clustered: leiden as scib does now, louvain as for the published scores
    #[arg(long, value_enum, default_value_t, env = "SCGPT_CLUSTERING")]
    clustering: Clustering,
    /// Most cells that are scored; of more, a sample is scored
    #[arg(long, value_name = "N", default_value_t = ClusterOptions::default().max_cells)]
    max_cells: usize,
    /// Do not compare with simple methods
    #[arg(long)]
    no_baselines: bool,
    /// Matrix that simple methods read: X, raw, or the name of a layer
    #[arg(long, value_name = "NAME", default_value = "X", env = "SCGPT_LAYER")]
    layer: String,
    /// Variable genes of simple methods
    #[arg(long, value_name = "N", default_value_t = BaselineOptions::default().n_genes, env = "SCGPT_HVG")]
    hvg: usize,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    colors: ColorArgs,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
}

pub(crate) fn run(args: &IntegrationArgs, printer: Printer) -> Result<()> {
    args.page.check([args.input.as_path()])?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.choice.of(open(&args.input)?, &mut warnings)?;
    let (cells, [label, batch]) = columns(args, &source, &mut warnings, printer)?;
    let n_left_out = source.summary().n_cells - cells.len();
    let several = if args.no_baselines { None } else { modalities(args, &source, &cells)? };
    let mut cells = CellSubset::new(&mut source, cells);
    let layer = Layer::from(args.layer.as_str());
    args.colors.check(&cells, (&layer, &GeneNames::BEST), &[])?;
    let mut options = ClusterOptions::default();
    options.clustering = args.clustering;
    options.max_cells = args.max_cells;
    options.seed = args.seed;
    // All are read before any is scored: better now than after minutes of computing.
    let embeddings = embeddings(args, &mut cells)?;
    for (name, (rows, width)) in args.embedding.iter().zip(&embeddings) {
        let is_zero = |row: &&[f32]| row.iter().all(|&x| x == 0.0);
        let n = rows.chunks_exact((*width).max(1)).filter(is_zero).count();
        warnings
            .without_rows(n, &format!("`obsm/{name}` says nothing of them, but they are scored"));
    }
    let bar = Bar::new(printer);
    let mut comparison = IntegrationComparison::new(Some(label), batch, options);
    // These read the cells, in which something may be wrong, so that they come before the scores.
    let mut baselines = Vec::new();
    if !args.no_baselines {
        let mut baseline = BaselineOptions::default();
        baseline.layer = layer.clone();
        baseline.n_genes = args.hvg;
        let codes = comparison.batch.codes().to_vec();
        let mut empty = EmptyCells::default();
        let mut sought = empty.among(&mut cells, &baseline.layer);
        baselines = match several {
            None => integration_baselines(&mut sought, &codes, &baseline, args.seed, &bar)?,
            Some((modalities, measured)) => multiomic_baselines(
                &mut sought,
                &modalities,
                &measured,
                &codes,
                &baseline,
                args.seed,
                &bar,
            )?,
        };
        drop(sought);
        warnings.without_counts(empty.len(), "where they lie means nothing, but they are scored");
    }
    for (name, (rows, width)) in args.embedding.iter().zip(&embeddings) {
        let space = CellSpace::rows(rows, *width);
        comparison.add(&format!("obsm/{name}"), &space, &bar)?;
    }
    comparison.add_baselines(&baselines, &bar)?;
    bar.finish();

    let colours = if args.page.is_wanted() {
        colours(args, &mut cells, &layer)?
    } else {
        CellColours::default()
    };
    let mut rows = summary(&comparison);
    rows.extend(args.page.write(&warnings, || page(args, &comparison, &colours))?);
    let mut record = serde_json::to_value(&comparison)?;
    record["input"] = json!(args.input.display().to_string());
    record["cells_left_out"] = json!(n_left_out);
    args.page.say(printer, &warnings.beside(&record), &rows)
}

/// Opens the cells; of MuData, whose embeddings are of all modalities, it says how one file is made of them.
fn open(input: &Path) -> Result<Source> {
    Ok(Source::open(input).map_err(|error| match &error {
        Error::Invalid { place, .. } if place == "mod" => error.with_hint(
            "put labels, batches and embedding into the file of one modality, in Python adata = \
             mdata.mod[\"rna\"].copy(); cells = adata.obs_names; adata.obs = mdata.obs.loc[cells]; \
             adata.obsm[\"X_scGPT\"] = mdata[cells].obsm[\"X_scGPT\"]; adata.write_h5ad(path)",
        ),
        _ => error,
    })?)
}

/// Returns the modality of every feature and what each of the `cells` was measured in, if an AnnData file has
/// several modalities; cells that have no values at all count as measured in the first.
///
/// A file whose columns of modalities contradict each other is scored as if it had one.
fn modalities(
    args: &IntegrationArgs,
    source: &Source,
    cells: &[usize],
) -> Result<Option<(Modalities, Vec<Measured>)>> {
    if !matches!(source.opened(), Source::AnnData(_)) {
        return Ok(None);
    }
    let chosen = match source {
        Source::Chosen(chosen) => Some(chosen.cells()),
        _ => None,
    };
    let input = MultimodalInput { path: args.input.clone(), modality: None, sample: None };
    let Ok(mut all) = MultimodalCells::open(&[input], &MultimodalOptions::default()) else {
        return Ok(None);
    };
    let layer = Layer::from(args.layer.as_str());
    let (_, n_features) = source.summary().shape(&layer)?;
    if all.modalities().names().len() < 2 || all.modalities().n_features() != n_features {
        return Ok(None);
    }
    let of_all = all.measured(&layer)?;
    let of = |&cell: &usize| {
        let mut of_cell = of_all[chosen.map_or(cell, |chosen| chosen[cell])];
        if of_cell.is_empty() {
            of_cell.insert(0);
        }
        of_cell
    };
    Ok(Some((all.modalities().clone(), cells.iter().map(of).collect())))
}

/// The cells that have a label and a batch, and these labels and batches.
fn columns(
    args: &IntegrationArgs,
    source: &Source,
    warnings: &mut Warnings,
    printer: Printer,
) -> Result<(Vec<usize>, [CellColumn; 2])> {
    let obs = source.obs()?;
    warnings.doubts(&obs, &[&args.label], Some(&args.batch_key));
    let in_file = Error::in_file(&source.summary().path);
    let labels = Labels::read(&obs, &args.label).map_err(&in_file)?;
    // Batches are often numbered.
    let batches = obs_column(&obs, &args.batch_key).map_err(&in_file)?;
    let batches = Labels::new(batches.labels());
    let is_known = |cell: &usize| labels.codes[*cell].is_some() && batches.codes[*cell].is_some();
    let cells: Vec<usize> = (0..labels.codes.len()).filter(is_known).collect();
    if cells.len() < labels.codes.len() {
        printer.remark(&format!(
            "note: {} cells have no label or no batch and were left out",
            labels.codes.len() - cells.len()
        ));
    }
    let of_cells = |labels: &Labels| {
        Labels::new(cells.iter().map(|&cell| labels.name(cell).map(str::to_owned)).collect())
    };
    let batches = of_cells(&batches);
    if batches.classes.len() < 2 {
        bail!(
            "column `{}` of `obs` has {} for all {} cells with a label, and one batch cannot be integrated; \
             choose another column with --batch-key",
            args.batch_key,
            batches.classes.first().map_or_else(|| "nothing".into(), |name| format!("`{name}`")),
            cells.len()
        );
    }
    let single = batches.classes.iter().zip(batches.counts()).filter(|(_, n)| *n == 1);
    let single: Vec<String> = single.map(|(name, _)| name.clone()).collect();
    if !single.is_empty() {
        warnings.tell(format!(
            "batches of a single cell, whose mixing cannot be told: {}",
            some_of(&single)
        ));
    }
    let label = CellColumn::new(&args.label, &of_cells(&labels))?;
    let batch = CellColumn::new(&args.batch_key, &batches)?;
    Ok((cells, [label, batch]))
}

fn embeddings(
    args: &IntegrationArgs,
    cells: &mut CellSubset<&mut Source>,
) -> Result<Vec<(Vec<f32>, usize)>> {
    let n = cells.summary().n_cells;
    let mut all = Vec::new();
    for name in &args.embedding {
        let (rows, width) = cells.read_obsm(name, 0..n)?;
        if let Some(place) = rows.iter().position(|x| !x.is_finite()) {
            bail!(
                "`{}`: obsm/{name} has {} in column {} of cell `{}`, expected finite numbers; leave such cells out",
                args.input.display(),
                rows[place],
                place % width,
                cells.obs()?.index[place / width]
            );
        }
        all.push((rows, width));
    }
    Ok(all)
}

/// Names and annotations of the cells that are drawn, with labels and batches first.
fn colours(
    args: &IntegrationArgs,
    cells: &mut CellSubset<&mut Source>,
    layer: &Layer,
) -> Result<CellColours> {
    let obs = cells.obs()?;
    let column = |name: &String| {
        let column = obs_column(&obs, name)?;
        let is_label = matches!(column, Column::Categorical { .. });
        let labels = || Column::with_gaps(&column.labels());
        anyhow::Ok((name.clone(), if is_label { column.clone() } else { labels() }))
    };
    let added = [column(&args.label)?, column(&args.batch_key)?];
    let drawn = CellMap::sample(cells.summary().n_cells, args.seed);
    let choice = args.colors.choice(&added, &[], (layer, &GeneNames::BEST));
    Ok(CellColours::choose(cells, &drawn, &choice)?)
}

fn page(args: &IntegrationArgs, comparison: &IntegrationComparison, colours: &CellColours) -> Page {
    let input = args.input.display().to_string();
    let mut page = Page::new("Evaluation of an integration", &input);
    let label = comparison.label.as_ref().map_or(0, |label| label.classes.len());
    page.numbers(&[
        ("cells", comparison.batch.codes().len().to_string()),
        ("batches", comparison.batch.classes.len().to_string()),
        ("labels", label.to_string()),
    ]);
    comparison.describe(&mut page, colours);
    page
}

/// The scores of all embeddings in a summary: the columns of a table, and what is missing.
fn summary(comparison: &IntegrationComparison) -> Vec<(&'static str, String)> {
    let (heading, rows) = comparison.table();
    let heading: Vec<String> = heading.into_iter().map(str::to_owned).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(&rows).collect();
    let width =
        |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, &width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    let scored = comparison.embeddings.first().map_or(0, |embedding| embedding.scores.n_cells);
    let n = comparison.batch.codes().len();
    let sampled = if scored < n { format!(", {scored} of them scored") } else { String::new() };
    let mut summary = vec![
        ("cells", format!("{n} in {} batches{sampled}", comparison.batch.classes.len())),
        ("clusters", comparison.options.clustering.name().to_owned()),
        ("scores", all.iter().map(line).collect::<Vec<_>>().join("\n")),
    ];
    let missing = comparison.missing();
    if !missing.is_empty() {
        summary.push(("not computed", missing.join("\n")));
    }
    summary.extend(comparison.verdict().map(|verdict| ("verdict", verdict)));
    summary
}
