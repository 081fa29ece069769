//! The model card of an artefact, `README.md` in its folder.

use std::fmt::Write as _;

use super::{IntegrateReport, artefact::KIND};
use crate::training::{card_table, size_line};

/// What the artefact embeds, and how well, in Markdown.
pub(super) fn text(report: &IntegrateReport) -> String {
    let data = &report.data;
    let [training, validation] = data.totals();
    let (what, whose) = if data.batch_key.is_empty() {
        ("cells of several modalities".to_owned(), "cells of these modalities")
    } else {
        let n = data.batches.len();
        let key = &data.batch_key;
        (
            format!("cells of {n} batches of `{key}` so that batches are mixed"),
            "cells of these batches",
        )
    };
    let mut text = format!(
        "Embeds {what}, by {} features. {} on {training} cells of `{}`; \
         {validation} others selected the network.\n\n\
         Use: `scgpt integrate cells.h5ad --model THIS_FOLDER -o embedded.h5ad`, for {whose}\n\n",
        data.genes,
        KIND.trained(),
        data.path,
    );
    let batches = data.batches.iter().map(|batch| size_line(&batch.name, batch.parts()));
    text += &card_table(&["batch", "training", "validation"], batches);
    if let Some(links) = &data.links {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "\nLinks: {}. SHA-256 of the table: {}.",
            links.sentence(),
            links.sha256
        );
    }
    for line in report.learned.card_lines(&report.curves) {
        let _ = writeln!(text, "\n{line}.");
    }
    let Some(label) = &data.label else { return text };
    let _ = writeln!(text, "\nScores by the labels in `{label}`, which were not learned from:\n");
    for method in &report.methods {
        let of = |score: Option<f64>| score.map_or("–".into(), |score| format!("{score:.3}"));
        let [bio, batch] = [method.mean(|s| s.avg_bio), method.mean(|s| s.avg_batch)].map(of);
        let _ = writeln!(text, "- {}: AvgBIO {bio}, AvgBATCH {batch}", method.name);
    }
    text
}
