//! [`Envelope`]: what stands around every result, and every error, that programs read.
//!
//! ```text
//! { "version": "0.1.0", "command": "embed", "input": ["cells.h5ad"], "output": "embedded.h5ad",
//!   "report": "embedded.report.html", "result": { … } }
//! { "version": "0.1.0", "command": "embed", "input": …, "output": …, "error": { "message": …, "causes": […], "hint": … } }
//! ```

use std::{ffi::OsString, sync::OnceLock};

use clap::Command;
use serde::Serialize;

use crate::flags::{asked_for, end_of_options};

static ENVELOPE: OnceLock<Envelope> = OnceLock::new();

/// The command of this program run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Envelope {
    version: &'static str,
    command: String,
    /// Files and folders that are read, as they were named.
    input: Vec<String>,
    /// What is written, as it was named.
    output: Option<String>,
    #[serde(skip)]
    is_json: bool,
}

/// A result in its envelope.
#[derive(Debug, Serialize)]
pub(crate) struct Enclosed<'a, T> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    /// The page, if there is one.
    report: Option<&'a str>,
    result: &'a T,
}

/// An error in its envelope.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    error: Failure<'a>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    message: &'a str,
    causes: &'a [String],
    hint: Option<&'a str>,
}

/// Takes note of the command of the program that was asked for, once, before anything is printed.
pub(crate) fn begin(program: &Command, args: &[OsString]) {
    let mut envelope = Envelope { version: env!("CARGO_PKG_VERSION"), ..Envelope::default() };
    envelope.is_json = args[..end_of_options(args)].iter().any(|arg| arg == "--json");
    if let Some(asked) = asked_for(program, args) {
        let given = |id: &str| {
            let raw = asked.matches.try_get_raw(id).ok().flatten();
            raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned())
        };
        let positional = asked.command.get_positionals().map(|argument| argument.get_id().as_str());
        envelope.input = positional.chain(["data"]).flat_map(given).collect();
        envelope.output = given("output").next();
        envelope.command = asked.names.join(" ");
    }
    // Only the first call counts; there is no other.
    drop(ENVELOPE.set(envelope));
}

fn envelope() -> &'static Envelope {
    ENVELOPE.get_or_init(Envelope::default)
}

/// A result in the envelope of the command; `report` is the page that was written beside it.
pub(crate) fn enclosed<'a, T: Serialize>(
    result: &'a T,
    report: Option<&'a str>,
) -> Enclosed<'a, T> {
    Enclosed { envelope: envelope(), report, result }
}

/// An error as JSON, if that was asked for: the messages from the outermost to the cause.
pub(crate) fn error(messages: &[String], hint: Option<&str>) -> Option<String> {
    let envelope = envelope();
    let (message, causes) = messages.split_first().filter(|_| envelope.is_json)?;
    serde_json::to_string_pretty(&Failed { envelope, error: Failure { message, causes, hint } })
        .ok()
}
