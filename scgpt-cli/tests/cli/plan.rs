//! `--plan`: what a training will need, and nothing of it left; `--recompute`: the same result with less.

use std::fs;

use scgpt_model::Weights;
use serde_json::{Value, json};

use crate::run::Place;

const ANNOTATE: [&str; 10] = [
    "annotate",
    "train",
    "cells.h5ad",
    "--label",
    "cell_type",
    "--no-baselines",
    "--batch-size",
    "8",
    "--epochs",
    "2",
];
const MODEL: [&str; 2] = ["--model", "run/model"];

/// What is planned; nothing is left of it.
fn planned(place: &Place, args: &[&str]) -> Value {
    let before = place.content();
    let ended = place.done(&[args, &["--plan", "--json"]].concat());
    assert_eq!(before, place.content());
    serde_json::from_str(&ended.stdout).unwrap()
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {of}"))
}

#[test]
fn what_is_planned_is_what_happens() {
    let place = Place::with_checkpoint();
    let train = [&ANNOTATE[..], &MODEL, &["-o", "types"]].concat();
    let plan = planned(&place, &train);
    let ended = place.done(&[&train[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let weights = Weights::open(&place.path("types/model.safetensors")).unwrap();
    let parameters = weights.n_parameters() as u64;
    assert_eq!(number(&plan, "parameters"), parameters);
    assert_eq!(number(&plan, "learning"), parameters);
    assert_eq!(number(&plan, "steps"), number(&report, "steps"));
    assert_eq!(number(&plan, "validations"), 2);
    let memory = &plan["memory"];
    assert_eq!(number(memory, "weights"), 4 * parameters);
    assert_eq!(number(memory, "gradients"), 4 * parameters);
    assert_eq!(number(memory, "moments"), 8 * parameters);
    assert!(plan["cells_per_second"].as_f64().unwrap() > 0.0);
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        let peak = number(memory, "peak");
        assert!(peak > number(memory, "weights"), "{memory}");
        let less: Vec<&str> =
            plan["less"].as_array().unwrap().iter().map(|it| it["by"].as_str().unwrap()).collect();
        assert_eq!(less[..2], ["--recompute", "--lora 8"]);
        assert!(less[2].contains("--batch-size 4"), "{less:?}");
        let most = plan["less"].as_array().unwrap().iter().map(|it| number(it, "peak")).max();
        assert!(most.unwrap() <= peak);
    }
}

#[test]
fn adapters_are_counted() {
    let place = Place::with_checkpoint();
    let train = [&ANNOTATE[..], &MODEL, &["-o", "types"]].concat();
    let whole = planned(&place, &train);
    let adapted = planned(&place, &[&train[..], &["--lora", "2"]].concat());
    assert_eq!((&whole["recomputes"], &adapted["recomputes"]), (&json!(false), &json!(true)));
    // Two blocks: from 16 to 48, and three times from 16 to 16.
    let adapters = 2 * 2 * ((16 + 48) + 3 * (16 + 16));
    assert_eq!(number(&adapted, "parameters"), number(&whole, "parameters") + adapters);
    assert_eq!(
        number(&adapted, "learning"),
        number(&whole, "learning") - number(&whole, "adaptable") + adapters
    );
    let less = adapted["less"].as_array().unwrap();
    assert!(less.iter().all(|it| it["by"].as_str().unwrap().contains("--batch-size")), "{less:?}");
    let kept = planned(&place, &[&train[..], &["--lora", "2", "--recompute=false"]].concat());
    assert_eq!(kept["less"][0]["by"], "--recompute");
}

#[test]
fn every_training_is_planned() {
    let place = Place::with_checkpoint();
    let steps = |args: &[&str]| number(&planned(&place, args), "steps");
    let pretrain = ["pretrain", "--data", "shards", "--config", "tiny.toml", "-o", "new"];
    assert!(steps(&pretrain) > 5);
    let integrate = ["integrate", "cells.h5ad", "--batch-key", "batch", "-o", "integrated.h5ad"];
    assert!(steps(&[&integrate[..], &MODEL].concat()) > 5);
    let network = ["grn", "embedding", "--data", "cells.h5ad", "--hvg", "40", "-o", "net"];
    let tuned = ["--fine-tune", "--batch-key", "batch", "--lora", "2"];
    assert!(steps(&[&network[..], &tuned, &MODEL].concat()) > 5);
    assert_eq!(place.run(&[&network[..], &MODEL, &["--plan"]].concat()).code, 2);
    // A training that ends before there is more to see.
    let short = [&ANNOTATE[..], &MODEL, &["--max-steps", "2", "-o", "types"]].concat();
    assert_eq!(steps(&short), 2);
    // What the training refuses, and what it could not go on with.
    let refused = [&ANNOTATE[..], &["--lora", "2", "--plan", "-o", "types"]].concat();
    place.refused(&refused, &["--lora", "--model"]);
    let resumed = [&ANNOTATE[..], &MODEL, &["--plan", "--resume", "-o", "types"]].concat();
    assert_eq!(place.run(&resumed).code, 2);
    let shown = place.done(&[&ANNOTATE[..], &MODEL, &["--plan", "-o", "types"]].concat());
    for row in ["parameters", "moments", "speed", "time"] {
        assert!(shown.stdout.contains(row), "{}", shown.stdout);
    }
}

#[test]
fn computed_again_the_result_is_the_same() {
    let place = Place::with_checkpoint();
    for output in ["kept", "again"] {
        let recompute = if output == "again" { &["--recompute"][..] } else { &[] };
        place.done(&[&ANNOTATE[..], &MODEL, recompute, &["-o", output]].concat());
    }
    let weights = |name: &str| fs::read(place.path(name).join("model.safetensors")).unwrap();
    assert!(weights("kept") == weights("again"));
}
