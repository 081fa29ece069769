//! `scgpt man`.

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};

use crate::{args::Cli, output::print_text};

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  scgpt man | man -l -\n  scgpt man embed | man -l -")]
pub(crate) struct ManArgs {
    /// A command; the program itself if none
    command: Option<String>,
}

pub(crate) fn run(args: &ManArgs) -> Result<()> {
    let mut cli = Cli::command();
    cli.build();
    let page = match &args.command {
        None => cli,
        Some(name) => cli
            .find_subcommand(name)
            .with_context(|| format!("there is no command `{name}`"))?
            .clone(),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print_text(&text)
}
