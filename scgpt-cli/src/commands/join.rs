//! `scgpt join`.

mod shards;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use scgpt_data::{
    CellSource as _, DividedCells, Error, JoinedCells, Layer, Parts, find_shard_parts,
    make_cells_table,
};
use scgpt_eval::added_colours;
use serde_json::{Value, json};

use crate::{
    cell_page::recorded_colours,
    cells_output::{OR_TABLE, OutputArgs},
    choice::ChoiceArgs,
    effective::write_effective,
    output::{Printer, is_table, temporary},
    progress::Bar,
    run::Run,
    warnings::Warnings,
};

/// Join the parts of cells that were done apart, by --part
///
/// Checks that all parts are there once, of one model, one file and the same options, and are what was written. The output
/// is the file that the command would have written without --part, but for its page: a copy of the cells with what was
/// found, or a table of that alone; of parts of `scgpt convert`, one folder of token shards.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt embed cells.h5ad --model scGPT_human --part 1/2 -o parts/     on one machine\n  \
    scgpt embed cells.h5ad --model scGPT_human --part 2/2 -o parts/     on another\n  \
    scgpt join parts/ --into cells.h5ad -o embedded.h5ad\n  \
    scgpt join parts/cells -o embedded.parquet\n  \
    scgpt join shards -o shards/                                        shards.part-0001-of-0016 and so on, of convert")]
#[command(mut_arg("output", |output| output.help(format!("{OR_TABLE}; a folder of token shards"))))]
pub(crate) struct JoinArgs {
    /// Files or folders of parts, the folder they are in, or the beginning of their names
    #[arg(required = true, value_name = "PARTS")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// File or folder of the cells, of which the output is a copy; a table needs none
    #[arg(long, value_name = "CELLS")]
    into: Option<PathBuf>,
}

pub(crate) fn run(args: &JoinArgs, printer: Printer) -> Result<()> {
    let output = &args.output.path;
    let folders = find_shard_parts(&args.input);
    if !folders.is_empty() {
        return shards::run(args, &folders, printer);
    }
    let paths = Parts::find(&args.input)?;
    let inputs = paths.iter().chain(&args.into).map(PathBuf::as_path);
    args.output.check_or_table(inputs, None)?;
    if args.into.is_none() && !is_table(output) {
        let problem =
            format!("`{}` is to be a copy of the cells, but they are not named", output.display());
        let remedy = "name their file by --into, or write a table: -o joined.parquet, or .csv";
        return Err(Error::unsuited(problem, remedy).into());
    }
    let parts = Parts::open(&paths)?;
    let mut warnings = Warnings::new(printer);
    warnings.all(parts.warnings());
    let bar = Bar::new(printer);
    let JoinedCells { obs, mut additions, record: (name, mut record) } =
        parts.read(temporary(output).as_deref(), &bar)?;
    bar.finish();
    record["output"] = output.display().to_string().into();
    if let Some(command) = record.get_mut("command") {
        let args = Run::current().args;
        let words = args.iter().map(|word| word.to_string_lossy().into_owned());
        *command = words.collect::<Vec<_>>().join(" ").into();
    }
    let found =
        found(&additions.obsm.iter().map(|(name, _)| name).collect::<Vec<_>>(), &additions.obs);
    let first = parts.first();
    if let Some(into) = &args.into {
        let run = parts.run();
        let condition = run.cells.condition.as_deref();
        let choice = ChoiceArgs::remembered(condition, first.obs_from.as_deref())?;
        let mut source = choice.open(into, &mut warnings)?;
        check_same(&run.cells, &DividedCells::names_of(&source.obs()?), into, &source)?;
        additions.uns = added_colours(&source, &additions.obs, &recorded_colours(&record))?;
        additions.uns.push((name, record.clone()));
        let layer = first.settings["layer"].as_str().map_or(Layer::X, Layer::from);
        let copy = args.output.copy_of(into, &layer);
        copy.write(&mut source, additions, &bar, printer)?;
    } else {
        let existing = args.output.existing();
        additions.obsm_columns =
            serde_json::from_value(record["columns"].clone()).unwrap_or_default();
        make_cells_table(&obs, &additions, &paths[0], output, existing)?.publish()?;
    }
    write_effective(output, &parts.run().command, &first.settings)?;
    record["parts"] = json!({
        "command": parts.run().command, "parts": first.part.of(), "cells": obs.len(), "files": paths,
    });
    printer.written(&warnings.beside(&record), &rows(&parts, obs.len(), found, output, &record))
}

/// Checks that cells are those that were divided.
fn check_same(
    divided: &DividedCells,
    names: &str,
    into: &Path,
    source: &scgpt_data::Source,
) -> Result<()> {
    if divided.names == names {
        return Ok(());
    }
    let n = source.summary().n_cells;
    let problem = if n == divided.n_cells {
        "other names than those of the parts, or in another order".to_owned()
    } else {
        format!("{n} cells, those of the parts are {}", divided.n_cells)
    };
    Err(Error::invalid(into, "obs", problem)
        .with_hint("name the file that was divided by --into, or a copy of it with the same cells")
        .into())
}

/// What was found, for people.
fn found(matrices: &[&String], columns: &[(String, scgpt_data::Column)]) -> String {
    let columns = columns.iter().map(|(name, _)| format!("obs/{name}"));
    let matrices = matrices.iter().map(|name| format!("obsm/{name}"));
    columns.chain(matrices).collect::<Vec<_>>().join(", ")
}

fn rows(
    parts: &Parts,
    cells: usize,
    found: String,
    output: &Path,
    record: &Value,
) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("parts", format!("{} of `scgpt {}`", parts.first().part.of(), parts.run().command)),
        ("cells", cells.to_string()),
        ("found", found),
    ];
    if let Some(unknown) = record["unknown_share"].as_f64() {
        rows.push(("unknown", format!("{:.1} % of the cells", 100.0 * unknown)));
    }
    rows.push(("output", output.display().to_string()));
    rows
}
