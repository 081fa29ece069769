//! What is left out, or can hardly be meant, is said; advice does no harm.

use std::fs;

use scgpt_fixtures::repository;
use serde_json::Value;

use crate::run::{Ended, Place};

fn field_case(name: &str) -> String {
    repository().join("field_cases").join(name).display().to_string()
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn labels_with_separators_do_not_break_sets() {
    let place = Place::new();
    let cells = field_case("case01_semicolon.h5ad");
    let labels = ["--truth", "truth", "--prediction", "pred2", "--sets", "sets2", "--json"];
    let ended = place.done(&[&["evaluate", "labels", &cells][..], &labels].concat());
    let report = json(&ended);
    assert_eq!(report["coverage"]["overall"], 1.0, "{}", ended.stdout);
    assert_eq!(report["coverage"]["mean_size"], 1.0);
    // One of its labels is called `nan`.
    assert!(ended.stderr.contains("have `nan` in column `truth`"), "{}", ended.stderr);
    assert!(ended.stderr.contains(".isin([\"nan\"])"), "{}", ended.stderr);
}

#[test]
fn numbers_become_labels_without_a_class_of_gaps() {
    let place = Place::new();
    let cells = field_case("46_float_nan.h5ad");
    let message = place.refused(
        &["annotate", "train", &cells, "--label", "cluster", "-o", "types"],
        &[
            "holds numbers",
            "gaps staying gaps",
            "[\"cluster\"].astype(\"Int64\").astype(\"string\")",
        ],
    );
    assert!(!message.contains("astype(str)"), "{message}");
}

#[test]
fn predictions_without_truth_are_listed() {
    let place = Place::new();
    let [predicted, truth] = ["case15_no_truth.h5ad", "case15_truth.h5ad"].map(field_case);
    let args = ["evaluate", "perturb", &predicted, "--truth", &truth];
    let ended = place.done(&[&args[..], &["--json", "-o", "page.html"]].concat());
    let left_out = &json(&ended)["left_out"];
    assert_eq!(left_out["without_truth"], serde_json::json!(["GENE99999+ctrl"]));
    assert_eq!(left_out["not_predicted"], serde_json::json!(["GENE00010+ctrl"]));
    assert_eq!([&left_out["genes_of_truth"], &left_out["genes_of_predictions"]], [100, 100]);
    assert!(ended.stderr.contains("GENE99999+ctrl"), "{}", ended.stderr);
    assert!(fs::read_to_string(place.path("page.html")).unwrap().contains("GENE99999+ctrl"));
    let told = place.done(&args).stdout;
    assert!(told.contains("4 judged, 1 others of the truth count as known"), "{told}");
    assert!(told.contains("100 of 100 in the truth and 100 predicted"), "{told}");
}

#[test]
fn a_wrong_separator_is_noticed() {
    let place = Place::new();
    let truth = field_case("case15_truth.h5ad");
    let prepare = |separator: &str| {
        let output = format!("{}.h5ad", separator.len());
        place.done(&["perturb", "prepare", &truth, "--separator", separator, "-o", &output]).stderr
    };
    let wrong = prepare("__");
    assert!(wrong.contains("none of the 5 perturbed genes is among the genes measured"), "{wrong}");
    assert!(wrong.contains("--separator"), "{wrong}");
    assert!(!prepare("+").contains("perturbed genes"));
}

#[test]
fn networks_without_direction_are_noticed() {
    let place = Place::new();
    let list = |pairs: &[(usize, usize)]| {
        let lines = pairs.iter().map(|(a, b)| format!("G{a},G{b},{}\n", 1.0 / (a * 7 + b) as f64));
        "source,target,weight\n".to_owned() + &lines.collect::<String>()
    };
    let pairs = (10..19).flat_map(|a| (a + 1..19).map(move |b| (a, b)));
    let sorted: Vec<(usize, usize)> = pairs.clone().collect();
    // Regulators are few, and all they do is regulate.
    let directed: Vec<(usize, usize)> =
        (40..42).flat_map(|a| (10..25).map(move |b| (a, b))).chain([(10, 40)]).collect();
    let truth: Vec<(usize, usize)> =
        [(10, 12), (12, 10), (12, 15), (15, 10), (40, 12), (41, 13), (10, 41)].to_vec();
    for (name, pairs) in [("sorted", &sorted), ("directed", &directed), ("truth", &truth)] {
        fs::write(place.path(&format!("{name}.csv")), list(pairs)).unwrap();
    }
    let said = |name: &str, more: &[&str]| {
        let input = format!("{name}.csv");
        place.done(&[&["evaluate", "grn", &input, "--truth", "truth.csv"], more].concat())
    };
    let warned = said("sorted", &[]);
    assert!(warned.stderr.contains("looks undirected, but is judged as directed"), "{warned:?}");
    assert!(warned.stderr.contains("alphabetical") && warned.stderr.contains("--undirected"));
    assert!(warned.stdout.contains("6 and the network's 9 have in common"), "{}", warned.stdout);
    assert!(!said("sorted", &["--undirected"]).stderr.contains("undirected"));
    assert!(!said("directed", &[]).stderr.contains("undirected"));
}

#[test]
fn labels_of_other_vocabularies_are_noticed() {
    let place = Place::new();
    let cells = field_case("case15_truth.h5ad");
    let args =
        ["evaluate", "labels", &cells, "--truth", "condition", "--prediction", "condition_name"];
    let ended = place.done(&[&args[..], &["--json"]].concat());
    assert!(ended.stderr.contains("no predicted label is a true one"), "{}", ended.stderr);
    assert_eq!(json(&ended)["labels_never_predicted"].as_array().unwrap().len(), 6);
}
