//! Which genes a model sees of a file, and what is said of those it does not.

use std::{fs, path::Path};

use scgpt_data::{CellSource as _, Column, Source};
use scgpt_fixtures::Toy;
use scgpt_fixtures::repository;
use serde_json::Value;

use crate::run::{Place, cells, embedding, model, tiny};

/// Settings of a network that is made in no time.
fn field_case(name: &str) -> String {
    repository().join("field_cases").join(name).display().to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A column of `obs`.
fn column(path: &Path, name: &str) -> Column {
    let obs = Source::open(path).unwrap().obs().unwrap();
    obs.column(name).unwrap().clone()
}

/// A folder with 150 simulated genes in cells of three types, an artefact that tells these, and an
/// index of the cells.
fn place() -> Place {
    let place = Place::new();
    let simulate = ["simulate", "-o", "cells.h5ad", "--cells", "200", "--genes", "150"];
    place.done(&[&simulate[..], &["--types", "3", "--seed", "1"]].concat());
    fs::write(
        place.path("tiny.toml"),
        tiny("batch_size = 16\nmax_length = 100", "n_layers = 1\ndropout = 0.1", "epochs = 4"),
    )
    .unwrap();
    let train = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "-o", "types"];
    place.done(&[&train[..], &["--config", "tiny.toml", "--no-baselines"]].concat());
    let index =
        ["map", "index", "cells.h5ad", "--labels", "cell_type", "-m", "types", "-o", "index"];
    place.done(&index);
    place
}

/// Twelve cells of the first `genes` simulated genes, of which the second cell has none.
fn write_query(path: &Path, genes: usize, names: &[&'static str]) {
    let cells = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
    for cell in 0..cells.len() {
        for gene in (0..genes).filter(|gene| cell != 1 && (gene * 7 + cell * 3) % 4 != 0) {
            indices.push(i32::try_from(gene).unwrap());
            data.push(1.0 + ((gene + cell) % 5) as f32);
        }
        indptr.push(i64::try_from(indices.len()).unwrap());
    }
    let shape = [12, i64::try_from(genes).unwrap()];
    let cells = cells.to_vec();
    Toy { shape, indptr, indices, data, cells, genes: names[..genes].to_vec(), ..Toy::known() }
        .write_h5ad(path);
}

/// Names of the simulated genes.
fn names() -> Vec<&'static str> {
    (1..=150).map(|gene| &*format!("GENE{gene:05}").leak()).collect()
}

#[test]
fn genes_of_the_model_count_too() {
    let place = place();
    let names = names();
    write_query(&place.path("few.h5ad"), 4, &names);
    write_query(&place.path("some.h5ad"), 40, &names);
    let predict = |file: &'static str, more: &[&'static str]| {
        let args = ["annotate", "predict", file, "-m", "types", "-o", "out.h5ad"];
        [&args[..], more].concat()
    };
    let query = |file: &'static str, more: &[&'static str]| {
        [&["map", "query", file, "--index", "index", "-o", "out.h5ad"], more].concat()
    };
    // Four of four are known; what matters is that it is four of a hundred and fifty.
    place.refused(&predict("few.h5ad", &[]), &["4 of the 1", "trained on", "--min-genes 0"]);
    place.refused(&query("few.h5ad", &[]), &["4 of the 150 genes", "--min-genes 0"]);
    let embed = ["embed", "few.h5ad", "-m", "types", "-o", "out.h5ad"];
    place.refused(&embed, &["4 of the 150 genes of the model", "--min-genes 0"]);
    place.done(&[&embed[..], &["--min-genes", "0"]].concat());
    let page = std::fs::read_to_string(place.path("out.report.html")).unwrap();
    assert_eq!(page.matches("the data has 4 of the 150 genes of the model").count(), 1);

    let anyway = ["--min-genes", "0", "--json", "--force"];
    for ended in
        [place.done(&predict("few.h5ad", &anyway)), place.done(&query("few.h5ad", &anyway))]
    {
        assert!(ended.stderr.contains("warning: the data has 4 of the 1"), "{}", ended.stderr);
        let warnings = json(&ended.stdout)["warnings"].to_string();
        assert!(warnings.contains("the data has 4 of the 1"), "{warnings}");
    }
    let ended = place.done(&predict("some.h5ad", &["--json", "--force"]));
    for part in ["warning: the data has ", " genes that it was trained on ("] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let record = json(&ended.stdout);
    assert_eq!(record["input"]["genes"]["matched"], 40);
    assert_eq!(record["input"]["known_genes"]["is_trained"], true);
    // Confidence and limits are those of held-out cells without the other genes.
    let accuracy = record["held_out_accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&accuracy) && ended.stderr.contains("held-out cells right"));
    let whole = place.done(&predict("cells.h5ad", &["--json", "--force"]));
    assert!(json(&whole.stdout)["held_out_accuracy"].is_null());
    assert!(!whole.stderr.contains("warning"), "{}", whole.stderr);
    let inspect = place.done(&["inspect", "few.h5ad", "-m", "types"]);
    assert!(inspect.stdout.contains("4 of 150 genes (2.7 %)"), "{}", inspect.stdout);
}

