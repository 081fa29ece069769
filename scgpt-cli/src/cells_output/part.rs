//! [`PartArgs`] and [`PartOutput`]: a part of the cells, and the file of what was found of it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Command};
use scgpt_data::{
    Additions, CellSource as _, DividedCells, DividedRun, Error, Existing, Frame, Layer, Merge,
    PartFile, PartManifest, PartNumber, PartRecord, Source, check_apart, check_output, differences,
    make_part_file,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::OutputArgs;
use crate::{better::Again, choice::ChoiceArgs, output::Printer, warnings::Warnings};

/// Options on which no number depends, or that are known by what they lead to.
const NEUTRAL: [&str; 9] = [
    "batch_size",
    "color",
    "device",
    "index",
    "model",
    "no_report",
    "obs_from",
    "threads",
    "where",
];
/// What an output may be called that is no part.
const EXTENSIONS: [&str; 5] = ["h5ad", "zarr", "csv", "tsv", "parquet"];
/// What makes of the joined file what is made of all cells.
const CELLS: &str =
    "leave it out, and run `scgpt cells JOINED -o OUTPUT` once the parts are joined";

/// The option of commands whose cells can be divided among machines.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PartArgs {
    /// Do the I-th of N parts of the cells alone, such as 3/16, and write what is found of them to a file of its own, OUTPUT.part-0003-of-0016.parquet,
    /// for `scgpt join`; OUTPUT may be a folder. A part that is there already is not done again
    #[arg(long, value_name = "I/N")]
    part: Option<PartNumber>,
}

/// An option of what is made of all cells, if it was given, and what can be done instead.
pub(crate) struct OfAll(Option<&'static str>, &'static str);

impl OfAll {
    /// An option whose work `scgpt cells` does, too.
    pub(crate) fn cells(option: Option<&'static str>) -> Self {
        Self(option, CELLS)
    }

    pub(crate) fn new(is_given: bool, option: &'static str, remedy: &'static str) -> Self {
        Self(is_given.then_some(option), remedy)
    }
}

impl PartArgs {
    /// The file that goes into the place of an output, if a part is asked for; `options` are those that a part cannot have.
    ///
    /// # Errors
    /// If one of them was given, or the file cannot be written.
    pub(crate) fn output<'a>(
        self,
        command: &'static str,
        (input, others): (&'a Path, &[&Path]),
        output: &OutputArgs,
        options: impl IntoIterator<Item = OfAll>,
    ) -> Result<Option<PartOutput<'a>>> {
        let Some(part) = self.part else { return Ok(None) };
        for OfAll(option, remedy) in options {
            if let Some(option) = option {
                let problem =
                    format!("{option} is of all cells, and --part {part} has some of them");
                return Err(Error::unsuited(problem, remedy).into());
            }
        }
        let path = path_of(part, &output.path, input);
        check_apart(
            &path,
            [input].into_iter().chain(others.iter().copied()).filter(|it| !it.is_dir()),
        )?;
        // One that is there is looked at later.
        check_output(&path, Existing::Replace)?;
        Ok(Some(PartOutput { part, command, path, existing: output.existing(), input }))
    }

    /// Refuses a part of what is no cells.
    pub(crate) fn none(self, because: &str) -> Result<()> {
        match self.part {
            Some(part) => bail!("--part {part} divides cells, and {because}"),
            None => Ok(()),
        }
    }
}

/// Which cells a part has, of so many.
pub(crate) fn which_part(part: PartNumber, of: usize) -> String {
    let rows = part.rows(of);
    match rows.len() {
        0 => format!("{part}: no cells, there are {of} in all"),
        _ => format!("{part}: cells {} to {} of {of}", rows.start + 1, rows.end),
    }
}

/// `embedded.h5ad`, or `embedded` → `embedded.part-0003-of-0016.parquet`; a folder → such a file in it, named for the
/// input.
fn path_of(part: PartNumber, output: &Path, input: &Path) -> PathBuf {
    let text = output.as_os_str().to_string_lossy();
    let name_of = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_known = extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
        let name = if is_known { path.file_stem() } else { path.file_name() };
        name.map_or_else(|| "cells".into(), |name| name.to_string_lossy().into_owned())
    };
    let is_zarr = output.extension().is_some_and(|extension| extension == "zarr");
    if text.ends_with(std::path::is_separator) || output.is_dir() && !is_zarr {
        return output.join(part.file_name(&name_of(input)));
    }
    output.with_file_name(part.file_name(&name_of(output)))
}

/// The file of a part that is to be written.
pub(crate) struct PartOutput<'a> {
    part: PartNumber,
    command: &'static str,
    path: PathBuf,
    existing: Existing,
    input: &'a Path,
}

/// What a part is taken of, and by what.
pub(crate) struct Taken<'a, S> {
    /// All cells.
    pub(crate) source: Source,
    /// The matrix that is read, if one is.
    pub(crate) layer: &'a Layer,
    /// SHA-256 of the model, artefact or index.
    pub(crate) model: Option<String>,
    /// All options of the command.
    pub(crate) options: &'a S,
    /// By which the cells were chosen.
    pub(crate) choice: &'a ChoiceArgs,
    /// All commands of the program: how another part is made is told by a command line.
    pub(crate) program: Command,
}

