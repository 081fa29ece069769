//! [`Flags`]: the flags by which people know settings, which libraries name by their fields.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command};
use scgpt_data::Setting;

/// Settings whose flags have another name.
const OTHERWISE: [(&str, &str); 11] = [
    ("overwrite", "force"),
    ("singles", "perturb"),
    ("test_share", "test"),
    ("validation_share", "validation"),
    ("optimizer.lr", "lr"),
    ("training.select_by", "select_by"),
    ("n_genes", "hvg"),
    ("predict_batch", "batch_size"),
    ("baselines", "no_baselines"),
    ("labels", "obs"),
    ("objectives", "objectives"),
];

/// The flags of the command that was asked for.
#[derive(Debug)]
pub(crate) struct Flags(Command);

impl Flags {
    /// The flags of the command that `args` ask for, among all commands of the program.
    pub(crate) fn of(program: Command, args: &[OsString]) -> Self {
        Self(asked_for(&program, args).map_or(program, |asked| asked.command))
    }

    /// The flag of a setting, or its own name if it has no flag.
    pub(crate) fn spell(&self, setting: Setting) -> String {
        let flag = |id: &str| self.0.get_arguments().find(|it| it.get_id() == id).map(name);
        let other = || OTHERWISE.iter().find(|it| it.0 == setting.0).and_then(|it| flag(it.1));
        flag(setting.0).or_else(other).unwrap_or_else(|| setting.to_string())
    }
}

/// The name of an argument on the command line.
pub(crate) fn name(argument: &Arg) -> String {
    match (argument.get_long(), argument.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => format!("<{}>", argument.get_id().as_str().to_uppercase()),
    }
}

/// The arguments of a command that can be given by a name, and so also in a file.
pub(crate) fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !argument.is_positional())
}

/// Where options end in a command line: behind `--` nothing is one.
pub(crate) fn end_of_options(args: &[impl PartialEq<str>]) -> usize {
    args.iter().position(|arg| *arg == *"--").unwrap_or(args.len())
}

/// The options of a command of the program by its words.
pub(crate) fn options_of(program: Command, words: &str) -> Vec<String> {
    let find = |command: Command, word| command.find_subcommand(word).cloned().unwrap_or(command);
    let command = words.split(' ').fold(program, find);
    options(&command).map(|option| option.get_id().to_string()).collect()
}

/// A subcommand, and the arguments that were given to it.
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) matches: ArgMatches,
    pub(crate) names: Vec<String>,
}

/// The innermost subcommand of the program that a command line asks for, whose arguments may be
/// incomplete; `None` if there is none.
pub(crate) fn asked_for(program: &Command, args: &[OsString]) -> Option<Asked> {
    let mut command = program.clone();
    let mut matches = program.clone().ignore_errors(true).try_get_matches_from(args).ok()?;
    let mut names = Vec::new();
    while let Some((name, inner)) = matches.remove_subcommand() {
        command = command.find_subcommand(&name)?.clone();
        matches = inner;
        names.push(name);
    }
    (!names.is_empty()).then_some(Asked { command, matches, names })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    fn flags(args: &[&str]) -> Flags {
        Flags::of(Cli::command(), &args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn settings_are_called_by_the_flags_of_the_command() {
        let embed = flags(&["scgpt", "embed", "cells.h5ad"]);
        assert_eq!(embed.spell(Setting("batch_size")), "--batch-size");
        assert_eq!(embed.spell(Setting("overwrite")), "--force");
        assert_eq!(embed.spell(Setting("objectives.dar")), "`objectives.dar`");
        let query = flags(&["scgpt", "map", "query", "cells.h5ad"]);
        assert_eq!(query.spell(Setting("k")), "-k");
        let train = flags(&["scgpt", "perturb", "train", "--config", "embed"]);
        assert_eq!(train.spell(Setting("control")), "--control");
        assert_eq!(train.spell(Setting("optimizer.lr")), "--lr");
    }
}
