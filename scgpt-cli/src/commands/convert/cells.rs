//! Writes cells as h5ad or AnnData-zarr, those of several inputs one below the other.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use scgpt_data::{
    Additions, CellSource as _, InputState, Layer, MultimodalCells, MultimodalInput,
    MultimodalOptions, Observer as _, SAMPLE, Source, Watched, input_state, make_export,
};
use serde::Serialize;
use serde_json::json;

use super::ConvertArgs;
use crate::{
    cells_output::CellsOutput,
    output::{Printer, check_cells_output, some_of},
    progress::Bar,
    warnings::Warnings,
};

/// Whether an output is a file of cells, by its name.
pub(super) fn is_asked_for(output: &Path) -> bool {
    output.extension().is_some_and(|extension| extension == "h5ad" || extension == "zarr")
}

/// One input of several.
#[derive(Debug, Serialize)]
struct Joined<'a> {
    path: &'a Path,
    sample: Option<&'a str>,
    cells: usize,
    genes: usize,
    values: InputState,
}

/// What is known of the inputs before they are joined.
struct Inputs<'a> {
    joined: Vec<Joined<'a>>,
    /// Features of any input, and of all of them.
    features: [usize; 2],
    /// What the output will lack.
    left_out: Vec<String>,
}

pub(super) fn run(args: &ConvertArgs, printer: Printer) -> Result<()> {
    if let Some(option) = args.option_of_shards() {
        bail!(
            "{option} is an option for token shards, but `{}` is to be a file of cells; leave it out, or name a folder",
            args.output.display()
        );
    }
    let inputs = args.input.as_slice();
    let samples = args.shards.sample.of_each(inputs.len())?;
    check_cells_output(&args.output, inputs.iter().map(PathBuf::as_path), args.existing())?;
    match (inputs, samples.as_slice()) {
        ([input], [None]) => one(args, input, printer),
        _ => several(args, &samples, printer),
    }
}

/// All there is of one input, in another format.
fn one(args: &ConvertArgs, input: &Path, printer: Printer) -> Result<()> {
    let layer = args.shards.matrix.layer();
    let mut warnings = Warnings::new(printer);
    let mut source = Source::open(input)?;
    source.keep_all_features();
    if matches!(source, Source::AnnData(_)) && layer != Layer::X {
        bail!("--layer: the copy of `{}` has all of its matrices; leave it out", input.display());
    }
    let (_, genes) = source.summary().shape(&layer)?;
    let mut source = args.shards.matrix.choice.of(source, &mut warnings)?;
    let n_cells = source.summary().n_cells;
    let output =
        CellsOutput { input, output: &args.output, layer: &layer, existing: args.existing() };
    let bar = Bar::new(printer);
    let left_out = output.write(&mut source, Additions::default(), &bar, printer)?;
    let record = json!({
        "cells": n_cells, "genes": genes, "not_carried_over": left_out, "output": args.output,
    });
    let rows = [
        ("cells", n_cells.to_string()),
        ("genes", genes.to_string()),
        ("output", args.output.display().to_string()),
    ];
    printer.written(&warnings.beside(&record), &rows)
}

/// The cells of all inputs, by the names of their genes.
fn several(args: &ConvertArgs, samples: &[Option<&str>], printer: Printer) -> Result<()> {
    let layer = args.shards.matrix.layer();
    let mut warnings = Warnings::new(printer);
    let Inputs { joined, features: [any, all], left_out } =
        look_at(&args.input, samples, &layer, printer)?;
    let inputs = joined.iter().map(|it| MultimodalInput {
        path: it.path.into(),
        modality: None,
        sample: it.sample.map(Into::into),
    });
    let cells = MultimodalCells::open(&inputs.collect::<Vec<_>>(), &MultimodalOptions::default())?;
    let mut cells = args.shards.matrix.choice.of_several(cells, &mut warnings)?;
    warn_of_differences(&joined, [any, all], &mut warnings);
    let (n_cells, genes) = cells.summary().shape(&layer)?;
    let bar = Bar::new(printer);
    bar.begin("writing", n_cells);
    let mut watched = Watched { source: &mut cells, observer: &bar };
    let additions = Additions::default();
    make_export(&mut watched, &layer, &args.output, &additions, args.existing())?.publish()?;
    bar.finish();
    let line = |it: &Joined<'_>| {
        let sample = it.sample.map_or_else(String::new, |sample| format!("{sample}, "));
        format!("{}: {sample}{} cells, {} genes", it.path.display(), it.cells, it.genes)
    };
    let record = json!({
        "cells": n_cells, "inputs": joined, "genes": genes, "not_carried_over": left_out,
        "output": args.output,
    });
    let rows = [
        ("cells", n_cells.to_string()),
        ("inputs", joined.iter().map(line).collect::<Vec<_>>().join("\n")),
        ("genes", genes.to_string()),
        ("output", args.output.display().to_string()),
    ];
    printer.written(&warnings.beside(&record), &rows)
}

/// Looks at each input alone; says what of it the joined cells cannot have.
fn look_at<'a>(
    inputs: &'a [PathBuf],
    samples: &[Option<&'a str>],
    layer: &Layer,
    printer: Printer,
) -> Result<Inputs<'a>> {
    let (mut joined, mut left_out) = (Vec::new(), Vec::new());
    let (mut any, mut all) = (HashSet::new(), None::<HashSet<String>>);
    for (path, &sample) in inputs.iter().zip(samples) {
        let mut source = Source::open(path)?;
        source.keep_all_features();
        let (cells, genes) = source.summary().shape(layer)?;
        let summary = source.summary();
        let others = summary.matrices.iter().filter(|it| it.layer != *layer);
        let others = others.map(|it| it.layer.to_string()).chain(summary.elements.clone());
        let obs = source.obs()?;
        let replaced = sample.and_then(|_| obs.column(SAMPLE)).map(|_| format!("obs/{SAMPLE}"));
        let others: Vec<String> = others.chain(replaced).collect();
        if !others.is_empty() {
            printer.lacking(&format!("{} of `{}`", some_of(&others), path.display()));
        }
        left_out.extend(others.iter().map(|it| format!("{it} of `{}`", path.display())));
        let values = input_state(&mut source, layer)?;
        joined.push(Joined { path, sample, cells, genes, values });
        let here: HashSet<String> = source.var(layer)?.index.into_iter().collect();
        all = Some(match all {
            Some(all) => all.intersection(&here).cloned().collect(),
            None => here.clone(),
        });
        any.extend(here);
    }
    let features = [any.len(), all.map_or(0, |all| all.len())];
    Ok(Inputs { joined, features, left_out })
}

fn warn_of_differences(joined: &[Joined<'_>], [any, all]: [usize; 2], warnings: &mut Warnings) {
    if all < any {
        warnings.tell(format!(
            "{} of {any} genes are not in all inputs: cells of an input without one have no counts of it",
            any - all
        ));
    }
    if let [first, others @ ..] = joined
        && let Some(other) = others.iter().find(|other| other.values != first.values)
    {
        warnings.tell(format!(
            "the values of `{}` look like {}, those of `{}` like {}: they are joined as they are; name the layer that has \
             the same in all inputs by --layer",
            first.path.display(),
            first.values,
            other.path.display(),
            other.values
        ));
    }
}
