//! Trainings by several processes under `mpirun`: the bits of one process, whatever happens to one of them.
//!
//! `SCGPT_KILLS=20` kills a worker that often instead of a few times.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    dead_code,
    reason = "a test fails by panicking; not all that runs the program is used here"
)]

#[path = "mpi/launch.rs"]
mod launch;
#[path = "cli/run.rs"]
mod run;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use self::{
    launch::{kill, launch, mpirun, worker},
    run::{Ended, Place, ended, tiny},
};

/// Settings of a network with dropout, of which four batches make a step.
fn settings(task: &str, epochs: u64) -> String {
    let training = format!("epochs = {epochs}\naccumulate = 4");
    tiny(&format!("batch_size = 8\n{task}"), "n_layers = 2\ndropout = 0.2", &training)
}

/// Cells, a screen, shards and settings.
fn place() -> Place {
    let place = Place::new();
    let cells = ["--cells", "160", "--genes", "150"];
    let simulate = |more: &[&str]| place.done(&[&["simulate"], &cells[..], more].concat());
    simulate(&["-o", "cells.h5ad", "--types", "3", "--batches", "2"]);
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    let pretrain = "max_length = 60\ncell_prompt_after = 4\nvalidation_share = 0.1";
    fs::write(place.path("pretrain.toml"), settings(pretrain, 4)).unwrap();
    let compared = "[objectives]\necs = 5.0\necs_threshold = 0.3\n";
    fs::write(place.path("apart.toml"), settings(pretrain, 2) + compared).unwrap();
    let gathered = settings(pretrain, 2) + "gather_cells = true\n" + compared;
    fs::write(place.path("gathered.toml"), gathered).unwrap();
    fs::write(place.path("long.toml"), settings(pretrain, 24)).unwrap();
    fs::write(place.path("tiny.toml"), settings("", 2)).unwrap();
    place
}

const PRETRAIN: [&str; 6] = ["pretrain", "--data", "shards", "--config", "pretrain.toml", "-o"];
const LONG: [&str; 8] =
    ["pretrain", "--data", "shards", "--config", "long.toml", "--checkpoint-every", "5", "-o"];

fn weights(place: &Place, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("model/model.safetensors")).unwrap()
}

/// The log without what depends on the machine.
fn log(place: &Place, run: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap();
    let without = |line: &str| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("cells_per_second");
        record.to_string()
    };
    text.lines().map(without).collect()
}

/// That the losses of every step are nearly those of another run.
fn assert_nearly_as(place: &Place, run: &str, other: &str) {
    let losses = |run: &str| -> Vec<f64> {
        let record = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
        log(place, run).iter().filter_map(|line| record(line)["loss"].as_f64()).collect()
    };
    let (losses, others) = (losses(run), losses(other));
    assert!(!losses.is_empty() && losses.len() == others.len());
    for (loss, other) in losses.iter().zip(&others) {
        assert!((loss - other).abs() < 1e-3 * other.abs(), "{loss}, {other}");
    }
}

/// What is done by so many workers.
fn done(place: &Place, n: usize, args: &[&str]) -> Ended {
    let ended = ended(&mut mpirun(place, n, args));
    assert_eq!(ended.code, 0, "{n} workers, scgpt {args:?}: {}", ended.stderr);
    ended
}

/// Waits until a run has taken so many steps.
fn wait_for_steps(place: &Place, run: &str, steps: usize) {
    let begin = Instant::now();
    let log = place.path(run).join("log.jsonl");
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < steps {
        assert!(begin.elapsed() < Duration::from_mins(2), "it does not begin");
        sleep(Duration::from_millis(5));
    }
}

/// Neither beside outputs, nor among temporary files.
fn assert_no_leftovers(place: &Place) {
    for folder in [place.path(""), place.path("tmp")] {
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(".scgpt-"), "{name}");
        }
    }
}

#[test]
fn workers_have_the_bits_of_one_process() {
    let place = place();
    for precision in ["f32", "bf16"] {
        let name = |n: usize| format!("{precision}-{n}");
        place.done(&[&PRETRAIN[..], &[&name(1), "--precision", precision]].concat());
        let (weights_alone, log_alone) = (weights(&place, &name(1)), log(&place, &name(1)));
        for n in [2, 4] {
            let run = name(n);
            let args = [&PRETRAIN[..], &[run.as_str(), "--precision", precision]].concat();
            let ended = done(&place, n, &args);
            assert!(weights(&place, &name(n)) == weights_alone, "{n} workers, {precision}");
            assert_eq!(log(&place, &name(n)), log_alone, "{n} workers, {precision}");
            assert_eq!(ended.stdout.matches("validation error").count(), 1, "{}", ended.stdout);
            let note = format!("note: {n} workers on 1 machine");
            assert_eq!(ended.stderr.matches(&note).count(), 1, "{}", ended.stderr);
        }
    }
    assert_no_leftovers(&place);
}

