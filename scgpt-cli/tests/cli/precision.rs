//! Precision of inference: what is computed, and what is said of it.

use std::fs;

use hdf5_pure::File;
use serde_json::Value;

use crate::run::{Ended, Place, cells, embedding, ended, model};

/// Tiles of the processor, or with the same bits in portable code.
fn tiles(place: &Place) -> &'static str {
    let json = place.done(&["inspect", "--system", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let has_amx = json["instruction_sets"].as_array().unwrap().contains(&"amx".into());
    if has_amx { "amx" } else { "software" }
}

/// Runs a command with the kernels of an instruction set.
fn with(place: &Place, set: &str, args: &[&str]) -> Ended {
    let ended = ended(place.command(args).env("SCGPT_CPU", set));
    assert_eq!(ended.code, 0, "scgpt {args:?}: {}", ended.stderr);
    ended
}

fn embed(place: &Place, set: &str, precision: &str) -> (Ended, Vec<f32>) {
    let (model, output) = (model(), format!("{set}-{precision}.h5ad"));
    let args = ["embed", "cells.h5ad", "--model", &model, "-o", &output, "--no-report", "--json"];
    let less = ["--max-length", "30", "--precision", precision];
    let ended = with(place, set, &[&args[..], &less].concat());
    let rows = embedding(&place.path(&output));
    (ended, rows)
}

fn said(ended: &Ended) -> String {
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    json["precision"].as_str().unwrap().to_owned()
}

#[test]
fn less_precision_is_near_and_recorded() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "16"]);
    let (ended, exact) = embed(&place, "portable", "exact");
    assert_eq!(said(&ended), "exact");
    let width = exact.len() / 16;
    for (precision, most) in [("exact", 5e-6), ("bf16x3", 1e-4), ("bf16", 2e-2)] {
        let (ended, rows) = embed(&place, tiles(&place), precision);
        assert_eq!(said(&ended), precision);
        assert!(!ended.stderr.contains("warning: cells are computed"), "{}", ended.stderr);
        let worst = rows.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= most, "{precision}: {worst}");
        for (row, exact) in rows.chunks_exact(width).zip(exact.chunks_exact(width)) {
            let cosine: f32 = row.iter().zip(exact).map(|(a, b)| a * b).sum();
            assert!(cosine >= 0.999, "{precision}: {cosine}");
        }
    }
}

#[test]
fn a_processor_without_instructions_computes_exactly_and_says_so() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "16"]);
    let (_, exact) = embed(&place, "portable", "exact");
    let (ended, rows) = embed(&place, "portable", "bf16");
    assert_eq!(rows, exact);
    assert_eq!(said(&ended), "exact");
    let warning = "warning: cells are computed in f32, as bf16 is not faster here";
    assert_eq!(ended.stderr.matches(warning).count(), 1, "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(json["warnings"][0].as_str().unwrap().contains("inspect --system"), "{json}");
}

#[test]
fn instructions_that_are_not_there_are_refused() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let args = ["embed", &cells, "--model", &model, "-o", "x.h5ad"];
    let ended = ended(place.command(&args).env("SCGPT_CPU", "sse9"));
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("`sse9` is no instruction set"), "{}", ended.stderr);
    assert!(!place.path("x.h5ad").exists());
}

#[test]
fn an_index_says_in_which_precision_it_was_made() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "20"]);
    let (model, tiles) = (model(), tiles(&place));
    let index =
        ["map", "index", "cells.h5ad", "-m", &model, "--labels", "cell_type", "-o", "index"];
    let made = with(&place, tiles, &[&index[..], &["--precision", "bf16", "--json"]].concat());
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!(made["made_by"]["model"]["precision"], "bf16", "{made}");
    let query = ["map", "query", "cells.h5ad", "--index", "index", "--json", "-o"];
    let warning = "the cells of the index were computed with precision bf16, these with exact";
    let exact = with(&place, tiles, &[&query[..], &["exact.h5ad"]].concat());
    assert!(exact.stderr.contains(warning), "{}", exact.stderr);
    assert_eq!(said(&exact), "exact");
    let same = ["same.h5ad", "--precision", "bf16"];
    let same = with(&place, tiles, &[&query[..], &same].concat());
    assert!(!same.stderr.contains(warning), "{}", same.stderr);
    assert_eq!(said(&same), "bf16");
}

