//! Exit codes, and errors as people read them.

use std::io;

use anyhow::{Error, Result};
use scgpt_data::{Advice, Setting, SettingProblem};

use crate::{
    flags::Flags,
    run::Run,
    terminal::{shown, shown_json},
    workers,
};

/// Exit code: an input or a setting is wrong, or an output could not be written.
const FAILURE: u8 = 1;
/// Exit code: ended by Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

/// 0, or an error message on stderr and its code.
pub(crate) fn exit_code(result: Result<()>, flags: impl FnOnce() -> Flags) -> u8 {
    let Err(error) = result else {
        return 0;
    };
    // A reader that has seen enough (`scgpt … | head`) is no failure.
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }) {
        return 0;
    }
    let said = report(&error, &flags());
    let is_cancelled = error.downcast_ref().is_some_and(scgpt_tasks::Error::is_cancelled)
        || matches!(error.downcast_ref(), Some(scgpt_data::Error::Cancelled));
    // A training is stopped by all workers together.
    let is_shared = matches!(
        error.downcast_ref(),
        Some(scgpt_tasks::Error::Train(scgpt_train::Error::Interrupted(_)))
    );
    if !is_shared {
        workers::fails(&said);
    }
    if is_cancelled { INTERRUPTED } else { FAILURE }
}

/// The messages of an error and of its causes. Libraries often repeat their cause in their own message: it is there once.
pub fn causes(
    error: &Error,
    message: impl Fn(&(dyn std::error::Error + 'static)) -> String,
) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain().map(message) {
        if said.last().is_none_or(|said| !said.contains(&cause)) {
            said.push(cause);
        }
    }
    said
}

/// Tells people an error with its causes, which it returns.
fn report(error: &Error, flags: &Flags) -> Vec<String> {
    let host = Run::current().host;
    let said = causes(error, |cause| message(cause, flags));
    for (number, cause) in said.iter().enumerate() {
        let lead = if number == 0 { "error" } else { "  caused by" };
        host.tell(&format!("{lead}: {}", shown(cause, "    ")));
    }
    let hint = hint(error, flags);
    if let Some(hint) = &hint {
        host.tell(&format!("hint: {}", shown(hint, "    ")));
    }
    print_json(&said, hint.as_deref());
    said
}

/// Prints an error as JSON, if that was asked for: the messages from the outermost to the cause.
pub(crate) fn print_json(said: &[String], hint: Option<&str>) {
    let Run { host, envelope, .. } = Run::current();
    if let Some(json) = envelope.error(said, hint) {
        // It was told on stderr; if stdout is closed, that is all there is to say.
        drop(host.print(format!("{}\n", shown_json(&json)).as_bytes()));
    }
}

/// The message of an error, in which settings are called by their flags.
fn message(error: &(dyn std::error::Error + 'static), flags: &Flags) -> String {
    let problems = match error.downcast_ref() {
        Some(scgpt_tasks::Error::Data(error)) => return message(error, flags),
        Some(scgpt_tasks::Error::Train(error)) => return message(error, flags),
        _ => match (error.downcast_ref(), error.downcast_ref()) {
            (Some(scgpt_data::Error::Settings(problems)), _)
            | (_, Some(scgpt_train::Error::Config(problems))) => problems,
            _ => return error.to_string(),
        },
    };
    let spelled = |problem: &SettingProblem| problem.spelled(&|setting| flags.spell(setting));
    problems.iter().map(spelled).collect::<Vec<_>>().join("; ")
}

/// The network's library knows no settings; these are the program's.
fn of_model(error: &scgpt_model::Error) -> Option<Advice> {
    let advice = Advice::from(error.hint()?);
    Some(match error {
        scgpt_model::Error::Mismatch { .. } => advice + " (" + Setting("partial") + ")",
        scgpt_model::Error::Read { path, .. } if !path.exists() => {
            advice + "; `scgpt models list` has names of models that are fetched"
        }
        _ => advice,
    })
}

/// What can be done about an error, in which settings are called by their flags.
fn hint(error: &Error, flags: &Flags) -> Option<String> {
    let advice = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(error) = cause.downcast_ref::<scgpt_tasks::Error>() {
            return match error {
                scgpt_tasks::Error::Model(error) => of_model(error),
                error => error.advice(),
            };
        }
        if let Some(error) = cause.downcast_ref::<scgpt_train::Error>() {
            return error.advice();
        }
        if let Some(error) = cause.downcast_ref::<scgpt_data::Error>() {
            return error.advice();
        }
        of_model(cause.downcast_ref()?)
    };
    let advice = error.chain().find_map(advice)?;
    Some(advice.spelled(&|setting| flags.spell(setting)))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    #[test]
    fn hints_are_found_below_context() {
        let error = scgpt_tasks::Error::from(scgpt_data::Error::Exists { path: "out.h5ad".into() });
        assert!(error.source().is_none());
        let error = Error::from(error).context("while embedding");
        let flags = Flags::of(Cli::command(), &["scgpt", "embed"].map(Into::into));
        assert!(hint(&error, &flags).is_some_and(|hint| hint.contains("--force")));
    }

    #[test]
    fn what_does_not_fit_may_be_loaded_in_part() {
        let mismatch = || scgpt_model::Error::Mismatch { path: "w".into(), problem: "x".into() };
        let flags = Flags::of(Cli::command(), &["scgpt", "embed"].map(Into::into));
        for error in [Error::from(mismatch()), scgpt_tasks::Error::from(mismatch()).into()] {
            assert!(hint(&error, &flags).is_some_and(|hint| hint.ends_with("(--partial)")));
        }
    }

    #[test]
    fn settings_are_called_by_their_flags() {
        let flags = Flags::of(Cli::command(), &["scgpt", "annotate", "train"].map(Into::into));
        let problem = || scgpt_data::Setting("optimizer.lr").zero();
        let expected = "--lr is 0, expected at least 1";
        for error in [
            Error::from(scgpt_tasks::Error::from(problem())),
            Error::from(scgpt_data::Error::from(problem())),
            Error::from(scgpt_tasks::Error::from(scgpt_train::Error::Config(vec![problem()]))),
        ] {
            assert_eq!(message(&*error, &flags), expected);
        }
    }
}
