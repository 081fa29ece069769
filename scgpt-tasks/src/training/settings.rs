//! The section of a page about how a network was trained.

use std::path::Path;

use scgpt_model::ScgptConfig;
use scgpt_report::Page;
use scgpt_train::{Best, TrainConfig};

use super::{Learned, NetworkConfig};

/// A line of a table: what it is about, and its value.
pub(crate) type Row = (&'static str, String);

/// Where the network came from and what it looks like.
pub(crate) fn network_rows(model: Option<&Path>, network: &ScgptConfig) -> [Row; 2] {
    let began = model.map_or_else(|| "a new network".into(), |path| path.display().to_string());
    [("began as", began), ("network", NetworkConfig::of(network).shape())]
}

/// Ends a page with the settings of a training: the `rows` of its task, then how fast and how long
/// the network learned, and which of its states was kept. Advice about steps and rate comes first.
pub(crate) fn settings(
    page: &mut Page,
    title: &str,
    mut rows: Vec<Row>,
    training: &TrainConfig,
    learned: &Learned,
) {
    rows.extend(learned.new_genes.iter().map(|added| ("new genes", added.line())));
    rows.extend([
        ("learning rate", format!("{}, {}", training.optimizer.lr, training.schedule)),
        ("steps", learned.steps.to_string()),
        ("seed", training.seed.to_string()),
    ]);
    if let Some(Best { step, metric, .. }) = &learned.best {
        rows.push(("kept", format!("step {step} ({} {:.3})", metric.name, metric.value)));
    }
    page.warnings(learned.advice.as_slice()).warnings(learned.kept_start.as_slice());
    page.section(title).table(&rows);
}
