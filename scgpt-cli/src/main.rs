//! `scgpt`: answers from single-cell data and an scGPT checkpoint.

mod args;
mod commands;
mod config;
mod device;
mod interrupt;
mod matrix;
mod output;
mod progress;
mod status;

use std::process::ExitCode;

/// Every tensor operation allocates its result; this allocator keeps large blocks instead of
/// returning them to the system each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match config::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    status::exit_code(commands::run(cli))
}
