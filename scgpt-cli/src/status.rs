//! Exit codes, and errors as people read them.

use std::{io, process::ExitCode};

use anyhow::{Error, Result};

/// Input or configuration is wrong, or an output failed.
const FAILURE: u8 = 1;
/// Ended by Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

/// 0, or an error message on stderr and its code.
pub(crate) fn exit_code(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // A reader that has seen enough (`scgpt … | head`) is no failure.
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }) {
        return ExitCode::SUCCESS;
    }
    report(&error);
    let is_cancelled = error.downcast_ref().is_some_and(scgpt_tasks::Error::is_cancelled);
    ExitCode::from(if is_cancelled { INTERRUPTED } else { FAILURE })
}

#[allow(clippy::print_stderr, reason = "this is where errors become text")]
fn report(error: &Error) {
    eprintln!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Libraries often repeat their cause in their own message.
        if !said.contains(&cause) {
            eprintln!("  caused by: {cause}");
            said = cause;
        }
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

fn hint(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<scgpt_tasks::Error>() {
            return error.hint();
        }
        if let Some(error) = cause.downcast_ref::<scgpt_data::Error>() {
            return error.hint();
        }
        if let Some(error) = cause.downcast_ref::<scgpt_model::Error>() {
            return error.hint().map(String::from);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn hints_are_found_below_context() {
        let error = scgpt_tasks::Error::from(scgpt_data::Error::Exists { path: "out.h5ad".into() });
        assert!(error.source().is_none());
        let error = Error::from(error).context("while embedding");
        assert!(hint(&error).is_some_and(|hint| hint.contains("--force")));
    }
}
