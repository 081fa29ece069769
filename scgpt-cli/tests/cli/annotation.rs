//! `scgpt annotate`, `scgpt map` and `scgpt evaluate labels`: whole runs, and what is refused.

use std::{fs, path::Path, process::Stdio, thread::sleep, time::Duration};

use hdf5_pure::File;
use serde_json::Value;

use crate::run::{Place, model, tiny};

/// Settings of a network that is made in no time.
/// A folder with 240 simulated cells of three types, others of the same types, and settings.
fn place() -> Place {
    let place = Place::new();
    for (name, seed) in [("cells.h5ad", "0"), ("query.h5ad", "0")] {
        place.done(&[
            "simulate", "-o", name, "--cells", "240", "--genes", "150", "--types", "3", "--seed",
            seed,
        ]);
    }
    fs::write(
        place.path("tiny.toml"),
        tiny("batch_size = 16\nmax_length = 100", "n_layers = 2\ndropout = 0.1", "epochs = 4"),
    )
    .unwrap();
    place
}

const TRAIN: [&str; 8] =
    ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--config", "tiny.toml", "-o"];

fn train<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN[..], &[output], more].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn texts(path: &Path, column: &str) -> Vec<String> {
    let file = File::open_streaming(path).unwrap();
    let names = file.dataset(&format!("obs/{column}/categories")).unwrap().read_string().unwrap();
    let codes = file.dataset(&format!("obs/{column}/codes")).unwrap().read_i8().unwrap();
    codes.iter().map(|&code| names[usize::try_from(code).unwrap()].clone()).collect()
}

#[test]
fn an_artefact_annotates_and_is_judged() {
    let place = place();
    let more = ["--json", "--class-weights", "square-root"];
    let report = json(&place.done(&train("types", &more)).stdout);
    assert_eq!(report["data"]["classes"].as_array().unwrap().len(), 3);
    let methods: Vec<&str> = report["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["name"].as_str().unwrap())
        .collect();
    assert_eq!(methods[..2], ["scGPT", "logistic regression"]);
    assert_eq!(methods.len(), 5);
    for name in ["README.md", "annotation.json", "report.html", "report.json", "vocab.json"] {
        assert!(place.path("types").join(name).is_file(), "{name}");
    }
    assert!(!place.path("types/training/cells").exists(), "what is of no use is removed");

    let predict =
        ["annotate", "predict", "query.h5ad", "-m", "types", "-o", "out.h5ad", "--probabilities"];
    place.done(&predict);
    let file = File::open_streaming(place.path("out.h5ad")).unwrap();
    let confidence = file.dataset("obs/scgpt_confidence").unwrap().read_f64().unwrap();
    assert!(confidence.len() == 240 && confidence.iter().all(|x| (0.0..=1.0).contains(x)));
    let probabilities = file.dataset("obsm/scgpt_probabilities").unwrap().read_f32().unwrap();
    assert!(probabilities.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    let (predicted, sets) = (
        texts(&place.path("out.h5ad"), "scgpt_prediction"),
        texts(&place.path("out.h5ad"), "scgpt_prediction_set"),
    );
    assert!(predicted.iter().zip(&sets).all(|(one, set)| set.split(';').any(|name| name == one)));

    // Nothing depends on the batch.
    let again = [&predict[..5], &["-o", "again.h5ad", "--batch-size", "3"]].concat();
    place.done(&again);
    let other = File::open_streaming(place.path("again.h5ad")).unwrap();
    assert_eq!(other.dataset("obs/scgpt_confidence").unwrap().read_f64().unwrap(), confidence);

    let evaluate = [
        "evaluate",
        "labels",
        "out.h5ad",
        "--truth",
        "cell_type",
        "--prediction",
        "scgpt_prediction",
        "--confidence",
        "scgpt_confidence",
        "--sets",
        "scgpt_prediction_set",
        "--unknown",
        "scgpt_unknown",
        "-o",
        "judged.html",
        "--json",
    ];
    let scores = json(&place.done(&evaluate).stdout);
    let truth = texts(&place.path("out.h5ad"), "cell_type");
    let right = truth.iter().zip(&predicted).filter(|(a, b)| a == b).count() as f64 / 240.0;
    assert!((scores["accuracy"]["mean"].as_f64().unwrap() - right).abs() < 1e-12);
    assert!(scores["coverage"]["overall"].as_f64().unwrap() >= right);
    assert!(fs::read_to_string(place.path("judged.html")).unwrap().contains("Confusion"));

    // A type that was absent from the reference is judged by whether its cells are strange.
    let unseen = ["--unknown", "scgpt_unknown", "--strangeness", "scgpt_strangeness", "--unseen"];
    let unseen = |label| [&evaluate[..7], &unseen, &[label, "--json"]].concat();
    let scores = json(&place.done(&unseen(&truth[0])).stdout);
    let n_other = truth.iter().filter(|&name| *name == truth[0]).count();
    assert_eq!(scores["unknown"]["n_other"], n_other);
    assert!(scores["unknown"]["area"].is_number());
    assert_eq!(scores["scores"]["n_cells"], 240 - n_other);
    assert_eq!(scores["map"]["cells"].as_array().unwrap().len(), 240);
    place.refused(&unseen("nobody"), &["--unseen nobody", "`cell_type`", &truth[0]]);

    // The same can be asked of training, for simple methods too.
    let held_out = json(&place.done(&train("few", &["--unseen", &truth[0], "--json"])).stdout);
    assert_eq!(held_out["data"]["classes"].as_array().unwrap().len(), 2);
    assert_eq!(held_out["evaluation"]["unknown"]["n_other"], n_other);
    for method in &held_out["methods"].as_array().unwrap()[..4] {
        let area = method["unseen"]["mean"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&area), "{method}");
    }
    assert!(held_out["methods"][1]["unseen"]["mean"].as_f64().unwrap() > 0.6);

    // A damaged, a foreign and an incomplete artefact.
    let refuse = |parts: &[&str]| {
        place.refused(&["annotate", "predict", "query.h5ad", "-m", "types", "-o", "x.h5ad"], parts)
    };
    let record = place.path("types/annotation.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replacen("\"format\": 3", "\"format\": 9", 1)).unwrap();
    refuse(&["annotation.json", "format 9", "reads format 3", "hint: make it anew"]);
    fs::write(&record, &text).unwrap();
    let config = place.path("types/preprocess.json");
    let preprocess = fs::read_to_string(&config).unwrap();
    fs::write(&config, preprocess.replace("100", "90")).unwrap();
    refuse(&["preprocess.json", "changed", "hint: "]);
    fs::remove_file(&config).unwrap();
    refuse(&["preprocess.json"]);
    let none = ["annotate", "predict", "query.h5ad", "-m", &model(), "-o", "x.h5ad"];
    let expected = ["trained for no task, expected an artefact of `scgpt annotate train`"];
    place.refused(&none, &expected);
}

