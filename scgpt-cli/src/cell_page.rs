//! [`CellPageArgs`]: the page that a command writes beside its cells, and what colours their map.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use scgpt_data::{CellSource, Column, GeneNames, Layer};
use scgpt_eval::ColourChoice;
use scgpt_report::Page;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{cells_output::OutputArgs, output::write_text, warnings::Warnings};

/// Options of a page that is written unless it is refused.
#[derive(Debug, Args, Serialize)]
pub(crate) struct NoReportArgs {
    /// Write no report page
    #[arg(long)]
    pub(crate) no_report: bool,
}

/// What colours a map of cells.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ColorArgs {
    /// Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
    /// the command found, or a column that looks like cell types]
    #[arg(long, value_name = "NAME", env = "SCGPT_COLOR")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) color: Vec<String>,
}

/// As [`NoReportArgs`], of a page with a map of cells.
#[derive(Debug, Args, Serialize)]
pub(crate) struct CellPageArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) colors: ColorArgs,
    #[command(flatten)]
    #[serde(flatten)]
    page: NoReportArgs,
}

/// A page, and where it goes.
#[derive(Debug)]
pub(crate) struct MadePage {
    path: PathBuf,
    html: String,
}

/// Colours of labels for the record of a run: names of types do not make good keys.
pub(crate) fn colour_lists(of: impl IntoIterator<Item = (String, String)>) -> Value {
    let (labels, colours): (Vec<String>, Vec<String>) = of.into_iter().unzip();
    json!({"labels": labels, "colours": colours})
}

/// The colours of labels that the record of a run has.
pub(crate) fn recorded_colours(record: &Value) -> Vec<(String, String)> {
    let list = |key: &str| -> Vec<String> {
        serde_json::from_value(record["colours"][key].clone()).unwrap_or_default()
    };
    list("labels").into_iter().zip(list("colours")).collect()
}

impl NoReportArgs {
    /// Where the page goes, if there is to be one.
    pub(crate) fn path(&self, output: &OutputArgs) -> Option<PathBuf> {
        (!self.no_report).then(|| output.page())
    }
}

impl CellPageArgs {
    /// As [`NoReportArgs::path`].
    pub(crate) fn path(&self, output: &OutputArgs) -> Option<PathBuf> {
        self.page.path(output)
    }
}

impl ColorArgs {
    /// Checks that what is to colour the map is there, better before hours of computing than after;
    /// `added` are names of columns that the command adds.
    pub(crate) fn check(
        &self,
        source: &dyn CellSource,
        (layer, gene_names): (&Layer, &GeneNames),
        added: &[&str],
    ) -> Result<()> {
        Ok(self.choice(&[], &[], (layer, gene_names)).check(source, added)?)
    }

    /// What colours the map; `known` are colours that labels of the columns `added` have elsewhere.
    pub(crate) fn choice<'a>(
        &'a self,
        added: &'a [(String, Column)],
        known: &'a [(String, String)],
        (layer, gene_names): (&'a Layer, &'a GeneNames),
    ) -> ColourChoice<'a> {
        ColourChoice { added, known, wanted: &self.color, layer, gene_names }
    }
}

impl MadePage {
    /// The page with the warnings, to be written when everything else is.
    pub(crate) fn new(path: PathBuf, page: Page, warnings: &Warnings) -> Self {
        Self { path, html: warnings.on(page) }
    }

    /// Writes the page, and returns the row of the summary that names it.
    pub(crate) fn write(self) -> Result<(&'static str, String)> {
        write_text(&self.path, &self.html)?;
        Ok(("report", self.path.display().to_string()))
    }
}