#[test]
fn gathered_cells_are_those_of_one_process() {
    let place = place();
    let name = |n: usize| format!("gathered-{n}");
    let pretrain = ["pretrain", "--data", "shards", "--config", "gathered.toml", "-o"];
    let apart = ["pretrain", "--data", "shards", "--config", "apart.toml", "-o", "apart"];
    place.done(&[&pretrain[..], &[&name(1)]].concat());
    // By one and two each forward pass is computed twice, by four once.
    for n in [2, 4] {
        done(&place, n, &[&pretrain[..], &[&name(n)]].concat());
        assert!(weights(&place, &name(n)) == weights(&place, &name(1)), "{n} workers");
    }
    place.done(&apart);
    assert!(weights(&place, "apart") != weights(&place, &name(1)));
}

#[test]
fn a_fast_sum_trains_as_well() {
    let place = place();
    place.done(&[&PRETRAIN[..], &["one"]].concat());
    done(&place, 2, &[&PRETRAIN[..], &["two", "--reduce", "fast"]].concat());
    assert_nearly_as(&place, "two", "one");
}

#[test]
fn every_training_may_be_shared() {
    let place = place();
    let cells = ["--cells", "120", "--genes", "150", "--perturb", "4", "--doubles", "2"];
    place.done(&[&["simulate", "-o", "raw.h5ad"], &cells[..]].concat());
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    let annotate = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--repeats", "2"];
    // By default with statistics of each batch, which are shared.
    let integrate = ["integrate", "cells.h5ad", "--batch-key", "batch"];
    let perturb = ["perturb", "train", "screen.h5ad"];
    place.done(&[&PRETRAIN[..], &["first"]].concat());
    let model = ["--model", "first/model", "--data", "cells.h5ad", "--batch-key", "batch"];
    let tuned = ["--fine-tune", "--epochs", "12", "--accumulate", "4", "--threshold", "-1"];
    let networks = [&["grn", "embedding"], &model[..], &tuned].concat();
    let [f32, bf16] =
        ["f32", "bf16"].map(|precision| ["--config", "tiny.toml", "--precision", precision]);
    for (args, settings, n, output, model) in [
        (&annotate[..], &f32[..], 2, "types#", "types#"),
        (&annotate, &bf16, 4, "types-bf16#", "types-bf16#"),
        (&integrate, &f32, 4, "out#.h5ad", "out#.model"),
        (&integrate, &bf16, 2, "out-bf16#.h5ad", "out-bf16#.model"),
        (&perturb, &f32, 2, "screen#", "screen#"),
        (&perturb, &bf16, 4, "screen-bf16#", "screen-bf16#"),
        (&networks, &[], 4, "genes#", "genes#.model"),
    ] {
        let named = |n: &str| output.replace('#', n);
        let args = [args, settings, &["--no-baselines", "-o"]].concat();
        place.done(&[&args[..], &[&named("1")]].concat());
        let ended = done(&place, n, &[&args[..], &[&named("n")]].concat());
        let read = |n: &str| {
            fs::read(place.path(&model.replace('#', n)).join("model.safetensors")).unwrap()
        };
        assert!(read("1") == read("n"), "{n} workers, {args:?}");
        // The last line of a result, whichever it has.
        let is_last =
            |line: &&str| line.starts_with(if args[0] == "grn" { "output " } else { "report " });
        let reports = ended.stdout.lines().filter(is_last).count();
        assert_eq!(reports, 1, "{}", ended.stdout);
    }
    assert_no_leftovers(&place);
}

#[test]
fn processes_of_a_launcher_share_the_runs_of_a_study() {
    let place = place();
    place.done(&["simulate", "--cells", "60", "--genes", "150", "--seed", "9", "-o", "held.h5ad"]);
    let pretrain = tiny("batch_size = 8\nmax_length = 60\nepochs = 9\nmax_steps = 4", "", "");
    let (pretrain, _) = pretrain.split_once("[training]").unwrap();
    let study = "data = \"shards\"\nmeasures = [\"gep\"]\n[axes]\nseed = [1, 2]\n";
    let targets = "[targets.held]\nfile = \"held.h5ad\"\n";
    let pretrain = pretrain.replace("[network]", "[pretrain.network]");
    fs::write(place.path("study.toml"), format!("{study}[pretrain]\n{pretrain}{targets}")).unwrap();
    let run = ["study", "run", "study.toml", "-o"];
    place.done(&[&run[..], &["alone"]].concat());
    done(&place, 2, &[&run[..], &["both"]].concat());
    let trained = |study: &str| -> Vec<Vec<u8>> {
        let runs = fs::read_dir(place.path(study).join("runs")).unwrap();
        let mut runs: Vec<_> = runs.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        let weights =
            |run: &PathBuf| fs::read(run.join("pretrain/model/model.safetensors")).unwrap();
        runs.iter().filter(|run| run.is_dir()).map(weights).collect()
    };
    assert_eq!(trained("both").len(), 2);
    assert!(trained("both") == trained("alone"));
}

