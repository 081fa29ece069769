//! `scgpt`: answers from single-cell data and an scGPT checkpoint.

mod args;
mod commands;
mod config;
mod device;
mod interrupt;
mod output;
mod progress;
mod status;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match config::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    status::exit_code(commands::run(cli))
}
