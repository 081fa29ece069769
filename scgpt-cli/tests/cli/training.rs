//! `scgpt pretrain` and `scgpt generate`: whole runs, interrupted runs, and what is refused.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use hdf5_pure::File;
use serde_json::Value;

use crate::run::{Place, model, tiny};

/// Settings of a network that is made in no time.
fn settings() -> String {
    tiny(
        "batch_size = 8\nmax_length = 60\ncell_prompt_after = 10\nvalidation_share = 0.1",
        "n_layers = 2\ndropout = 0.2",
        "epochs = 3\naccumulate = 2",
    )
}

/// A folder with shards of 120 simulated cells of three types, and settings.
fn place() -> Place {
    let place = Place::new();
    let simulate =
        ["simulate", "-o", "cells.h5ad", "--cells", "120", "--genes", "150", "--types", "3"];
    place.done(&simulate);
    place.done(&["convert", "cells.h5ad", "-o", "shards", "--obs", "cell_type"]);
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    place
}

const PRETRAIN: [&str; 6] = ["pretrain", "--data", "shards", "--config", "tiny.toml", "-o"];

fn pretrain<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&PRETRAIN[..], &[run], more].concat()
}

/// Steps and losses of a run, without what depends on the machine.
fn losses(place: &Place, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().remove("cells_per_second");
            record
        })
        .collect()
}

fn weights(place: &Place, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("model/model.safetensors")).unwrap()
}

#[test]
fn a_run_leaves_a_model_that_embeds_and_generates() {
    let place = place();
    let ended = place.done(&pretrain("run", &["--json", "--class-column", "cell_type"]));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(report["steps"].as_u64().unwrap() > 10, "{report}");
    for name in ["config.toml", "log.jsonl", "report.html", "model/README.md", "model/vocab.json"] {
        assert!(place.path("run").join(name).is_file(), "{name}");
    }
    let names = fs::read_dir(place.path("run")).unwrap();
    let has_events = names
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("events.out.tfevents."));
    assert!(has_events);
    let first = &losses(&place, "run")[0];
    let terms: Vec<&str> =
        first["terms"].as_array().unwrap().iter().map(|term| term[0].as_str().unwrap()).collect();
    assert_eq!(terms, ["gep", "gepc", "class"]);
    let last = losses(&place, "run").iter().rfind(|one| one["kind"] == "step").unwrap().clone();
    assert_eq!(last["terms"][2][0], "cell_prompt", "the second pass has joined in: {last}");

    // From there on, with and without the class head.
    for (run, classes) in [("plain", &[][..]), ("classes", &["--class-column", "cell_type"])] {
        let more = [&["--model", "run/model", "--max-steps", "2"], classes].concat();
        place.done(&pretrain(run, &more));
        let card = fs::read_to_string(place.path(run).join("model/README.md")).unwrap();
        assert!(card.contains("continued from: `run/model`"), "{card}");
    }

    place.done(&["embed", "cells.h5ad", "-m", "run/model", "-o", "embedded.h5ad"]);
    let hidden = ["generate", "cells.h5ad", "-m", "run/model", "-o", "hidden.h5ad", "--json"];
    let report: Value = serde_json::from_str(&place.done(&hidden).stdout).unwrap();
    for guess in ["network", "gene_mean", "cell_mean"] {
        assert!(report[guess]["squared_error"].as_f64().unwrap() > 0.0, "{report}");
    }
    assert_eq!(report["rounds"].as_array().unwrap().len(), 4);

    fs::write(place.path("panel.txt"), "GENE00003\nGENE00007\nno_gene\n").unwrap();
    for (output, more) in [
        ("filled.h5ad", &[][..]),
        ("own.h5ad", &["--from-embedding", "own"]),
        ("given.h5ad", &["--from-embedding", "X_scGPT", "--confidence", "agreement"]),
    ] {
        let generate =
            ["generate", "embedded.h5ad", "-m", "run/model", "--genes", "panel.txt", "-o", output];
        let ended = place.done(&[&generate[..], more].concat());
        assert!(ended.stderr.contains("no_gene"), "{}", ended.stderr);
        let file = File::open_streaming(place.path(output)).unwrap();
        let rows = file.dataset("obsm/X_scgpt_generated").unwrap().read_f32().unwrap();
        assert_eq!(rows.len(), 120 * 2);
        assert!(rows.iter().all(|value| value.is_finite() && *value >= 0.0));
    }
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let place = place();
    place.done(&pretrain("whole", &[]));
    let expected = losses(&place, "whole");
    let n_steps = expected.iter().filter(|record| record["kind"] == "step").count();
    assert!(n_steps > 12);

    for (run, signal) in [("killed", "-KILL"), ("stopped", "-INT")] {
        let args = pretrain(run, &["--checkpoint-every", "2"]);
        let mut child =
            place.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = place.path(run).join("log.jsonl");
        wait_for(&log, 5);
        let id = child.id().to_string();
        std::process::Command::new("kill").args([signal, &id]).status().unwrap();
        let status = child.wait().unwrap();
        if signal == "-INT" {
            // Unless it was faster than the signal.
            assert!(matches!(status.code(), Some(130 | 0)), "{status}");
        }
        let ended = place.done(&["pretrain", "--data", "shards", "-o", run, "--resume"]);
        assert!(ended.stderr.contains("going on after step") || status.code() == Some(0));
        assert_eq!(losses(&place, run), expected, "{run}");
        assert!(weights(&place, run) == weights(&place, "whole"), "{run}");
        let [start, whole] =
            [run, "whole"].map(|run| fs::read(place.path(run).join("model/start.safetensors")));
        assert!(start.unwrap() == whole.unwrap(), "{run}: the vectors that it began with");
    }
}

