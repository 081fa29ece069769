//! What `inspect --system` says.

use serde_json::Value;

use crate::run::Place;

#[test]
fn the_system_is_inspected() {
    let place = Place::new();
    let said = place.done(&["inspect", "--system"]).stdout;
    for title in ["processor", "features", "instructions", "used", "formats", "threads"] {
        assert!(said.contains(title), "{said}");
    }
    let json = place.done(&["inspect", "--system", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let sets = json["instruction_sets"].as_array().unwrap();
    assert!(sets.contains(&json["used"]) && sets.contains(&"portable".into()), "{json}");
    assert_eq!(json["chosen_by"], "itself");
    assert!(json["threads"].as_u64().unwrap() > 0);
}

#[test]
fn instructions_are_named_by_the_environment() {
    let place = Place::new();
    let run = |set: &str| {
        let mut command = place.command(&["inspect", "--system", "--json"]);
        crate::run::ended(command.env("SCGPT_CPU", set))
    };
    let json: Value = serde_json::from_str(&run("portable").stdout).unwrap();
    assert_eq!([&json["used"], &json["chosen_by"]], ["portable", "SCGPT_CPU"]);
    assert_eq!(json["formats"]["bf16"], "f32");
    let unknown = run("sse9");
    assert_eq!(unknown.code, 1);
    for part in ["SCGPT_CPU", "`sse9` is no instruction set", "avx512bf16"] {
        assert!(unknown.stderr.contains(part), "{}", unknown.stderr);
    }
}

#[test]
fn a_file_or_the_system_is_inspected() {
    let place = Place::new();
    assert_eq!(place.run(&["inspect"]).code, 2);
    assert_eq!(place.run(&["inspect", "cells.h5ad", "--system"]).code, 2);
}
