//! `scgpt grn attention` and `scgpt evaluate grn`: whole runs, and what is refused.

use std::fs;

use serde_json::Value;

use crate::run::{Place, model};

/// A folder with a simulated screen of four genes that the model of the fixtures knows, and its
/// network.
fn place() -> Place {
    let place = Place::new();
    let vocab = format!("{}/vocab.json", model());
    let simulate = ["simulate", "-o", "screen.h5ad", "--cells", "120", "--genes", "60"];
    place.done(&[&simulate[..], &["--perturb", "4", "--vocab", &vocab]].concat());
    place
}

fn attention<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["grn", "attention", "screen.h5ad", "-m", model, "--hvg", "40", "-o", "out"];
    [&args[..], more].concat()
}

const GROUPS: [&str; 4] = ["--condition", "condition", "--control", "ctrl"];

/// A perturbed gene, by its condition.
fn perturbed(place: &Place) -> String {
    let network = fs::read_to_string(place.path("screen.network.csv")).unwrap();
    network.lines().nth(1).unwrap().split(',').next().unwrap().to_owned()
}

#[test]
fn two_groups_become_networks_with_all_that_speaks_for_them() {
    let (place, model) = (place(), model());
    let gene = perturbed(&place);
    let sets = format!("pathway\tmade up\t{gene}\tA\nall\t\t{}\n", genes(&place).join("\t"));
    fs::write(place.path("sets.gmt"), sets).unwrap();
    let more = [
        &GROUPS[..],
        &["--gene", &gene, "--truth", "screen.network.csv", "--gmt", "sets.gmt", "--edges", "0"],
        &["--permutations", "5", "--json"],
    ]
    .concat();
    let report: Value =
        serde_json::from_str(&place.done(&attention(&model, &more)).stdout).unwrap();
    assert_eq!(report["groups"][1]["name"], "ctrl");
    assert_eq!(report["rows"].as_array().unwrap().len(), 16);
    let n = usize::try_from(report["genes"].as_u64().unwrap()).unwrap();
    for name in ["control", "perturbed", "difference"] {
        let edges = fs::read_to_string(place.path(&format!("out/{name}.csv"))).unwrap();
        assert_eq!(edges.lines().count(), 1 + n * (n - 1), "{name}");
        let columns = edges.lines().next().unwrap();
        assert_eq!(columns.ends_with("p,fdr"), name == "difference", "{columns}");
    }
    let targets = fs::read_to_string(place.path("out/targets.csv")).unwrap();
    assert_eq!(targets.lines().next().unwrap(), "gene,target,control,perturbed,difference,p,fdr");
    assert_eq!(targets.lines().count(), n);
    assert!(!targets.contains("<cls>") && !targets.contains(&format!("{gene},{gene},")));
    assert!(
        fs::read_to_string(place.path("out/enrichment.csv")).unwrap().contains("top 20\",sets,all")
    );
    let page = fs::read_to_string(place.path("out/report.html")).unwrap();
    for part in ["the targets of a gene are its column", "Against known", "tree ensemble", "query"]
    {
        assert!(page.contains(part), "{part}");
    }

    // The same list judged on its own has the scores that the report has.
    let judged = ["evaluate", "grn", "out/difference.csv", "--truth", "screen.network.csv"];
    let judged = place.done(&[&judged[..], &["--json", "-o", "judged.html"]].concat());
    let judged: Value = serde_json::from_str(&judged.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap().iter();
    let mut rows =
        rows.filter(|row| row["method"] == "attention" && row["setting"] == "difference");
    let expected = rows.next().unwrap()["truth"]["auprc"].as_f64().unwrap();
    assert!((judged["scores"]["auprc"].as_f64().unwrap() - expected).abs() < 1e-9);
    assert!(fs::read_to_string(place.path("judged.html")).unwrap().contains("turned round"));
    // So have the simpler networks beside it.
    let baseline = ["evaluate", "grn", "out/baselines/pearson_difference.csv", "--truth"];
    let baseline = place.done(&[&baseline[..], &["screen.network.csv", "--json"]].concat());
    let baseline: Value = serde_json::from_str(&baseline.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap().iter();
    let mut rows = rows.filter(|row| row["method"] == "Pearson correlation");
    let expected = rows.nth(2).unwrap()["truth"]["auroc"].as_f64().unwrap();
    assert!((baseline["scores"]["auroc"].as_f64().unwrap() - expected).abs() < 1e-9);
    assert!(place.path("out/baselines/gene_embeddings.csv").exists());

    // Nothing is overwritten, and a run is the same again.
    place.refused(&attention(&model, &more), &["out", "exists"]);
    let first = fs::read_to_string(place.path("out/difference.csv")).unwrap();
    place.done(&attention(&model, &[&more[..], &["--force", "--batch-size", "5"]].concat()));
    assert_eq!(first, fs::read_to_string(place.path("out/difference.csv")).unwrap());
}

#[test]
fn a_single_group_needs_no_control() {
    let (place, model) = (place(), model());
    let more =
        ["--no-baselines", "--permutations", "3", "--format", "parquet", "--attention-layer", "0"];
    let ended = place.done(&attention(&model, &more));
    assert!(ended.stdout.contains("copies with shuffled values"), "{}", ended.stdout);
    assert!(ended.stdout.contains("not compared with simpler networks"), "{}", ended.stdout);
    for name in ["network", "shuffled", "beyond_shuffled"] {
        assert!(place.path(&format!("out/{name}.parquet")).exists(), "{name}");
    }
    assert!(!place.path("out/baselines").exists());
    let judged = ["evaluate", "grn", "out/network.parquet", "--truth", "screen.network.csv"];
    assert!(place.done(&judged).stdout.contains("random edges"));
}

fn genes(place: &Place) -> Vec<String> {
    let network = fs::read_to_string(place.path("screen.network.csv")).unwrap();
    let ends = network.lines().skip(1).flat_map(|line| line.split(',').take(2));
    ends.map(str::to_owned).collect()
}

#[test]
fn what_is_not_there_is_said() {
    let (place, model) = (place(), model());
    let refused = |more: &[&str], parts: &[&str]| {
        place.refused(&attention(&model, more), parts);
    };
    let gene = perturbed(&place);
    let wrong = format!("{gene}X");
    refused(&["--gene", &wrong], &[&wrong, "similar names", &gene]);
    refused(
        &["--condition", "condition", "--control", "control"],
        &["no cell has `control`", "`ctrl`"],
    );
    refused(&["--condition", "group", "--control", "ctrl"], &["`group`", "condition"]);
    refused(&["--condition", "condition"], &["--control", "--group"]);
    refused(&["--attention-layer", "9"], &["numbered from 0 to", "9"]);
    fs::write(place.path("other.csv"), "TF,target\nnot_a_gene,another\n").unwrap();
    refused(&["--truth", "other.csv"], &["no gene in common", "not_a_gene"]);
    fs::write(place.path("sets.gmt"), "a set\twithout genes\n").unwrap();
    refused(&["--gene", &gene, "--gmt", "sets.gmt"], &["sets.gmt", "line 1"]);
    refused(&["--gmt", "sets.gmt"], &["line 1"]);
    let judged = ["evaluate", "grn", "other.csv", "--truth", "screen.network.csv"];
    place.refused(&judged, &["no gene in common", "not_a_gene", "other.csv"]);
    let ended = place.run(&[
        "grn",
        "attention",
        "x.h5ad",
        "-m",
        "m",
        "-o",
        "o",
        "--attention-layer",
        "first",
    ]);
    assert!(ended.code == 2 && ended.stderr.contains("or last"), "{}", ended.stderr);
}

#[test]
fn help_says_what_rows_and_columns_are() {
    let help = Place::new().done(&["grn", "attention", "--help"]).stdout;
    for part in ["queries", "keys", "column"] {
        assert!(help.contains(part), "{help}");
    }
}
