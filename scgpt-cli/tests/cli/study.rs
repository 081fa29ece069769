//! `scgpt study`: planned, run in parts, killed, gone on with, reported.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    thread::{self, sleep},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use crate::run::Place;

const STUDY: &str = "\
data = 'corpus'
measures = ['gep', 'gepc', 'nmi', 'ari', 'mapping']

[axes]
cells = [20, 30]
seed = [1, 2]
where = { one = \"tissue = 'tissue_1'\", all = '' }

[pretrain]
batch_size = 8
max_length = 40
validation_share = 0.1
epochs = 4
max_steps = 6
network = { n_layers = 1, n_heads = 2, d_model = 16, d_ff = 16 }

[targets.one]
file = 'cells.h5ad'
where = \"index > 'cell_000160' AND tissue = 'tissue_1'\"
label = 'cell_type'

[targets.two]
file = 'cells.h5ad'
where = \"index > 'cell_000160' AND tissue = 'tissue_2'\"
label = 'cell_type'
";

/// A corpus of two tissues, cells of both that are not in it, and a study.
fn place() -> Place {
    let place = Place::new();
    let tissues = ["--cells", "240", "--types", "6", "--tissues", "2", "--programmes", "2"];
    place.simulate("cells.h5ad", &tissues);
    place.done(&[
        "corpus",
        "build",
        "cells.h5ad",
        "--where",
        "index <= 'cell_000160'",
        "--obs",
        "tissue",
        "-o",
        "corpus",
    ]);
    fs::write(place.path("study.toml"), STUDY).unwrap();
    place
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// When each result was written.
fn results(study: &Path) -> BTreeMap<String, SystemTime> {
    let runs = fs::read_dir(study.join("runs")).unwrap().map(Result::unwrap);
    let time = |path: &Path| fs::metadata(path.join("result.json")).ok()?.modified().ok();
    runs.filter_map(|run| {
        Some((run.file_name().to_string_lossy().into_owned(), time(&run.path())?))
    })
    .collect()
}

#[test]
fn runs_are_done_in_parts_once_each_and_reported() {
    let place = place();
    let plan = parsed(&place.done(&["study", "plan", "study.toml", "--json"]).stdout);
    let runs = plan["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["cells"], &runs[0]["steps"]), (8, &20.into(), &6.into()));
    assert!(!place.path("study").exists());

    let first = ["study", "run", "study.toml", "-o", "study", "--part", "1/3", "--jobs", "2"];
    let done = parsed(&place.done(&[&first[..], &["--json"]].concat()).stdout);
    assert_eq!((done["done"].as_array().unwrap().len(), &done["before"]), (3, &0.into()));
    let study = place.path("study");
    let before = results(&study);
    let ended = place.done(&["study", "report", "study", "--json"]);
    assert!(ended.stderr.contains("5 of 8 runs are missing"), "{}", ended.stderr);
    let page = fs::read_to_string(study.join("report.html")).unwrap();
    assert!(page.contains("5 of 8 runs are missing"));

    let all = ["study", "run", "study.toml", "-o", "study", "--json"];
    let done = parsed(&place.done(&all).stdout);
    assert_eq!((done["done"].as_array().unwrap().len(), &done["before"]), (5, &3.into()));
    let after = results(&study);
    assert_eq!(after.len(), 8);
    assert!(before.iter().all(|(name, time)| after[name] == *time), "done runs are not repeated");
    let report = parsed(&place.done(&["study", "report", "study", "--json"]).stdout);
    assert!(report["missing"].as_array().unwrap().is_empty());
    let curves = report["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 2 * 5 * 2, "targets, measures, corpora");
    assert_eq!(curves[0]["untold"], serde_json::json!({ "too_few": { "sizes": 2 } }));
    assert_eq!(curves[0]["points"][1]["runs"], 2);
    assert_eq!(report["contexts"][0]["verdicts"][0]["pairs"], 2);
    assert!(report["outline"]["baselines"]["one"]["nmi"].as_f64().is_some());
    let table = fs::read_to_string(study.join("report.csv")).unwrap();
    assert_eq!(table.lines().count(), 9);
    assert!(table.starts_with("run,seed,where,cells,training_cells,steps,"), "{table}");
    // What is measured is the same for all, whatever they learned from.
    let scores = |name: &str| {
        let path = study.join("runs").join(name).join("result.json");
        parsed(&fs::read_to_string(path).unwrap())["scores"].clone()
    };
    let (a, b) = (scores("seed=1,where=one,cells=20"), scores("seed=2,where=all,cells=30"));
    assert_ne!(a["one"]["gep"], b["one"]["gep"]);
    assert_eq!(a["two"].as_object().unwrap().len(), 6);
    assert!(!study.join("runs/seed=1,where=one,cells=20/pretrain/checkpoints").exists());
    let plan = place.done(&["study", "plan", "study.toml", "--folder", "study"]).stdout;
    assert!(plan.contains("all runs are done") && plan.contains("(done in"), "{plan}");

    // A further target is measured; nothing is trained again.
    let more =
        format!("{STUDY}\n[targets.all]\nfile = 'cells.h5ad'\nwhere = \"index > 'cell_000200'\"\n");
    fs::write(place.path("study.toml"), more).unwrap();
    let log = study.join("runs/seed=1,where=one,cells=20/pretrain/log.jsonl");
    let trained = fs::metadata(&log).unwrap().modified().unwrap();
    let done = parsed(&place.done(&all).stdout);
    assert_eq!(done["done"].as_array().unwrap().len(), 8);
    assert_eq!(fs::metadata(&log).unwrap().modified().unwrap(), trained);
    assert_eq!(scores("seed=1,where=one,cells=20")["one"], a["one"]);
    assert!(scores("seed=1,where=one,cells=20")["all"]["gep"].as_f64().is_some());

    // Runs of other settings are not mistaken for these.
    fs::write(place.path("study.toml"), STUDY.replace("max_steps = 6", "max_steps = 5")).unwrap();
    place.refused(&all, &["`settings.training.max_steps` was 6, is 5", "--force"]);
    let done = parsed(&place.done(&[&all[..], &["--force"]].concat()).stdout);
    assert_eq!(done["done"][0]["steps"], 5);
}

#[test]
fn a_study_that_is_killed_goes_on_bit_for_bit() {
    let place = place();
    let long = STUDY
        .replace("cells = [20, 30]", "cells = [60]")
        .replace("seed = [1, 2]", "seed = [1]")
        .replace("epochs = 4\nmax_steps = 6", "epochs = 30\n")
        .replace("'mapping'", "'annotation'");
    fs::write(place.path("study.toml"), long + "\n[annotate.training]\nepochs = 1\n").unwrap();
    place.done(&["study", "run", "study.toml", "-o", "whole"]);
    let name = "seed=1,where=all,cells=60";
    let folder = place.path("killed/runs").join(name);
    let run = ["study", "run", "study.toml", "-o", "killed", "--jobs", "2"];
    for _ in 0..3 {
        let mut program = place.command(&run);
        let mut program = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let is_begun = || folder.join("pretrain/checkpoints").exists();
        while !is_begun() && begun.elapsed() < Duration::from_mins(5) {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(40));
        drop(program.kill());
        program.wait().unwrap();
    }
    // The children of a program that was killed stop by themselves, and meanwhile have their runs.
    let begun = Instant::now();
    loop {
        let done = parsed(&place.done(&[&run[..], &["--json"]].concat()).stdout);
        if done["elsewhere"] == 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(5), "{done}");
        sleep(Duration::from_millis(50));
    }
    let read =
        |study: &str, file: &str| fs::read(place.path(study).join("runs").join(name).join(file));
    for file in ["pretrain/model/model.safetensors", "scores.json"] {
        assert!(read("whole", file).unwrap() == read("killed", file).unwrap(), "{file}");
    }
    // Fine-tuned as well, of which nothing stays but the score.
    let scores = parsed(&String::from_utf8(read("whole", "scores.json").unwrap()).unwrap());
    assert!(scores["two"]["scores"]["annotation"].as_f64().is_some(), "{scores}");
    assert!(!place.path("whole/runs").join(name).join("annotation-two").exists());
}

#[test]
fn several_processes_may_begin_a_study_at_once() {
    let place = place();
    let tiny = STUDY
        .replace("cells = [20, 30]", "cells = [20]")
        .replace("max_steps = 6", "max_steps = 1")
        .replace("measures = ['gep', 'gepc', 'nmi', 'ari', 'mapping']", "measures = ['gep']");
    fs::write(place.path("study.toml"), tiny).unwrap();
    let run = ["study", "run", "study.toml", "-o", "study", "--json"];
    thread::scope(|scope| {
        let programs: Vec<_> = (0..4).map(|_| scope.spawn(|| place.done(&run))).collect();
        for program in programs {
            let done = parsed(&program.join().unwrap().stdout);
            let now = done["done"].as_array().unwrap().len();
            let others = ["before", "elsewhere"].map(|key| done[key].as_u64().unwrap());
            assert_eq!(now as u64 + others[0] + others[1], 4, "{done}");
        }
    });
    assert_eq!(results(&place.path("study")).len(), 4);
}

#[test]
fn what_is_not_known_is_refused_with_near_names() {
    let place = place();
    let run = ["study", "run", "study.toml", "-o", "study"];
    for (from, to, part) in [
        ("cells = [20, 30]", "cels = [20]", "similar names: cells"),
        ("max_length = 40", "max_lenght = 40", "similar names: max_length"),
        ("'gepc'", "'gebc'", "`gebc` is not known"),
        ("cells = [20, 30]", "cells = [2000]", "are there to train on"),
        ("tissue = 'tissue_1'\"", "tisue = 'tissue_1'\"", "similar names: tissue"),
        ("label = 'cell_type'", "label = 'cell_tipe'", "similar names: cell_type"),
        (
            "index > 'cell_000160' AND tissue = 'tissue_2'",
            "index < 'cell_000100'",
            "none of the 99 cells",
        ),
    ] {
        let toml = STUDY.replacen(from, to, 1);
        assert_ne!(toml, STUDY, "{from}");
        fs::write(place.path("study.toml"), toml).unwrap();
        let ended = place.run(&run);
        assert_eq!(ended.code, 1, "{to}");
        assert!(ended.stderr.contains(part), "{to}: {}", ended.stderr);
    }
    fs::write(place.path("study.toml"), STUDY).unwrap();
    let only = [&run[..], &["--only", "seed=1,where=one,cells=21"]].concat();
    place.refused(&only, &["has no run", "similar names: seed=1,where=one,cells=20"]);
    place.refused(&["study", "report", "corpus"], &["study.json", "expected a folder of"]);
    place.refused(&["study", "run", "study.toml", "-o", "corpus"], &["corpus"]);
}
