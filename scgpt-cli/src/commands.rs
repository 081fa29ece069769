//! One file per command: its arguments, and one function that runs it.

pub(crate) mod annotate;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod generate;
pub(crate) mod grn;
pub(crate) mod inspect;
pub(crate) mod integrate;
pub(crate) mod man;
pub(crate) mod map;
pub(crate) mod perturb;
pub(crate) mod pretrain;
pub(crate) mod simulate;

use std::path::Path;

use anyhow::Result;

use crate::{
    args::{Cli, Command},
    interrupt, notes,
    output::Printer,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<()> {
    // What writes nothing has nothing to clean up, and may end at once.
    if !matches!(
        cli.command,
        Command::Inspect(_) | Command::Evaluate(_) | Command::Completions(_) | Command::Man(_)
    ) {
        interrupt::listen()?;
    }
    scgpt_data::silence_guarded_panics();
    notes::listen(cli.global.quiet);
    let printer = Printer::new(cli.global.json, cli.global.quiet);
    dispatch(cli.command, cli.global.config.as_deref(), printer)
}

fn dispatch(command: Command, config: Option<&Path>, printer: Printer) -> Result<()> {
    match command {
        Command::Annotate(args) => annotate::run(args, config, printer),
        Command::Demo(args) => demo::run(&args, printer),
        Command::Embed(args) => embed::run(&args, printer),
        Command::Evaluate(args) => evaluate::run(args, printer),
        Command::Generate(args) => generate::run(&args, printer),
        Command::Grn(args) => grn::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Integrate(args) => integrate::run(&args, config, printer),
        Command::Convert(args) => convert::run(&args, printer),
        Command::Perturb(args) => perturb::run(args, config, printer),
        Command::Pretrain(args) => pretrain::run(&args, config, printer),
        Command::Simulate(args) => simulate::run(&args, printer),
        Command::Completions(args) => completions::run(&args),
        Command::Map(args) => map::run(args, printer),
        Command::Man(args) => man::run(&args),
    }
}
