//! The same run writes the same bytes, and says what was in force.
//!
//! Logs of training (`log.jsonl`, event files for TensorBoard) alone hold times: they are of one run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::run::{Place, cells, model, tiny};

/// Every file below a folder, but inputs and logs, with its bytes.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, found);
        } else if name != "log.jsonl" && !name.contains("tfevents") {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
}

/// What is in force is recorded: the network of the model, not that of a recipe.
fn network(report: &Path) -> [u64; 2] {
    let report: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    ["n_layers", "d_model"].map(|name| report["config"]["network"][name].as_u64().unwrap())
}

/// Runs every command that writes, some of them twice over.
fn write_everything(place: &Place) {
    let (cells, model) = (cells(), model());
    let run = |args: &str| {
        let args: Vec<&str> = args
            .split_whitespace()
            .map(|arg| match arg {
                "CELLS" => cells.as_str(),
                "MODEL" => model.as_str(),
                arg => arg,
            })
            .collect();
        place.done(&args);
    };
    run("simulate -o cells.h5ad --cells 90 --genes 100 --types 2 --force");
    run("simulate -o cells.zarr --cells 40 --genes 60 --types 2 --force");
    run(
        "simulate -o cite.h5mu --cells 40 --genes 60 --modalities rna,protein --proteins 9 --force",
    );
    run("embed CELLS -m MODEL -o embedded.h5ad --hvg 100 --force");
    run("embed CELLS -m MODEL -o embedded.zarr --force");
    run("convert cells.h5ad -o shards --obs cell_type --force");
    run("pretrain --data shards --config pretrain.toml -o pretrained --force");
    run("annotate train cells.h5ad --label cell_type --config tiny.toml -o types --force");
    run("annotate predict cells.h5ad --model types -o annotated.h5ad --probabilities --force");
    run(
        "annotate train CELLS --label cell_type --model MODEL --max-steps 2 --no-baselines --max-length 40 -o tuned --force",
    );
    run(
        "integrate cells.h5ad --batch-key batch --label cell_type --config tiny.toml --hvg 60 -o integrated.h5ad --force",
    );
    run(
        "integrate CELLS --batch-key batch --model MODEL --max-steps 2 --no-baselines --hvg 40 -o more.h5ad --force",
    );
    run("map index CELLS --model MODEL --labels cell_type --approximate -o index --force");
    run("map query CELLS --index index -o mapped.h5ad --neighbours --force");
    run("generate CELLS --model MODEL --rounds 2 -o generated.h5ad --force");
    run("grn embedding --model MODEL --data CELLS --hvg 60 --threshold 0.1 -o genes --force");
    run("simulate -o screen.h5ad --cells 200 --genes 60 --perturb 4 --force");
    run("perturb prepare screen.h5ad -o prepared.h5ad --force");
    run("perturb train prepared.h5ad --config perturb.toml -o responses --force");
    run("perturb predict --model responses --candidates all -o predicted.h5ad --cells 5 --force");
    run("evaluate perturb predicted.h5ad --truth prepared.h5ad -o judged.html --force");
}

#[test]
fn the_same_run_writes_the_same_bytes_and_says_what_was_in_force() {
    let place = Place::new();
    for (name, task) in [
        ("tiny.toml", "batch_size = 16\nmax_length = 61"),
        ("pretrain.toml", "batch_size = 8\nmax_length = 60"),
        (
            "perturb.toml",
            "batch_size = 8\ngenes_per_step = 40\ngenes_per_pass = 40\npool = 4\npairs = 2",
        ),
    ] {
        let settings = tiny(task, "n_layers = 1\ndropout = 0.1", "max_steps = 4");
        fs::write(place.path(name), settings).unwrap();
    }
    let written = || {
        write_everything(&place);
        let mut found = BTreeMap::new();
        files(&place.path("."), &mut found);
        found
    };
    let (first, second) = (written(), written());
    assert!(first.len() > 100, "{:?}", first.keys());
    assert!(first.keys().eq(second.keys()));
    let differ: Vec<_> = first.iter().filter(|(path, bytes)| second[*path] != **bytes).collect();
    let names: Vec<_> = differ.iter().map(|(path, _)| path).collect();
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(network(&place.path("types/report.json")), [1, 16]);
    let of_model: Value =
        serde_json::from_str(&fs::read_to_string(format!("{}/args.json", model())).unwrap())
            .unwrap();
    let of_model = ["nlayers", "embsize"].map(|name| of_model[name].as_u64().unwrap());
    assert_eq!(network(&place.path("tuned/report.json")), of_model);
    assert_eq!(network(&place.path("more.model/report.json")), of_model);
    for folder in ["tuned", "more.model"] {
        let settings = fs::read_to_string(place.path(folder).join("training/config.toml")).unwrap();
        assert!(settings.contains(&format!("d_model = {}", of_model[1])), "{settings}");
    }
}
