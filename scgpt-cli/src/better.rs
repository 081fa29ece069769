//! [`Again`]: the command line of this run, as it would be asked for otherwise.
//!
//! A report that says that another method is better ends with the command that gives the better result, with the
//! user's own arguments.

use std::ffi::OsString;

use clap::{Arg, Command};

use crate::{
    flags::{asked_for, end_of_options, name},
    run::Run,
};

/// The command line of a run, some options of which are changed.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    /// The innermost subcommand, whose options these are.
    command: Command,
    words: Vec<String>,
}

impl Again {
    /// This run of the `program`, as it was asked for; `None` if it is of another command than that of these
    /// `words`, which runs that one as a part of it.
    pub(crate) fn this_run(program: Command, words: &str) -> Option<Self> {
        let args = Run::current().args;
        let asked = asked_for(&program, &args)?;
        (asked.names.join(" ") == words).then(|| Self::of(program, &args))
    }

    /// Another command of the `program` by its words, without arguments.
    pub(crate) fn command(program: Command, words: &[&str]) -> Self {
        Self::of(program, &["scgpt"].iter().chain(words).map(OsString::from).collect::<Vec<_>>())
    }

    fn of(program: Command, args: &[OsString]) -> Self {
        let command = asked_for(&program, args).map_or(program, |asked| asked.command);
        let words = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
        Self { command, words: words.collect() }
    }

    /// The same with an option, named by its field, set to `value`: in its place and spelling if it was given, else
    /// behind all others.
    #[must_use]
    pub(crate) fn with(mut self, id: &str, value: &str) -> Self {
        let option = self.command.get_arguments().find(|option| option.get_id() == id);
        let Some(option) = option.cloned() else { return self };
        let given = self.take(&option);
        let (at, words) = match given.first() {
            Some((at, spelling)) => (*at, spelling.with(value)),
            None => (end_of_options(&self.words), vec![name(&option), value.to_owned()]),
        };
        self.words.splice(at..at, words);
        self
    }

    /// The same without an option, if it was given.
    #[must_use]
    pub(crate) fn without(mut self, id: &str) -> Self {
        let option = self.command.get_arguments().find(|option| option.get_id() == id);
        if let Some(option) = option.cloned() {
            self.take(&option);
        }
        self
    }

    /// Takes all words of an option out; returns where they were, and how they were spelled.
    fn take(&mut self, option: &Arg) -> Vec<(usize, Spelling)> {
        let takes_value = option.get_action().takes_values();
        let names = [
            option.get_long().map(|long| format!("--{long}")),
            option.get_short().map(|short| format!("-{short}")),
        ];
        let mut taken = Vec::new();
        let mut at = 0;
        while at < end_of_options(&self.words) {
            let word = &self.words[at];
            let spelled = names.iter().flatten().find_map(|name| {
                let rest = word.strip_prefix(name.as_str())?;
                let is_short = !name.starts_with("--");
                match (rest.is_empty(), takes_value) {
                    (true, _) => {
                        Some((Spelling::Apart(name.clone()), 1 + usize::from(takes_value)))
                    }
                    (false, true) if rest.starts_with('=') => {
                        Some((Spelling::Joined(format!("{name}=")), 1))
                    }
                    (false, true) if is_short => Some((Spelling::Joined(name.clone()), 1)),
                    _ => None,
                }
            });
            match spelled {
                Some((spelling, n)) => {
                    self.words.drain(at..(at + n).min(self.words.len()));
                    taken.push((at, spelling));
                }
                None => at += 1,
            }
        }
        taken
    }

    /// The command as a line for a shell.
    pub(crate) fn line(&self) -> String {
        let words = self.words.iter().map(|word| quoted(word));
        std::iter::once("scgpt".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// How an option was given.
#[derive(Clone, Debug)]
enum Spelling {
    /// `--name value`, or `-n value`.
    Apart(String),
    /// `--name=value`, or `-nvalue`.
    Joined(String),
}

impl Spelling {
    fn with(&self, value: &str) -> Vec<String> {
        match self {
            Self::Apart(name) => vec![name.clone(), value.to_owned()],
            Self::Joined(name) => vec![format!("{name}{value}")],
        }
    }
}

/// A word as a shell takes it for one: in quotes unless it has nothing but letters, digits and marks without a
/// meaning.
fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_alphanumeric() || "_-+=:,./@%".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    fn again(args: &[&str]) -> Again {
        let args: Vec<OsString> = ["/bin/scgpt"].iter().chain(args).map(OsString::from).collect();
        Again::of(Cli::command(), &args)
    }

    #[test]
    fn options_are_changed_where_they_stand() {
        let given =
            ["integrate", "a b.h5ad", "-o", "out.h5ad", "--label=cell type", "--batch-key", "it's"];
        let line = again(&given).with("output", "other.h5ad").with("hvg", "9").line();
        assert_eq!(
            line,
            r"scgpt integrate 'a b.h5ad' -o other.h5ad '--label=cell type' --batch-key 'it'\''s' --hvg 9"
        );
        let line = again(&["integrate", "--hvg=3", "-oout.h5ad", "--", "x"]).with("hvg", "4");
        assert_eq!(
            line.clone().with("seed", "1").line(),
            "scgpt integrate --hvg=4 -oout.h5ad --seed 1 -- x"
        );
        assert_eq!(line.without("output").line(), "scgpt integrate --hvg=4 -- x");
    }

    #[test]
    fn flags_and_options_that_were_never_given_go() {
        let line = again(&["integrate", "x", "--ablate", "--model", "m", "-m", "n"]);
        let line = line.without("ablate").without("model").without("seed").with("nothing", "1");
        assert_eq!(line.line(), "scgpt integrate x");
    }
}
