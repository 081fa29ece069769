//! `--config`: options and settings in TOML, between flags and environment and the defaults.

use std::fs;

use serde_json::Value;
use toml::Table;

use crate::run::{Place, cells, ended, model, tiny};

/// A folder with a file of options.
fn place(toml: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("options.toml"), toml).unwrap();
    place
}

/// The settings of a training in force with a file.
fn settings(command: &[&str], toml: &str, more: &[&str]) -> Table {
    let place = place(toml);
    let shown = ["--config", "options.toml", "--print-config"];
    place.done(&[command, &shown, more].concat()).stdout.parse().unwrap()
}

#[test]
fn options_of_a_file_exclude_and_need_others_like_flags() {
    let simulate = ["simulate", "-o", "x.h5ad", "--config", "options.toml"];
    for (toml, flags, parts) in [
        (
            "perturb = 3",
            &["--types", "2"][..],
            ["cannot be used with '--perturb <N>'", "`options.toml` adds --perturb=3"],
        ),
        (
            "types = 2",
            &["--perturb", "3"],
            ["cannot be used with", "`options.toml` adds --types=2"],
        ),
        ("mosaic = true", &[], ["required arguments were not provided", "--modalities <LIST>"]),
        ("doubles = 2", &[], ["--perturb <N>", "`options.toml` adds --doubles=2"]),
    ] {
        let ended = place(toml).run(&[&simulate[..], flags].concat());
        assert_eq!(ended.code, 2, "{toml}: {}", ended.stderr);
        for part in parts {
            assert!(ended.stderr.contains(part), "{toml}: {}", ended.stderr);
        }
    }
    // What a flag needs may be in the file, and the reverse; so may what is required.
    let small = ["--cells", "20", "--genes", "30"];
    for (toml, flags) in
        [("perturb = 3", &["--doubles", "1"][..]), ("doubles = 1", &["--perturb", "3"])]
    {
        place(toml).done(&[&simulate[..], &small, flags].concat());
    }
    let place = place("output = 'y.h5ad'\ncells = 20\ngenes = 30\nmodalities = ['rna', 'protein']");
    place.done(&["simulate", "--config", "options.toml"]);
    assert!(place.path("y.h5ad").exists());
}

#[test]
fn flags_that_switch_off_are_true_or_false() {
    let (cells, model) = (cells(), model());
    for (toml, is_written) in
        [("no_report = true", false), ("no-report = true", false), ("no_report = false", true)]
    {
        let place = place(toml);
        let embed = ["embed", &cells, "-m", &model, "-o", "out.h5ad", "--config", "options.toml"];
        place.done(&embed);
        assert_eq!(place.path("out.report.html").exists(), is_written, "{toml}");
    }
    let place = place("no_report = 'yes'");
    let embed = ["embed", &cells, "-m", &model, "-o", "out.h5ad", "--config", "options.toml"];
    place.refused(&embed, &["`options.toml`: `no_report`", "expected true or false"]);
}

#[test]
fn mistakes_are_told_with_file_key_and_near_names() {
    let (cells, model) = (cells(), model());
    let embed = ["embed", &cells, "-m", &model, "-o", "out.h5ad", "--config", "options.toml"];
    let train = ["annotate", "train", &cells, "--label", "x", "-o", "types"];
    let train = [&train[..], &["--config", "options.toml"]].concat();
    for (command, toml, parts) in [
        (&embed[..], "max_lenght = 3", ["`max_lenght`", "; similar names: max_length"]),
        (&embed, "hvg_flavor = 'seurat_v2'", ["`hvg_flavor`", "similar names: seurat_v3, seurat"]),
        (&embed, "seed = 'many'", ["`seed`", "`many`: invalid digit"]),
        (&train, "batch_sise = 3", ["no option `batch_sise`", "similar names: batch_size"]),
        (&train, "dropout = 0.1", ["no option `dropout`", "; it is `network.dropout`"]),
        (&train, "training.lr = 0.1", ["`training.lr`", "; it is `training.optimizer.lr`"]),
        (&train, "training.batch_size = 2", ["`training.batch_size`", "; it is `batch_size`"]),
        (&train, "training.epoch = 2", ["`training.epoch`", "; similar names: epochs"]),
        (&train, "training.epochs = 'x'", ["`training.epochs`", "invalid type"]),
        (&train, "training.precision = 'f8'", ["`training.precision`", "f32, bf16, bf16x3 or f16"]),
        (&train, "freeze = ['gene']", ["`freeze`", "similar names: genes"]),
    ] {
        place(toml).refused(command, &[&["`options.toml`: "][..], &parts].concat());
    }
}

