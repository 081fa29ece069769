//! Flags, else environment, else a TOML file, else defaults.
//!
//! What the file says is given to clap as options of their own, each checked beforehand by its own parser:
//! for clap a default neither satisfies nor excludes another option, and a value of the file has to do
//! both. So `requires`, `conflicts_with` and `required_unless_present` hold wherever an option comes from.
//! Nothing is inserted as free text: see [`ConfigFile::options`].

mod file;
mod known;

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Result, anyhow};
use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use self::{file::ConfigFile, known::Known};
use crate::{
    apart, bounds,
    commands::Cli,
    flags::{Asked, Flags, asked_for, end_of_options},
    models_here,
    output::Printer,
    run::Run,
    status,
    terminal::shown,
};

/// The command line, completed from the file named by `--config`.
///
/// # Errors
/// The exit code, after the message was printed.
pub(crate) fn parse(given: Vec<OsString>) -> Result<Cli, u8> {
    let mut args = given;
    let completed = complete(&mut args).and_then(|added| {
        let asked = asked_for(&Cli::command(), &args);
        if let Some(asked) = &asked {
            bounds::check(asked)?;
            apart::check(asked)?;
        }
        Ok((added, asked))
    });
    let (added, asked) = match completed {
        Ok(completed) => completed,
        Err(error) => {
            return Err(status::exit_code(Err(error), || Flags::of(Cli::command(), &args)));
        }
    };
    let cli = Cli::try_parse_from(&args).map_err(|error| {
        if let Some(refused) = refused(&error) {
            return status::exit_code(Err(refused), || Flags::of(Cli::command(), &args));
        }
        // Help and version go to stdout with code 0, wrong usage to stderr with code 2.
        let host = Run::current().host;
        host.usage(&error);
        if let (Some(added), true) = (added, is_between_options(error.kind())) {
            host.tell(&shown(&added, "  "));
        }
        u8::try_from(error.exit_code()).unwrap_or(2)
    })?;
    with_model_here(cli, asked.as_ref(), &mut args)
        .map_err(|error| status::exit_code(Err(error), || Flags::of(Cli::command(), &args)))
}

/// The same command line, with a folder of this machine for a model that is elsewhere.
fn with_model_here(cli: Cli, asked: Option<&Asked>, args: &mut Vec<OsString>) -> Result<Cli> {
    let printer = Printer::new(cli.global.print);
    let Some(asked) = asked else { return Ok(cli) };
    let is_changed = models_here::settle(args, asked, printer)?;
    Ok(if is_changed { Cli::try_parse_from(&*args)? } else { cli })
}

/// Adds the options that the file names and that neither flags nor environment set. Returns a note
/// of which they are, for an error between options.
fn complete(args: &mut Vec<OsString>) -> Result<Option<String>> {
    let Some(asked) = asked_for(&Cli::command(), args) else { return Ok(None) };
    let Some(path) = asked.matches.try_get_one::<PathBuf>("config").ok().flatten() else {
        return Ok(None);
    };
    let file = ConfigFile::read(path)?;
    let known = Known::of_command(&asked.names)?;
    let options = file.options(&asked, known.as_ref())?;
    let end = end_of_options(args);
    let said: Vec<_> = options.iter().map(|option| option.to_string_lossy()).collect();
    let note = format!("note: `{}` adds {}", path.display(), said.join(" "));
    let note = (!options.is_empty()).then_some(note);
    args.splice(end..end, options);
    Ok(note)
}

/// Whether an error is about several options together, so that it matters where they come from.
fn is_between_options(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument)
}

/// The error for a value that one of the libraries refuses, in the words of the library.
fn refused(error: &clap::Error) -> Option<anyhow::Error> {
    let reason = std::error::Error::source(error)?.downcast_ref::<scgpt_data::Error>()?;
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // As in `--freeze <PARTS>`.
    let flag = text(ContextKind::InvalidArg).split(' ').next().unwrap_or_default();
    Some(anyhow!("{flag} {}: {reason}", text(ContextKind::InvalidValue)))
}
