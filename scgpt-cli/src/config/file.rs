//! [`ConfigFile`]: options, and settings of a training, in TOML.

use std::{ffi::OsString, path::Path};

use anyhow::{Error, Result, anyhow, bail};
use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};
use scgpt_data::{similar_names, unknown_choice};
use toml::{Table, Value};

use super::known::Known;
use crate::{
    flags::{Asked, options},
    settings::{as_written, table},
};

/// A file named by `--config`. A key may be spelled `batch_size` or `batch-size`; a key of an option is
/// its long name, and its value true or false for a flag, else a text, a number or, if the option may be
/// given several times, a list of these.
pub(super) struct ConfigFile<'p> {
    path: &'p Path,
    /// Keys of the top table, as they are written.
    written: Vec<String>,
    table: Table,
}

impl<'p> ConfigFile<'p> {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key in both spellings.
    pub(super) fn read(path: &'p Path) -> Result<Self> {
        let written = as_written(path)?.keys().cloned().collect();
        Ok(Self { path, written, table: table(path)? })
    }

    /// The options of the command that was asked for, as they would stand on its command line, without
    /// those that were given otherwise and without settings of a training.
    ///
    /// Every one is a single argument, `--name=value`, of an option that the command has, and its value
    /// has passed the option's own parser: a value that looks like a flag, or has spaces in it, stays a
    /// value.
    ///
    /// # Errors
    /// Naming the file and the key, if it is unknown or its value is not one of that option.
    pub(super) fn options(&self, asked: &Asked, known: Option<&Known>) -> Result<Vec<OsString>> {
        let mut arguments = Vec::new();
        for (key, value) in &self.table {
            if known.is_some_and(|known| known.keys.contains(&key.as_str())) {
                continue;
            }
            let option = options(&asked.command).find(|option| option.get_id() == key);
            let Some(option) = option else { return Err(self.unknown(key, asked, known)) };
            let texts =
                texts(option, value).and_then(|texts| check(option, &texts).map(|()| texts));
            let texts =
                texts.map_err(|error| anyhow!("`{}`: `{key}`: {error}", self.path.display()))?;
            let source = asked.matches.value_source(key);
            if !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
                arguments.extend(texts.iter().map(|text| argument(option, text.as_deref())));
            }
        }
        Ok(arguments)
    }

    fn unknown(&self, key: &str, asked: &Asked, known: Option<&Known>) -> Error {
        let ids = options(&asked.command).map(|option| option.get_id().as_str());
        let mut keys: Vec<&str> =
            ids.chain(known.into_iter().flat_map(|it| it.keys).copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let command = asked.names.join(" ");
        let written = self.written.iter().find(|written| written.replace('-', "_") == key);
        let written = written.map_or(key, String::as_str);
        let hint = match known.and_then(|known| known.elsewhere(key)) {
            Some(place) => format!("; it is `{place}`"),
            None => similar_names(key, keys.iter().copied()).hint(),
        };
        anyhow!(
            "`{}`: `scgpt {command}` has no option `{written}` (has {}){hint}",
            self.path.display(),
            keys.join(", ")
        )
    }
}

/// The values that are given to an option, each as on a command line; `None` for a flag.
fn texts(option: &Arg, value: &Value) -> Result<Vec<Option<String>>> {
    let takes_value = option.get_action().takes_values();
    match (value, takes_value) {
        (Value::Boolean(is_set), false) => Ok(if *is_set { vec![None] } else { Vec::new() }),
        (_, false) => bail!("expected true or false"),
        (Value::Array(values), true) if matches!(option.get_action(), ArgAction::Append) => {
            values.iter().map(|value| Ok(Some(text(value)?))).collect()
        }
        (Value::Array(_), true) => bail!("expected one value, not a list"),
        (value, true) => Ok(vec![Some(text(value)?)]),
    }
}

fn text(value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => bail!("expected a text, a number or a list of these, not a {}", other.type_str()),
    })
}

/// The argument for one value of an option, as on the command line.
fn argument(option: &Arg, text: Option<&str>) -> OsString {
    let name = crate::flags::name(option);
    text.map_or_else(|| name.clone(), |text| format!("{name}={text}")).into()
}

