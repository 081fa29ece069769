//! Rows of a page about how a network was trained.

use std::path::Path;

use scgpt_model::ScgptConfig;
use scgpt_train::{Best, TrainConfig};

use super::Learned;

/// Where the network came from and what it looks like.
pub(crate) fn network_rows(
    model: Option<&Path>,
    network: &ScgptConfig,
) -> [(&'static str, String); 2] {
    let began = model.map_or_else(|| "a new network".into(), |path| path.display().to_string());
    let ScgptConfig { n_layers, n_heads, d_model, .. } = network;
    let shape = format!("{n_layers} layers, {n_heads} heads, {d_model} wide");
    [("began as", began), ("network", shape)]
}

/// How fast and how long it learned, and which of its states was kept.
pub(crate) fn training_rows(
    training: &TrainConfig,
    learned: &Learned,
) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("learning rate", format!("{}, {}", training.optimizer.lr, training.schedule)),
        ("steps", learned.steps.to_string()),
        ("seed", training.seed.to_string()),
    ];
    if let Some(Best { step, metric, .. }) = &learned.best {
        rows.push(("kept", format!("step {step} ({} {:.3})", metric.name, metric.value)));
    }
    rows
}
