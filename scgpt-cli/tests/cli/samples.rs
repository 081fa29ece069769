//! Cells of several files: lanes that name their cells alike.

use std::fs;

use scgpt_data::{CellSource as _, Layer, ShardFolder, Source};
use scgpt_fixtures::Toy;
use serde_json::Value;

use crate::run::Place;

/// Two lanes of 10x with the same barcodes, and two genes of one name: a file and a folder.
fn lanes() -> Place {
    let place = Place::new();
    let toy = || Toy { genes: vec!["TNFRSF4", "SSU72", "SSU72", "RBP7"], ..Toy::known() };
    toy().write_10x(&place.path("lane1.h5"));
    fs::create_dir(place.path("lane2")).unwrap();
    let second = Toy { data: vec![4.0, 1.0, 9.0, 3.0, 2.0], ..toy() };
    second.write_mtx(&place.path("lane2"), "", ["Gene Expression"; 4]);
    place
}

#[test]
fn two_lanes_with_the_same_barcodes_become_one_file() {
    let place = lanes();
    let join = ["convert", "lane1.h5", "lane2", "-o", "joined.h5ad"];
    place.refused(
        &join,
        &["the cells `AAA-1`, `AAC-1`, `AAG-1` are in `lane1.h5`, too", "--sample", "AAAC-1-lane1"],
    );
    place.refused(
        &[&join[..], &["--sample", "a"]].concat(),
        &["--sample names 1 samples, but there are 2 inputs"],
    );
    place.refused(
        &[&join[..], &["--sample", "a,"]].concat(),
        &["--sample has a name that is empty"],
    );
    place.refused(&[&join[..], &["--obs", "x"]].concat(), &["--obs is an option for token shards"]);
    let said = place.done(&[&join[..], &["--sample", "lane1,lane2", "--json"]].concat()).stdout;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["cells"], &said["genes"]), (&6.into(), &4.into()));
    assert_eq!(said["inputs"][1]["sample"], "lane2");
    assert_eq!(said["warnings"], serde_json::json!([]));
    let mut joined = Source::open(place.path("joined.h5ad")).unwrap();
    let obs = joined.obs().unwrap();
    let names =
        ["AAA-1-lane1", "AAC-1-lane1", "AAG-1-lane1", "AAA-1-lane2", "AAC-1-lane2", "AAG-1-lane2"];
    assert_eq!(obs.index, names);
    let samples = obs.column("sample").unwrap().labels();
    assert_eq!([&samples[0], &samples[5]].map(|it| it.as_deref()), [Some("lane1"), Some("lane2")]);
    let var = joined.var(&Layer::X).unwrap();
    assert_eq!(var.index, ["TNFRSF4", "SSU72", "SSU72", "RBP7"]);
    assert_eq!(var.column("gene_ids").unwrap().labels()[2].as_deref(), Some("ENSG2"));
    let types = var.column("feature_types").unwrap().labels();
    assert!(types.iter().all(|label| label.as_deref() == Some("Gene Expression")), "{types:?}");
    let block = joined.read(&Layer::X, 0..6).unwrap();
    assert_eq!(block.row(2).values, [1.0, 7.0, 3.0]);
    assert_eq!((block.row(5).indices, block.row(5).values), (&[0, 1, 2][..], &[9.0, 3.0, 2.0][..]));
}

#[test]
fn shards_keep_the_samples_as_labels() {
    let place = lanes();
    for command in [&["convert"][..], &["corpus", "build"]] {
        let inputs = ["lane1.h5", "lane2", "--sample", "lane1,lane2", "-o", "shards", "--force"];
        place.done(&[command, &inputs].concat());
        let shards = ShardFolder::open(place.path("shards")).unwrap();
        let samples = shards.labels("sample").unwrap();
        assert_eq!(samples.categories(), ["lane1", "lane2"]);
        // A cell of each expresses nothing.
        assert_eq!(shards.n_cells(), 4);
        assert_eq!([0, 3].map(|cell| samples.code(cell).unwrap()), [Some(0), Some(1)]);
    }
}

#[test]
fn one_file_becomes_another_format() {
    let place = lanes();
    place.done(&["convert", "lane2", "-o", "cells.zarr"]);
    place.done(&["convert", "cells.zarr", "-o", "cells.h5ad", "--where", "index <> 'AAC-1'"]);
    let mut cells = Source::open(place.path("cells.h5ad")).unwrap();
    assert_eq!(cells.obs().unwrap().index, ["AAA-1", "AAG-1"]);
    assert_eq!(cells.read(&Layer::X, 1..2).unwrap().row(0).values, [9.0, 3.0, 2.0]);
    place.done(&["convert", "lane1.h5", "-o", "named.h5ad", "--sample", "a"]);
    assert_eq!(Source::open(place.path("named.h5ad")).unwrap().obs().unwrap().index[0], "AAA-1-a");
    place.refused(
        &["convert", "cells.zarr", "-o", "x.h5ad", "--layer", "counts"],
        &["--layer", "all of its matrices"],
    );
}

#[test]
fn what_joined_cells_lack_and_where_inputs_differ_is_said() {
    let place = Place::new();
    place.simulate("a.h5ad", &["--cells", "40", "--types", "2"]);
    place.simulate("b.h5ad", &["--cells", "30", "--types", "2", "--seed", "4"]);
    place.done(&["cells", "b.h5ad", "-o", "clustered.h5ad"]);
    Toy { data: vec![0.5, 0.25, 1.0, 2.0, 3.5], ..Toy::known() }
        .write_h5ad(&place.path("log.h5ad"));
    let join = ["convert", "a.h5ad", "clustered.h5ad", "log.h5ad", "--sample", "a,b,c"];
    let ended = place.done(&[&join[..], &["-o", "joined.h5ad"]].concat());
    for part in [
        "not carried over: obsm/X_pca",
        "genes are not in all inputs",
        "those of `log.h5ad` like log1p",
    ] {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
    assert_eq!(Source::open(place.path("joined.h5ad")).unwrap().summary().n_cells, 73);
    let again = ["convert", "joined.h5ad", "-o", "again.h5ad", "--sample", "all"];
    let ended = place.done(&again);
    assert!(
        ended.stderr.contains("not carried over: obs/sample of `joined.h5ad`"),
        "{}",
        ended.stderr
    );
    // As samples of an integration.
    let integrate = ["integrate", "a.h5ad", "b.h5ad", "--method", "pca", "-o", "out.h5ad"];
    place.refused(&integrate, &["too", "--sample"]);
    let samples = ["--sample", "a,b", "--batch-key", "sample"];
    place.done(&[&integrate[..], &samples].concat());
    let obs = Source::open(place.path("out.h5ad")).unwrap().obs().unwrap();
    assert_eq!((obs.len(), obs.index[69].ends_with("-b")), (70, true));
    assert!(obs.column("sample").is_some() && obs.column("input").is_none());
}
