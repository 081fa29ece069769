//! `scgpt inspect --system`.

use anyhow::{Context as _, Result};
use scgpt_kernels::{Cpu, Format, Processor};
use serde_json::json;

use crate::output::Printer;

/// Says what there is to compute with, and what of it is used.
pub(super) fn run(set: Option<&str>, printer: Printer) -> Result<()> {
    let cpu = Cpu::named(set).context("SCGPT_CPU names the instructions that kernels use")?;
    let Processor { name, features } = Processor::ask();
    let there: Vec<&str> = Cpu::all().map(|cpu| cpu.set().name()).collect();
    let threads = rayon::current_num_threads();
    let computed = |format: Format| (format.name(), cpu.computes_in(format).name());
    let in_words = Format::ALL.map(computed).map(|(asked, computed)| {
        if asked == computed { asked.to_owned() } else { format!("{asked} as {computed}") }
    });
    let formats: serde_json::Map<_, _> = Format::ALL
        .map(computed)
        .into_iter()
        .map(|(asked, computed)| (asked.to_owned(), json!(computed)))
        .collect();
    let json = json!({
        "processor": name, "features": features, "instruction_sets": there,
        "used": cpu.set().name(), "chosen_by": if set.is_some() { "SCGPT_CPU" } else { "itself" },
        "formats": formats, "threads": threads,
    });
    let chosen = if set.is_some() { " (by SCGPT_CPU)" } else { "" };
    let rows = [
        ("processor", name),
        ("features", if features.is_empty() { "none".into() } else { features.join(", ") }),
        ("instructions", there.join(", ")),
        ("used", format!("{}{chosen}", cpu.set())),
        ("formats", in_words.join(", ")),
        ("threads", threads.to_string()),
    ];
    printer.result(&json, &rows)
}
