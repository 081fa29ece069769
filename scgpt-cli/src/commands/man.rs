//! `scgpt man`.

use anyhow::{Context as _, Result};
use clap::{Args, Command, CommandFactory as _};
use scgpt_data::similar_names;

use crate::{commands::Cli, output::print_text};

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  scgpt man | man -l -\n  scgpt man embed | man -l -\n  \
    scgpt man grn attention | man -l -")]
pub(crate) struct ManArgs {
    /// A command and a subcommand of it; without any, the program itself
    command: Vec<String>,
}

pub(crate) fn run(args: &ManArgs) -> Result<()> {
    let mut cli = Cli::command();
    cli.build();
    let mut page = &cli;
    for name in &args.command {
        page = page.find_subcommand(name).with_context(|| {
            let hint = similar_names(name, page.get_subcommands().map(Command::get_name)).hint();
            format!("`{}` has no command `{name}`{hint}", page.get_name())
        })?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text)?;
    print_text(&text)
}
