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
        if error.use_stderr() {
            let equals = equals_sign(&args, asked.as_ref()).filter(|_| is_stray(&error));
            if let Some(hint) = &equals {
                host.tell(&shown(&format!("hint: {hint}"), "    "));
            }
            let (message, hint) = said(&error.to_string());
            status::print_json(&[message], equals.or(hint).as_deref());
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

/// Whether a command line has a word too many.
fn is_stray(error: &clap::Error) -> bool {
    let word = error.get(ContextKind::InvalidArg);
    error.kind() == ErrorKind::UnknownArgument
        && matches!(word, Some(ContextValue::String(word)) if !word.starts_with('-'))
}

/// How the value of an option is given that may also stand alone, if one stands alone before a word.
fn equals_sign(args: &[OsString], asked: Option<&Asked>) -> Option<String> {
    let alone = |arg: &clap::Arg| {
        let flag = format!("--{}", arg.get_long()?);
        let place = args.iter().position(|given| *given == *flag)?;
        let value = args.get(place + 1)?.to_str().filter(|value| !value.starts_with('-'))?;
        Some(format!("the value of {flag} follows an equals sign, as in {flag}={value}"))
    };
    let mut options = asked?.command.get_arguments().filter(|arg| arg.is_require_equals_set());
    options.find_map(alone)
}

/// What the text of an error of a command line says, in a line, and what it advises.
fn said(text: &str) -> (String, Option<String>) {
    let mut paragraphs = text.trim().split("\n\n");
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = line(paragraphs.next().unwrap_or_default());
    let message = message.strip_prefix("error: ").map_or(message.clone(), str::to_owned);
    let tip = paragraphs.find_map(|it| it.trim().strip_prefix("tip: ").map(line));
    (message, tip)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_command_line_is_a_message_and_a_tip() {
        let error = Cli::try_parse_from(["scgpt", "embed", "x.h5ad", "--modl", "m"]).unwrap_err();
        let (message, hint) = said(&error.to_string());
        assert_eq!(message, "unexpected argument '--modl' found");
        assert!(hint.is_some_and(|hint| hint.contains("'--model'")));
        let missing = Cli::try_parse_from(["scgpt", "embed", "x.h5ad"]).unwrap_err().to_string();
        let (message, hint) = said(&missing);
        assert!(message.contains("required arguments") && message.contains("--model"), "{message}");
        assert_eq!(hint, None);
    }

    #[test]
    fn a_value_without_its_equals_sign_is_noticed() {
        let hint = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let error = Cli::try_parse_from(&args).unwrap_err();
            equals_sign(&args, asked_for(&Cli::command(), &args).as_ref())
                .filter(|_| is_stray(&error))
        };
        let leiden =
            hint(&["scgpt", "embed", "x.h5ad", "-m", "m", "-o", "y.h5ad", "--leiden", "0.5"]);
        assert!(leiden.is_some_and(|hint| hint.ends_with("--leiden=0.5")));
        let stray = hint(&["scgpt", "embed", "x.h5ad", "z.h5ad", "-m", "m", "-o", "y.h5ad"]);
        assert_eq!(stray, None);
    }
}
