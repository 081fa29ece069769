//! Simple methods in place of the network: what `--method` writes, what it says, and what is refused.

use std::{fs, path::Path};

use scgpt_data::{CellSource as _, Layer, Source};
use serde_json::Value;

use crate::run::{Place, tiny};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A screen of eight genes and six pairs, and in `net` what a tiny network learned of it.
fn screen() -> Place {
    let place = Place::new();
    let cells = ["--cells", "600", "--genes", "80", "--perturb", "8", "--doubles", "6"];
    place.done(&[&["simulate", "-o", "raw.h5ad"], &cells[..]].concat());
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    let task = "batch_size = 8\ngenes_per_step = 40\ngenes_per_pass = 40\npool = 8\npairs = 2";
    fs::write(place.path("tiny.toml"), tiny(task, "n_layers = 1", "epochs = 1")).unwrap();
    place
}

/// The cells of a file, `[n, g]`.
fn matrix(path: &Path) -> Vec<f32> {
    let mut source = Source::open(path).unwrap();
    let n = source.summary().n_cells;
    let block = source.read(&Layer::X, 0..n).unwrap();
    let mut rows = vec![0.0; n * block.n_genes()];
    for (row, cell) in rows.chunks_mut(block.n_genes()).zip(block.rows()) {
        for (&gene, &x) in cell.indices.iter().zip(cell.values) {
            row[gene as usize] = x;
        }
    }
    rows
}

#[test]
fn responses_are_predicted_by_simple_methods_or_the_best_of_all() {
    let place = screen();
    let train = ["perturb", "train", "screen.h5ad", "--config", "tiny.toml", "-o", "net"];
    let trained = place.done(&train);
    // A network of one pass is worse than what is simple, and the last line says what to do.
    let last = trained.stdout.lines().last().unwrap();
    let command = last.strip_prefix("better").unwrap_or_else(|| panic!("{}", trained.stdout));
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[..5], ["scgpt", "perturb", "predict", "--model", "net"], "{command}");
    let page = fs::read_to_string(place.path("net/report.html")).unwrap();
    assert!(page.contains(command.trim()), "on the page, too");
    assert_eq!(
        json(&fs::read_to_string(place.path("net/report.json")).unwrap())["better"],
        command.trim()
    );
    place.done(&words[1..]);
    assert!(place.path("predicted.h5ad").is_file());

    let report = json(&fs::read_to_string(place.path("net/report.json")).unwrap());
    let tested = report["split"]["test"].as_array().unwrap().iter();
    let tested = tested.map(|name| name.as_str().unwrap().replace("+ctrl", "").replace('+', ","));
    let tested: Vec<String> = tested.collect();
    let predict = |method: &str, output: &str| {
        let mut args = vec!["perturb", "predict", "-m", "net", "--cells", "4", "-o", output];
        args.extend(["--method", method, "--json"]);
        for genes in &tested {
            args.extend(["--genes", genes]);
        }
        json(&place.done(&args).stdout)
    };
    for method in ["additive", "linear", "matching_mean", "training_mean", "no_change"] {
        let output = format!("{method}.h5ad");
        let said = predict(method, &output);
        assert_eq!(said["method"]["method"], method);
        assert!(said["precision"].is_null());
        let cells = matrix(&place.path(&output));
        assert_eq!(cells.len(), tested.len() * 4 * 80);
        assert!(cells.iter().all(|x| x.is_finite()));
    }
    // The mean of all conditions is the same whatever is asked for, and cells differ as controls do.
    let cells = matrix(&place.path("training_mean.h5ad"));
    assert!(cells[..4 * 80] == cells[4 * 80..8 * 80] && cells[..80] != cells[80..160]);
    let best = predict("best", "best.h5ad");
    let chosen = best["method"]["method"].as_str().unwrap();
    assert!(best["method"]["because"].as_str().unwrap().contains("against"), "{best}");
    if chosen != "network" {
        assert!(matrix(&place.path("best.h5ad")) == matrix(&place.path(&format!("{chosen}.h5ad"))));
    }
    // Methods are as good as the report says, and better for what selected the network.
    let judge = ["evaluate", "perturb", "linear.h5ad", "--truth", "screen.h5ad"];
    let judge = [&judge[..], &["--split-file", "net/split.json", "--json"]].concat();
    let judged = json(&place.done(&judge).stdout);
    let score = |method: &Value| method["scores"]["pearson_delta"]["mean"].as_f64().unwrap();
    let expected = report["evaluation"]["methods"].as_array().unwrap().iter();
    let expected = expected.filter(|it| it["name"] == "linear").map(score).next().unwrap();
    assert!((score(&judged["methods"][0]) - expected).abs() < 0.15, "{judged}");
}

#[test]
fn the_best_method_needs_something_to_be_chosen_by() {
    let place = screen();
    let train = ["perturb", "train", "screen.h5ad", "--config", "tiny.toml", "-o", "net"];
    place.done(&[&train[..], &["--no-baselines"]].concat());
    let predict = ["perturb", "predict", "-m", "net", "--genes", "GENE00001", "-o", "x.h5ad"];
    let refused = place.refused(
        &[&predict[..], &["--method", "best"]].concat(),
        &["nothing to choose the best method by", "the network alone", "--method"],
    );
    assert!(refused.contains("hint:") || refused.contains("name a method"), "{refused}");
    // Without a word of how good methods were, as in artefacts of earlier versions.
    let path = place.path("net/perturbation.json");
    let mut record = json(&fs::read_to_string(&path).unwrap());
    record.as_object_mut().unwrap().retain(|key, _| key != "judged" && key != "seal");
    fs::write(&path, record.to_string()).unwrap();
    place.refused(&[&predict[..], &["--method", "best"]].concat(), &["earlier version"]);
    place.done(&[&predict[..], &["--method", "additive"]].concat());
}
