//! `scgpt annotate`: one file per subcommand.

mod explain;
mod predict;
mod train;
mod voting;

use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Printer;

/// Annotate cell types: learn from labelled cells, tell the types of others
#[derive(Debug, Args)]
pub(crate) struct AnnotateArgs {
    #[command(subcommand)]
    command: AnnotateCommand,
}

#[derive(Debug, Subcommand)]
enum AnnotateCommand {
    // What a command says of itself is with its arguments.
    Train(Box<train::TrainArgs>),
    Predict(Box<predict::PredictArgs>),
    Explain(Box<explain::ExplainArgs>),
}

pub(crate) fn run(args: AnnotateArgs, config: Option<&Path>, printer: Printer) -> Result<()> {
    match args.command {
        AnnotateCommand::Train(args) => train::run(&args, config, printer),
        AnnotateCommand::Predict(args) => predict::run(&args, printer),
        AnnotateCommand::Explain(args) => explain::run(&args, printer),
    }
}
