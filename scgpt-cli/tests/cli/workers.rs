//! Processes that were started together, and the warning of a scheduler.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::run::{Place, tiny};

/// Shards of simulated cells, and settings of a network that learns for some seconds.
fn place() -> Place {
    let place = Place::new();
    let cells = ["--cells", "160", "--genes", "150", "--types", "3"];
    place.done(&[&["simulate", "-o", "cells.h5ad"], &cells[..]].concat());
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    let settings = tiny("max_length = 60", "n_layers = 2\ndropout = 0.2", "epochs = 20");
    fs::write(place.path("tiny.toml"), settings).unwrap();
    place
}

const PRETRAIN: [&str; 6] = ["pretrain", "--data", "shards", "--config", "tiny.toml", "-o"];

#[cfg(unix)]
#[test]
fn the_warning_of_a_scheduler_saves_and_leaves() {
    let place = place();
    let args = [&PRETRAIN[..], &["run"]].concat();
    let mut command = place.command(&args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (begin, log) = (Instant::now(), place.path("run/log.jsonl"));
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < 3 {
        assert!(begin.elapsed() < Duration::from_mins(2), "it does not begin");
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        sleep(Duration::from_millis(5));
    }
    let warned = Command::new("kill").args(["-s", "USR1", &child.id().to_string()]).status();
    assert!(warned.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    place.done(&[&args[..], &["--resume"]].concat());
    place.done(&[&PRETRAIN[..], &["whole"]].concat());
    let weights = |run: &str| fs::read(place.path(run).join("model/model.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
}

#[cfg(not(feature = "mpi"))]
#[test]
fn a_program_without_mpi_says_how_to_get_it() {
    let place = place();
    let args = [&PRETRAIN[..], &["run"]].concat();
    let of = |variables: &[(&str, &str)]| {
        crate::run::ended(place.command(&args).envs(variables.iter().copied()))
    };
    for (names, by) in [
        (["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], "mpirun"),
        (["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"], "srun"),
    ] {
        let [rank, size] = names;
        let first = of(&[(rank, "0"), (size, "4")]);
        assert_eq!(first.code, 1, "{}", first.stderr);
        for part in
            [by, "started 4 processes", "--features mpi", "libopenmpi-dev", "SCGPT_WORKERS=apart"]
        {
            assert!(first.stderr.contains(part), "`{part}` is not in: {}", first.stderr);
        }
        // One tells it for all.
        let other = of(&[(rank, "1"), (size, "4")]);
        assert_eq!((other.code, other.stderr.as_str()), (1, ""));
        assert!(!place.path("run").exists());
    }
    let alone = of(&[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")]);
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    // What trains nothing is nobody's business.
    let inspect = ["inspect", "cells.h5ad"];
    let variables = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2")];
    assert_eq!(crate::run::ended(place.command(&inspect).envs(variables)).code, 0);
}

#[test]
fn batches_of_a_step_are_an_option() {
    let place = place();
    let steps = |more: &[&str], run: &str| {
        place.done(&[&PRETRAIN[..], &[run], more].concat());
        let log = fs::read_to_string(place.path(run).join("log.jsonl")).unwrap();
        log.lines().filter(|line| line.contains("gradient_norm")).count()
    };
    let epochs = ["--epochs", "2"];
    let (one, four) =
        (steps(&epochs, "one"), steps(&[&epochs[..], &["--accumulate", "4"]].concat(), "four"));
    assert_eq!(four, 2 * (one / 2).div_ceil(4), "{one} steps");
}
