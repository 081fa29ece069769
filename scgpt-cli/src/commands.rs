//! The whole command line; one file per command: its arguments, and one function that runs it.

pub(crate) mod annotate;
pub(crate) mod cells;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod corpus;
pub(crate) mod demo;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod generate;
pub(crate) mod grn;
pub(crate) mod inspect;
pub(crate) mod integrate;
pub(crate) mod join;
pub(crate) mod man;
pub(crate) mod map;
#[cfg(feature = "cloud")]
pub(crate) mod models;
pub(crate) mod perturb;
pub(crate) mod pretrain;
pub(crate) mod simulate;
pub(crate) mod study;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{
    output::{GLOBAL, PrintArgs, Printer},
    run::Run,
};

/// Answers from single-cell data and an scGPT checkpoint.
#[derive(Debug, Parser)]
#[command(name = "scgpt", version, about, max_term_width = 100, args_override_self = true)]
#[command(after_help = "Start with `scgpt demo`. Every command has an example under --help.\n\
    Options come from flags, else SCGPT_* variables, else the file named by --config.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct GlobalArgs {
    #[command(flatten)]
    pub(crate) print: PrintArgs,
    /// TOML file with options of the command, by their long names, and with the settings of a
    /// training
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SCGPT_CONFIG",
        help_heading = GLOBAL
    )]
    pub(crate) config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // What a command says of itself is with its arguments.
    Demo(demo::DemoArgs),
    Embed(embed::EmbedArgs),
    Annotate(annotate::AnnotateArgs),
    Map(map::MapArgs),
    Cells(cells::CellsArgs),
    Perturb(perturb::PerturbArgs),
    Grn(grn::GrnArgs),
    Evaluate(evaluate::EvaluateArgs),
    Integrate(Box<integrate::IntegrateArgs>),
    Inspect(inspect::InspectArgs),
    Join(join::JoinArgs),
    Convert(convert::ConvertArgs),
    Corpus(corpus::CorpusArgs),
    Pretrain(pretrain::PretrainArgs),
    Study(study::StudyArgs),
    Generate(generate::GenerateArgs),
    #[cfg(feature = "cloud")]
    Models(models::ModelsArgs),
    Simulate(simulate::SimulateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let writes = !matches!(
        cli.command,
        Command::Inspect(_) | Command::Evaluate(_) | Command::Completions(_) | Command::Man(_)
    );
    let printer = Printer::new(cli.global.print);
    Run::current().host.begin(writes, printer.is_quiet())?;
    scgpt_data::silence_guarded_panics();
    dispatch(cli.command, cli.global.config.as_deref(), printer)
}

fn dispatch(command: Command, config: Option<&Path>, printer: Printer) -> Result<()> {
    match command {
        Command::Annotate(args) => annotate::run(args, config, printer),
        Command::Cells(args) => cells::run(&args, printer),
        Command::Demo(args) => demo::run(&args, printer),
        Command::Embed(args) => embed::run(&args, printer),
        Command::Evaluate(args) => evaluate::run(args, printer),
        Command::Generate(args) => generate::run(&args, printer),
        Command::Grn(args) => grn::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Integrate(args) => integrate::run(&args, config, printer),
        Command::Join(args) => join::run(&args, printer),
        Command::Convert(args) => convert::run(&args, printer),
        Command::Corpus(args) => corpus::run(&args, printer),
        Command::Perturb(args) => perturb::run(args, config, printer),
        Command::Pretrain(args) => pretrain::run(&args, config, printer),
        Command::Simulate(args) => simulate::run(&args, printer),
        Command::Study(args) => study::run(&args, printer),
        Command::Completions(args) => completions::run(&args),
        Command::Map(args) => map::run(args, printer),
        #[cfg(feature = "cloud")]
        Command::Models(args) => models::run(&args, printer),
        Command::Man(args) => man::run(&args),
    }
}
