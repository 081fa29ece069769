//! [`Envelope`]: what stands around every result, and every error, that programs read.
//!
//! ```text
//! { "version": "0.1.0", "command": "embed", "input": ["cells.h5ad"], "output": "embedded.h5ad",
//!   "report": "embedded.report.html", "slots": ["obsm/X_scGPT"], "result": { … } }
//! { "version": "0.1.0", "command": "embed", "input": …, "output": …, "report": null, "slots": [], "result": null,
//!   "error": { "message": …, "causes": […], "hint": … } }
//! ```

use std::ffi::OsString;

use clap::Command;
use serde::Serialize;

use crate::flags::{asked_for, end_of_options};

/// The command of a run.
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
    /// What the output has that its input, or whatever else had these names, had not.
    slots: Vec<String>,
    result: &'a T,
}

/// An error in its envelope.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    /// There is no page, no slot and no result.
    report: Option<&'a str>,
    slots: [&'a str; 0],
    result: Option<()>,
    error: Failure<'a>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    message: &'a str,
    causes: &'a [String],
    hint: Option<&'a str>,
}

impl Envelope {
    /// The envelope of the command of the program that a command line asks for.
    pub(crate) fn of(program: &Command, args: &[OsString]) -> Self {
        let mut envelope = Self { version: env!("CARGO_PKG_VERSION"), ..Self::default() };
        envelope.is_json = args[..end_of_options(args)].iter().any(|arg| arg == "--json");
        if let Some(asked) = asked_for(program, args) {
            let given = |id: &str| {
                let raw = asked.matches.try_get_raw(id).ok().flatten();
                raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned())
            };
            let positional =
                asked.command.get_positionals().map(|argument| argument.get_id().as_str());
            envelope.input = positional.chain(["data"]).flat_map(given).collect();
            envelope.output = given("output").next();
            envelope.command = asked.names.join(" ");
        }
        envelope
    }

    /// A result in this envelope; `report` is the page that was written beside it, and `slots` are elements that were
    /// written with cells.
    pub(crate) fn enclosed<'a, T: Serialize>(
        &'a self,
        result: &'a T,
        report: Option<&'a str>,
        slots: Vec<String>,
    ) -> Enclosed<'a, T> {
        Enclosed { envelope: self, report, slots, result }
    }

    /// An error as JSON, if that was asked for: the messages from the outermost to the cause.
    pub(crate) fn error(&self, messages: &[String], hint: Option<&str>) -> Option<String> {
        let (message, causes) = messages.split_first().filter(|_| self.is_json)?;
        let error = Failure { message, causes, hint };
        let failed = Failed { envelope: self, report: None, slots: [], result: None, error };
        serde_json::to_string_pretty(&failed).ok()
    }
}