#[test]
fn a_cell_without_known_genes_has_no_type() {
    let place = place();
    write_query(&place.path("query.h5ad"), 80, &names());
    let ended =
        place.done(&["annotate", "predict", "query.h5ad", "-m", "types", "-o", "types.h5ad"]);
    assert!(ended.stderr.contains("1 cells express no known gene: they get no type"));
    let ended =
        place.done(&["map", "query", "query.h5ad", "--index", "index", "-o", "mapped.h5ad"]);
    assert!(ended.stderr.contains("1 cells express no known gene: they get no label"));
    for (file, name, unknown) in [
        ("types.h5ad", "scgpt_prediction", "scgpt_unknown"),
        ("mapped.h5ad", "scgpt_map_cell_type", "scgpt_map_unknown"),
    ] {
        let path = place.path(file);
        let labels = column(&path, name).labels();
        let without: Vec<usize> = (0..12).filter(|&cell| labels[cell].is_none()).collect();
        assert_eq!(without, [1], "{file}");
        let Column::Boolean(flags) = column(&path, unknown) else { panic!("{file}") };
        assert_eq!(flags[1], Some(true), "{file}");
    }
    // Nor do such cells vote.
    let mut more = vec!["map", "index", "labelled.h5ad", "--labels", "cell_type", "-m", "types"];
    more.extend(["-o", "other", "--min-genes", "0"]);
    let cut = fs::copy(place.path("types.h5ad"), place.path("labelled.h5ad"));
    assert!(cut.is_ok());
    more[4] = "scgpt_prediction";
    let ended = place.done(&more);
    assert!(ended.stderr.contains("they do not vote"), "{}", ended.stderr);
}

#[test]
fn antibodies_are_no_genes_unless_asked_for() {
    let place = Place::new();
    let (input, model) = (field_case("case10_antibodies.h5ad"), model());
    let embed = |output: &'static str| {
        ["embed", &input, "-m", &model, "--json", "--no-report", "-o", output]
    };
    let genes = place.done(&embed("genes.h5ad"));
    assert!(genes.stderr.contains("(12 × Antibody Capture)"), "{}", genes.stderr);
    assert!(genes.stderr.contains("--all-features"));
    let all = place.done(&[&embed("all.h5ad")[..], &["--all-features"]].concat());
    assert!(!all.stderr.contains("Antibody"), "{}", all.stderr);
    let [genes, all] = [genes, all].map(|ended| json(&ended.stdout));
    assert_eq!([&genes["genes"]["genes"], &all["genes"]["genes"]], [738, 750]);
    let known = |report: &Value| report["genes"]["matched"].as_u64().unwrap();
    // Two of the twelve have names that are no gene's.
    assert_eq!(known(&all) - known(&genes), 10);
    assert_ne!(embedding(&place.path("genes.h5ad")), embedding(&place.path("all.h5ad")));
    // Antibodies are not among the most variable genes either, however variable.
    let variable = [&embed("hvg.h5ad")[..], &["--hvg", "738"]].concat();
    let variable = json(&place.done(&variable).stdout);
    assert_eq!(variable["variable"]["n_selected"], 738);
    assert_eq!(variable["variable"]["n_known"], genes["genes"]["matched"]);
    // The same for a vocabulary made of the file.
    place.done(&["convert", &input, "-o", "shards"]);
    let vocab = fs::read_to_string(place.path("shards/vocab.json")).unwrap();
    assert_eq!(json(&vocab).as_object().unwrap().len(), 738 + 3);
}

#[test]
fn barcodes_that_differ_by_a_suffix_are_not_other_cells() {
    let place = Place::new();
    let rna = format!("RNA={}", field_case("case09_rna.h5ad"));
    let protein = format!("Protein={}", field_case("case09_protein_suffix.h5ad"));
    let args = ["integrate", &rna, &protein, "--prefix", "Protein=p_", "-o", "out.h5ad"];
    place.refused(
        &args,
        &["`cell_000001-1`", "`cell_000001`", "200 are the same", "removesuffix(\"-1\")"],
    );
}

#[test]
fn row_numbers_are_no_genes() {
    let place = Place::new();
    Toy { genes: vec!["0", "1", "2", "3"], ..Toy::known() }.write_h5ad(&place.path("numbers.h5ad"));
    let said = ["counts rows (`0`, `1`, `2`, …)", "--gene-column"];
    place.refused(&["convert", "numbers.h5ad", "-o", "shards"], &said[..1]);
    place.refused(&["embed", "numbers.h5ad", "-m", &model(), "-o", "out.h5ad"], &said[..1]);
    let named = ["convert", "numbers.h5ad", "-o", "shards", "--gene-column", "index"];
    place.done(&named);
    // A file of many more genes than the model has passes.
    let ended = place.done(&["embed", &cells(), "-m", &model(), "-o", "out.h5ad"]);
    assert!(ended.stdout.contains("of the 576 of the model"), "{}", ended.stdout);
}
