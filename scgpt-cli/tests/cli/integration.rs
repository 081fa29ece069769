//! `scgpt integrate`: whole runs, and what is refused.

use std::fs;

use hdf5_pure::File;
use serde_json::Value;

use crate::run::{Place, embedding, tiny};

/// Settings of a network that is made in no time.
fn place() -> Place {
    let place = Place::new();
    for (name, batches) in [("cells.h5ad", "2"), ("more.h5ad", "3"), ("one.h5ad", "1")] {
        place.done(&[
            "simulate",
            "-o",
            name,
            "--cells",
            "120",
            "--genes",
            "150",
            "--types",
            "2",
            "--batches",
            batches,
        ]);
    }
    fs::write(
        place.path("tiny.toml"),
        tiny(
            "batch_size = 16\nhvg = 60\nmax_length = 41",
            "n_layers = 1\ndropout = 0.1",
            "epochs = 2",
        ),
    )
    .unwrap();
    place
}

const INTEGRATE: [&str; 8] =
    ["integrate", "cells.h5ad", "--batch-key", "batch", "--config", "tiny.toml", "-o", "out.h5ad"];

#[test]
fn batches_become_an_embedding_and_an_artefact_for_more_cells() {
    let place = place();
    let more = ["--label", "cell_type", "--objectives", "ecs=5,dar=0.5", "--json"];
    let report = place.done(&[&INTEGRATE[..], &more].concat());
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["config"]["objectives"]["ecs"], 5.0);
    assert_eq!(report["data"]["batches"].as_array().unwrap().len(), 2);
    let methods = report["methods"].as_array().unwrap();
    let names: Vec<&str> = methods.iter().map(|method| method["name"].as_str().unwrap()).collect();
    assert!(names[0] == "scGPT" && names.contains(&"Harmony"), "{names:?}");
    let bio = &methods[0]["scores"][0]["avg_bio"];
    assert!(bio.as_f64().is_some_and(|bio| (0.0..=1.0).contains(&bio)), "{bio}");
    for name in ["README.md", "integration.json", "report.html", "report.json", "vocab.json"] {
        assert!(place.path("out.model").join(name).is_file(), "{name}");
    }
    assert!(!place.path("out.model/training/cells").exists(), "what is of no use is removed");
    let page = fs::read_to_string(place.path("out.model/report.html")).unwrap();
    assert!(page.contains("coloured by batch") && page.contains("coloured by cell_type"));
    let rows = embedding(&place.path("out.h5ad"));
    assert_eq!(rows.len(), 120 * 16);
    let file = File::open_streaming(place.path("out.h5ad")).unwrap();
    assert!(file.dataset("uns/scgpt").is_ok() || file.group("uns/scgpt").is_ok());

    // The same cells, by the artefact alone: the same rows, whatever the batch size.
    let apply = ["integrate", "cells.h5ad", "--model", "out.model", "-o"];
    for (output, size) in [("again.h5ad", "7"), ("once.h5ad", "1")] {
        place.done(&[&apply[..], &[output, "--batch-size", size]].concat());
        assert_eq!(embedding(&place.path(output)), rows, "{output}");
    }
    let unknown = ["integrate", "more.h5ad", "--model", "out.model", "-o", "x.h5ad"];
    place.refused(&unknown, &["was not trained on", "has `batch_3`", "knows `batch_1`, `batch_2`"]);
    place.refused(&INTEGRATE, &["out.model", "--force"]);
    let other = ["--artefact", "out.model", "-o", "other.h5ad"];
    place.refused(&[&INTEGRATE[..6], &other].concat(), &["out.model", "--resume"]);
}

#[test]
fn what_cannot_be_integrated_is_refused() {
    let place = place();
    let refuse = |file: &str, more: &[&str], parts: &[&str]| {
        let args = ["integrate", file, "--config", "tiny.toml", "-o", "x.h5ad"];
        place.refused(&[&args[..], more].concat(), parts)
    };
    let key = ["--batch-key", "batch"];
    refuse("one.h5ad", &key, &["one batch", "scgpt embed"]);
    refuse("cells.h5ad", &[], &["--batch-key"]);
    refuse("cells.h5ad", &["--batch-key", "donor"], &["`donor` not found", "cell_type"]);
    let with = |more: &'static [&'static str]| [&key[..], more].concat();
    refuse("one.h5ad", &["--batch-key", "cell_type", "--label", "batch"], &["the same", "--label"]);
    refuse("cells.h5ad", &with(&["--objectives", "das=1"]), &["das=1", "dar"]);
    refuse("cells.h5ad", &with(&["--select-by", "avg_bio"]), &["avg_bio", "with labels"]);
}
