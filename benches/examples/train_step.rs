//! CPU seconds a training step, and its peak memory:
//! `train_step [cells] [tokens] [steps] [dropout] [integration: 0 or 1] [layers] [width]`, in the precision of
//! the variable `SCGPT_PRECISION`, with the attention of `SCGPT_ATTENTION`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for measuring: it prints, and fails by panicking"
)]

use std::time::Instant;

use scgpt_benches::{TrainStep, device};
use scgpt_model::{AttentionKind, ScgptConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// User and system seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [11, 12].map(|field: usize| fields[field].parse::<f64>().unwrap()).iter().sum::<f64>() / 100.0
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn attention() -> AttentionKind {
    match std::env::var("SCGPT_ATTENTION").as_deref() {
        Ok("linear") => AttentionKind::Linear,
        Ok("favor") => AttentionKind::Favor,
        Ok("linformer") => AttentionKind::Linformer,
        _ => AttentionKind::Exact,
    }
}

fn main() {
    let arguments: Vec<f64> =
        std::env::args().skip(1).map(|argument| argument.parse().unwrap()).collect();
    let argument = |index: usize, default: f64| arguments.get(index).copied().unwrap_or(default);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    let count = |index: usize, default: f64| argument(index, default) as usize;
    let (cells, tokens, steps) = (count(0, 8.0), count(1, 512.0), count(2, 2.0));
    let (n_layers, width) = (count(5, 12.0), count(6, 512.0));
    let config = ScgptConfig {
        dropout: argument(3, 0.2),
        n_layers,
        d_model: width,
        d_ff: width,
        n_heads: if width < 512 { 4 } else { 8 },
        attention: attention(),
        ..ScgptConfig::new(60_697)
    };
    let device = device().autodiff();
    let mut train = if count(4, 0.0) == 1 {
        TrainStep::integration(&config, [cells, tokens], &device)
    } else {
        TrainStep::new(&config, [cells, tokens], &device)
    };
    if let Ok(name) = std::env::var("SCGPT_PRECISION") {
        train = train.in_precision(name.parse().unwrap());
    }
    for step in 0..=steps {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let loss = train.step();
        println!(
            "{} {:.2} CPU s, {:.2} s, loss {loss:.4}, peak {:.0} MB",
            if step == 0 { "warm-up" } else { "step" },
            cpu_seconds() - cpu,
            wall.elapsed().as_secs_f64(),
            peak_mb()
        );
    }
}
