//! What the commands do when all is well, and when interrupted.

use std::{fs, process::Stdio, thread::sleep, time::Duration};

use serde_json::{Value, json};

use crate::run::{Place, cells, embedding, ended, model};

#[test]
fn embeddings_depend_on_neither_batches_nor_threads() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let embed = |output: &str, options: &[&str]| {
        let common = ["embed", &cells, "-m", &model, "-o", output, "--no-report"];
        // Short enough that genes are sampled, and with ties that are drawn.
        let random = ["--max-length", "100", "--tie-mode", "random"];
        place.done(&[&common[..], &random, options].concat());
        embedding(&place.path(output))
    };
    let one = embed("one.h5ad", &["--batch-size", "1", "--threads", "1", "--seed", "3"]);
    for (name, batch, threads) in
        [("a.h5ad", "7", "2"), ("b.h5ad", "64", "1"), ("c.h5ad", "8", "2")]
    {
        let options = ["--batch-size", batch, "--threads", threads, "--seed", "3"];
        assert!(one == embed(name, &options), "batch size {batch}, {threads} threads");
    }
    assert!(one != embed("other.h5ad", &["--seed", "4"]), "another seed draws others");
    for row in one.chunks_exact(32) {
        let length: f32 = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5);
    }
}

#[test]
fn converted_models_give_the_same_embeddings() {
    let place = Place::new();
    let (cells, released) = (cells(), model());
    place.done(&["convert", &released, "-o", "native"]);
    for name in ["config.json", "model.safetensors", "vocab.json", "preprocess.json", "README.md"] {
        assert!(place.path("native").join(name).is_file(), "{name}");
    }
    place.done(&["convert", "native", "-o", "weights.safetensors"]);
    place.refused(&["convert", &released, "-o", "native"], &["`native` exists"]);
    place.done(&["embed", &cells, "-m", &released, "-o", "a.h5ad", "--no-report"]);
    place.done(&["embed", &cells, "-m", "native", "-o", "b.h5ad", "--no-report"]);
    assert!(embedding(&place.path("a.h5ad")) == embedding(&place.path("b.h5ad")));
}

#[test]
fn zarr_out_and_in_again() {
    let place = Place::new();
    let model = model();
    place.done(&["embed", &cells(), "-m", &model, "-o", "a.zarr"]);
    place.done(&["embed", "a.zarr", "-m", &model, "-o", "b.h5ad", "--json"]);
    place.done(&["embed", &cells(), "-m", &model, "-o", "c.h5ad"]);
    assert!(embedding(&place.path("b.h5ad")) == embedding(&place.path("c.h5ad")));
}