/// Learns a network that generates, of cells that it is asked about.
fn generative(place: &Place) {
    place.done(&["simulate", "-o", "cells.h5ad", "--cells", "40", "--genes", "60"]);
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    let settings =
        "max_length = 40\n[network]\nn_layers = 2\nn_heads = 2\nd_model = 32\nd_ff = 32\n";
    fs::write(place.path("small.toml"), settings).unwrap();
    let pretrain = ["pretrain", "--data", "shards", "--config", "small.toml", "--max-steps", "2"];
    place.done(&[&pretrain[..], &["-o", "run"]].concat());
    fs::write(place.path("panel.txt"), "GENE00003\nGENE00007\n").unwrap();
}

#[test]
fn generation_and_attention_are_computed_as_asked() {
    let place = Place::new();
    generative(&place);
    let tiles = tiles(&place);
    let generate = ["generate", "cells.h5ad", "-m", "run/model", "--genes", "panel.txt", "--json"];
    let attention = ["grn", "attention", "cells.h5ad", "-m", "run/model", "--hvg", "20", "--json"];
    let mut seen = Vec::new();
    for (set, precision, computed) in
        [("portable", "bf16", "exact"), (tiles, "exact", "exact"), (tiles, "bf16", "bf16")]
    {
        let output = format!("{set}-{precision}");
        let more = ["--precision", precision, "-o"];
        let filled = format!("{output}.h5ad");
        let ended = with(&place, set, &[&generate[..], &more, &[&filled]].concat());
        assert_eq!(said(&ended), computed);
        let is_told = ended.stderr.contains("warning: cells are computed in f32");
        assert_eq!(is_told, precision != computed, "{}", ended.stderr);
        let file = File::open_streaming(place.path(&filled)).unwrap();
        seen.push(file.dataset("obsm/X_scgpt_generated").unwrap().read_f32().unwrap());
        let ended = with(&place, set, &[&attention[..], &more, &[&output]].concat());
        assert_eq!(said(&ended), computed);
    }
    let worst =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let [portable, exact, bf16] = [&seen[0], &seen[1], &seen[2]];
    assert!(worst(portable, exact) < 1e-3, "{}", worst(portable, exact));
    assert!(bf16 != exact && worst(bf16, exact) < 1.0, "{}", worst(bf16, exact));
}

#[test]
fn training_multiplies_what_it_is_asked_to_and_says_if_it_cannot() {
    let place = Place::new();
    generative(&place);
    let loss = |set: &str, precision: &str| {
        let output = format!("{set}-{precision}");
        let train = ["pretrain", "--data", "shards", "--config", "small.toml", "--max-steps", "3"];
        let more = ["--precision", precision, "--json", "-o", &output];
        let ended = with(&place, set, &[&train[..], &more].concat());
        let log = fs::read_to_string(place.path(&output).join("log.jsonl")).unwrap();
        let mut steps = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let last = steps.rfind(|one| one["kind"] == "step").unwrap();
        (
            last["loss"].as_f64().unwrap(),
            ended.stderr.contains("warning: steps are computed in f32"),
        )
    };
    let tiles = tiles(&place);
    let (f32, is_told) = loss(tiles, "f32");
    assert!(!is_told);
    assert_eq!(loss("portable", "bf16"), (loss("portable", "f32").0, true));
    for (precision, most) in [("bf16x3", 1e-4), ("bf16", 3e-2)] {
        let (loss, is_told) = loss(tiles, precision);
        let difference = (loss / f32 - 1.0).abs();
        assert!(!is_told && difference > 0.0 && difference < most, "{loss} of {f32}");
    }
}
