//! Every kind of model with every command that takes one: it works, or it is refused by name.

use std::fs;

use crate::run::{Place, model, tiny};

/// Settings of a network that is made in no time.
/// What is said of a folder in the place of what was asked for.
const KINDS: [(&str, &str); 10] = [
    ("released", "a model that was trained for no task"),
    ("run/model", "a model that was trained for no task"),
    ("apart", "a model that was trained for no task"),
    ("annotation", "an artefact of `scgpt annotate train`"),
    ("integration", "an artefact of `scgpt integrate`"),
    ("modalities", "an artefact of `scgpt integrate`"),
    ("perturbation", "an artefact of `scgpt perturb train`"),
    ("index", "an index of `scgpt map index`"),
    ("shards", "a folder of token shards"),
    ("run", "a run of `scgpt pretrain`"),
];

/// Kinds that are no network at all.
const NO_NETWORK: [&str; 3] = ["index", "shards", "run"];

/// What makes a network of no use.
const FLAGS: &str = "perturbation flags";
const APART: &str = "batches apart";
const MUTE: &str = "not trained to generate";
const OWN: &str = "compared by the genes it was trained on";

/// A folder with every kind of model, and cells that all of them know.
fn place() -> Place {
    let place = Place::new();
    let simulate = |output: &str, more: &[&str]| place.simulate(output, more);
    let types = ["--cells", "60", "--types", "2", "--batches", "2"];
    simulate("cells.h5ad", &types);
    simulate(
        "cite.h5mu",
        &[&types[..], &["--modalities", "rna,protein", "--proteins", "8"]].concat(),
    );
    simulate("raw.h5ad", &["--cells", "120", "--perturb", "4"]);
    fs::write(
        place.path("tiny.toml"),
        tiny("batch_size = 16", "n_layers = 1", "epochs = 1\nmax_steps = 1"),
    )
    .unwrap();
    // So few cells do not tell their batches, which are asked for therefore.
    let asked = "batch_size = 16\nbatch_labels = true";
    let asked = tiny(asked, "n_layers = 1", "epochs = 1\nmax_steps = 1");
    fs::write(place.path("labels.toml"), asked).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(model(), place.path("released")).unwrap();
    let quick = ["--config", "tiny.toml", "--no-baselines"];
    let batches = ["--batch-key", "batch"];
    let label = ["--label", "cell_type", "-o", "annotation"];
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    place.done(&[&["annotate", "train", "cells.h5ad"], &label[..], &quick].concat());
    for (cells, output, artefact, norm) in [
        ("cells.h5ad", "a.h5ad", "integration", "none"),
        ("cells.h5ad", "b.h5ad", "integration-apart", "domain-specific"),
        ("cite.h5mu", "c.h5mu", "modalities", "none"),
    ] {
        let more = ["-o", output, "--artefact", artefact, "--input-norm", norm];
        let asked = ["--config", "labels.toml", "--no-baselines"];
        place.done(&[&["integrate", cells], &batches[..], &more, &asked].concat());
    }
    place.done(&["convert", "integration-apart", "-o", "apart"]);
    place.done(&[&["perturb", "train", "screen.h5ad", "-o", "perturbation"], &quick[..]].concat());
    place.done(&[
        "map",
        "index",
        "cells.h5ad",
        "--labels",
        "cell_type",
        "-m",
        "released",
        "-o",
        "index",
    ]);
    place.done(&["convert", "cells.h5ad", "-m", "released", "-o", "shards"]);
    place.done(&["pretrain", "--data", "shards", "--config", "tiny.toml", "-o", "run"]);
    place
}

/// A command, in which `MODEL` stands for the model, what it expects, and why it refuses networks.
type Command = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Why a network is refused where nothing but cells is given.
const PLAIN: [(&str, &str); 2] = [("perturbation", FLAGS), ("apart", APART)];

/// Why it is refused where expression is asked for.
const HEADS: [(&str, &str); 4] = [
    ("perturbation", FLAGS),
    ("apart", APART),
    ("integration", "batch labels"),
    ("modalities", "batch labels"),
];

