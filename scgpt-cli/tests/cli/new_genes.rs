//! Genes that a checkpoint does not know: left out, or added with vectors of their own.

use std::{
    collections::BTreeMap,
    fs,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::run::{Place, tiny};

/// A checkpoint of sixty genes, and cells with twenty more.
fn place() -> Place {
    let place = Place::new();
    let cells = ["--cells", "120", "--types", "3", "--batches", "2"];
    for (name, genes) in [("known.h5ad", "60"), ("cells.h5ad", "80")] {
        place.done(&[&["simulate", "-o", name, "--genes", genes], &cells[..]].concat());
    }
    place.done(&["convert", "known.h5ad", "-o", "shards"]);
    fs::write(place.path("tiny.toml"), tiny("batch_size = 16", "n_layers = 1", "")).unwrap();
    let pretrain = ["pretrain", "--data", "shards", "--config", "tiny.toml", "--max-steps", "20"];
    place.done(&[&pretrain[..], &["-o", "run"]].concat());
    place
}

const ANNOTATE: [&str; 12] = [
    "annotate",
    "train",
    "cells.h5ad",
    "--label",
    "cell_type",
    "--model",
    "run/model",
    "--batch-size",
    "16",
    "--max-steps",
    "12",
    "--no-baselines",
];

fn annotate<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&ANNOTATE[..], &["-o", output], more].concat()
}

fn report(place: &Place, args: &[&str]) -> Value {
    serde_json::from_str(&place.done(&[args, &["--json"]].concat()).stdout).unwrap()
}