/// Lets the option's own parser check its values.
fn check(option: &Arg, texts: &[Option<String>]) -> Result<()> {
    const VALUE: &str = "value";
    let mut alone = Arg::new(VALUE).long(VALUE).action(ArgAction::Append);
    alone = alone.value_parser(option.get_value_parser().clone());
    if let Some(delimiter) = option.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    let command = Command::new(VALUE).no_binary_name(true).arg(alone);
    for text in texts.iter().flatten() {
        if let Err(error) = command.clone().try_get_matches_from([format!("--{VALUE}={text}")]) {
            return Err(reason(&error, text));
        }
    }
    Ok(())
}

/// Why a value was refused.
fn reason(error: &clap::Error, text: &str) -> Error {
    if let Some(ContextValue::Strings(choices)) = error.get(ContextKind::ValidValue) {
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        return unknown_choice(text, &choices).into();
    }
    match std::error::Error::source(error) {
        Some(source) => anyhow!("`{text}`: {source}"),
        None => anyhow!("`{text}` is not a value of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    use crate::{commands::Cli, flags::asked_for};

    /// What a file adds to a command line, or why it is refused.
    fn added(args: &[&str], toml: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("options.toml");
        std::fs::write(&path, toml).unwrap();
        let args: Vec<_> = ["scgpt"].iter().chain(args).map(Into::into).collect();
        let asked = asked_for(&Cli::command(), &args).unwrap();
        let known = Known::of_command(&asked.names).unwrap();
        let options = ConfigFile::read(&path)?.options(&asked, known.as_ref())?;
        Ok(options.into_iter().map(|it| it.into_string().unwrap()).collect())
    }

    fn refused(args: &[&str], toml: &str) -> String {
        format!("{:#}", added(args, toml).unwrap_err())
    }

    #[test]
    fn keys_have_either_spelling_and_given_flags_win() {
        for toml in ["batch-size = 3\nno-report = true", "batch_size = 3\nno_report = true"] {
            let all = added(&["embed", "x.h5ad"], toml).unwrap();
            assert_eq!(all, ["--batch-size=3", "--no-report"]);
            let rest = added(&["embed", "x.h5ad", "--batch-size", "4"], toml).unwrap();
            assert_eq!(rest, ["--no-report"]);
        }
        assert!(added(&["embed"], "no_report = false").unwrap().is_empty());
        assert_eq!(added(&["map", "query"], "k = 5").unwrap(), ["-k=5"]);
        let lists = added(&["map", "index"], "labels = ['a', 'b']").unwrap();
        assert_eq!(lists, ["--labels=a", "--labels=b"]);
        let twice = refused(&["embed"], "batch-size = 3\nbatch_size = 3");
        assert!(twice.ends_with("`batch_size` is given twice"), "{twice}");
    }

    #[test]
    fn mistakes_are_told_with_file_and_key() {
        for (toml, parts) in [
            (
                "batch-sise = 3",
                &["no option `batch-sise` (has ", "; similar names: batch_size"][..],
            ),
            ("seed = 'x'", &["`seed`", "`x`: invalid digit"]),
            ("seed = true", &["`seed`", "expected a text, a number"]),
            ("seed = [1, 2]", &["`seed`", "expected one value"]),
            ("no_report = 'yes'", &["`no_report`", "expected true or false"]),
            ("hvg_flavor = 'seurat_v4'", &["`hvg_flavor`", "similar names: seurat_v3"]),
            ("layer = { a = 1 }", &["`layer`", "not a table"]),
            ("config = 'other.toml'", &["no option `config`"]),
            ("input = 'cells.h5ad'", &["no option `input`"]),
        ] {
            let message = refused(&["embed", "x.h5ad"], toml);
            for part in parts.iter().chain(&["options.toml"]) {
                assert!(message.contains(part), "{toml}: {message}");
            }
        }
    }

    #[test]
    fn settings_of_a_training_are_left_to_it_and_its_flags_are_options() {
        let train = ["annotate", "train", "x.h5ad"];
        let toml = "batch_size = 3\nlr = 0.5\nfreeze = ['genes', 'blocks:2']\ntraining.epochs = 2";
        let options = added(&train, toml).unwrap();
        assert_eq!(options, ["--freeze=genes", "--freeze=blocks:2", "--lr=0.5"]);
        let nested = refused(&train, "weight_decay = 0.5");
        assert!(nested.ends_with("; it is `training.optimizer.weight_decay`"), "{nested}");
        assert!(refused(&train, "freeze = 'gene'").contains("similar names: genes"));
    }
}
