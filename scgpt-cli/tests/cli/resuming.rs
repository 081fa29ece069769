//! Trainings that are killed at any moment, and what may not go on.
//!
//! `SCGPT_KILLS=50` kills each command that often instead of a few times.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use scgpt_data::{
    Additions, CellSource as _, Existing, Frame, Layer, RowSpool, Source, SpooledCells, export,
};

use crate::run::{Place, embedding, tiny};

/// Settings of a network that is made in no time.
fn settings() -> String {
    tiny("batch_size = 16", "n_layers = 1\ndropout = 0.1", "epochs = 3")
}

const PRETRAIN: &str = "\
max_length = 60
validation_share = 0.1
";

/// A command that trains, and everything it writes.
struct Training {
    /// Without the name of the output.
    args: &'static [&'static str],
    /// The output, where `#` is the number of the run.
    output: &'static str,
    /// Files that are the same in every run.
    same: &'static [&'static str],
    /// Files that are there.
    there: &'static [&'static str],
    /// Cells with an embedding that is the same in every run.
    cells: Option<&'static str>,
}

const PRETRAINING: Training = Training {
    args: &[
        "pretrain",
        "--data",
        "shards",
        "--config",
        "pretrain.toml",
        "--select-by",
        "thinning",
        "--checkpoint-every",
        "3",
        "-o",
    ],
    output: "pre#",
    same: &["pre#/model/model.safetensors", "pre#/model/README.md", "pre#/config.toml"],
    there: &["pre#/report.html", "pre#/log.jsonl"],
    cells: None,
};

const ANNOTATION: Training = Training {
    args: &[
        "annotate",
        "train",
        "cells.h5ad",
        "--label",
        "cell_type",
        "--model",
        "run/model",
        "--config",
        "tiny.toml",
        "--no-baselines",
        "--repeats",
        "2",
        "--checkpoint-every",
        "3",
        "-o",
    ],
    output: "types#",
    same: &[
        "types#/model.safetensors",
        "types#/annotation.json",
        "types#/profiles.json",
        "types#/README.md",
        "types#/training/config.toml",
    ],
    there: &["types#/report.html", "types#/report.json"],
    cells: None,
};

const INTEGRATION: Training = Training {
    args: &[
        "integrate",
        "cells.h5ad",
        "--batch-key",
        "batch",
        "--model",
        "run/model",
        "--config",
        "tiny.toml",
        "--hvg",
        "60",
        "--no-baselines",
        "--checkpoint-every",
        "3",
        "-o",
    ],
    output: "out#.h5ad",
    same: &["out#.model/model.safetensors", "out#.model/integration.json"],
    there: &["out#.model/report.html", "out#.model/report.json"],
    cells: Some("out#.h5ad"),
};

const PERTURBATION: Training = Training {
    args: &[
        "perturb",
        "train",
        "screen.h5ad",
        "--model",
        "run/model",
        "--config",
        "tiny.toml",
        "--no-baselines",
        "--checkpoint-every",
        "1",
        "-o",
    ],
    output: "screen#",
    same: &[
        "screen#/model.safetensors",
        "screen#/perturbation.json",
        "screen#/split.json",
        "screen#/controls.h5ad",
        "screen#/profiles.h5ad",
    ],
    there: &["screen#/report.html", "screen#/report.json"],
    cells: None,
};

const NETWORK: Training = Training {
    args: &[
        "grn",
        "embedding",
        "--model",
        "run/model",
        "--data",
        "cells.h5ad",
        "--fine-tune",
        "--batch-key",
        "batch",
        "--epochs",
        "1",
        "--hvg",
        "60",
        "--threshold",
        "0.1",
        "--no-baselines",
        "-o",
    ],
    output: "net#",
    same: &["net#.model/model.safetensors", "net#/edges.csv", "net#/programmes.csv"],
    there: &["net#/report.html", "net#/cells.h5ad", "net#.model/report.html"],
    cells: None,
};

/// Cells, a screen, and a network to begin from.
fn place() -> Place {
    let place = Place::new();
    let cells = ["--cells", "120", "--genes", "150"];
    let simulate = |more: &[&str]| place.done(&[&["simulate"], &cells[..], more].concat());
    simulate(&["-o", "cells.h5ad", "--types", "3", "--batches", "2"]);
    simulate(&["-o", "raw.h5ad", "--perturb", "4", "--doubles", "2"]);
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    fs::write(place.path("pretrain.toml"), format!("{PRETRAIN}{}", settings())).unwrap();
    place.done(&[PRETRAINING.args, &["run"]].concat());
    place
}

impl Training {
    fn name(&self, number: &str) -> String {
        self.output.replace('#', number)
    }

