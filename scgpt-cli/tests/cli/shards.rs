//! `scgpt convert` with cells: token shards.

use std::{fs, path::Path};

use scgpt_data::{GeneVocab, ShardFolder, Source};
use scgpt_fixtures::Toy;
use serde_json::Value;

use crate::run::{Place, cells, model};

fn bank() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scgpt-data/tests/data/scbank/snappy.scb")
        .display()
        .to_string()
}

#[test]
fn cells_become_shards_of_the_models_vocabulary() {
    let place = Place::new();
    let common = ["convert", &cells(), "-m", &model(), "-o", "shards/", "--obs", "batch"];
    let json = place.done(&[&common[..], &["--shard-cells", "40", "--json"]].concat()).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["n_cells"], &json["output"]), (&64.into(), &"shards/".into()));
    assert_eq!(json["sources"][0]["known_genes"], 536);
    assert_eq!(json["sources"][0]["gene_column"], "feature_name");

    let shards = ShardFolder::open(place.path("shards")).unwrap();
    assert_eq!((shards.n_cells(), shards.manifest().shards.len()), (64, 2));
    shards.verify(|_| true).unwrap();
    let vocab = GeneVocab::from_json(Path::new(&model()).join("vocab.json")).unwrap();
    shards.check_vocab(&vocab).unwrap();
    let batch = shards.labels("batch").unwrap();
    assert!(!batch.categories().is_empty() && batch.code(63).unwrap().is_some());

    place.refused(&common, &["`shards/` exists", "--force"]);
    place.done(&[&common[..], &["--force"]].concat());
    assert_eq!(ShardFolder::open(place.path("shards")).unwrap().manifest().shards.len(), 1);
}

#[test]
fn without_a_vocabulary_all_genes_of_all_files_are_tokens() {
    let place = Place::new();
    Toy::known().write_h5ad(&place.path("a.h5ad"));
    let other = Toy {
        genes: vec!["RBP7", "NEW", "PARK7", "SSU72"],
        data: vec![0.5, 0.25, 1.0, 2.0, 3.5],
        ..Toy::known()
    };
    other.write_h5ad(&place.path("b.h5ad"));
    let ended = place.done(&["convert", "a.h5ad", "b.h5ad", "-o", "shards"]);
    assert!(ended.stderr.contains("`b.h5ad`: the values look like log1p"), "{}", ended.stderr);
    assert!(ended.stderr.contains("`a.h5ad`: 1 cells express no known gene"), "{}", ended.stderr);
    let shards = ShardFolder::open(place.path("shards")).unwrap();
    let names = ["TNFRSF4", "SSU72", "PARK7", "RBP7", "NEW", "<pad>", "<cls>", "<eoc>"];
    assert!(shards.vocab().names().eq(names));
    assert_eq!(shards.n_cells(), 4);
    assert_eq!(shards.cell(2).unwrap().indices, [1, 4]);
}

#[test]
fn a_bank_of_the_reference_keeps_its_tokens() {
    let place = Place::new();
    place.done(&["convert", &bank(), "-o", "shards"]);
    let shards = ShardFolder::open(place.path("shards")).unwrap();
    assert_eq!((shards.n_cells(), shards.n_tokens()), (4, 8));
    assert_eq!(shards.cell(0).unwrap().indices, [0, 3]);
    let json = place.done(&["inspect", &bank(), "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cells"], 5);
}

#[test]
fn what_cannot_be_converted_is_refused() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let toy = place.path("toy.h5ad");
    Toy::known().write_h5ad(&toy);
    place.refused(&["convert", &cells, "-o", "out", "--obs", "typ"], &["`typ` not found", "batch"]);
    place.refused(&["convert", &cells, "-o", "out", "--layer", "x"], &["layers/x", "--layer"]);
    place.refused(&["convert", &cells, "-o", "out", "--partial"], &["--partial"]);
    place.refused(
        &["convert", &model, "-o", "out", "--obs", "x"],
        &["--obs is an option for cells"],
    );
    place.refused(&["convert", "no.h5ad", "-o", "out"], &["cannot open `no.h5ad`"]);
    place.refused(&["convert", &cells, &model, "-o", "out"], &["checkpoint"]);
    place.refused(&["convert", &cells, "-o", "out", "--vocab", "no.json"], &["no.json"]);
    place.refused(&["convert", &cells, "-o", "no/out"], &["no/out"]);
    place.refused(
        &["convert", "toy.h5ad", "-o", "out", "--shard-cells", "0"],
        &["--shard-cells is 0"],
    );
    fs::create_dir(place.path("thesis")).unwrap();
    fs::write(place.path("thesis/text"), "years of work").unwrap();
    let force = ["convert", "toy.h5ad", "-o", "thesis", "--force"];
    place.refused(&force, &["`thesis` is not written to: it is not a folder of token shards"]);
    // A name tells cells from checkpoints where the content does not.
    fs::write(place.path("bad.h5ad"), "nonsense").unwrap();
    place.refused(&["convert", "bad.h5ad", "-o", "out"], &["bad.h5ad"]);
    assert!(Source::recognises(&toy) && !Source::recognises(&model));
}
