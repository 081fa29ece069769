//! Runs the binary in a folder of its own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hdf5_pure::File;
use scgpt_fixtures::repository;
use serde_json::Value;
use tempfile::TempDir;

/// What a run printed, and how it ended. Of JSON `stdout` is the result alone, without its envelope.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// As it was printed.
    pub(crate) printed: String,
    /// The envelope of JSON, or null.
    pub(crate) envelope: Value,
    pub(crate) stderr: String,
}

/// A folder for one test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With simulated `cells.h5ad` of two batches, the same as `shards`, and in `run` a checkpoint of their
    /// genes, by the settings `tiny.toml`.
    pub(crate) fn with_checkpoint() -> Self {
        let place = Self::new();
        let cells = ["--cells", "96", "--genes", "80", "--types", "3", "--batches", "2"];
        place.done(&[&["simulate", "-o", "cells.h5ad"], &cells[..]].concat());
        place.done(&["convert", "cells.h5ad", "-o", "shards"]);
        fs::write(place.path("tiny.toml"), tiny("", "n_layers = 2", "")).unwrap();
        let tiny = ["pretrain", "--data", "shards", "--config", "tiny.toml", "--max-steps", "2"];
        place.done(&[&tiny[..], &["-o", "run"]].concat());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary, to be run in this folder, untouched by the caller's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scgpt"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SCGPT_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    /// Runs what must succeed.
    pub(crate) fn done(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "scgpt {args:?}: {}", ended.stderr);
        ended
    }

    /// Simulates cells of sixty genes that [`model`] knows.
    pub(crate) fn simulate(&self, output: &str, more: &[&str]) {
        let vocab = format!("{}/vocab.json", model());
        let args = ["simulate", "-o", output, "--genes", "60", "--vocab", &vocab];
        self.done(&[&args[..], more].concat());
    }

    /// Runs what must be refused: code 1, a message with all `parts`, a remedy, and nothing new in
    /// the folder.
    pub(crate) fn refused(&self, args: &[&str], parts: &[&str]) -> String {
        let before = self.content();
        let ended = self.run(args);
        let message = &ended.stderr;
        assert_eq!(ended.code, 1, "scgpt {args:?}: {message}");
        assert!(message.contains("error: "), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        if args.contains(&"--json") {
            let said = ended.envelope["error"]["message"].as_str();
            assert!(said.is_some_and(|said| !said.is_empty()), "{}", ended.stdout);
        } else {
            assert!(ended.stdout.is_empty(), "{}", ended.stdout);
        }
        assert_eq!(before, self.content(), "something was left behind");
        ended.stderr
    }

    /// Names of everything in the folder.
    pub(crate) fn content(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut envelope: Value = serde_json::from_str(&printed).unwrap_or_default();
    let result = envelope.as_object_mut().and_then(|envelope| envelope.remove("result"));
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: result
            .map_or(printed.clone(), |result| serde_json::to_string_pretty(&result).unwrap()),
        printed,
        envelope,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Settings of a tiny network: what its task wants, and what its network and its training want
/// beyond that.
pub(crate) fn tiny(task: &str, network: &str, training: &str) -> String {
    let size = "n_heads = 2\nd_model = 16\nd_ff = 16";
    format!("{task}\n[network]\n{size}\n{network}\n[training]\n{training}\n")
}

/// The embedding in an h5ad file, row-major.
pub(crate) fn embedding(path: &Path) -> Vec<f32> {
    let file = File::open_streaming(path).unwrap();
    file.dataset("obsm/X_scGPT").unwrap().read_f32().unwrap()
}

fn fixture(name: &str) -> String {
    repository().join("embed_end_to_end").join(name).display().to_string()
}

/// A file of 64 cells.
pub(crate) fn cells() -> String {
    fixture("cells.h5ad")
}

/// A small model that knows most of their genes.
pub(crate) fn model() -> String {
    fixture("checkpoint")
}