    fn files(&self, place: &Place, number: &str) -> BTreeMap<&'static str, Vec<u8>> {
        let read = |name: &&'static str| {
            let path = place.path(&name.replace('#', number));
            let bytes = fs::read(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
            (*name, bytes)
        };
        for name in self.there {
            read(name);
        }
        self.same.iter().map(read).collect()
    }

    fn rows(&self, place: &Place, number: &str) -> Option<Vec<f32>> {
        self.cells.map(|cells| embedding(&place.path(&cells.replace('#', number))))
    }

    /// Kills the command at moments spread over its time, half of them in its last third, and has it go
    /// on: whatever the moment, the same is written.
    fn is_killed_and_goes_on(&self) {
        let place = place();
        place.done(&[self.args, &[&self.name("")]].concat());
        // The first run warms up.
        let begin = Instant::now();
        place.done(&[self.args, &[&self.name("0")]].concat());
        let time = begin.elapsed();
        let (files, rows) = (self.files(&place, ""), self.rows(&place, ""));
        let kills: u32 = std::env::var("SCGPT_KILLS").map_or(6, |kills| kills.parse().unwrap());
        let (mut goes_on, mut kill) = (0, 0);
        // As many as were asked for, and until one of them hit an unfinished run.
        while kill < kills || goes_on == 0 {
            assert!(kill < kills + 40, "{} is never unfinished", self.name(""));
            let number = (kill + 1).to_string();
            let output = self.name(&number);
            let args = [self.args, &[output.as_str()]].concat();
            let half = f64::from(kill % kills / 2) / f64::from(kills.div_ceil(2));
            let share = if kill % 2 == 0 { half } else { 0.67 + 0.33 * half };
            let mut command = place.command(&args);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            sleep(time.mul_f64(share));
            child.kill().unwrap();
            let was_done = child.wait().unwrap().success();
            // As often as it takes: a run that was killed before it began has to be begun.
            let ended = place.run(&[&args[..], &["--resume"]].concat());
            if ended.code == 0 {
                goes_on += u32::from(!was_done);
            } else if ended.stderr.contains("leave --resume out to begin one") {
                place.done(&args);
            } else {
                assert!(ended.stderr.contains("it is finished"), "{output}: {}", ended.stderr);
            }
            assert!(self.files(&place, &number) == files, "{output}, killed after {share}");
            assert!(self.rows(&place, &number) == rows, "{output}, killed after {share}");
            assert_no_leftovers(&place, &output);
            kill += 1;
        }
        eprintln!("{}: {goes_on} of {kill} went on", self.name(""));
    }
}

/// Neither beside the output, nor what only an unfinished run needs.
fn assert_no_leftovers(place: &Place, output: &str) {
    for path in place.content() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with(".scgpt-") && !name.ends_with(".partial"), "{name}");
    }
    for folder in [output.to_owned(), output.replace(".h5ad", ".model"), format!("{output}.model")]
    {
        for name in ["training/cells", "training/unfinished.json"] {
            assert!(!place.path(&folder).join(name).exists(), "{folder}/{name}");
        }
    }
}

#[test]
fn pretraining_goes_on_from_any_moment() {
    PRETRAINING.is_killed_and_goes_on();
}

#[test]
fn annotation_goes_on_from_any_moment() {
    ANNOTATION.is_killed_and_goes_on();
}

#[test]
fn integration_goes_on_from_any_moment() {
    INTEGRATION.is_killed_and_goes_on();
}

#[test]
fn perturbation_goes_on_from_any_moment() {
    PERTURBATION.is_killed_and_goes_on();
}

#[test]
fn networks_of_tuned_models_go_on_from_any_moment() {
    NETWORK.is_killed_and_goes_on();
}

