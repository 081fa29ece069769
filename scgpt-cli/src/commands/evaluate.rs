//! `scgpt evaluate`: one file per kind of result.

mod grn;
mod integration;
mod labels;
pub(crate) mod perturb;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Printer;

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

pub(crate) fn run(args: EvaluateArgs, printer: Printer) -> Result<()> {
    match args.command {
        EvaluateCommand::Integration(args) => integration::run(&args, printer),
        EvaluateCommand::Grn(args) => grn::run(&args, printer),
        EvaluateCommand::Labels(args) => labels::run(&args, printer),
        EvaluateCommand::Perturb(args) => perturb::run(&args, printer),
    }
}
