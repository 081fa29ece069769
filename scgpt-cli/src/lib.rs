//! The program `scgpt` as a library: [`run`] runs a command line for a [`Host`], the terminal or another program.
//!
//! Everything that computes is in the crates below, `scgpt-tasks` above all; this one composes it, and is the only one
//! that speaks to people. A program that wants an embedding uses [`scgpt_tasks`]; this library is for those that offer
//! the commands themselves, such as the Python package.
//!
//! ```
//! use std::sync::Arc;
//!
//! let args = ["scgpt", "models", "--help"].map(Into::into);
//! assert_eq!(scgpt_cli::run(&args, Arc::new(scgpt_cli::Terminal::default())), 0);
//! ```

mod allocator;
mod apart;
mod better;
mod bounds;
mod cell_page;
mod cells_output;
mod choice;
mod commands;
mod config;
mod device;
mod effective;
mod envelope;
mod flags;
mod gene_list;
mod gene_remarks;
mod host;
mod interrupt;
mod learn;
mod matrix;
mod models_here;
mod neighbourhood;
mod notes;
mod output;
mod plan;
mod precision;
mod progress;
mod run;
mod sample;
mod settings;
mod shards_here;
mod status;
mod stream;
mod terminal;
mod training;
mod typed;
mod warnings;
mod workers;

use std::{ffi::OsString, sync::Arc};

use clap::CommandFactory as _;
use scgpt_model::Stop;

pub use self::{
    allocator::keep_freed_memory,
    device::open as open_device,
    host::{Host, Progress, Terminal},
    notes::hear_notes,
    status::causes,
};

/// Runs a command line, whose first word is the name of the program, on this thread.
///
/// Returns its exit code: 0; 1 if an input, a setting or an output is at fault, after the host was told; 2 if the
/// command line is; 130 if the host asked it to stop.
pub fn run(args: &[OsString], host: Arc<dyn Host>) -> u8 {
    let envelope = envelope::Envelope::of(&command(), args);
    let asked = Arc::clone(&host);
    let _begun = run::Run::begin(args, envelope, host);
    let code = match config::parse(args.to_vec()) {
        Ok(cli) => {
            // Most work asks by itself; kernels, which do not, are left.
            let stop = Stop::default();
            let run = || stop.unless_asked(|| commands::run(cli));
            let done = stop.asked_if(|| asked.is_cancelled(), run);
            let done = done.unwrap_or_else(|| Err(scgpt_data::Error::Cancelled.into()));
            status::exit_code(done, || flags::Flags::of(command(), args))
        }
        Err(code) => code,
    };
    workers::end(code);
    code
}

/// All commands of the program with their options.
pub fn command() -> clap::Command {
    commands::Cli::command()
}
