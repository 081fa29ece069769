//! Networks of simple methods in place of the model's: the same files, without a checkpoint.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::run::{Place, model};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A screen of sixty genes that [`model`] knows, and its planted network.
fn screen() -> Place {
    let place = Place::new();
    place.simulate("screen.h5ad", &["--cells", "400", "--perturb", "6"]);
    place
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn heading(path: &Path) -> String {
    fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn attention_has_simple_methods_in_its_place() {
    let place = screen();
    let regulations = fs::read_to_string(place.path("screen.network.csv")).unwrap();
    let gene = regulations.lines().nth(1).unwrap().split(',').next().unwrap();
    let groups = ["--condition", "condition", "--control", "ctrl", "--gene", gene];
    let attention = ["grn", "attention", "screen.h5ad", "--hvg", "30"];
    let run = |more: &[&str]| place.done(&[&attention[..], more].concat());
    let of_groups = [&["--method", "pearson", "-o", "pearson", "--json"], &groups[..]].concat();
    let report = json(&run(&of_groups).stdout);
    assert_eq!((report["method"].as_str(), report["layer"].as_u64()), (Some("pearson"), None));
    let files = names(&place.path("pearson"));
    for name in ["control.csv", "perturbed.csv", "difference.csv", "targets.csv", "report.html"] {
        assert!(files.contains(name), "{files:?}");
    }
    assert_eq!(heading(&place.path("pearson/difference.csv")), "source,target,weight");
    assert!(!place.path("pearson/baselines").exists(), "nobody asked for the others");
    let page = fs::read_to_string(place.path("pearson/report.html")).unwrap();
    assert!(page.contains("Gene networks from Pearson correlation"));
    // A single group has no copies to be compared with.
    run(&["--method", "trees", "-o", "trees", "--no-baselines"]);
    let expected = ["network.csv", "report.html", "report.json"].map(String::from);
    assert_eq!(names(&place.path("trees")), BTreeSet::from(expected));
    run(&["--method", "trees", "-o", "trees", "--force"]);

    let refuse = |more: &[&str], parts: &[&str]| {
        place.refused(&[&attention[..], &["-o", "x"], more].concat(), parts)
    };
    refuse(&["--method", "best"], &["--method is `best`", "--truth"]);
    refuse(&["--method", "trees", "--gene", "NOGENE"], &["`NOGENE`", "of the data"]);
    refuse(&["--method", "network"], &["--model is needed"]);
    let truth = ["--truth", "screen.network.csv"];
    refuse(&[&truth[..], &["--method", "best", "--no-baselines"]].concat(), &["--no-baselines"]);
    let usage = place.run(&[&attention[..], &["-o", "x"]].concat());
    assert!(usage.code == 2 && usage.stderr.contains("--model"), "{}", usage.stderr);
}

#[test]
fn known_regulations_choose_the_best_network() {
    let place = screen();
    let model = model();
    let run = |more: &[&str]| {
        let args =
            ["grn", "attention", "screen.h5ad", "--hvg", "30", "--truth", "screen.network.csv"];
        place.done(&[&args[..], more].concat())
    };
    let network = ["-m", &model, "--permutations", "0"];
    let report =
        json(&run(&[&network[..], &["--method", "best", "-o", "best", "--json"]].concat()).stdout);
    let ratio = |row: &Value| row["truth"]["auprc_ratio"].as_f64().unwrap();
    let rows = report["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["setting"] == "perturbed");
    let best = rows.max_by(|a, b| ratio(a).total_cmp(&ratio(b))).unwrap();
    let method = match best["method"].as_str().unwrap() {
        "attention" => "network",
        "Pearson correlation" => "pearson",
        "Spearman correlation" => "spearman",
        "partial correlation" => "partial",
        _ => "trees",
    };
    assert_eq!(report["method"], method, "{report}");
    assert!(report["because"].as_str().unwrap().starts_with("AUPRC ratio"), "{report}");
    assert!(place.path("best/network.csv").is_file());
    let has_attention = place.path("best/baselines/attention_perturbed.csv").is_file();
    assert_eq!(has_attention, method != "network");
    // Of simple methods alone.
    let alone = json(&run(&["--method", "best", "-o", "alone", "--json"]).stdout);
    assert!(method == "network" || alone["method"] == method, "{alone}");
    // The model's own network, and the command for the better one.
    let said = run(&[&network[..], &["-o", "net"]].concat()).stdout;
    let last = said.lines().last().unwrap();
    assert_eq!(last.starts_with("better"), method != "network" && ratio(best) >= 1.2, "{said}");
    if let Some(command) = last.strip_prefix("better") {
        let words: Vec<&str> = command.split_whitespace().collect();
        assert!(!words.contains(&"-m") && words.contains(&"--truth"), "{command}");
        place.done(&words[1..]);
        let better = place.path(&format!("net.{method}/network.csv"));
        let chosen = fs::read_to_string(place.path("best/network.csv")).unwrap();
        assert_eq!(fs::read_to_string(better).unwrap(), chosen);
    }
}

#[test]
fn gene_vectors_have_simple_methods_in_their_place() {
    let place = screen();
    let model = model();
    // A set for every regulator and its targets.
    let regulations = fs::read_to_string(place.path("screen.network.csv")).unwrap();
    let mut sets: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for line in regulations.lines().skip(1) {
        let ends: Vec<&str> = line.split(',').collect();
        sets.entry(ends[0]).or_default().push(ends[1]);
    }
    let set =
        |(name, genes): (&&str, &Vec<&str>)| format!("{name}\t\t{name}\t{}", genes.join("\t"));
    let lines: Vec<String> = sets.iter().map(set).collect();
    fs::write(place.path("sets.gmt"), lines.join("\n")).unwrap();
    let embedding = ["grn", "embedding", "--data", "screen.h5ad", "--hvg", "40"];
    let run = |more: &[&str]| place.done(&[&embedding[..], more].concat());
    for method in ["pearson", "trees"] {
        let report = json(&run(&["--method", method, "-o", method, "--json"]).stdout);
        assert_eq!(report["method"], method);
        assert!(report["model"].is_null() && report["edges"].as_u64() > Some(0), "{report}");
        let files = names(&place.path(method));
        for name in
            ["edges.csv", "edges.parquet", "network.graphml", "cells.h5ad", "programmes.csv"]
        {
            assert!(files.contains(name), "{files:?}");
        }
        assert!(!files.contains("gene_embeddings.parquet"));
        assert_eq!(heading(&place.path(method).join("edges.csv")), "source,target,weight");
        assert!(!place.path(method).join("baselines").exists(), "nobody asked for the others");
        let page = fs::read_to_string(place.path(method).join("report.html")).unwrap();
        // No gene sets were given: that none was found is not to be said.
        assert!(page.contains("<td>–</td>") && !page.contains("0 %"), "{method}");
        run(&["--method", method, "-o", method, "--force"]);
    }
    let gmt = ["--gmt", "sets.gmt"];
    let best = [&["-m", &model, "--threshold", "-1", "--method", "best"], &gmt[..]].concat();
    let report = json(&run(&[&best[..], &["-o", "best", "--json"]].concat()).stdout);
    let chosen = report["method"].as_str().unwrap();
    assert!(report["because"].as_str().unwrap().contains("area under the curve"), "{report}");
    let area = |row: &Value| row["pairs"].as_f64().unwrap_or(0.0);
    let rows = report["pathways"].as_array().unwrap();
    let mut others = rows.iter().filter(|row| row["method"] != "random programmes");
    assert!(others.all(|row| area(row) <= area(&rows[0]) + 1e-9), "{rows:?}");
    let alone = [&["--method", "best", "-o", "alone", "--json"], &gmt[..]].concat();
    let alone = json(&run(&alone).stdout);
    assert!(chosen == "network" || alone["method"] == chosen, "{alone}");

    let refuse = |args: &[&str], parts: &[&str]| {
        place.refused(&[args, &["-o", "x"]].concat(), parts);
    };
    refuse(&[&embedding[..], &["--method", "best"]].concat(), &["--method best", "--gmt"]);
    refuse(&["grn", "embedding", "--method", "pearson"], &["--data is needed"]);
    let context = ["--method", "pearson", "--contextual"];
    refuse(&[&embedding[..], &context].concat(), &["--contextual", "--method"]);
}
