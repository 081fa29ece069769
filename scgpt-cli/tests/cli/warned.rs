//! What a reader has to know before believing a result is said, by whichever command sees it.

use std::fs;

use scgpt_fixtures::Toy;

use crate::run::{Place, model, tiny};

#[test]
fn labels_that_are_never_right_are_noticed() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "30", "--types", "2", "--batches", "2"]);
    let judge = ["evaluate", "labels", "cells.h5ad", "--truth", "cell_type", "--prediction"];
    let ended = place.done(&[&judge[..], &["batch"]].concat());
    for part in ["no predicted label is a true one", "type_1", "batch_1", "spelled differently?"] {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
    let ended = place.done(&[&judge[..], &["cell_type"]].concat());
    assert!(!ended.stderr.contains("no predicted label"), "{}", ended.stderr);
}

#[test]
fn classes_of_one_cell_are_left_out_by_name() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "60", "--types", "2"]);
    let cells = (1..=60).map(|cell| {
        let kind = if cell == 7 { "rare" } else { ["T", "B"][cell % 2] };
        format!("cell_{cell:06},{kind}\n")
    });
    fs::write(place.path("kinds.csv"), format!("cell,kind\n{}", cells.collect::<String>()))
        .unwrap();
    let train = ["annotate", "train", "cells.h5ad", "--obs-from", "kinds.csv", "--label", "kind"];
    let ended = place.done(&[&train[..], &["--method", "centroid", "-o", "types"]].concat());
    let said = "classes with fewer than 2 cells were left out: rare";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 of `kind`"), "{}", ended.stdout);
}

#[test]
fn genes_of_one_name_are_counted_once() {
    let place = Place::new();
    Toy { genes: vec!["TNFRSF4", "SSU72", "SSU72", "RBP7"], ..Toy::known() }
        .write_h5ad(&place.path("toy.h5ad"));
    let embed = ["embed", "toy.h5ad", "-m", &model(), "--min-genes", "0", "-o", "out.h5ad"];
    let ended = place.done(&embed);
    let said = "genes that are called like an earlier one are left out (1): SSU72";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn the_best_needs_something_to_be_chosen_by() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "60", "--types", "1", "--batches", "2"]);
    fs::write(place.path("tiny.toml"), tiny("", "n_layers = 1", "")).unwrap();
    let integrate = ["integrate", "cells.h5ad", "--batch-key", "batch", "--config", "tiny.toml"];
    let more = ["--method", "best", "--max-steps", "2", "-o", "out.h5ad"];
    let best = [&integrate[..], &more].concat();
    place.refused(&best, &["--method is `best`, which labels choose", "--label"]);
    // All cells are of one type.
    let one_type = [&best[..], &["--label", "cell_type"]].concat();
    place.refused(&one_type, &["`type_1`", "nothing can be told apart by it", "--label"]);
}
