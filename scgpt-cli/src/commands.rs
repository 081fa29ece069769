//! One file per command: its arguments, and one function that runs it.

pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod embed;
pub(crate) mod inspect;
pub(crate) mod man;

use anyhow::Result;

use crate::{
    args::{Cli, Command},
    output::Printer,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let printer = Printer::new(cli.global.json, cli.global.quiet);
    match cli.command {
        Command::Embed(args) => embed::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Convert(args) => convert::run(&args, printer),
        Command::Completions(args) => completions::run(&args, printer),
        Command::Man(args) => man::run(&args, printer),
    }
}