#[test]
fn a_killed_run_goes_on_to_the_same_artefact() {
    let place = place();
    place.done(&train("whole", &["--no-baselines"]));
    let args = train("killed", &["--no-baselines", "--checkpoint-every", "2"]);
    let mut child =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = place.path("killed/training/log.jsonl");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    while lines() < 9 && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if !place.path("killed/annotation.json").exists() {
        let resume = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "-o", "killed"];
        place.done(&[&resume[..], &["--resume", "--no-baselines"]].concat());
    }
    for name in ["model.safetensors", "annotation.json"] {
        let [whole, killed] =
            ["whole", "killed"].map(|run| fs::read(place.path(run).join(name)).unwrap());
        assert!(whole == killed, "{name}");
    }
}

#[test]
fn a_new_network_begins_with_what_embeddings_say_of_the_types() {
    let place = place();
    let fitted = json(&place.done(&train("fitted", &["--json", "--max-steps", "1"])).stdout);
    let begin = &fitted["validation"][0];
    assert_eq!(begin["step"], 0);
    let accuracy = |record: &Value| {
        let metrics = record["metrics"].as_array().unwrap();
        let found = metrics.iter().find(|metric| metric["name"] == "accuracy");
        found.unwrap()["value"].as_f64().unwrap()
    };
    assert!(accuracy(begin) > 0.9, "{begin}");
    // Drawn, it is no candidate before it has learned.
    let settings = fs::read_to_string(place.path("tiny.toml")).unwrap();
    fs::write(place.path("drawn.toml"), format!("head = \"drawn\"\n{settings}")).unwrap();
    let args = train("drawn", &["--json", "--max-steps", "1"]);
    let args: Vec<&str> =
        args.iter().map(|&arg| if arg == "tiny.toml" { "drawn.toml" } else { arg }).collect();
    let drawn = json(&place.done(&args).stdout);
    assert_eq!(drawn["validation"][0]["step"], 1);
}

