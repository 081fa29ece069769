//! `-q`: a command whose result is in a file prints nothing, one whose result is what it prints prints that alone.

use std::fs;

use crate::{
    run::{Place, model},
    silent_commands::{READ_NONE, RUNS, place},
};

/// Commands that read no cells, as they are run, in order, and other forms of those that do.
const OTHERS: [&str; 14] = [
    "completions bash",
    "corpus show corpus",
    "corpus show corpus -o out.html",
    "demo --cells 60 --genes 60 --max-steps 1 -o out",
    "evaluate grn edges.csv --truth edges.csv",
    "evaluate grn edges.csv --truth edges.csv -o out.html",
    "evaluate labels cells.h5ad --truth kind --prediction cell_type",
    "join whole --into cells.h5ad -o out.h5ad",
    "man embed",
    "simulate --cells 20 --types 2 -o out.h5ad",
    "study plan study.toml",
    "study run study.toml -o study",
    "study report study",
    "pretrain --data shards --config tiny.toml --print-config",
];

/// Of commands that read no cells, those that are run elsewhere.
const ELSEWHERE: [&str; 3] = ["models list", "models pull", "models where"];

/// Whether the result of a command is what it prints.
fn is_printed(line: &str) -> bool {
    line != "study report study" && !line.contains(" -o ")
}

#[test]
fn every_command_is_quiet_if_it_is_asked() {
    let is_run = |name: &&str| OTHERS.iter().any(|line| line.starts_with(&format!("{name} ")));
    for (name, _) in READ_NONE {
        assert!(is_run(&name) != ELSEWHERE.contains(&name), "`scgpt {name} -q` is not run");
    }
    let place = place();
    fs::write(place.path("edges.csv"), "regulator,target,weight\nA,B,0.5\nA,C,0.25\nB,C,0.1\n")
        .unwrap();
    let before = place.content();
    for line in RUNS.iter().map(|(line, _)| line).chain(&OTHERS) {
        let words = line.replace("MODEL", &model());
        let args: Vec<&str> = words.split(' ').collect();
        let ended = place.done(&[&args[..], &["-q"]].concat());
        assert_eq!(ended.stderr, "", "{line}");
        assert_eq!(!ended.stdout.is_empty(), is_printed(line), "{line}: {}", ended.stdout);
        let new: Vec<_> = place.content().difference(&before).cloned().collect();
        // The report of a study is of its runs.
        for path in new.iter().filter(|path| !path.ends_with("study")) {
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
}

#[test]
fn quiet_is_about_people_not_about_programs_or_errors() {
    let place = Place::new();
    let simulate = ["simulate", "--cells", "20", "--types", "2", "-q", "-o", "cells.h5ad"];
    let ended = place.done(&[&simulate[..], &["--json"]].concat());
    assert_eq!(ended.envelope["output"], "cells.h5ad");
    assert!(ended.stdout.contains("20"), "{}", ended.stdout);
    place.refused(&simulate, &["cells.h5ad", "exists", "--force"]);
}
