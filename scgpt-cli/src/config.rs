//! Flags, else environment, else a TOML file, else defaults.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser as _, parser::ValueSource};
use serde::Serialize;
use toml::{Table, Value};

use crate::{
    args::Cli,
    bounds,
    flags::{Asked, Flags, asked_for},
    output::{beside, write_text},
    status,
};

/// The command line, completed from the file named by `--config`.
///
/// # Errors
/// The exit code, after the message was printed.
pub(crate) fn parse(mut args: Vec<OsString>) -> Result<Cli, ExitCode> {
    let completed = complete(&mut args)
        .and_then(|()| asked_for(&args).map_or(Ok(()), |asked| bounds::check(&asked)));
    if let Err(error) = completed {
        return Err(status::exit_code(Err(error), || Flags::of(&args)));
    }
    Cli::try_parse_from(args).map_err(|error| {
        // Help and version go to stdout with code 0, wrong usage to stderr with code 2.
        drop(error.print());
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// Commands whose settings are more than flags, and that read the file themselves.
const NESTED: [&[&str]; 4] =
    [&["pretrain"], &["annotate", "train"], &["integrate"], &["perturb", "train"]];

/// Inserts what the file says and neither flags nor environment do.
fn complete(args: &mut Vec<OsString>) -> Result<()> {
    let Some(Asked { command, matches, names }) = asked_for(args) else { return Ok(()) };
    if NESTED.iter().any(|nested| *nested == names) {
        return Ok(());
    }
    let last = names.last().map_or("", String::as_str);
    let Some(path) = matches.try_get_one::<std::path::PathBuf>("config").ok().flatten() else {
        return Ok(());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let table: Table = text.parse().with_context(|| format!("`{}` is not TOML", path.display()))?;
    let mut inserted = Vec::new();
    for (key, value) in &table {
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(key));
        let Some(argument) = argument else {
            let names = names.join(" ");
            bail!("`{}`: `scgpt {names}` has no option `{key}`", path.display());
        };
        let source = matches.value_source(argument.get_id().as_str());
        if !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            insert(&mut inserted, key, value, path)?;
        }
    }
    // The command, not the value of `--config` before it.
    let position = args
        .windows(2)
        .rposition(|pair| pair[1] == last && pair[0] != "--config")
        .map_or(args.len(), |position| position + 2);
    args.splice(position..position, inserted);
    Ok(())
}

fn insert(args: &mut Vec<OsString>, key: &str, value: &Value, path: &Path) -> Result<()> {
    let text = match value {
        Value::Boolean(true) => {
            args.push(format!("--{key}").into());
            return Ok(());
        }
        Value::Boolean(false) => return Ok(()),
        // As if the option were given several times.
        Value::Array(values) => {
            return values.iter().try_for_each(|value| insert(args, key, value, path));
        }
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => bail!(
            "`{}`: `{key}` must be a text, a number, true, false or a list of these",
            path.display()
        ),
    };
    args.push(format!("--{key}={text}").into());
    Ok(())
}

/// What the file with the options in force is called, after the name of the output.
pub(crate) const EFFECTIVE: &str = "config.toml";

/// Writes the options in force beside an output, so that `--config` repeats the run.
pub(crate) fn write_effective(
    output: &Path,
    command: &str,
    options: &impl Serialize,
) -> Result<()> {
    let path = beside(output, EFFECTIVE);
    let options = toml::to_string(options).context("options as TOML")?;
    Ok(write_text(
        &path,
        &format!("# scgpt {command}, version {}\n{options}", env!("CARGO_PKG_VERSION")),
    )?)
}