#[test]
fn labels_that_cannot_be_learned_are_refused() {
    let place = place();
    let refuse = |label: &str, parts: &[&str]| {
        let args = [
            "annotate",
            "train",
            "cells.h5ad",
            "--label",
            label,
            "--config",
            "tiny.toml",
            "-o",
            "x",
        ];
        place.refused(&args, parts);
    };
    refuse("cell_typ", &["cells.h5ad", "`cell_typ` not found", "cell_type"]);
    let refuse = |more: &[&str], parts: &[&str]| {
        place.refused(&train("x", more), parts);
    };
    refuse(&["--batch-size", "0"], &["--batch-size is 0"]);
    refuse(&["--validation", "0.6", "--test", "0.5"], &["no cell is left"]);
    refuse(&["--unseen", "nobody"], &["cells.h5ad", "no cell is labelled `nobody`"]);
    refuse(&["--freeze", "heads"], &["--freeze heads", "transformer"]);
    refuse(&["--batch-key", "cell"], &["`cell` not found"]);
    place.done(&["simulate", "-o", "one.h5ad", "--cells", "60", "--genes", "60", "--batches", "1"]);
    place.refused(
        &["annotate", "train", "one.h5ad", "--label", "batch", "-o", "x"],
        &["one class", "two classes"],
    );
    // Other genes than the model's.
    let other = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "-o", "x", "-m"];
    place.refused(&[&other[..], &[&model()]].concat(), &["gene"]);
}

#[test]
fn cells_are_mapped_to_a_reference() {
    let place = place();
    place.done(&train("types", &["--no-baselines"]));
    let index = ["map", "index", "cells.h5ad", "-m", "types", "--labels", "cell_type,batch", "-o"];
    for (name, more) in [("exact", &[][..]), ("lists", &["--approximate"])] {
        place.done(&[&index[..], &[name], more].concat());
        let output = format!("{name}.h5ad");
        let query = ["map", "query", "query.h5ad", "--index", name, "-o", &output, "--json"];
        let record = json(&place.done(&query).stdout);
        assert_eq!((&record["cells"], &record["reference_cells"]), (&240.into(), &240.into()));
        let path = place.path(&output);
        let [truth, mapped] = ["cell_type", "scgpt_map_cell_type"].map(|name| texts(&path, name));
        let right = truth.iter().zip(&mapped).filter(|(a, b)| a == b).count();
        assert!(right > 160, "{name}: {right} of 240");
        assert_eq!(texts(&path, "scgpt_map_batch").len(), 240);
    }
    // How strange a cell is does not depend on how many neighbours vote.
    place.done(&["map", "query", "query.h5ad", "--index", "exact", "-o", "one.h5ad", "-k", "1"]);
    let [few, many] = ["one.h5ad", "exact.h5ad"].map(|name| {
        let file = File::open_streaming(place.path(name)).unwrap();
        file.dataset("obs/scgpt_map_distance").unwrap().read_f64().unwrap()
    });
    assert_eq!(few, many);
    place.done(&[
        "map",
        "index",
        "query.h5ad",
        "--labels",
        "cell_type,batch",
        "-o",
        "exact",
        "--append",
    ]);
    place.done(&[
        "map",
        "index",
        "query.h5ad",
        "--labels",
        "cell_type,batch",
        "-o",
        "lists",
        "--append",
    ]);
    for name in ["exact", "lists"] {
        let query =
            ["map", "query", "query.h5ad", "--index", name, "-o", "x.h5ad", "--json", "--force"];
        let record = json(&place.done(&query).stdout);
        assert_eq!(record["reference_cells"], 480, "{name}");
    }

    let query = |more: &[&str], parts: &[&str]| {
        let args = ["map", "query", "query.h5ad", "-o", "y.h5ad", "--index"];
        place.refused(&[&args[..], more].concat(), parts);
    };
    query(&["exact", "-k", "481"], &["480 cells"]);
    query(&["exact", "-m", &model()], &["not the model of the index", "SHA-256"]);
    query(&["types"], &["an artefact of `scgpt annotate train`, expected an index"]);
    place.refused(&[&index[..], &["exact"]].concat(), &["--append", "--force"]);
    let columns = ["map", "index", "query.h5ad", "--labels", "batch", "-o", "exact", "--append"];
    place.refused(&columns, &["cell_type, batch"]);
    let vectors = fs::read(place.path("exact/vectors-0.f32")).unwrap();
    fs::write(place.path("exact/vectors-0.f32"), &vectors[..1000]).unwrap();
    query(&["exact"], &["vectors-0.f32", "cut short"]);
    let manifest = place.path("lists/index.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"format\": 1", "\"format\": 7", 1)).unwrap();
    query(&["lists"], &["format 7"]);
    fs::remove_file(place.path("exact/labels.u32")).unwrap();
    query(&["exact"], &["labels.u32"]);
}

