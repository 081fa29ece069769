//! `scgpt study`: one file per subcommand.

mod axes;
mod children;
mod file;
mod plan;
mod report;
mod run;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::output::Printer;

/// Many pre-training runs, to learn what more cells, other cells or a larger network are worth
///
/// A file says what varies between the runs and on which held-out cells all of them are measured; see docs/studies.md.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Debug, Subcommand)]
enum StudyCommand {
    // What a command says of itself is with its arguments.
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    Report(report::ReportArgs),
}

pub(crate) fn run(args: &StudyArgs, printer: Printer) -> Result<()> {
    match &args.command {
        StudyCommand::Plan(args) => plan::run(args, printer),
        StudyCommand::Run(args) => run::run(args, printer),
        StudyCommand::Report(args) => report::run(args, printer),
    }
}
