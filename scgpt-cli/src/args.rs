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

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but the result and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// TOML file with options of the command, by their long names
    #[arg(long, global = true, value_name = "FILE", env = "SCGPT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work: simulate cells, embed them, open the report
    Demo(demo::DemoArgs),
    /// Embed cells: obsm/X_scGPT in a copy of the file
    Embed(embed::EmbedArgs),
    /// Annotate cell types: learn from labelled cells, tell the types of others
    Annotate(annotate::AnnotateArgs),
    /// Map cells to a labelled reference: each cell takes the label of its neighbours
    Map(map::MapArgs),
    /// Predict responses to gene perturbations, and find which perturbation explains a state
    Perturb(perturb::PerturbArgs),
    /// Gene networks: from gene embeddings, and from attention
    Grn(grn::GrnArgs),
    /// Judge results whose truth is known, ours or another tool's
    Evaluate(evaluate::EvaluateArgs),
    /// Integrate batches: an embedding in which they are mixed, in a copy of the file
    Integrate(Box<integrate::IntegrateArgs>),
    /// Say what is in a file, and which of its genes a model knows
    Inspect(inspect::InspectArgs),
    /// Convert a checkpoint to a safetensors directory or file
    Convert(convert::ConvertArgs),
    /// Pre-train a model on token shards: known genes, unknown genes, cell prompts
    Pretrain(pretrain::PretrainArgs),
    /// Generate expression: hidden genes, missing genes, or cells from embeddings
    Generate(generate::GenerateArgs),
    /// Simulate cells of known types and batches, or with perturbed genes
    Simulate(simulate::SimulateArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}
