//! `scgpt evaluate integration`.

use std::fs;

use serde_json::Value;

use crate::run::{Place, model};

/// A folder with 150 simulated cells of three types in two batches, embedded by the small model.
fn place() -> Place {
    let place = Place::new();
    place.done(&[
        "simulate",
        "-o",
        "cells.h5ad",
        "--cells",
        "150",
        "--genes",
        "120",
        "--types",
        "3",
        "--batches",
        "2",
    ]);
    place.done(&["embed", "cells.h5ad", "--model", &model(), "-o", "embedded.h5ad", "--no-report"]);
    place
}

const EVALUATE: [&str; 8] = [
    "evaluate",
    "integration",
    "embedded.h5ad",
    "--batch-key",
    "batch",
    "--label",
    "cell_type",
    "--embedding",
];

fn evaluate<'a>(embedding: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&EVALUATE[..], &[embedding], more].concat()
}

#[test]
fn embeddings_are_scored_beside_rivals() {
    let place = place();
    let report = place.done(&evaluate("X_scGPT", &["--json", "-o", "report.html", "--hvg", "60"]));
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let embeddings = report["embeddings"].as_array().unwrap();
    let names: Vec<&str> = embeddings.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["obsm/X_scGPT", "Unintegrated", "HVG + PCA", "Harmony", "ComBat"]);
    for embedding in embeddings {
        let scores = &embedding["scores"];
        assert!(scores["missing"].as_object().unwrap().is_empty(), "{embedding}");
        assert!((0.0..=1.0).contains(&scores["overall"].as_f64().unwrap()));
        assert_eq!(scores["n_cells"], 150);
    }
    // Principal components find simulated types.
    assert!(embeddings[2]["scores"]["avg_bio"].as_f64().unwrap() > 0.8);
    let page = fs::read_to_string(place.path("report.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 3 + 2 * 5);

    let table = place.done(&evaluate("X_scGPT", &["--no-baselines", "--clustering", "louvain"]));
    assert!(table.stdout.contains("Louvain, best of 20 resolutions"), "{}", table.stdout);
    assert!(table.stdout.contains("pcr of obsm/X_scGPT: not compared"), "{}", table.stdout);
    let again = place.done(&evaluate("X_scGPT", &["--no-baselines", "--clustering", "louvain"]));
    assert_eq!(table.stdout, again.stdout);
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let place = place();
    place.refused(&evaluate("X_pca", &[]), &["obsm/X_pca: not found", "X_scGPT"]);
    let with = |batch: &'static str, label: &'static str| {
        ["evaluate", "integration", "embedded.h5ad", "--embedding", "X_scGPT", "--batch-key", batch]
            .into_iter()
            .chain(["--label", label])
            .collect::<Vec<_>>()
    };
    place.refused(&with("donor", "cell_type"), &["`donor` not found", "batch"]);
    place.done(&[
        "simulate",
        "-o",
        "one.h5ad",
        "--cells",
        "40",
        "--genes",
        "120",
        "--types",
        "1",
        "--batches",
        "1",
    ]);
    place.done(&["embed", "one.h5ad", "--model", &model(), "-o", "alone.h5ad", "--no-report"]);
    let alone = |batch: &'static str| {
        ["evaluate", "integration", "alone.h5ad", "--embedding", "X_scGPT", "--batch-key", batch]
            .into_iter()
            .chain(["--label", "cell_type"])
            .collect::<Vec<_>>()
    };
    place.refused(&alone("batch"), &["one batch cannot be integrated", "--batch-key"]);
}
