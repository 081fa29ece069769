//! Fine-tuning by adapters: whatever learns by them, what is left, and how weights are made of it again.

use std::fs;

use scgpt_model::Weights;
use serde_json::Value;

use crate::run::Place;

/// A folder with simulated cells of two batches, and two checkpoints of their genes.
fn place() -> Place {
    let place = Place::with_checkpoint();
    let other = ["pretrain", "--data", "shards", "--config", "tiny.toml", "--max-steps", "2"];
    place.done(&[&other[..], &["--seed", "1", "-o", "other"]].concat());
    place
}

const LORA: [&str; 8] =
    ["--model", "run/model", "--lora", "2", "--max-steps", "6", "--batch-size", "16"];

const ANNOTATE: [&str; 6] =
    ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--no-baselines"];

fn report(place: &Place, args: &[&str]) -> Value {
    serde_json::from_str(&place.done(&[args, &["--json"]].concat()).stdout).unwrap()
}

/// Removes the weights of a model and makes them again of its adapters and the checkpoint.
fn made_again(place: &Place, model: &str) {
    let [adapters, weights] =
        ["adapters", "model"].map(|name| format!("{model}/{name}.safetensors"));
    let published = fs::read(place.path(&weights)).unwrap();
    let changed = Weights::open(&place.path(&adapters)).unwrap();
    for part in ["self_attn.Wqkv", "self_attn.out_proj", "linear1", "linear2"] {
        let tensor = |name: &str| {
            changed.shape(&format!("transformer_encoder.layers.1.{part}.{name}")).is_some()
        };
        assert!(tensor("lora_A.weight") && tensor("lora_B.weight"), "{part}");
        assert!(!tensor("weight") && !tensor("bias"), "{part}");
    }
    fs::remove_file(place.path(&weights)).unwrap();
    place.done(&["convert", &adapters, "--model", "run/model", "-o", &weights]);
    assert!(fs::read(place.path(&weights)).unwrap() == published, "{model}");
}

#[test]
fn an_artefact_is_made_again_of_its_adapters() {
    let place = place();
    let train = [&ANNOTATE[..], &LORA, &["-o", "types"]].concat();
    let learned = report(&place, &train);
    assert_eq!(learned["lora"]["rank"], 2);
    assert_eq!(learned["config"]["training"]["lora"]["rank"], 2);
    let card = fs::read_to_string(place.path("types/README.md")).unwrap();
    assert!(card.contains("adapters of rank 2"), "{card}");

    made_again(&place, "types");
    place.done(&["annotate", "predict", "cells.h5ad", "--model", "types", "-o", "named.h5ad"]);

    // Beside another checkpoint they mean nothing, and alone they are no weights.
    let adapters = "types/adapters.safetensors";
    place.refused(
        &["convert", adapters, "--model", "other/model", "-o", "made.safetensors"],
        &["adapters.safetensors", "SHA-256", "other/model"],
    );
    place.refused(&["convert", adapters, "-o", "made.safetensors"], &["adapters", "--model"]);

    // Learned without them, the artefact has none.
    let all = ["--model", "run/model", "--max-steps", "2", "--batch-size", "16", "--force"];
    let learned = report(&place, &[&ANNOTATE[..], &all, &["-o", "types"]].concat());
    assert!(learned.get("lora").is_none() && learned["config"]["training"].get("lora").is_none());
    assert!(!place.path(adapters).exists());
}

#[test]
fn every_fine_tuning_has_adapters() {
    let place = place();
    let integrate = ["integrate", "cells.h5ad", "--batch-key", "batch", "--no-baselines"];
    place.done(&[&integrate[..], &LORA, &["-o", "integrated.h5ad"]].concat());
    made_again(&place, "integrated.model");
    let pretrain = ["pretrain", "--data", "shards", "-o", "continued"];
    place.done(&[&pretrain[..], &LORA].concat());
    made_again(&place, "continued/model");
    // Genes that join bring vectors of their own, which learn.
    let cells = ["--cells", "96", "--genes", "90", "--types", "3", "--batches", "2"];
    place.done(&[&["simulate", "-o", "cells.h5ad", "--force"], &cells[..]].concat());
    let train = [&ANNOTATE[..], &LORA, &["--new-genes", "random", "-o", "types"]].concat();
    assert_eq!(report(&place, &train)["lora"]["genes"], true);
    made_again(&place, "types");
}

#[test]
fn adapters_beside_nothing_are_refused() {
    let place = place();
    let named = ["--lora is for the weights of a checkpoint", "--model"];
    place.refused(&[&ANNOTATE[..], &["--lora", "2", "-o", "types"]].concat(), &named);
    place.refused(&["pretrain", "--data", "shards", "--lora", "2", "-o", "new"], &named);
    let wide = ["--model", "run/model", "--lora", "17", "-o", "types"];
    place.refused(&[&ANNOTATE[..], &wide].concat(), &["rank 17, expected 1 to 16"]);
    let frozen = ["--freeze", "transformer", "-o", "types"];
    place.refused(&[&ANNOTATE[..], &LORA, &frozen].concat(), &["none of which would learn"]);
}
