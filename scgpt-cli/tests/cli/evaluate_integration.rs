//! `scgpt evaluate integration`.

use std::fs;

use scgpt_data::{
    Additions, CellSource as _, Csr, Existing, Layer, MemoryCells, RowSpool, Source, export,
};
use serde_json::Value;

use crate::run::{Place, model};

/// A folder with simulated cells of so many types and batches, embedded by the small model.
fn place(types: &str, batches: &str) -> Place {
    let place = Place::new();
    let vocab = format!("{}/vocab.json", model());
    let sizes = ["--cells", "150", "--genes", "120", "--types", types, "--batches", batches];
    let simulate = ["simulate", "-o", "cells.h5ad", "--vocab", &vocab];
    place.done(&[&simulate[..], &sizes].concat());
    place.done(&["embed", "cells.h5ad", "--model", &model(), "-o", "embedded.h5ad", "--no-report"]);
    place
}

fn evaluate<'a>(embedding: &'a str, batch: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let input = ["evaluate", "integration", "embedded.h5ad", "--label", "cell_type"];
    [&input[..], &["--embedding", embedding, "--batch-key", batch], more].concat()
}

#[test]
fn embeddings_are_scored_beside_rivals() {
    let place = place("3", "2");
    let more = ["--json", "-o", "report.html", "--hvg", "60"];
    let report = place.done(&evaluate("X_scGPT", "batch", &more));
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let embeddings = report["embeddings"].as_array().unwrap();
    let names: Vec<&str> = embeddings.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["obsm/X_scGPT", "Unintegrated", "HVG + PCA", "Harmony", "ComBat"]);
    for embedding in embeddings {
        let scores = &embedding["scores"];
        assert!(scores["missing"].as_object().unwrap().is_empty(), "{embedding}");
        assert!((0.0..=1.0).contains(&scores["overall"].as_f64().unwrap()));
        assert_eq!(scores["n_cells"], 150);
    }
    // Principal components find simulated types.
    assert!(embeddings[2]["scores"]["avg_bio"].as_f64().unwrap() > 0.7);
    let page = fs::read_to_string(place.path("report.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 3 + 2 * 5);

    let louvain = ["--no-baselines", "--clustering", "louvain"];
    let table = place.done(&evaluate("X_scGPT", "batch", &louvain));
    assert!(table.stdout.contains("Louvain, best of 20 resolutions"), "{}", table.stdout);
    assert!(table.stdout.contains("pcr of obsm/X_scGPT: not compared"), "{}", table.stdout);
    let again = place.done(&evaluate("X_scGPT", "batch", &louvain));
    assert_eq!(table.stdout, again.stdout);

    place.refused(
        &evaluate("X_pca", "batch", &[]),
        &["`obsm/X_pca`: not found", "obsm has X_scGPT"],
    );
    place.refused(&evaluate("X_scGPT", "donor", &[]), &["`donor` not found", "batch"]);
}

#[test]
fn one_batch_and_constant_labels_are_refused() {
    let one_batch = place("2", "1");
    let parts = ["one batch cannot be integrated", "--batch-key"];
    one_batch.refused(&evaluate("X_scGPT", "batch", &[]), &parts);
    let one_type = place("1", "2");
    let parts = ["`cell_type` of `obs` has", "for all cells", "two different labels"];
    one_type.refused(&evaluate("X_scGPT", "batch", &[]), &parts);
}

#[test]
fn cells_without_values_and_files_of_several_matrices_are_refused_before_anything_is_scored() {
    let place = place("2", "2");
    let mut whole = Source::open(place.path("embedded.h5ad")).unwrap();
    let (n, genes) = whole.summary().shape(&Layer::X).unwrap();
    let (embedding, width) = whole.read_obsm("X_scGPT", 0..n).unwrap();
    let mut rows = RowSpool::new(width).unwrap();
    rows.push(&embedding).unwrap();
    let nothing = Csr::new(genes, vec![0; n + 1], Vec::new(), Vec::new()).unwrap();
    let (obs, var) = (whole.obs().unwrap(), whole.var(&Layer::X).unwrap());
    let mut nothing = MemoryCells::of(nothing, obs, var).unwrap();
    let added = Additions { obsm: vec![("X_scGPT".into(), rows)], ..Additions::default() };
    let path = place.path("nothing.h5ad");
    export(&mut nothing, &Layer::X, &path, &added, Existing::Refuse).unwrap();
    let of = |input: &'static str, more: &[&'static str]| {
        let args = ["evaluate", "integration", input, "--embedding", "X_scGPT", "--label"];
        [&args[..], &["cell_type", "--batch-key", "batch"], more].concat()
    };
    let parts = ["no cell of", "nothing.h5ad", "--layer", "--no-baselines"];
    let message = place.refused(&of("nothing.h5ad", &[]), &parts);
    assert!(!message.contains("scoring"), "{message}");
    place.done(&of("nothing.h5ad", &["--no-baselines"]));

    let simulate = ["simulate", "-o", "two.h5mu", "--cells", "9", "--modalities", "rna,protein"];
    place.done(&simulate);
    place.refused(&of("two.h5mu", &[]), &["MuData", "prot, rna", "mdata.mod[\"rna\"].copy()"]);
}