#[test]
fn simulated_cells_are_inspected() {
    let place = Place::new();
    place.done(&[
        "simulate",
        "-o",
        "cells.h5ad",
        "--cells",
        "150",
        "--genes",
        "300",
        "--types",
        "3",
    ]);
    let json = place.done(&["inspect", "cells.h5ad", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cells"], 150);
    assert_eq!(json["matrices"][0]["genes"], 300);
    assert_eq!(json["matrices"][0]["state"], "counts");
    assert_eq!(json["obs"]["cell_type"], "categorical");
    let text = place.done(&["inspect", &cells(), "--model", &model()]).stdout;
    assert!(text.contains("536 of 752 known by `feature_name` (used)"), "{text}");
    place.done(&[
        "simulate",
        "-o",
        "again.h5ad",
        "--cells",
        "150",
        "--genes",
        "300",
        "--types",
        "3",
    ]);
    let [a, b] = ["cells.h5ad", "again.h5ad"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(a == b, "the same seed gives the same file");
}

#[test]
fn the_demo_trains_a_model_and_tells_what_it_learned() {
    let place = Place::new();
    let short = ["demo", "--cells", "60", "--genes", "80", "--max-steps", "4"];
    let ended = place.done(&short);
    for part in ["Model before training", "Model after training", "Variable genes and PCA"] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
    let page = fs::read_to_string(place.path("scgpt-demo/report.html")).unwrap();
    for part in ["The training loss", "Adjusted Rand index", "before training"] {
        assert!(page.contains(part), "{part}");
    }
    for name in ["cells.h5ad", "embedded.h5ad", "embedded.report.html", "run/model/config.json"] {
        assert!(place.path("scgpt-demo").join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(place.path("scgpt-demo/embedded.report.html")).unwrap();
    assert!(page.contains("coloured by cell_type"));
    for loads in ["<script src", "<link", "<img src=\"http", "@import", "url(http"] {
        assert!(!page.contains(loads), "self-contained: {loads}");
    }
    place.refused(&["demo"], &["`scgpt-demo` exists", "--force"]);
    let json = place.done(&[&short[..], &["--force", "--json"]].concat()).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["scores"][2]["name"], "Variable genes and PCA");
    assert!(json["scores"][1]["ari"].is_number(), "{json}");
}

#[test]
fn flags_go_before_environment_before_file() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    fs::write(place.path("options.toml"), "seed = 1\nmax-length = 90\nno-report = true\n").unwrap();
    let seed = |output: &str, environment: Option<&str>, flags: &[&str]| {
        let common =
            ["embed", &cells, "-m", &model, "-o", output, "--json", "--config", "options.toml"];
        let mut command = place.command(&[&common[..], flags].concat());
        if let Some(seed) = environment {
            command.env("SCGPT_SEED", seed);
        }
        let ended = crate::run::ended(&mut command);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(json["max_length"], 90);
        json["options"]["seed"].as_u64().unwrap()
    };
    assert_eq!(seed("a.h5ad", None, &[]), 1);
    assert_eq!(seed("b.h5ad", Some("2"), &[]), 2);
    assert_eq!(seed("c.h5ad", Some("2"), &["--seed", "3"]), 3);
    // A file may be called like the command.
    fs::copy(place.path("options.toml"), place.path("embed")).unwrap();
    let named = ["--config", "embed", "embed", &cells, "-m", &model, "-o", "e.h5ad"];
    let ended =
        crate::run::ended(place.command(&named).env("SCGPT_MAX_LENGTH", "70").arg("--json"));
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["options"]["seed"], &json["max_length"]), (&1.into(), &70.into()));
    // What was in force is written beside the result, and repeats it.
    place.done(&["embed", &cells, "-o", "d.h5ad", "--config", "c.config.toml"]);
    assert!(embedding(&place.path("c.h5ad")) == embedding(&place.path("d.h5ad")));
}

#[test]
fn help_completions_and_manual() {
    let place = Place::new();
    for (command, part) in [
        ("embed", "found by content"),
        ("inspect", "which of its genes"),
        ("convert", "memory-mapped"),
        ("pretrain", "Writes a folder"),
        ("generate", "a test of the model"),
        ("simulate", "negative-binomial"),
        ("demo", "two minutes"),
        ("integrate", "a checkpoint is fine-tuned"),
        ("annotate train", "another tenth"),
        ("annotate predict", "columns in obs"),
        ("map index", "opened as memory"),
        ("map query", "scgpt_map_COLUMN"),
        ("perturb prepare", "of GEARS"),
        ("perturb train", "by --split"),
        ("perturb predict", "start from control cells"),
        ("perturb reverse", "each cell votes"),
        ("grn attention", "its column"),
        ("grn embedding", "Leiden communities"),
        ("evaluate labels", "--unseen names"),
        ("evaluate perturb", "mean predicted cell"),
        ("evaluate integration", "as scib does"),
        ("evaluate grn", "Edge lists of any tool"),
        ("completions", ""),
        ("man", ""),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let help = place.done(&[&words[..], &["--help"]].concat()).stdout;
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.contains(&format!("scgpt {command}")), "{command}: {help}");
        let unbroken = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unbroken.contains(part), "{command} says more than one line: {help}");
        assert!(place.done(&[&["man"], &words[..]].concat()).stdout.contains(".TH"), "{command}");
    }
    assert!(place.done(&["completions", "bash"]).stdout.contains("_scgpt"));
    assert!(place.done(&["--version"]).stdout.starts_with("scgpt "));
    let wrong = place.run(&["embed", "--colour"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("--colour"), "{}", wrong.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let place = Place::new();
    place.done(&["demo", "--cells", "50", "--genes", "400", "--max-steps", "2"]);
    place.done(&[
        "simulate",
        "-o",
        "many.h5ad",
        "--cells",
        "40000",
        "--genes",
        "400",
        "--vocab",
        "scgpt-demo/run/model/vocab.json",
    ]);
    let embed = ["embed", "many.h5ad", "-m", "scgpt-demo/run/model", "-o", "out.h5ad"];
    interrupted(&place, "-INT", &embed);
    // The pass that selects genes comes first.
    interrupted(&place, "-INT", &[&embed[..], &["--hvg", "200"]].concat());
    let simulate = ["simulate", "-o", "more.h5ad", "--cells", "2000000"];
    interrupted(&place, "-INT", &simulate);
    // More cells than are written before the signal comes.
    let many = ["many.h5ad"; 100];
    interrupted(&place, "-INT", &[&["convert", "-o", "shards"], &many[..]].concat());
    // As a job scheduler does it.
    interrupted(&place, "-TERM", &simulate);
}

/// Starts a run and ends it by a signal, which must leave nothing behind.
#[cfg(unix)]
fn interrupted(place: &Place, signal: &str, args: &[&str]) {
    let before = place.content();
    let mut child =
        place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(800));
    assert!(child.try_wait().unwrap().is_none(), "{args:?} ended before it could be interrupted");
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{args:?}: {message}");
    assert!(message.contains("interrupted"), "{message}");
    assert_eq!(before, place.content(), "{args:?}");
}

#[test]
fn variable_genes_are_selected() {
    let place = Place::new();
    for flavour in ["seurat-v3", "cell-ranger", "seurat"] {
        let output = format!("{flavour}.h5ad");
        let ended = place.done(&[
            "embed",
            &cells(),
            "-m",
            &model(),
            "-o",
            &output,
            "--json",
            "--hvg",
            "200",
            "--hvg-flavor",
            flavour,
            "--batch-key",
            "batch",
        ]);
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(json["variable"]["n_selected"], 200, "{flavour}");
        assert!(json["tokens"]["max"].as_u64().unwrap() <= 201);
    }
}

