//! Output: stdout has data, stderr has what is meant for people.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::bail;
use clap::Args;
use scgpt_data::{Existing, check_apart, check_output};
use serde::Serialize;

use crate::{
    run::{Run, tell},
    terminal::{shown, shown_json},
};

/// The heading above the options of every command in `--help`.
pub(crate) const GLOBAL: &str = "Options of every command";

/// Options of every command: what is printed, and for whom.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = GLOBAL)]
pub(crate) struct PrintArgs {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but errors, and results that are written to no file
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Where results and remarks go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    print: PrintArgs,
    is_step: bool,
}

impl Printer {
    pub(crate) fn new(print: PrintArgs) -> Self {
        Self { print, is_step: false }
    }

    /// Whether people want to read nothing but errors, and results that are nowhere else.
    pub(crate) fn is_quiet(self) -> bool {
        self.print.quiet
    }

    /// For a step before the last: JSON on stdout is one document, that of the last step.
    pub(crate) fn step(self) -> Self {
        Self { is_step: true, ..self }
    }

    /// Whether progress should be drawn, because people are watching.
    pub(crate) fn draws_progress(self) -> bool {
        !self.is_quiet() && Run::current().host.is_watched()
    }

    /// Prints what was written to files, and what is in them; nothing if people want quiet. As [`result`](Self::result)
    /// otherwise.
    pub(crate) fn written(
        self,
        json: &impl Serialize,
        rows: &[(&str, String)],
    ) -> anyhow::Result<()> {
        if self.is_quiet() && !self.print.json { Ok(()) } else { self.result(json, rows) }
    }

    /// Prints a result that is nowhere else: as JSON in the [`envelope`](crate::envelope), or as the rows of a small
    /// table.
    pub(crate) fn result(
        self,
        json: &impl Serialize,
        rows: &[(&str, String)],
    ) -> anyhow::Result<()> {
        if self.print.json && self.is_step {
            return Ok(());
        }
        let run = Run::current();
        let mut out = String::new();
        if self.print.json {
            let report = rows.iter().find(|(name, _)| *name == "report");
            let report = report.map(|(_, path)| path.as_str());
            let json =
                serde_json::to_string_pretty(&run.envelope.enclosed(json, report, run.slots()))?;
            writeln!(out, "{}", shown_json(&json))?;
        } else {
            let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in rows {
                let (name, value) = (shown(name, ""), shown(value, ""));
                let mut lines = value.lines();
                writeln!(out, "{name:width$}  {}", lines.next().unwrap_or_default())?;
                for line in lines {
                    writeln!(out, "{:width$}  {line}", "")?;
                }
            }
        }
        Ok(run.host.print(out.as_bytes())?)
    }

    /// Warns that an output lacks something, even if people want quiet.
    #[expect(clippy::unused_self, reason = "as every other word to people")]
    pub(crate) fn lacking(self, what: &str) {
        tell(&shown(&format!("warning: not carried over: {what}"), "  "));
    }

    /// Prints a remark for people.
    pub(crate) fn remark(self, remark: &str) {
        if !self.is_quiet() {
            tell(&shown(remark, "  "));
        }
    }
}

/// Prints text that is the result itself.
pub(crate) fn print_text(text: &[u8]) -> anyhow::Result<()> {
    Ok(Run::current().host.print(text)?)
}

/// Prints settings as TOML: they are the result itself.
pub(crate) fn print_settings(settings: &impl Serialize) -> anyhow::Result<()> {
    print_text(toml::to_string(settings)?.as_bytes())
}

/// The first names of a list for a message, and how many there are more.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Checks that an output can be written, and is no input, before any work is done for it. A file may lie in
/// a folder of inputs, such as that of 10x or a model; a folder may not.
pub(crate) fn check_new<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> Result<(), scgpt_data::Error> {
    let is_folder = path.extension().is_some_and(|extension| extension == "zarr");
    check_apart(path, inputs.into_iter().filter(|input| is_folder || !input.is_dir()))?;
    check_output(path, existing)
}

/// As [`check_new`], for a table.
pub(crate) fn check_table<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> anyhow::Result<()> {
    if !is_table(path) {
        bail!(
            "`{}`: the format of the output is not known, expected a name in .csv, .tsv or .parquet",
            path.display()
        );
    }
    Ok(check_new(path, inputs, existing)?)
}

/// As [`check_new`], for a file of cells.
pub(crate) fn check_cells_output<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> anyhow::Result<()> {
    if !is_cells(path) {
        bail!(
            "`{}`: the format of the output is not known, expected a name in .h5ad or .zarr",
            path.display()
        );
    }
    Ok(check_new(path, inputs, existing)?)
}

/// Whether an output is one of cells, by its name.
pub(crate) fn is_cells(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("h5ad" | "zarr"))
}

/// Whether an output is a table, by its name.
pub(crate) fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("csv" | "tsv" | "parquet"))
}

/// `cells.h5ad` → `cells.report.html`: a file that goes beside an output.
pub(crate) fn beside(output: &Path, suffix: &str) -> PathBuf {
    output.with_extension(suffix)
}

/// As [`beside`], for what belongs to one output: `cells.h5ad` → `cells.report.html`, but `cells.csv` →
/// `cells.csv.report.html`, so that the same cells in another form have files of their own.
pub(crate) fn companion(output: &Path, suffix: &str) -> PathBuf {
    let extension = output.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("zarr" | "h5mu" | "csv" | "tsv" | "parquet") => {
            let mut name = output.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{suffix}"));
            output.with_file_name(name)
        }
        _ => beside(output, suffix),
    }
}

/// Folder in which rows wait until they are written: beside the output, where there must be room
/// for them anyway.
pub(crate) fn temporary(output: &Path) -> Option<PathBuf> {
    output.parent().map(|folder| Path::new(".").join(folder))
}

/// Writes a text beside an output: it appears whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), scgpt_data::Error> {
    scgpt_data::write_file(path, text)
}
