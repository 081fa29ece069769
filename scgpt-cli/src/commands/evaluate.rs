//! `scgpt evaluate`: one file per kind of result.

mod grn;
mod integration;
mod labels;
pub(crate) mod perturb;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use scgpt_data::Existing;
use scgpt_report::Page;
use serde::Serialize;

use crate::{
    output::{Printer, check_new, write_text},
    warnings::Warnings,
};

/// Judge results whose truth is known, ours or another tool's
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(subcommand)]
    command: EvaluateCommand,
}

#[derive(Debug, Subcommand)]
enum EvaluateCommand {
    // What a command says of itself is with its arguments.
    Integration(integration::IntegrationArgs),
    Grn(grn::GrnArgs),
    Labels(labels::LabelsArgs),
    Perturb(perturb::PerturbArgs),
}

/// Options of a result that is shown on a page, if one is asked for.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// Page to write
    #[arg(id = "output", long = "output", short = 'o', value_name = "FILE")]
    path: Option<PathBuf>,
    /// Overwrite the page
    #[arg(long)]
    force: bool,
}

impl PageArgs {
    /// Checks, before any work is done for it, that the page can be written and is no input.
    pub(crate) fn check<'a>(&self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        match &self.path {
            Some(path) => {
                check_new(path, inputs, Existing::replaced_if(self.force))?;
                let extension = path.extension().and_then(|extension| extension.to_str());
                if !matches!(extension, Some("html" | "htm")) {
                    bail!(
                        "`{}`: the output is a page, expected a name in .html; --json prints the scores for programs",
                        path.display()
                    );
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether there is to be a page.
    pub(crate) fn is_wanted(&self) -> bool {
        self.path.is_some()
    }

    /// Prints the result; if people want quiet, only if there is no page that has it.
    pub(crate) fn say(
        &self,
        printer: Printer,
        json: &impl Serialize,
        rows: &[(&str, String)],
    ) -> Result<()> {
        if self.is_wanted() { printer.written(json, rows) } else { printer.result(json, rows) }
    }

    /// Writes the page with the warnings, and returns the row of the summary that names it.
    pub(crate) fn write(
        &self,
        warnings: &Warnings,
        page: impl FnOnce() -> Page,
    ) -> Result<Option<(&'static str, String)>> {
        let Some(path) = &self.path else { return Ok(None) };
        write_text(path, &warnings.on(page()))?;
        Ok(Some(("report", path.display().to_string())))
    }
}

pub(crate) fn run(args: EvaluateArgs, printer: Printer) -> Result<()> {
    match args.command {
        EvaluateCommand::Integration(args) => integration::run(&args, printer),
        EvaluateCommand::Grn(args) => grn::run(&args, printer),
        EvaluateCommand::Labels(args) => labels::run(&args, printer),
        EvaluateCommand::Perturb(args) => perturb::run(&args, printer),
    }
}