/// Waits until a log has that many lines.
fn wait_for(log: &Path, lines: usize) {
    let begin = Instant::now();
    while fs::read_to_string(log).unwrap_or_default().lines().count() < lines {
        assert!(begin.elapsed() < Duration::from_mins(1), "{} does not grow", log.display());
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn runs_that_cannot_be_are_refused() {
    let place = place();
    place.refused(&["pretrain", "--data", "none", "-o", "run"], &["none", "hint: "]);
    place.refused(&pretrain("run", &["--lr=-1", "--batch-size", "0"]), &["--batch-size is 0"]);
    place.refused(&pretrain("run", &["--lr=-1"]), &["--lr is -1"]);
    place.refused(&pretrain("run", &["--class-column", "colour"]), &["colour", "cell_type"]);
    place.refused(&pretrain("run", &["--resume"]), &["`run` has no run to resume"]);
    place.refused(&pretrain("run", &["--precision", "f8"]), &["f8", "f32, bf16, bf16x3 or f16"]);
    fs::write(place.path("wrong.toml"), "batch_size = 8\nlearning = 3\n").unwrap();
    place.refused(
        &["pretrain", "--data", "shards", "--config", "wrong.toml", "-o", "run"],
        &["wrong.toml", "learning"],
    );
    // A model whose vocabulary is another.
    place.refused(&pretrain("run", &["--model", &model()]), &["vocab"]);

    let run = pretrain("run", &["--max-steps", "2"]);
    place.done(&run);
    place.refused(&run, &["`run` exists", "--resume", "--force"]);
    place.refused(
        &pretrain("run", &["--resume", "--lr", "0.5"]),
        &["`config.training.optimizer.lr` was 0.001, is 0.5", "hint: "],
    );
    place.done(&pretrain("run", &["--max-steps", "2", "--force"]));
}

#[test]
fn one_class_nothing_left_and_damaged_shards_are_refused() {
    let place = place();
    place.done(&["simulate", "-o", "one.h5ad", "--cells", "30", "--genes", "150", "--types", "1"]);
    place.done(&["convert", "one.h5ad", "-o", "single", "--obs", "cell_type"]);
    let single = ["pretrain", "--data", "single", "--config", "tiny.toml", "-o", "run"];
    place.refused(
        &[&single[..], &["--class-column", "cell_type"]].concat(),
        &["`cell_type` has 1 class", "at least two"],
    );
    let settings = settings().replace("validation_share = 0.1", "validation_share = 0.9999999");
    fs::write(place.path("held.toml"), settings).unwrap();
    place.refused(
        &["pretrain", "--data", "shards", "--config", "held.toml", "-o", "run"],
        &["120 cells, 120 of them held out"],
    );

    let shard = fs::read_dir(place.path("shards"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "arrow"))
        .unwrap();
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 100]).unwrap();
    let name = shard.file_name().unwrap().to_string_lossy().into_owned();
    place.refused(&pretrain("run", &[]), &[&name, "bytes", "hint: "]);
    fs::write(&shard, &bytes).unwrap();
    fs::write(place.path("shards/vocab.json"), "{\"A\": 0, \"<pad>\": 1, \"<cls>\": 2}").unwrap();
    place.refused(&pretrain("run", &[]), &["vocab.json", "hint: "]);
}

#[test]
fn generation_that_cannot_be_is_refused() {
    let place = place();
    place.done(&pretrain("run", &["--max-steps", "2"]));
    let generate = |more: &[&'static str]| -> Vec<&'static str> {
        [&["generate", "cells.h5ad", "-m", "run/model", "-o", "out.h5ad"], more].concat()
    };
    place.refused(&generate(&["--hide", "1"]), &["--hide is 1"]);
    place.refused(&generate(&["--rounds", "0"]), &["--rounds is 0, expected at least 1"]);
    place.refused(
        &generate(&["--samples", "1"]),
        &["--samples is 1, but a variance takes at least 2 passes"],
    );
    place.refused(&generate(&["--genes", "none.txt"]), &["none.txt"]);
    fs::write(place.path("empty.txt"), "\n\n").unwrap();
    place.refused(&generate(&["--genes", "empty.txt"]), &["`empty.txt` names no gene"]);
    fs::write(place.path("foreign.txt"), "CD3E\nLYZ\n").unwrap();
    place.refused(&generate(&["--genes", "foreign.txt"]), &["none of the 2 genes"]);
    let many: Vec<String> = (1..=100).map(|gene| format!("GENE{gene:05}")).collect();
    fs::write(place.path("many.txt"), many.join("\n")).unwrap();
    place.refused(&generate(&["--genes", "many.txt"]), &["100 genes", "--max-length is 60"]);
    fs::write(place.path("two.txt"), "GENE00001\nGENE00002\n").unwrap();
    place.refused(
        &generate(&["--genes", "two.txt", "--from-embedding", "X_pca"]),
        &["obsm/X_pca", "not found", "hint: "],
    );
    // A model that was never trained to generate.
    let config = place.path("run/model/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"unknown_flag\": true", "\"unknown_flag\": false")).unwrap();
    place.refused(&generate(&[]), &["not trained to generate", "flag_encoder"]);
}
