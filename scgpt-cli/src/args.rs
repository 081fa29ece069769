//! The whole command line at a glance.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    annotate, completions, convert, demo, embed, evaluate, generate, grn, inspect, integrate, man,
    map, perturb, pretrain, simulate,
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

/// Above the options of every command.
const GLOBAL: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Print the result as JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// Print nothing but the result and errors
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
    /// TOML file with options of the command, by their long names, and of a training its settings
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
    Perturb(perturb::PerturbArgs),
    Grn(grn::GrnArgs),
    Evaluate(evaluate::EvaluateArgs),
    Integrate(Box<integrate::IntegrateArgs>),
    Inspect(inspect::InspectArgs),
    Convert(convert::ConvertArgs),
    Pretrain(pretrain::PretrainArgs),
    Generate(generate::GenerateArgs),
    Simulate(simulate::SimulateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}