/// A part that was begun.
pub(crate) enum Begun {
    /// There is nothing to be done: the file is there.
    Done,
    /// These cells are to be done, and what was found written with this.
    Cells(Box<(Source, PartManifest)>),
}

impl PartOutput<'_> {
    /// Where the file goes.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the part of the cells, unless it is done; then says so.
    ///
    /// # Errors
    /// If another run's file is there, unless it is replaced.
    pub(crate) fn begin<S: Serialize>(
        &self,
        taken: Taken<'_, S>,
        warnings: &Warnings,
        printer: Printer,
    ) -> Result<Begun> {
        let Taken { source, layer, model, options, choice, program } = taken;
        let settings = without_nulls(serde_json::to_value(options)?);
        let mut numbers = settings.clone();
        if let Value::Object(numbers) = &mut numbers {
            numbers.retain(|name, _| !NEUTRAL.contains(&name.as_str()));
        }
        let run = DividedRun {
            version: env!("CARGO_PKG_VERSION").into(),
            command: self.command.into(),
            model,
            options: numbers,
            cells: DividedCells::of(&source, layer)?,
        };
        let again = Again::this_run(program, self.command);
        let line = again.map_or_else(String::new, |again| again.with("part", "I/N").line());
        let mut manifest = PartManifest::new(self.part, run, line);
        manifest.settings = settings;
        manifest.obs_from = choice.table().map(Path::to_owned);
        if self.existing == Existing::Refuse && self.path.exists() {
            self.check_done(&manifest)?;
            self.say(&manifest, json!({}), Vec::new(), true, warnings, printer)?;
            return Ok(Begun::Done);
        }
        if manifest.cells == 0 {
            let nothing = (&Frame::default(), &Additions::default());
            make_part_file(manifest.clone(), nothing, self.input, &self.path, self.existing)?
                .publish()?;
            self.say(&manifest, json!({}), Vec::new(), false, warnings, printer)?;
            return Ok(Begun::Done);
        }
        let rows = manifest.first..manifest.first + manifest.cells;
        let source = source.part(rows, layer)?;
        Ok(Begun::Cells(Box::new((source, manifest))))
    }

    /// Checks that the file that is there is whole, and of the same part of the same run.
    fn check_done(&self, manifest: &PartManifest) -> Result<()> {
        let other = |problem: String| {
            Error::unsuited(
                format!("`{}` exists: {problem}", self.path.display()),
                "choose another output, or replace this one by --force",
            )
        };
        let there = PartFile::open(&self.path)
            .and_then(|file| file.verify().map(|()| file.manifest().clone()))
            .map_err(|error| other(error.to_string()))?;
        let [was, is] = [&there.run, &manifest.run].map(|run| json!(run));
        let differ = differences(&was, &is);
        if differ.is_empty() {
            return Ok(());
        }
        Err(other(format!("it is of another run: {}", differ.join("; "))).into())
    }

    /// Writes what was found of the cells, and says so.
    pub(crate) fn write(
        &self,
        (source, mut manifest): (&Source, PartManifest),
        (additions, record): (&Additions, PartRecord),
        rows: Vec<(&'static str, String)>,
        warnings: &Warnings,
        printer: Printer,
    ) -> Result<()> {
        manifest.warnings = warnings.told().to_vec();
        let result = record.record.clone();
        manifest.record = Some(record);
        let found = (&source.obs()?, additions);
        make_part_file(manifest.clone(), found, self.input, &self.path, self.existing)?
            .publish()?;
        self.say(&manifest, result, rows, false, warnings, printer)
    }

    /// Prints which part is there now.
    fn say(
        &self,
        manifest: &PartManifest,
        mut record: Value,
        mut rows: Vec<(&'static str, String)>,
        was_there: bool,
        warnings: &Warnings,
        printer: Printer,
    ) -> Result<()> {
        let PartManifest { part, first, cells, run, .. } = manifest;
        let of = run.cells.n_cells;
        record["part"] = json!({
            "part": part, "first": first, "cells": cells, "of": of, "was_there": was_there,
        });
        record["output"] = self.path.display().to_string().into();
        rows.retain(|(name, _)| *name != "output");
        rows.insert(0, ("part", which_part(*part, of)));
        let there = if was_there { " (it was there, of the same run)" } else { "" };
        rows.push(("output", format!("{}{there}", self.path.display())));
        printer.written(&warnings.beside(&record), &rows)
    }
}

/// Rules by which records of parts are merged.
pub(crate) fn rules<'a>(
    rules: impl IntoIterator<Item = (&'a str, Merge)>,
) -> std::collections::BTreeMap<String, Merge> {
    rules.into_iter().map(|(field, rule)| (field.to_owned(), rule)).collect()
}

/// What an object has, without what is null: TOML has no word for it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_for_their_output_or_input() {
        let part: PartNumber = "3/16".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let input = Path::new("s3://bucket/atlas.zarr");
        for (output, expected) in [
            ("embedded.h5ad", "embedded.part-0003-of-0016.parquet"),
            ("out/a.b", "out/a.b.part-0003-of-0016.parquet"),
            ("parts/", "parts/atlas.part-0003-of-0016.parquet"),
        ] {
            assert_eq!(path_of(part, Path::new(output), input), Path::new(expected));
        }
        let within = path_of(part, folder.path(), Path::new("filtered.v2/"));
        assert_eq!(within, folder.path().join("filtered.v2.part-0003-of-0016.parquet"));
    }
}
