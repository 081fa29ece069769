//! The page about a pre-training run.

use super::PretrainReport;
use crate::report::Page;

/// Loss curves, imputation error beside the genes' means, settings.
pub(super) fn page(report: &PretrainReport) -> Page {
    let mut page = Page::new("Pre-training", &report.data.sources.join(", "));
    let number = |name: &str| {
        report.metric(name).map_or_else(|| "not measured".into(), |value| format!("{value:.1}"))
    };
    page.numbers(&[
        ("cells trained on", report.data.training_cells.to_string()),
        ("optimiser steps", report.steps.to_string()),
        ("error of hidden genes", number("gep")),
        ("error of gene means", number("mean_expression")),
    ]);
    page
}
