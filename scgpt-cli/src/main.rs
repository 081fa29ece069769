//! `scgpt`: answers from single-cell data and an scGPT checkpoint.

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
mod sample;
mod settings;
mod shards_here;
mod status;
mod stream;
mod terminal;
mod training;
mod typed;
mod warnings;

use std::process::ExitCode;

use clap::CommandFactory as _;

/// Every tensor operation allocates its result; this allocator keeps large blocks instead of
/// returning them to the system each time, see [`keep_freed_memory`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Freed blocks stay with the process: by default they go back to the system after 10 ms, and a
/// training step then spends a fifth of its time on the system's clearing them again.
#[allow(unsafe_code, reason = "the allocator's crate has no safe function for its options")]
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of `mimalloc.h`; the value is milliseconds, negative for never.
    const PURGE_DELAY: std::ffi::c_int = 15;
    unsafe extern "C" {
        fn mi_option_set_default(option: std::ffi::c_int, value: std::ffi::c_long);
    }
    // SAFETY: the signature is that of `mimalloc.h`, and options may be set at any time. A default
    // yields to the environment variable `MIMALLOC_PURGE_DELAY`.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) };
}

fn main() -> ExitCode {
    keep_freed_memory();
    let args: Vec<_> = std::env::args_os().collect();
    envelope::begin(&commands::Cli::command(), &args);
    let cli = match config::parse(args.clone()) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    status::exit_code(commands::run(cli), || flags::Flags::of(commands::Cli::command(), &args))
}