/// Runs a training that does not end by itself, and kills it after its first checkpoint.
fn unfinished(place: &Place, args: &[&str], folder: &str) {
    let endless = ["--epochs", "100000", "--checkpoint-every", "1"];
    let args = [args, &endless[..if args[0] == "grn" { 2 } else { 4 }]].concat();
    let mut command = place.command(&args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoints = place.path(folder).join("checkpoints");
    let is_complete = |entry: fs::DirEntry| entry.path().extension().is_none();
    let begin = Instant::now();
    while !fs::read_dir(&checkpoints).is_ok_and(|mut all| all.any(|one| one.is_ok_and(is_complete)))
    {
        assert!(begin.elapsed() < Duration::from_mins(1), "no checkpoint of {args:?}");
        assert!(child.try_wait().unwrap().is_none(), "{args:?} ended");
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Its lock and what it was making, which the next run would remove.
    for path in place.content() {
        if path.file_name().unwrap().to_string_lossy().starts_with(".scgpt-") {
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).unwrap();
        }
    }
}

#[test]
fn other_cells_under_the_same_name_do_not_go_on() {
    let place = place();
    let without = |training: &Training| -> Vec<&'static str> {
        // What `unfinished` says otherwise.
        let args: Vec<&str> = training.args.to_vec();
        let drop = |name: &str| args.iter().position(|arg| *arg == name);
        let at: Vec<usize> = ["--checkpoint-every", "--epochs", "--repeats"]
            .iter()
            .filter_map(|name| drop(name))
            .flat_map(|at| [at, at + 1])
            .collect();
        let kept = args.iter().enumerate().filter(|(place, _)| !at.contains(place));
        kept.map(|(_, arg)| *arg).collect()
    };
    let trainings = [
        (&ANNOTATION, "types", "types/training", "cells.h5ad"),
        (&INTEGRATION, "out.h5ad", "out.model/training", "cells.h5ad"),
        (&PERTURBATION, "screen", "screen/training", "screen.h5ad"),
        (&NETWORK, "net", "net.model/training", "cells.h5ad"),
    ];
    for (training, output, folder, _) in &trainings {
        unfinished(&place, &[&without(training)[..], &[output]].concat(), folder);
    }
    let swap = |file: &str, other: &[&str]| {
        fs::rename(place.path(file), place.path("kept")).unwrap();
        let simulate = ["simulate", "-o", file, "--genes", "150"];
        if file == "screen.h5ad" {
            place.done(
                &["simulate", "-o", "other.h5ad", "--genes", "150", "--perturb", "4"]
                    .iter()
                    .chain(&["--doubles", "2"])
                    .chain(other)
                    .copied()
                    .collect::<Vec<_>>(),
            );
            place.done(&["perturb", "prepare", "other.h5ad", "-o", file]);
            fs::remove_file(place.path("other.h5ad")).unwrap();
            fs::remove_file(place.path("other.network.csv")).unwrap();
        } else {
            place.done(&[&simulate[..], &["--types", "3", "--batches", "2"], other].concat());
        }
    };
    for (training, output, folder, file) in &trainings {
        for other in [["--cells", "120", "--seed", "7"], ["--cells", "80", "--seed", "0"]] {
            swap(file, &other);
            let more = if *output == "net" { &["--epochs", "100000"][..] } else { &[] };
            let args = [&without(training)[..], &[output, "--resume"], more].concat();
            place.refused(&args, &["another configuration", "`cells.tokens` was", "hint: "]);
            assert!(place.path(folder).join("checkpoints").exists(), "{output} can still go on");
            fs::rename(place.path("kept"), place.path(file)).unwrap();
        }
    }
    // Genes are drawn by their places.
    fs::rename(place.path("screen.h5ad"), place.path("kept")).unwrap();
    turn_genes_round(&place.path("kept"), &place.path("screen.h5ad"));
    let args = [&without(&PERTURBATION)[..], &["screen", "--resume"]].concat();
    place.refused(&args, &["another configuration", "`cells.genes` was", "hint: "]);
}

#[test]
fn another_table_of_links_does_not_go_on() {
    let place = Place::new();
    let cells = ["--cells", "60", "--genes", "40", "--peaks", "80", "--types", "2"];
    place.done(&[&["simulate", "-o", "c.h5mu", "--modalities", "rna,atac"], &cells[..]].concat());
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    let links = |gene: &str| {
        let rows = format!("peak,gene\nchr1:10000-10500,{gene}\n");
        fs::write(place.path("links.csv"), rows).unwrap();
    };
    links("GENE00001");
    let args = ["integrate", "c.h5mu", "--config", "tiny.toml", "--links", "links.csv"];
    let args = [&args[..], &["--no-baselines", "-o", "out.h5mu"]].concat();
    unfinished(&place, &args, "out.model/training");
    links("GENE00002");
    place.refused(
        &[&args[..], &["--resume"]].concat(),
        &["another configuration", "`links` was", "hint: "],
    );
}

/// The cells of a file, genes in the reverse order.
fn turn_genes_round(from: &Path, to: &Path) {
    let mut source = Source::open(from).unwrap();
    let (obs, var) = (source.obs().unwrap(), source.var(&Layer::X).unwrap());
    let n = var.len();
    let mut rows = RowSpool::new(n).unwrap();
    for row in source.read(&Layer::X, 0..obs.len()).unwrap().rows() {
        let mut values = vec![0.0; n];
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            values[n - 1 - gene as usize] = value;
        }
        rows.push(&values).unwrap();
    }
    let var: Frame = var.pick(&(0..n).rev().collect::<Vec<_>>());
    let mut turned = SpooledCells::new(obs, var, rows);
    export(&mut turned, &Layer::X, to, &Additions::default(), Existing::Refuse).unwrap();
}