#[test]
fn json_of_every_command_has_the_same_envelope_and_so_have_errors() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let done = place.done(&["embed", &cells, "-m", &model, "-o", "x.h5ad", "--json"]);
    let envelope = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": "embed",
        "input": [cells],
        "output": "x.h5ad",
        "report": "x.report.html",
        "slots": ["obsm/X_scGPT", "uns/scgpt"],
    });
    assert_eq!(done.envelope, envelope);
    let said = place.done(&["inspect", &cells, "--json"]).envelope;
    assert_eq!((&said["command"], &said["output"]), (&json!("inspect"), &Value::Null));
    let evaluate = ["evaluate", "labels", &cells, "--truth", "batch", "--prediction", "batch"];
    let said = place.done(&[&evaluate[..], &["--json"]].concat()).envelope;
    assert_eq!(said["command"], "evaluate labels");

    let failed = place.run(&["embed", &cells, "-m", &model, "-o", "x.h5ad", "--json"]);
    assert_eq!(failed.code, 1);
    let error = &failed.envelope["error"];
    assert_eq!((&failed.envelope["command"], &error["causes"]), (&json!("embed"), &json!([])));
    assert!(error["message"].as_str().unwrap().contains("x.h5ad"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--force"), "{error}");
    assert!(failed.stderr.contains("error: "), "people read it, too");
    let nothing = [("report", Value::Null), ("slots", json!([]))];
    assert!(nothing.iter().all(|(key, value)| failed.envelope.get(*key) == Some(value)));
    // A command line that is wrong is an error like any other.
    let usage = place.run(&["embed", &cells, "--modl", &model, "-o", "y.h5ad", "--json"]);
    assert_eq!((usage.code, &usage.envelope["command"]), (2, &json!("embed")));
    let error = &usage.envelope["error"];
    assert_eq!(error["message"], "unexpected argument '--modl' found");
    assert!(error["hint"].as_str().unwrap().contains("--model"), "{error}");
    let quiet = place.run(&["embed", &cells, "--modl", &model, "-o", "y.h5ad"]);
    assert!(quiet.code == 2 && quiet.stdout.is_empty(), "JSON is for those who ask for it");
}

#[test]
fn several_commands_of_a_process_may_have_the_same_number_of_threads() {
    let place = Place::new();
    let demo = ["demo", "--cells", "60", "--genes", "50", "--max-steps", "1", "-o", "demo"];
    let done = ended(place.command(&demo).env("SCGPT_THREADS", "1"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(place.path("demo/report.html").is_file());
}

#[test]
fn what_people_write_by_mistake_is_named() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let out = ["-o", "x.h5ad"];
    let embed = ["embed", &cells, "--model"];
    place.refused(
        &[&embed[..], &["scGPT_human"], &out].concat(),
        &["`scGPT_human`: no such folder", "`scgpt-human`"],
    );
    place.refused(&[&embed[..], &["nowhere"], &out].concat(), &["`nowhere`", "scgpt models list"]);
    place.refused(
        &["annotate", "predict", &cells, "-m", "nowhere", "-o", "x.h5ad"],
        &["`nowhere`: no such folder", "scgpt annotate train"],
    );
    // Input and model, one for the other, whatever is opened first.
    let label = ["--label", "batch", "-o", "types"];
    let swapped = ["it is cells, expected a model", "swapped"];
    place.refused(&[&["annotate", "train", &model, "-m", &cells], &label[..]].concat(), &swapped);
    let batch = ["--batch-key", "batch", "-o", "x.h5ad"];
    place.refused(&[&["integrate", &model, "-m", &cells], &batch[..]].concat(), &swapped);
    place.refused(&[&["integrate", &model], &batch[..]].concat(), &["expected cells", "swapped"]);
    place.refused(&[&embed[..], &[&model, "-o", "x.xlsx"]].concat(), &[".h5ad or .zarr", ".csv"]);
    // A matrix that is not there is not offered.
    let layer = [&embed[..], &[&model, "--layer", "counts"], &out].concat();
    let said = place.refused(&layer, &["no such matrix"]);
    assert!(!said.contains("raw"), "{said}");
    let lanes = ["convert", &cells, &cells, "--sample", "A,A", "-o", "x.h5ad"];
    place.refused(&lanes, &["`A` twice", "A-1,A-2"]);
    let evaluate = ["evaluate", "labels", &cells, "--truth", "batch", "--prediction", "batch"];
    place.refused(&[&evaluate[..], &["-o", "page"]].concat(), &["`page`", ".html"]);
    let value = place.run(&[&embed[..], &[&model, "--leiden", "0.5"], &out].concat());
    assert!(value.code == 2 && value.stderr.contains("--leiden=0.5"), "{}", value.stderr);
    // An option that may stand alone takes no input for its value.
    let voting = ["annotate", "predict", "--majority-voting", &cells, "-m", &model, "-o", "x.h5ad"];
    place.refused(&voting, &["expected an artefact"]);
}