fn vocabulary(place: &Place, model: &str) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(place.path(model).join("vocab.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn new_genes_join_the_vocabulary_and_are_used_ever_after() {
    let place = place();
    let known = vocabulary(&place, "run/model");
    let added = report(&place, &annotate("spectral", &["--new-genes", "spectral"]));
    let new = &added["new_genes"];
    assert_eq!((new["vectors"].as_str(), new["genes"].as_u64()), (Some("spectral"), Some(20)));
    assert!(new["map"]["shared"].as_u64().unwrap() >= 20, "{new}");
    for of in ["cosine", "mean_cosine"] {
        assert!((-1.0..=1.0).contains(&new["map"][of].as_f64().unwrap()), "{new}");
    }
    let larger = vocabulary(&place, "spectral");
    assert_eq!(larger.len(), known.len() + 20);
    assert!(known.iter().all(|(name, token)| larger.get(name) == Some(token)));
    let page = fs::read_to_string(place.path("spectral/report.html")).unwrap();
    assert!(page.contains("20 added, with vectors of co-expression"));

    let predict = ["annotate", "predict", "cells.h5ad", "--model", "spectral", "-o", "types.h5ad"];
    let predicted = place.done(&predict).stdout;
    assert!(predicted.contains("80 of 80 known"), "{predicted}");
    // Every other command opens it, too.
    place.done(&["inspect", "cells.h5ad", "--model", "spectral"]);
    place.done(&["embed", "cells.h5ad", "--model", "spectral", "-o", "embedded.h5ad"]);
    let again = annotate("again", &["--new-genes", "random"]);
    let again: Vec<&str> =
        again.into_iter().map(|arg| if arg == "run/model" { "spectral" } else { arg }).collect();
    assert_eq!(report(&place, &again)["new_genes"]["genes"], 0);

    let drawn = report(&place, &annotate("random", &["--new-genes", "random"]));
    assert_eq!(
        (drawn["new_genes"]["genes"].as_u64(), drawn["new_genes"]["map"].as_null()),
        (Some(20), Some(()))
    );
    let [of_spectral, of_random] =
        ["spectral", "random"].map(|model| fs::read(place.path(model).join("model.safetensors")));
    assert_ne!(of_spectral.unwrap(), of_random.unwrap());
}

#[test]
fn left_out_they_leave_no_trace() {
    let place = place();
    let plain = report(&place, &annotate("plain", &[]));
    let none = report(&place, &annotate("none", &["--new-genes", "none"]));
    assert_eq!(plain, none);
    assert!(plain.get("new_genes").is_none() && plain["config"].get("new_genes").is_none());
    for file in ["model.safetensors", "vocab.json", "training/config.toml"] {
        let [plain, none] =
            ["plain", "none"].map(|folder| fs::read(place.path(folder).join(file)).unwrap());
        assert!(plain == none, "{file}");
    }
    assert_eq!(vocabulary(&place, "plain"), vocabulary(&place, "run/model"));
    place.refused(
        &[
            "annotate",
            "train",
            "cells.h5ad",
            "--label",
            "cell_type",
            "--new-genes",
            "random",
            "-o",
            "x",
        ],
        &["--new-genes is for genes that a checkpoint does not know: give --model"],
    );
}

#[test]
fn a_killed_training_goes_on_with_its_new_genes() {
    let place = place();
    let whole = report(&place, &annotate("whole", &["--new-genes", "spectral"]));
    let args = annotate("killed", &["--new-genes", "spectral", "--checkpoint-every", "1"]);
    let mut child =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = place.path("killed/training/log.jsonl");
    let begin = Instant::now();
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < 4 {
        assert!(begin.elapsed() < Duration::from_mins(1), "the training does not begin");
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = report(&place, &annotate("killed", &["--new-genes", "spectral", "--resume"]));
    assert_eq!(resumed["new_genes"], whole["new_genes"]);
    let [whole, killed] = ["whole", "killed"]
        .map(|folder| fs::read(place.path(folder).join("model.safetensors")).unwrap());
    assert!(whole == killed);
    assert!(!place.path("killed/training/start").exists(), "what a finished run has no use for");
}

#[test]
fn integration_perturbation_and_pre_training_take_them_too() {
    let place = place();
    let flags = [
        "--model",
        "run/model",
        "--new-genes",
        "spectral",
        "--batch-size",
        "16",
        "--max-steps",
        "3",
    ];
    let quick = [&flags[..], &["--no-baselines"]].concat();
    let integrate =
        ["integrate", "cells.h5ad", "--batch-key", "batch", "--hvg", "70", "-o", "out.h5ad"];
    let integrated = report(&place, &[&integrate[..], &quick].concat());
    // Only the genes that cells are compared by join.
    let joined = usize::try_from(integrated["new_genes"]["genes"].as_u64().unwrap()).unwrap();
    assert!((10..20).contains(&joined), "{joined}");
    let larger = vocabulary(&place, "out.model");
    assert_eq!(larger.len(), vocabulary(&place, "run/model").len() + joined);
    place.done(&["integrate", "cells.h5ad", "--model", "out.model", "-o", "further.h5ad"]);

    place.done(&[
        "simulate",
        "-o",
        "raw.h5ad",
        "--genes",
        "80",
        "--cells",
        "160",
        "--perturb",
        "4",
    ]);
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    let learned = report(
        &place,
        &[&["perturb", "train", "screen.h5ad", "-o", "screen"], &quick[..]].concat(),
    );
    assert!(learned["new_genes"]["genes"].as_u64() >= Some(20), "{}", learned["new_genes"]);

    place.done(&["convert", "cells.h5ad", "-o", "more"]);
    let pretrain = ["pretrain", "--data", "more", "-o", "continued"];
    place.refused(&[&pretrain[..], &flags[..2]].concat(), &["vocab"]);
    let pretrained = report(&place, &[&pretrain[..], &flags].concat());
    assert_eq!(pretrained["new_genes"]["genes"], 20);
    assert_eq!(pretrained["new_genes"]["lost"], 0);
    let card = fs::read_to_string(place.path("continued/model/README.md")).unwrap();
    assert!(card.contains("Genes new to the checkpoint: 20 added"), "{card}");
    assert_eq!(vocabulary(&place, "continued/model").len(), 80 + 3);
}
