//! The page about a pre-training run; it is made without reading the cells again.

use scgpt_report::{Bar, Page};

use super::PretrainReport;
use crate::training::{THINNING_CURVE, learning_curves, validation_curves};

impl PretrainReport {
    /// Loss curves, imputation error beside the genes' means, settings.
    pub fn page(&self) -> Page {
        let mut page = Page::new("Pre-training", &self.data.sources.join(", "));
        let number = |name: &str| {
            self.metric(name).map_or_else(|| "not measured".into(), |value| format!("{value:.1}"))
        };
        page.numbers(&[
            ("cells trained on", self.data.training_cells.to_string()),
            ("optimiser steps", self.steps.to_string()),
            ("error of hidden genes", number("gep")),
            ("error of gene means", number("mean_expression")),
        ]);
        page.text(
            "Errors are mean squares in squared value bins, on held-out cells whose genes were hidden; \
             the mean of each gene over other cells is what one could guess without a network.",
        );
        learning_curves(
            &mut page,
            &self.curves,
            &[
                ("gep", "from token states"),
                ("gepc", "from the cell embedding"),
                ("mean_expression", "gene means"),
            ],
            "squared error",
            "Error of hidden genes on held-out cells.",
        );
        if let Some(thinned) = self.thinned {
            let caption = "How often halves of held-out cells find each other.";
            let validations = &self.curves.validation;
            validation_curves(&mut page, validations, &[THINNING_CURVE], "share", caption);
            page.text(&thinned.sentence());
        }
        imputation(&mut page, self);
        settings(&mut page, self);
        page
    }
}

/// Errors of the network and of the means of genes, for each share of hidden genes.
fn imputation(page: &mut Page, report: &PretrainReport) {
    let mut bars = Vec::new();
    for share in &report.config.unknown_shares {
        let percent = (share * 100.0).round();
        for (metric, name) in [("gep", "network"), ("mean_expression", "gene means")] {
            if let Some(value) = report.metric(&format!("{metric}_{percent}")) {
                let name = format!("{percent} % hidden, {name}");
                bars.push(Bar { name, value, label: format!("{value:.1}") });
            }
        }
    }
    if !bars.is_empty() {
        page.section("Hidden genes").bars(&bars, "Squared error by share of hidden genes.");
    }
}

/// The cells, the network and how it was trained.
fn settings(page: &mut Page, report: &PretrainReport) {
    let config = &report.config;
    let mut rows = vec![
        ("shards", report.data.shards.clone()),
        ("cells held out", report.data.validation_cells.to_string()),
        ("vocabulary", format!("{} tokens", report.data.vocabulary)),
        (
            "batch",
            match config.training.accumulate {
                1 => format!("{} cells", config.batch_size),
                n => format!("{n} times {} cells", config.batch_size),
            },
        ),
        ("tokens per cell", format!("at most {}", config.max_length)),
        ("epochs", config.training.epochs.to_string()),
        (
            "learning rate",
            format!("{}, {}", config.training.optimizer.lr, config.training.schedule),
        ),
        ("seed", config.training.seed.to_string()),
    ];
    match &report.data.from {
        Some(from) => rows.push(("continued from", from.clone())),
        None => rows.push(("network", config.network.shape())),
    }
    rows.extend(report.new_genes.iter().map(|added| ("new genes", added.line())));
    if let Some(best) = &report.best {
        rows.push((
            "kept",
            format!("step {} ({} {:.2})", best.step, best.metric.name, best.metric.value),
        ));
    }
    page.warnings(report.kept_start.as_slice());
    page.section("Settings").table(&rows);
}
