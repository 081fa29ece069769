//! `scgpt`: answers from single-cell data and an scGPT checkpoint.

use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    scgpt_cli::keep_freed_memory();
    let args: Vec<_> = std::env::args_os().collect();
    ExitCode::from(scgpt_cli::run(&args, Arc::new(scgpt_cli::Terminal::default())))
}
