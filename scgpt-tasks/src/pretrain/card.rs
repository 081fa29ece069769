//! The model card of a pre-trained network, `README.md` in its folder.

use std::fmt::Write as _;

use super::PretrainReport;
use crate::training::card_table;

/// Where the network comes from and how good it is, in Markdown.
pub(super) fn text(report: &PretrainReport) -> String {
    let data = &report.data;
    let mut text = format!(
        "Pre-trained by `scgpt pretrain` (version {}) on {} cells, {} others held out for validation.\n\n\
         - sources: {}\n- steps: {}{}\n- seed: {}\n",
        env!("CARGO_PKG_VERSION"),
        data.training_cells,
        data.validation_cells,
        data.sources.iter().map(|source| format!("`{source}`")).collect::<Vec<_>>().join(", "),
        report.steps,
        match &report.best {
            Some(best) => format!(" (the network is that of step {})", best.step),
            None => String::new(),
        },
        report.config.training.seed,
    );
    if let Some(from) = &data.from {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "- continued from: `{from}`");
    }
    if let Some(line) = report.thinned.and_then(|cells| cells.line(&report.curves.validation)) {
        let _ = writeln!(text, "- {line}");
    }
    if let Some(added) = &report.new_genes {
        let _ = writeln!(text, "- {}", added.card_line());
    }
    let shares = &report.config.unknown_shares;
    let rows: Vec<Vec<String>> = shares
        .iter()
        .filter_map(|share| {
            let percent = (share * 100.0).round();
            let [network, mean] =
                ["gep", "mean_expression"].map(|name| report.metric(&format!("{name}_{percent}")));
            Some(vec![format!("{percent} %"), format!("{:.2}", network?), format!("{:.2}", mean?)])
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(
            "\nSquared error of hidden genes on held-out cells, in squared value bins, beside that of each gene's mean:\n\n",
        );
        text += &card_table(&["hidden", "network", "mean expression"], rows);
    }
    text
}
