//! Models that cannot be trusted are refused.

use std::{fs, path::Path};

use scgpt_fixtures::repository;

use crate::run::{Place, cells, model};

/// A copy of the model in the folder `model`.
fn copied(place: &Place) {
    fs::create_dir(place.path("model")).unwrap();
    for entry in fs::read_dir(model()).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, place.path("model").join(from.file_name().unwrap())).unwrap();
    }
}

fn refused(place: &Place, parts: &[&str]) {
    let message = place.refused(&["embed", &cells(), "-m", "model", "-o", "out.h5ad"], parts);
    assert!(message.contains("hint: "), "{message}");
}

fn bad(name: &str) -> std::path::PathBuf {
    repository().join("checkpoint_bad").join(name)
}

#[test]
fn folders_without_a_model() {
    let place = Place::new();
    refused(&place, &["`model`", "no such folder"]);
    fs::create_dir(place.path("model")).unwrap();
    refused(&place, &["`model`", "no configuration", "`config.json` or `args.json`"]);
    // What people download one by one.
    for (name, missing) in [
        ("args.json", "no weights, though it has `args.json`"),
        ("best_model.pt", "no vocabulary, though it has `args.json`"),
    ] {
        fs::copy(Path::new(&model()).join(name), place.path("model").join(name)).unwrap();
        refused(&place, &["`model`", missing]);
    }
    fs::remove_file(place.path("model/args.json")).unwrap();
    refused(&place, &["no configuration, though it has `best_model.pt`"]);
}

#[test]
fn vocabularies_that_are_no_bijection() {
    let place = Place::new();
    copied(&place);
    for name in ["gap", "duplicate_index", "not_object", "negative", "truncated"] {
        fs::copy(bad(&format!("vocab_{name}.json")), place.path("model/vocab.json")).unwrap();
        refused(&place, &["vocab.json"]);
    }
    // A vocabulary of another model.
    fs::write(place.path("model/vocab.json"), r#"{"A": 0, "B": 1}"#).unwrap();
    refused(&place, &["5 tokens", "579 rows"]);
}

#[test]
fn configurations_that_contradict_the_weights() {
    let place = Place::new();
    copied(&place);
    let path = place.path("model/args.json");
    let args: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (key, by, part) in [
        ("nlayers", 1, "missing"),
        ("nlayers", -1, "no place for"),
        ("embsize", 8, "other shape"),
        ("d_hid", 4, "other shape"),
    ] {
        let mut changed = args.clone();
        changed[key] = (args[key].as_i64().unwrap() + by).into();
        fs::write(&path, changed.to_string()).unwrap();
        refused(&place, &["best_model.pt", part, "--partial"]);
    }
    fs::write(&path, r#"{"embsize": "wide"}"#).unwrap();
    refused(&place, &["args.json", "`embsize` is \"wide\"", "`nlayers` is missing"]);
}

#[test]
fn weights_that_are_broken_or_hostile() {
    let place = Place::new();
    copied(&place);
    let marker = Path::new("/tmp/pwned");
    for (name, part) in [
        ("malicious_system.pt", "posix.system"),
        ("malicious_legacy.pt", "io.open"),
        ("truncated_half.pt", "not a usable checkpoint"),
        ("empty.pt", "empty"),
        ("text.pt", "large-file pointer"),
    ] {
        fs::copy(bad(name), place.path("model/best_model.pt")).unwrap();
        refused(&place, &["best_model.pt", part]);
        assert!(!marker.exists(), "{name} was executed");
    }
}

#[test]
fn a_partial_load_has_to_be_asked_for() {
    let place = Place::new();
    copied(&place);
    let path = place.path("model/args.json");
    let args = fs::read_to_string(&path).unwrap();
    let args: serde_json::Value = serde_json::from_str(&args).unwrap();
    let mut deeper = args.clone();
    deeper["nlayers"] = (args["nlayers"].as_i64().unwrap() + 1).into();
    fs::write(&path, deeper.to_string()).unwrap();
    refused(&place, &["missing"]);
    let ended = place.done(&["embed", &cells(), "-m", "model", "-o", "out.h5ad", "--partial"]);
    assert!(ended.stderr.contains("tensors missing"), "{}", ended.stderr);
}