#[test]
fn what_was_put_at_an_output_meanwhile_is_kept() {
    let place = place();
    let integrate = |more: &[&'static str]| -> Vec<&'static str> {
        let args = ["integrate", "cells.h5ad", "--batch-key", "batch", "--config", "tiny.toml"];
        [&args[..], &["--hvg", "60", "--no-baselines", "-o", "out.h5ad"], more].concat()
    };
    unfinished(&place, &integrate(&[]), "out.model/training");
    let network = |more: &[&'static str]| -> Vec<&'static str> {
        let args =
            ["grn", "embedding", "--model", "run/model", "--data", "cells.h5ad", "--hvg", "60"];
        let more = [&["--fine-tune", "--batch-key", "batch", "--no-baselines", "-o", "net"], more];
        [&args[..], &more.concat()].concat()
    };
    unfinished(&place, &network(&[]), "net.model/training");
    fs::write(place.path("out.h5ad"), "mine").unwrap();
    place.done(&["grn", "embedding", "--model", "run/model", "--threshold", "0", "-o", "net"]);
    let report = fs::read(place.path("net/edges.csv")).unwrap();
    let said = ["is not what the run to resume has written", "hint: move it away", "--force"];
    place.refused(&integrate(&["--resume"]), &said);
    place.refused(&network(&["--resume", "--epochs", "100000"]), &said);
    assert_eq!(fs::read_to_string(place.path("out.h5ad")).unwrap(), "mine");
    assert_eq!(fs::read(place.path("net/edges.csv")).unwrap(), report);
    // What the run was told to replace, it still is when it goes on, unless that changed since.
    place.done(&network(&["--epochs", "1", "--force", "--threshold", "0.1"]));
    unfinished(&place, &network(&["--force", "--threshold", "0.1"]), "net.model/training");
    let ledger = fs::read_to_string(place.path("net.model/training/unfinished.json")).unwrap();
    assert!(ledger.contains("/net\""), "{ledger}");
    fs::write(place.path("net/programmes.csv"), "edited").unwrap();
    place.refused(&network(&["--resume", "--epochs", "100000"]), &said);
}

#[test]
fn a_run_is_kept_until_another_has_begun() {
    let place = place();
    let again = |more: &[&'static str]| [PRETRAINING.args, &["run", "--force"], more].concat();
    let read = || {
        ["config.toml", "log.jsonl", "report.html", "model/model.safetensors"]
            .map(|name| fs::read(place.path("run").join(name)).unwrap())
    };
    let before = read();
    place.refused(&again(&["--class-column", "colour"]), &["colour"]);
    place.refused(&again(&["--model", "cells.h5ad"]), &["it is cells"]);
    place.refused(&again(&["--lr=-1"]), &["--lr is -1"]);
    assert!(read() == before);
    assert!(place.path("run/checkpoints").exists());
}

#[test]
fn a_finished_run_is_not_resumed_and_a_foreign_folder_is_none() {
    let place = place();
    let types = |more: &[&'static str]| -> Vec<&'static str> {
        [ANNOTATION.args, &["types"], more].concat()
    };
    place.done(&types(&[]));
    place.refused(&types(&["--resume"]), &["no unfinished run to resume", "it is finished"]);
    // Of another kind, and nobody's: what is in a folder decides, not that it is there.
    let screen = |output: &'static str| [PERTURBATION.args, &[output, "--force"]].concat();
    fs::create_dir(place.path("home")).unwrap();
    fs::write(place.path("home/README.md"), "mine").unwrap();
    fs::create_dir_all(place.path("work/training")).unwrap();
    fs::write(place.path("work/training/video.mp4"), "mine").unwrap();
    for output in ["types", "home", "work"] {
        place.refused(&screen(output), &[output, "is not written to", "hint: "]);
    }
    place
        .refused(&[PRETRAINING.args, &["home", "--force"]].concat(), &["`home` is not written to"]);
    place.refused(&["demo", "-o", "home", "--force"], &["`home` is not written to"]);
    fs::create_dir_all(place.path("fresh/model")).unwrap();
    fs::write(place.path("fresh/model/thesis.tex"), "mine").unwrap();
    fs::copy(place.path("run/config.toml"), place.path("fresh/config.toml")).unwrap();
    place.refused(&[PRETRAINING.args, &["fresh", "--force"]].concat(), &["fresh/model", "not"]);
    // The model it begins from.
    let onto = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--model", "types"];
    place.refused(&[&onto[..], &["-o", "types", "--force"]].concat(), &["is the input `types`"]);
    assert!(Path::new(&place.path("types/annotation.json")).exists());
    place.done(&types(&["--force"]));
}