#[test]
fn a_killed_worker_ends_all_and_fewer_go_on() {
    let place = place();
    place.done(&[&LONG[..], &["alone"]].concat());
    let n_steps = log(&place, "alone").iter().filter(|line| line.contains("\"step\"")).count();
    let kills: usize = std::env::var("SCGPT_KILLS").map_or(3, |kills| kills.parse().unwrap());
    for number in 0..kills {
        let run = format!("run{number}");
        let args = [&LONG[..], &[run.as_str()]].concat();
        let launched = launch(&mut mpirun(&place, 4, &args));
        wait_for_steps(&place, &run, 1 + number * (n_steps - 10) / kills);
        kill("KILL", worker(&launched, number % 4));
        let begin = Instant::now();
        let ended = launched.ended();
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
        assert_ne!(ended.code, 0);
        let said = format!("rank {} ", number % 4);
        assert!(
            ended.stderr.contains(&said) && ended.stderr.contains("signal 9"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("error:"), "mpirun has said it: {}", ended.stderr);
        done(&place, [2, 4, 3][number % 3], &[&args[..], &["--resume"]].concat());
        assert!(weights(&place, &run) == weights(&place, "alone"), "killed in {run}");
        assert_eq!(log(&place, &run), log(&place, "alone"), "killed in {run}");
        // Those that go on have removed the temporary files of the dead.
        assert_no_leftovers(&place);
    }
}

#[test]
fn a_worker_that_hangs_ends_all() {
    let place = place();
    let launched = launch(&mut mpirun(&place, 4, &[&LONG[..], &["run"]].concat()));
    wait_for_steps(&place, "run", 5);
    let stopped = worker(&launched, 3);
    kill("STOP", stopped);
    let begin = Instant::now();
    let ended = launched.ended();
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_ne!(ended.code, 0);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let said = format!("worker 3 on {} has not been heard of for 20 seconds", host.trim());
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    done(&place, 2, &[&LONG[..], &["run", "--resume"]].concat());
    place.done(&[&LONG[..], &["alone"]].concat());
    assert!(weights(&place, "run") == weights(&place, "alone"));
}

#[test]
fn a_warning_saves_and_leaves() {
    let place = place();
    place.done(&[&LONG[..], &["alone"]].concat());
    let args = [&LONG[..], &["run"]].concat();
    // The launcher hands it on; SIGTERM would end the launcher, too, but for one of its processes.
    for (number, (n, signal)) in [(4, "USR1"), (1, "TERM"), (2, "TERM")].into_iter().enumerate() {
        let more: &[&str] = if number == 0 { &[] } else { &["--resume"] };
        let args = [&args[..], more].concat();
        let mut command = if n == 1 { place.command(&args) } else { mpirun(&place, n, &args) };
        let launched = launch(&mut command);
        wait_for_steps(&place, "run", 8 * (number + 1) + number);
        kill(signal, if (n, signal) == (2, "TERM") { worker(&launched, 1) } else { launched.id() });
        let ended = launched.ended();
        assert_eq!(ended.code, 130, "{n}: {}", ended.stderr);
        assert_eq!(ended.stderr.matches("interrupted").count(), 1, "{}", ended.stderr);
    }
    done(&place, 4, &[&args[..], &["--resume"]].concat());
    assert!(weights(&place, "run") == weights(&place, "alone"));
    assert_eq!(log(&place, "run"), log(&place, "alone"));
    assert_no_leftovers(&place);
}

/// Workers of which one has these words in the place of others.
fn one_with(place: &Place, rank: usize, others: &str, its: &str) -> Ended {
    let (program, words) = (env!("CARGO_BIN_EXE_scgpt"), PRETRAIN.join(" "));
    let script = format!(
        "words='{words}'; [ $OMPI_COMM_WORLD_RANK = {rank} ] && words='{}'; exec {program} $words with-{its}",
        words.replace(others, its)
    );
    let begin = Instant::now();
    let ended = ended(&mut launch::mpirun_of(place, 4, Path::new("sh"), &["-c", &script]));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_ne!(ended.code, 0);
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
    ended
}

#[test]
fn what_one_worker_meets_all_are_told_once() {
    let place = place();
    // A copy that was broken on its way.
    place.done(&["convert", "cells.h5ad", "-o", "bad"]);
    let shard = fs::read_dir(place.path("bad")).unwrap().map(|entry| entry.unwrap().path());
    let shard = shard.into_iter().find(|path| path.extension().is_some_and(|it| it == "arrow"));
    let shard = shard.unwrap();
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let ended = one_with(&place, 2, "shards", "bad");
    assert!(ended.stderr.contains("worker 2 on "), "{}", ended.stderr);
    assert!(ended.stderr.contains("bad/"), "{}", ended.stderr);
    // Other cells.
    let cells = ["--cells", "170", "--genes", "150", "--seed", "3"];
    place.done(&[&["simulate", "-o", "others.h5ad"], &cells[..]].concat());
    place.done(&["convert", "others.h5ad", "-o", "others"]);
    let ended = one_with(&place, 1, "shards", "others");
    assert!(ended.stderr.contains("worker 1 on "), "{}", ended.stderr);
    assert!(ended.stderr.contains("not what the first worker learns from"), "{}", ended.stderr);
    // Settings that are not everywhere: it tells so itself, before they meet.
    let ended = one_with(&place, 3, "pretrain.toml", "none.toml");
    assert!(ended.stderr.contains("none.toml"), "{}", ended.stderr);
}

#[test]
fn a_full_disk_ends_all_and_they_go_on() {
    let place = place();
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&small);
        mount.output().is_ok_and(|output| output.status.success())
    };
    if !mount("size=400k") {
        scgpt_fixtures::skipped("there is no right to mount a small file system");
        return;
    }
    let args = [&LONG[..], &["small/run"]].concat();
    let full = ended(&mut mpirun(&place, 4, &args));
    let larger = mount("remount,size=40m");
    let rest = ended(&mut mpirun(&place, 2, &[&args[..], &["--resume"]].concat()));
    let found = fs::read(small.join("run/model/model.safetensors")).unwrap_or_default();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    assert_eq!(full.code, 1, "{}", full.stderr);
    assert_eq!(full.stderr.matches("error:").count(), 1, "{}", full.stderr);
    assert!(full.stderr.contains("space"), "{}", full.stderr);
    assert!(larger && rest.code == 0, "{}", rest.stderr);
    place.done(&[&LONG[..], &["alone"]].concat());
    assert!(found == weights(&place, "alone"));
}