const COMMANDS: [Command; 19] = [
    ("inspect cells.h5ad -m MODEL", "a model", &[]),
    ("embed --genes -m MODEL -o out.csv", "a model", &[]),
    ("grn embedding -m MODEL -o out", "a model", &[]),
    ("convert cells.h5ad -m MODEL -o out", "a model", &[]),
    ("convert MODEL -o out", "a model", &[]),
    (
        "embed cells.h5ad -m MODEL -o out.h5ad",
        "a model",
        &[("perturbation", FLAGS), ("apart", APART), ("integration", OWN), ("modalities", OWN)],
    ),
    (
        "map index cells.h5ad --labels cell_type -m MODEL -o out",
        "a model",
        &[("perturbation", FLAGS), ("apart", APART), ("integration", OWN), ("modalities", OWN)],
    ),
    ("embed cells.h5ad --genes -m MODEL -o out.csv", "a model", &PLAIN),
    ("grn embedding --data cells.h5ad --contextual --no-cells -m MODEL -o out", "a model", &PLAIN),
    ("grn attention cells.h5ad -m MODEL -o out", "a model", &PLAIN),
    (
        "generate cells.h5ad -m MODEL --hide 0.3 -o out.h5ad",
        "a model",
        &[
            ("perturbation", FLAGS),
            ("apart", APART),
            ("integration", "batch labels"),
            ("modalities", "batch labels"),
            ("annotation", MUTE),
        ],
    ),
    (
        "pretrain --data shards -m MODEL --config tiny.toml -o out",
        "a model",
        &[
            ("perturbation", FLAGS),
            ("apart", APART),
            ("integration", "batch labels"),
            ("modalities", "batch labels"),
            ("annotation", MUTE),
        ],
    ),
    (
        "annotate train cells.h5ad --label cell_type --config tiny.toml --no-baselines -m MODEL -o out",
        "a model",
        &HEADS,
    ),
    (
        "perturb train screen.h5ad --config tiny.toml --no-baselines -m MODEL -o out",
        "a model",
        &[("apart", APART), ("integration", "batch labels"), ("modalities", "batch labels")],
    ),
    (
        "integrate cells.h5ad --batch-key batch --config tiny.toml --no-baselines -m MODEL -o out.h5ad",
        "a model",
        &[("perturbation", FLAGS)],
    ),
    (
        "annotate predict cells.h5ad -m MODEL -o out.h5ad",
        "an artefact of `scgpt annotate train`",
        &[],
    ),
    (
        "perturb reverse screen.h5ad -m MODEL -o out.csv",
        "an artefact of `scgpt perturb train`",
        &[],
    ),
    ("map query cells.h5ad --index MODEL -o out.h5ad", "an index of `scgpt map index`", &[]),
    ("pretrain --data MODEL --config tiny.toml -o out", "a folder of token shards", &[]),
];

/// What the command has to say of that kind; nothing if it works.
fn refusal(kind: &str, name: &str, (_, expected, reasons): Command) -> Option<String> {
    let is_expected = match expected {
        "a model" => !NO_NETWORK.contains(&kind),
        expected => name == expected,
    };
    if !is_expected {
        return Some(format!("it is {name}, expected {expected}"));
    }
    reasons.iter().find(|(of, _)| *of == kind).map(|(_, why)| (*why).to_owned())
}

#[test]
fn every_model_works_or_is_refused_by_name_in_every_command() {
    let place = place();
    let before = place.content();
    for (kind, name) in KINDS {
        for command in COMMANDS {
            let line = command.0.replace("MODEL", kind);
            let ended = place.run(&line.split(' ').collect::<Vec<_>>());
            let said = &ended.stderr;
            assert!(!said.contains("panicked"), "{line}: {said}");
            match refusal(kind, name, command) {
                None => assert_eq!(ended.code, 0, "{line}: {said}"),
                Some(why) => {
                    assert_eq!(ended.code, 1, "{line} ended well: {}", ended.stdout);
                    assert!(said.contains(&why), "{line}: no `{why}` in {said}");
                    let names_a_way = ["scgpt ", "take ", "train with these cells"];
                    assert!(names_a_way.iter().any(|way| said.contains(way)), "{line}: {said}");
                }
            }
            for path in place.content().difference(&before) {
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .unwrap();
            }
        }
    }
}

#[test]
fn the_rows_of_an_integration_are_its_own() {
    let place = place();
    let rows = crate::run::embedding(&place.path("a.h5ad"));
    let again = ["integrate", "cells.h5ad", "-m", "integration", "-o", "again.h5ad"];
    place.done(&again);
    assert_eq!(crate::run::embedding(&place.path("again.h5ad")), rows);
    let embed = ["embed", "cells.h5ad", "-m", "integration", "-o", "other.h5ad"];
    place.refused(&embed, &["by `scgpt integrate`"]);
    // A file is no folder.
    let embed = ["embed", "cells.h5ad", "-m", "cells.h5ad", "-o", "other.h5ad"];
    place.refused(&embed, &["it is cells, expected a model", "swapped"]);
}
