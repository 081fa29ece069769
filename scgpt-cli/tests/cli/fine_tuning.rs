//! How fast and how long a checkpoint is fine-tuned: by its width and by the cells, unless it is given.

use std::fs;

use serde_json::Value;
use toml::Table;

use crate::run::{Place, model};

/// The commands that fine-tune, each with the epochs of its recipe.
const COMMANDS: [(&[&str], i64); 3] =
    [(&["annotate", "train"], 10), (&["integrate"], 15), (&["perturb", "train"], 15)];

/// The settings that a command prints.
fn settings(place: &Place, command: &[&str], more: &[&str]) -> Table {
    let shown = place.done(&[command, &["--print-config"], more].concat());
    shown.stdout.parse().unwrap()
}

fn rate(settings: &Table) -> f64 {
    settings["training"]["optimizer"]["lr"].as_float().unwrap()
}

fn least_steps(settings: &Table) -> Option<i64> {
    settings["training"].get("least_steps").map(|steps| steps.as_integer().unwrap())
}

#[test]
fn a_narrow_checkpoint_learns_fast_and_long_enough_and_what_is_given_wins() {
    let (place, model) = (Place::new(), model());
    for (command, epochs) in COMMANDS {
        let fine = settings(&place, command, &["--model", &model]);
        assert_eq!(fine["network"]["d_model"].as_integer(), Some(32), "the checkpoint's own shape");
        assert_eq!(fine["network"]["n_layers"].as_integer(), Some(3));
        assert_eq!(fine["training"]["epochs"].as_integer(), Some(epochs));
        assert!(rate(&fine) > 1e-3, "{command:?}: {}", rate(&fine));
        assert!(least_steps(&fine).unwrap() >= 300, "{command:?}");
        assert_eq!(least_steps(&settings(&place, command, &[])), None, "a new network");

        let given =
            settings(&place, command, &["--model", &model, "--epochs", "2", "--lr", "1e-5"]);
        assert_eq!((rate(&given), least_steps(&given)), (1e-5, None));
        assert_eq!(given["training"]["epochs"].as_integer(), Some(2));

        let file = format!("model = '{model}'\n[training]\nepochs = 3\noptimizer.lr = 2e-5\n");
        fs::write(place.path("mine.toml"), file).unwrap();
        let given = settings(&place, command, &["--config", "mine.toml"]);
        assert_eq!((rate(&given), least_steps(&given)), (2e-5, None));
        // What a file does not say is of the recipe of fine-tuning, too: it names a model.
        assert_eq!(given["training"]["schedule"], fine["training"]["schedule"]);
        assert_eq!(given["network"], fine["network"]);

        // What is shown, given back, is in force as it is.
        fs::write(place.path("shown.toml"), toml::to_string(&fine).unwrap()).unwrap();
        assert_eq!(settings(&place, command, &["--config", "shown.toml"]), fine);
    }
    for command in [&["integrate"][..], &["perturb", "train"]] {
        let parity = settings(&place, command, &["--model", &model, "--parity"]);
        assert_eq!((rate(&parity), least_steps(&parity)), (1e-4, None), "{command:?}");
    }
}

#[test]
fn few_cells_are_passed_over_more_often_and_too_few_steps_are_told() {
    let place = Place::with_checkpoint();
    fs::write(place.path("short.toml"), "[training]\nepochs = 2\nleast_steps = 20\n").unwrap();
    let flags = ["--config", "short.toml", "--model", "run/model", "--no-baselines", "--json"];
    for (command, batches) in [
        (&["annotate", "train", "cells.h5ad", "--label", "cell_type", "--batch-size", "16"][..], 5),
        (&["integrate", "cells.h5ad", "--batch-key", "batch", "--batch-size", "16"], 6),
    ] {
        let ended = place.done(&[command, &flags, &["-o", "out.h5ad"]].concat());
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        // Not the two epochs that were asked for at least, but those that make twenty steps.
        let training = &report["config"]["training"];
        let epochs = 20_u64.div_ceil(batches);
        assert_eq!(training["epochs"], epochs, "{training}");
        assert_eq!(report["steps"], epochs * batches);
        assert_eq!(training["schedule"]["epoch_step"]["every"], epochs / 2);
        assert_eq!(report["config"]["network"]["d_model"], 16, "not that of a released model");
        // Twenty steps are far too few all the same.
        let advice = report["advice"].as_str().unwrap();
        assert!(ended.stderr.contains(&format!("warning: {advice}")), "{}", ended.stderr);
        for part in [&format!("{} steps", epochs * batches), "16 wide", "`epochs`"] {
            assert!(advice.contains(part), "{advice}");
        }
        for name in ["out.h5ad", "out.model"] {
            let path = place.path(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn going_on_with_other_attention_is_said() {
    let place = Place::with_checkpoint();
    fs::write(place.path("linear.toml"), "[network]\nattention = \"linear\"\n").unwrap();
    let train = ["pretrain", "--data", "shards", "--model", "run/model", "--max-steps", "1"];
    let said = |more: &[&str]| place.done(&[&train[..], more].concat()).stderr;
    let warned = said(&["--config", "linear.toml", "-o", "linear"]);
    let warning = "learned with attention `exact`, and go on with `linear`";
    assert!(warned.contains(warning), "{warned}");
    assert!(!said(&["-o", "exact"]).contains("attention"));
}