#[test]
fn columns_that_say_nothing_are_refused() {
    let place = place();
    let refuse = |more: &[&str], parts: &[&str]| {
        let args = ["evaluate", "labels", "cells.h5ad", "--truth", "cell_type", "--prediction"];
        place.refused(&[&args[..], more].concat(), parts);
    };
    refuse(&["nothing"], &["`nothing` not found"]);
    refuse(&["cell_type", "--confidence", "batch"], &["`batch`", "real numbers"]);
    refuse(&["cell_type", "--unknown", "batch"], &["`batch`", "true and false"]);
    let perfect = ["evaluate", "labels", "cells.h5ad", "--truth", "cell_type", "--json"];
    let same = json(&place.done(&[&perfect[..], &["--prediction", "cell_type"]].concat()).stdout);
    assert_eq!(same["accuracy"]["mean"], 1.0);
    assert_eq!(same["scores"]["macro_f1"], 1.0);
}

/// Annotates by the artefact `simple`.
fn vote<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let query = ["annotate", "predict", "query.h5ad", "-m", "simple", "-o"];
    [&query[..], &[output, "--json"], more].concat()
}

#[test]
fn a_simple_method_annotates_without_a_network() {
    let place = place();
    // Of genes that the cells do not have.
    let model = model();
    let more = ["--method", "logistic", "--json", "--model", &model];
    let ended = place.done(&train("simple", &more));
    let report = json(&ended.stdout);
    assert_eq!((&report["method"], report.get("steps")), (&"logistic".into(), None));
    assert!(ended.stderr.contains("logistic regression needs no --model"), "{}", ended.stderr);
    assert!(!place.path("simple/model.safetensors").exists());
    let record = json(&place.done(&vote("out.h5ad", &["--majority-voting"])).stdout);
    assert_eq!(record["method"], "logistic");
    assert_eq!(record["voting"]["clusters"], "scgpt_over_clustering");
    let file = File::open_streaming(place.path("out.h5ad")).unwrap();
    assert_eq!(file.dataset("obsm/X_scgpt_pca").unwrap().shape().unwrap()[0], 240);
    assert!(file.dataset("obsm/X_scGPT").is_err());
    let share = file.dataset("obs/scgpt_majority_confidence").unwrap().read_f64().unwrap();
    assert!(share.iter().all(|share| *share > 0.3 && *share <= 1.0));
    let found = texts(&place.path("out.h5ad"), "scgpt_over_clustering");
    let voted = texts(&place.path("out.h5ad"), "scgpt_majority_voting");
    for (one, other) in found.iter().zip(&voted).zip(found[1..].iter().zip(&voted[1..])) {
        assert!(one.0 != other.0 || one.1 == other.1, "a cluster has one type");
    }
    // Clusters of the file, which all have to agree.
    let more = ["--majority-voting=batch", "--min-share", "0.9"];
    let record = json(&place.done(&vote("batch.h5ad", &more)).stdout);
    assert_eq!(record["voting"]["n_clusters"], record["voting"]["n_heterogeneous"]);
    let voted = texts(&place.path("batch.h5ad"), "scgpt_majority_voting");
    assert!(voted.iter().all(|name| name == "Heterogeneous"));
    place.refused(&vote("x.h5ad", &["--majority-voting=louvain"]), &["`louvain` not found"]);
    place.refused(&vote("x.h5ad", &["--majority-voting", "--min-share", "2"]), &["--min-share"]);
    place.refused(
        &["embed", "query.h5ad", "-m", "simple", "-o", "x.h5ad"],
        &["artefact of a simple method", "hint: annotate cells"],
    );
    place.refused(&train("plan", &["--method", "centroid", "--plan"]), &["--plan", "no network"]);
}

#[test]
fn the_last_line_is_the_command_that_gives_the_better_method() {
    let place = place();
    let drawn = fs::read_to_string(place.path("tiny.toml")).unwrap();
    fs::write(place.path("tiny.toml"), format!("head = \"drawn\"\n{drawn}")).unwrap();
    let ended = place.done(&train("types/", &["--max-steps", "1", "--test", "0.4"]));
    let last = ended.stdout.lines().last().unwrap();
    let command = last.strip_prefix("better").unwrap().trim();
    assert!(command.starts_with(
        "scgpt annotate train cells.h5ad --label cell_type --config tiny.toml -o types-"
    ));
    assert!(fs::read_to_string(place.path("types/report.html")).unwrap().contains(command));
    let report = json(&fs::read_to_string(place.path("types/report.json")).unwrap());
    assert_eq!(report["better"], command);
    // It works as it is.
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    place.done(&args);
    let artefact = args[args.iter().position(|arg| *arg == "-o").unwrap() + 1];
    assert!(place.path(artefact).join("method.json").is_file());
}