#[test]
fn flags_of_a_training_may_stand_in_its_file() {
    for command in [&["annotate", "train"][..], &["integrate"], &["perturb", "train"]] {
        let nested = "batch_size = 3\n[training]\nepochs = 2\nseed = 7\nprecision = 'bf16'\n\
            freeze = ['genes', 'blocks:2']\n[training.optimizer]\nlr = 0.5\n";
        let flat = "batch-size = 3\nepochs = 2\nseed = 7\nprecision = 'bf16'\n\
            freeze = ['genes', 'blocks:2']\nlr = 0.5\n";
        let both = settings(command, flat, &[]);
        assert_eq!(settings(command, nested, &[]), both, "{command:?}");
        assert_eq!(both["training"]["freeze"][1].as_str(), Some("blocks:2"));
        // Flags go first, whatever the file calls it.
        let given = settings(command, flat, &["--lr", "0.25", "--freeze", "values"]);
        assert_eq!(given["training"]["optimizer"]["lr"].as_float(), Some(0.25));
        assert_eq!(given["training"]["freeze"].as_array().unwrap().len(), 1);
        // As earlier versions wrote them.
        let older = nested.replace("'blocks:2'", "{ blocks = 2 }").replace("_size", "-size");
        assert_eq!(settings(command, &older, &[]), both, "{command:?}");
        let shown = toml::to_string(&both).unwrap();
        assert_eq!(settings(command, &shown, &[]), both, "{command:?}");
    }
    let weights = |name: &str| {
        let toml = format!("class_weights = '{name}'");
        settings(&["annotate", "train"], &toml, &[])["class_weights"].clone()
    };
    assert_eq!(weights("square-root"), weights("square_root"));
    let pretrain = settings(&["pretrain"], "lr = 0.5\npreset = 'paper'", &[]);
    assert_eq!(pretrain["training"]["optimizer"]["lr"].as_float(), Some(0.5));
    assert_eq!(pretrain["network"]["n_layers"].as_integer(), Some(12));
}

#[test]
fn what_is_written_beside_an_output_repeats_it() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let hvg = ["--hvg", "40", "--hvg-flavor", "cell-ranger", "--tie-mode", "random"];
    let more = ["--key", "X_mine", "--max-length", "30", "--no-report"];
    let embed = ["embed", &cells, "-m", &model, "-o", "a.h5ad", "--json"];
    let first = place.done(&[&embed[..], &hvg, &more].concat());
    let written = fs::read_to_string(place.path("a.config.toml")).unwrap();
    for line in ["batch_size = 8", "hvg_flavor = \"cell_ranger\"", "no_report = true"] {
        assert!(written.contains(line), "{written}");
    }
    // As earlier versions wrote it.
    let older: Vec<String> = written
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((key, value)) => {
                format!("{} = {}", key.replace('_', "-"), value.replace("cell_", "cell-"))
            }
            None => line.to_owned(),
        })
        .collect();
    fs::write(place.path("older.toml"), older.join("\n")).unwrap();
    let options = |stdout: &str| serde_json::from_str::<Value>(stdout).unwrap()["options"].clone();
    for (config, output) in [("a.config.toml", "b.h5ad"), ("older.toml", "c.h5ad")] {
        let again = place.done(&["embed", &cells, "-o", output, "--json", "--config", config]);
        assert_eq!(options(&again.stdout), options(&first.stdout));
        let read = |name: &str| {
            let file = hdf5_pure::File::open_streaming(place.path(name)).unwrap();
            file.dataset("obsm/X_mine").unwrap().read_f32().unwrap()
        };
        assert!(read("a.h5ad") == read(output));
    }
    // The number of neighbours has a short flag alone.
    let index = ["map", "index", &cells, "-m", &model, "--labels", "cell_type", "-o", "atlas"];
    place.done(&index);
    place.done(&["map", "query", &cells, "--index", "atlas", "-o", "m.h5ad", "-k", "3"]);
    let again = ["map", "query", &cells, "-o", "n.h5ad", "--config", "m.config.toml"];
    place.done(&again);
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert!(read("m.config.toml").contains("k = 3"));
    assert_eq!(read("m.config.toml"), read("n.config.toml"));
}

#[test]
fn the_environment_goes_between_flags_and_the_file_of_a_training() {
    let place = place(&format!("lr = 0.5\n{}", tiny("", "n_layers = 1", "epochs = 2")));
    let train = ["annotate", "train", "--print-config", "--config", "options.toml"];
    let rate = |flags: &[&str], environment: Option<&str>| {
        let mut command = place.command(&[&train[..], flags].concat());
        if let Some(rate) = environment {
            command.env("SCGPT_LR", rate);
        }
        let shown: Table = ended(&mut command).stdout.parse().unwrap();
        assert_eq!(shown["training"]["epochs"].as_integer(), Some(2));
        shown["training"]["optimizer"]["lr"].as_float()
    };
    assert_eq!(rate(&[], None), Some(0.5));
    assert_eq!(rate(&[], Some("0.25")), Some(0.25));
    assert_eq!(rate(&["--lr", "0.125"], Some("0.25")), Some(0.125));
}
