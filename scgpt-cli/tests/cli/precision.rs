//! Precision of inference: what is computed, and what is said of it.

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
    for (precision, most) in [("exact", 1e-6), ("bf16x3", 1e-4), ("bf16", 2e-2)] {
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
