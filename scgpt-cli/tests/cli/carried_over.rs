//! What a copy does not have is said, and what was done to the cells.

use scgpt_fixtures::repository;

use crate::run::Place;

fn fixture(name: &str) -> String {
    repository().join("field_cases").join(name).display().to_string()
}

#[test]
fn what_is_not_carried_over_is_said_even_if_quiet() {
    let place = Place::new();
    let cells = fixture("left_out.h5ad");
    let ended = place.done(&["inspect", &cells, "-q"]);
    assert!(ended.stdout.contains("obs/opaque (not read: opaque values"), "{}", ended.stdout);
    let model = repository().join("embed_end_to_end/checkpoint").display().to_string();
    let ranked = fixture("41_ranked.h5ad");
    let ended = place.done(&["embed", &ranked, "-m", &model, "-o", "ranked.zarr", "-q"]);
    assert_eq!(ended.stderr, "");
    assert!(place.path("ranked.zarr/uns/rank_genes_groups/names/.zarray").is_file());
    let ended =
        place.done(&["embed", &cells, "-m", &model, "-o", "left.zarr", "-q", "--min-genes", "0"]);
    let said = "warning: not carried over: obs/opaque: an array of opaque values of 3 bytes";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_gene_that_occurs_twice_is_noted_once() {
    let place = Place::new();
    let model = repository().join("embed_end_to_end/checkpoint").display().to_string();
    let cells = fixture("44_twice.h5ad");
    let args = ["embed", &cells, "-m", &model, "-o", "out.h5ad", "--force"];
    let ended = place.done(&args);
    let notes = ended.stderr.matches("occurs more than once in cell 0").count();
    assert_eq!(notes, 1, "{}", ended.stderr);
    let ended = place.done(&[args.as_slice(), &["-q"]].concat());
    assert_eq!(ended.stderr, "");
}