#[test]
fn what_workers_cannot_share_is_said_once() {
    let place = place();
    let refused = |n: usize, args: &[&str], part: &str| {
        let ended = ended(&mut mpirun(&place, n, args));
        assert_eq!(ended.code, 1, "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.matches("error:").count(), 1, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{args:?}: {}", ended.stderr);
    };
    let pretrain = |more: &[&'static str]| [&PRETRAIN[..], &["run"], more].concat();
    refused(
        4,
        &pretrain(&["--accumulate", "3"]),
        "--accumulate is 3: 4 workers learn from at least",
    );
    refused(2, &pretrain(&["--plan"]), "--plan rehearses");
    refused(2, &[&PRETRAIN[..], &["none", "--resume"]].concat(), "no run to resume");
    let integrate = ["integrate", "cells.h5ad", "--batch-key", "batch", "-o", "out.h5ad"];
    let with = |more: &[&'static str]| [&integrate[..], more].concat();
    refused(2, &with(&["--method", "pca"]), "trains no network");
    refused(2, &with(&["--config", "tiny.toml", "--ablate"]), "--ablate trains");
    // Those that have nothing to do with each other.
    let mut apart = launch::mpirun_of(
        &place,
        2,
        Path::new("sh"),
        &[
            "-c",
            &format!(
                "exec {} {} run$OMPI_COMM_WORLD_RANK",
                env!("CARGO_BIN_EXE_scgpt"),
                PRETRAIN.join(" ")
            ),
        ],
    );
    let apart = ended(apart.env("SCGPT_WORKERS", "apart"));
    assert_eq!(apart.code, 0, "{}", apart.stderr);
    assert!(weights(&place, "run0") == weights(&place, "run1"));
}

#[cfg(feature = "nccl")]
#[test]
fn gpus_sum_as_mpi_does() {
    let place = place();
    let with = |run: &'static str, more: &[&'static str]| [&PRETRAIN[..], &[run], more].concat();
    let ended =
        ended(&mut mpirun(&place, 2, &with("cpu", &["--device", "cpu", "--reduce", "nccl"])));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--reduce nccl sums on GPUs"), "{}", ended.stderr);
    let listed = std::process::Command::new("nvidia-smi").arg("-L").output();
    let n = listed.map_or(0, |listed| String::from_utf8_lossy(&listed.stdout).lines().count());
    if n < 2 {
        eprintln!("not run: it needs two GPUs, and there are {n}");
        return;
    }
    for how in ["fast", "nccl"] {
        done(&place, 2, &with(how, &["--device", "cuda", "--reduce", how]));
    }
    // Kernels are chosen by each process anew.
    assert_nearly_as(&place, "nccl", "fast");
}
