//! `--where`: the cells for which a condition is true are all that a command reads.

use std::fs;

use scgpt_data::{CellSource as _, CellSubset, Column, Existing, Layer, Source, export};
use serde_json::Value;

use crate::run::{Ended, Place, cells, embedding, model, tiny};

/// A file that holds those of its input whose column has that text, as no condition would make it.
fn picked(place: &Place, column: &str, text: &str, name: &str) -> usize {
    let mut source = Source::open(cells()).unwrap();
    let labels = source.obs().unwrap().column(column).map(Column::labels).unwrap();
    let chosen: Vec<usize> =
        (0..labels.len()).filter(|&cell| labels[cell].as_deref() == Some(text)).collect();
    let n = chosen.len();
    let mut subset = CellSubset::new(&mut source, chosen);
    let output = place.path(name);
    export(&mut subset, &Layer::X, &output, &scgpt_data::Additions::default(), Existing::Refuse)
        .unwrap();
    n
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn chosen_cells_are_as_a_file_that_holds_only_these() {
    let (place, cells, model) = (Place::new(), cells(), model());
    let batch = Source::open(&cells).unwrap().obs().unwrap();
    let batch = batch.column("batch").map(Column::labels).unwrap()[0].clone().unwrap();
    let n = picked(&place, "batch", &batch, "few.h5ad");
    assert!((1..64).contains(&n), "{n}");
    let condition = format!("batch = '{batch}'");

    let chosen = ["embed", &cells, "-m", &model, "-o", "chosen.h5ad", "--where", &condition];
    let ended = place.done(&[&chosen[..], &["--json"]].concat());
    let said = format!("note: {n} of 64 cells where {condition}");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    let record = parsed(&ended.stdout);
    assert_eq!(record["chosen"][0]["where"], condition.as_str());
    assert_eq!(record["chosen"][0]["kept"], n);
    let file = hdf5_pure::File::open_streaming(place.path("chosen.h5ad")).unwrap();
    let noted = file.dataset("uns/scgpt_where/where").unwrap().read_string().unwrap();
    assert_eq!(noted.concat(), condition);
    let page = fs::read_to_string(place.path("chosen.report.html")).unwrap();
    assert!(page.contains(&format!("{n} of 64 cells where batch")), "{page}");
    let settings = fs::read_to_string(place.path("chosen.config.toml")).unwrap();
    assert!(settings.contains("where = "), "{settings}");
    // What is in force repeats the run.
    place.done(&["embed", &cells, "-o", "again.h5ad", "--config", "chosen.config.toml"]);
    place.done(&["embed", "few.h5ad", "-m", &model, "-o", "few-embedded.h5ad"]);
    let rows = embedding(&place.path("chosen.h5ad"));
    assert_eq!(rows, embedding(&place.path("again.h5ad")));
    assert_eq!(rows, embedding(&place.path("few-embedded.h5ad")));

    // A training numbers the chosen cells from 0: it is the same, too.
    fs::write(
        place.path("tiny.toml"),
        tiny("batch_size = 8\nmax_length = 60", "n_layers = 1", "epochs = 1"),
    )
    .unwrap();
    let train = |input: &str, output: &str, more: &[&str]| {
        let args = [
            "annotate",
            "train",
            input,
            "--label",
            "cell_type",
            "--config",
            "tiny.toml",
            "-o",
            output,
            "--no-baselines",
        ];
        place.done(&[&args[..], more].concat());
        fs::read(place.path(output).join("model.safetensors")).unwrap()
    };
    let learned = train(&cells, "a", &["--where", &condition]);
    assert_eq!(learned, train("few.h5ad", "b", &[]));
    let report = parsed(&fs::read_to_string(place.path("a/report.json")).unwrap());
    assert_eq!(report["chosen"][0]["kept"], n);

    for (input, output, more) in
        [(cells.as_str(), "x", ["--where", &condition].as_slice()), ("few.h5ad", "y", &[])]
    {
        place.done(&[&["convert", input, "-m", &model, "-o", output], more].concat());
    }
    let shard = |folder: &str| {
        parsed(&fs::read_to_string(place.path(folder).join("manifest.json")).unwrap())
    };
    let (x, y) = (shard("x"), shard("y"));
    assert_eq!(x["shards"], y["shards"]);
    assert_eq!(x["sources"][0]["chosen"]["of"], 64);
    assert!(y["sources"][0].get("chosen").is_none());
    let inspected =
        parsed(&place.done(&["inspect", &cells, "--where", &condition, "--json"]).stdout);
    assert_eq!(inspected["cells"], n);
}

#[test]
fn several_files_are_asked_the_same_and_some_may_have_no_such_cells() {
    let (place, cells, model) = (Place::new(), cells(), model());
    place.simulate("other.h5ad", &["--cells", "20", "--types", "2"]);
    let convert =
        ["convert", "other.h5ad", &cells, "-m", &model, "--min-genes", "0", "-o", "shards"];
    let json = [&convert[..], &["--json", "--where", "batch = 'batch0'"]].concat();
    let ended = place.done(&json);
    for said in [
        "note: 0 of 20 cells where batch",
        "note: 22 of 64 cells",
        "no cell has `batch` = 'batch0'",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let manifest = parsed(&ended.stdout);
    assert_eq!(manifest["n_cells"], 22);
    assert_eq!(manifest["sources"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["chosen"][0]["kept"], 0);
    place.refused(
        &[&convert[..8], &["none", "--where", "batch = 'batch9'"]].concat(),
        &["none of 64 cells where batch = 'batch9'"],
    );
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    let (place, cells, model) = (Place::new(), cells(), model());
    let embed = |condition: &str, parts: &[&str]| {
        place.refused(
            &["embed", &cells, "-m", &model, "-o", "out.h5ad", "--where", condition],
            parts,
        );
    };
    embed(
        "bach = 'x'",
        &["cells.h5ad", "column `bach` not found in `obs`", "similar names: batch"],
    );
    embed(
        "batch = 'x'",
        &["none of 64 cells where batch = 'x'", "no cell has `batch` = 'x'", "scgpt inspect"],
    );
    embed("batch", &["true or false"]);
    embed("batch = ", &["--where", "expected a condition in SQL"]);
    place.refused(
        &["convert", &model, "-o", "x.safetensors", "--where", "a = 1"],
        &["--where is an option for cells"],
    );
}

#[test]
fn columns_of_a_table_are_columns_of_obs() {
    let (place, cells, model) = (Place::new(), cells(), model());
    let names = Source::open(&cells).unwrap().obs().unwrap().index;
    let row = |(at, name): (usize, &String)| format!("{name},{}\n", ["lung", "blood"][at % 2]);
    let rows: String = names.iter().skip(4).enumerate().map(row).collect();
    fs::write(place.path("more.csv"), format!("cell,tissue\n{rows}")).unwrap();
    let embed = ["embed", &cells, "-m", &model, "--obs-from", "more.csv", "-o"];
    let ended = place.done(&[&embed[..], &["all.h5ad", "--color", "tissue", "--json"]].concat());
    let slots = |ended: &Ended| ended.envelope["slots"].as_array().unwrap()[0].clone();
    assert_eq!(slots(&ended), "obs/tissue");
    let said = "note: 60 of 64 cells are in `more.csv`, by its column `cell`: `tissue` join obs";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let tissues = |name: &str| {
        let obs = Source::open(place.path(name)).unwrap().obs().unwrap();
        obs.column("tissue").map(Column::labels).unwrap()
    };
    let all = tissues("all.h5ad");
    assert_eq!((all.len(), all.iter().flatten().count()), (64, 60));
    let ended = ["some.h5ad", "--where", "tissue = 'lung'", "--json"];
    let ended = place.done(&[&embed[..], &ended].concat());
    assert_eq!(slots(&ended), "obs/tissue");
    assert_eq!(tissues("some.h5ad"), vec![Some("lung".to_owned()); 30]);
}
