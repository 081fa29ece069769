//! Files that must be refused: the message names file, place, expectation and remedy.

use std::{fs, path::Path};

use hdf5_pure::{AttrValue, FileBuilder};
use scgpt_data::{CellSource, Error, Layer, Source};
use scgpt_fixtures::{Toy, repository};

use crate::read_all;

/// The error of reading everything, as one text of message, cause and remedy.
fn refusal(path: &Path) -> String {
    let read = Source::open(path).and_then(|mut source| read_all(&mut source, &Layer::X, 2));
    let error = read.expect_err("the file must be refused");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    let text =
        format!("{error}: {} ({})", cause.unwrap_or_default(), error.hint().unwrap_or_default());
    let name = path.file_name().unwrap().to_string_lossy();
    assert!(text.contains(name.as_ref()), "the file is not named: {text}");
    text
}

fn assert_refused(path: &Path, parts: &[&str]) {
    let text = refusal(path);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn spoiled(spoil: impl FnOnce(&mut Toy), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoiled.h5ad");
    let mut toy = Toy::default();
    spoil(&mut toy);
    toy.write_h5ad(&path);
    assert_refused(&path, parts);
}

#[test]
fn missing_or_foreign_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_refused(&path("absent.h5ad"), &["cannot open", "No such file", "check the path"]);
    fs::write(path("text.h5ad"), "gene,cell\n").unwrap();
    assert_refused(&path("text.h5ad"), &["a table of text", "read_csv"]);
    fs::write(path("noise.h5ad"), [7, 0, 200, 1]).unwrap();
    assert_refused(&path("noise.h5ad"), &["cannot open"]);
    fs::write(path("empty.h5ad"), "").unwrap();
    assert_refused(&path("empty.h5ad"), &["an empty file"]);
    fs::create_dir(path("folder")).unwrap();
    assert_refused(&path("folder"), &["neither zarr", "matrix.mtx"]);
    let mut file = FileBuilder::new();
    file.create_dataset("weights").with_f32_data(&[1.0]);
    file.write(path("other.h5")).unwrap();
    assert_refused(&path("other.h5"), &["neither AnnData", "weights"]);
}

#[test]
fn values_that_are_no_expression() {
    spoiled(
        |toy| toy.data[3] = -0.5,
        &["`X`", "negative value -0.5", "cell 2, gene 1 (`MS4A1`)", "`layer` raw"],
    );
    spoiled(|toy| toy.data[1] = f32::NAN, &["value NaN", "cell 0, gene 3 (`LYZ`)"]);
    spoiled(|toy| toy.data[2] = f32::INFINITY, &["value inf", "cell 2, gene 0 (`CD3E`)"]);
}

#[test]
fn structures_that_contradict_themselves() {
    spoiled(|toy| toy.indices[4] = 4, &["`X/indices`", "entry 4 is 4", "0..4"]);
    spoiled(|toy| toy.indices[0] = -1, &["`X/indices`", "entry 0 is -1"]);
    spoiled(|toy| toy.indptr = vec![0, 4, 2, 5], &["`X/indptr`", "decrease at 1 (4 > 2)"]);
    spoiled(|toy| toy.indptr = vec![0, 2, 2, 4], &["`X/indptr`", "from 0 to 5"]);
    spoiled(|toy| toy.indptr = vec![0, 2, 5], &["`X/indptr`", "3 offsets, expected 4"]);
    spoiled(|toy| toy.data.truncate(4), &["4 values, but 5 indices"]);
    spoiled(|toy| toy.cells.truncate(2), &["`obs`", "2 rows", "has 3"]);
}

#[test]
fn nothing_to_read() {
    let none = |toy: &mut Toy| {
        toy.indices.clear();
        toy.data.clear();
    };
    spoiled(
        |toy| {
            none(toy);
            toy.shape = [0, 4];
            toy.indptr = vec![0];
            toy.cells.clear();
        },
        &["no cells", "0 × 4"],
    );
    spoiled(
        |toy| {
            none(toy);
            toy.shape = [3, 0];
            toy.indptr = vec![0; 4];
            toy.genes.clear();
        },
        &["no genes", "3 × 0"],
    );
}

#[test]
fn a_missing_matrix_lists_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layered.h5ad");
    let mut file = FileBuilder::new();
    let mut layers = file.create_group("layers");
    layers.create_dataset("counts").with_f32_data(&[1.0; 12]).with_shape(&[3, 4]);
    // Not a matrix, and no obstacle.
    layers.create_dataset("notes").with_vlen_strings(&["text"]);
    file.add_group(layers.finish());
    Toy::default().write_tables(&mut file);
    file.write(&path).unwrap();
    assert_refused(&path, &["`X`", "layers/counts", "by `layer`"]);
    let mut source = Source::open(&path).unwrap();
    let counts = Layer::Named("counts".into());
    assert_eq!(source.read(&counts, 0..3).unwrap().n_stored(), 12);
    assert!(matches!(source.read(&counts, 2..4), Err(Error::Option(_))));
}

#[test]
fn text_in_place_of_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.h5ad");
    let mut file = FileBuilder::new();
    let mut matrix = file.create_group("X");
    matrix.set_attr("encoding-type", AttrValue::String("csr_matrix".into()));
    matrix.set_attr("shape", AttrValue::I64Array(vec![3, 4]));
    matrix.create_dataset("indptr").with_i64_data(&[0, 1, 1, 1]);
    matrix.create_dataset("indices").with_i32_data(&[0]);
    matrix.create_dataset("data").with_vlen_strings(&["many"]);
    file.add_group(matrix.finish());
    Toy::default().write_tables(&mut file);
    file.write(&path).unwrap();
    assert_refused(&path, &["`X`", "holds text, expected numbers", "astype"]);
}

#[test]
fn broken_10x_folders() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = folder.path().join("matrix.mtx");
    let write = || Toy::default().write_mtx(folder.path(), "", ["Gene Expression"; 4]);
    let edit = |from: &str, to: &str, parts: &[&str]| {
        write();
        fs::write(&matrix, fs::read_to_string(&matrix).unwrap().replace(from, to)).unwrap();
        assert_refused(&matrix, parts);
    };
    edit("coordinate", "array", &["line 1", "%%MatrixMarket matrix coordinate"]);
    edit("4 3 5", "4 3 6", &["after 5 entries", "says 6"]);
    edit("4 3 5", "4 3 4", &["line 8", "more entries than the 4 of the header"]);
    edit("4 3 5", "4 3 13", &["13 entries", "has 12 places"]);
    edit("2 1 2\n", &format!("{}\n", "9".repeat(70_000)), &["line 8", "longer than 65536"]);
    edit("4 3 5", "3 4 5", &["3 cells × 4 genes", "mmwrite"]);
    edit("4 3 5", "3 5 5", &["3 × 5", "4 features and 3 barcodes"]);
    edit("2 1 2\n", "5 1 2\n", &["line 8", "(5, 1) outside 4 × 3"]);
    edit("2 1 2\n", "2 1 two\n", &["line 8", "a feature, a cell and a value"]);
    write();
    fs::remove_file(folder.path().join("barcodes.tsv")).unwrap();
    assert_refused(&matrix, &["barcodes.tsv", "no such table"]);
}

/// As downloads and editors leave them.
#[test]
fn blank_lines_and_byte_order_marks_are_no_names() {
    let folder = tempfile::tempdir().unwrap();
    Toy::default().write_mtx(folder.path(), "", ["Gene Expression"; 4]);
    let expected = Source::open(folder.path()).unwrap();
    for name in ["barcodes.tsv", "features.tsv"] {
        let path = folder.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("\u{feff}{}\n  \n", text.replacen('\n', "\r\n\r\n", 1))).unwrap();
    }
    let mut source = Source::open(folder.path()).unwrap();
    assert_eq!(source.obs().unwrap(), expected.obs().unwrap());
    assert_eq!(source.var(&Layer::X).unwrap(), expected.var(&Layer::X).unwrap());
    read_all(&mut source, &Layer::X, 2).unwrap();
    let field = Source::open(repository().join("field_cases/45_blank_line")).unwrap();
    assert_eq!((field.obs().unwrap().len(), field.var(&Layer::X).unwrap().len()), (30, 60));
}

/// Reads all there is; whether it is an error does not matter, that it ends does.
fn exercise(path: &Path) {
    if let Ok(mut source) = Source::open(path) {
        let layers: Vec<Layer> =
            source.summary().matrices.iter().map(|matrix| matrix.layer.clone()).collect();
        for layer in layers {
            let _ = read_all(&mut source, &layer, 50);
        }
    }
}

#[test]
fn truncated_h5ad_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("cut.h5ad");
    for name in ["cells.h5ad", "cells_csc_gzip.h5ad"] {
        let whole = fs::read(repository().join("embed_end_to_end").join(name)).unwrap();
        for part in 1..16 {
            fs::write(&path, &whole[..whole.len() * part / 16]).unwrap();
            refusal(&path);
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("flipped.h5ad");
    let whole = fs::read(repository().join("embed_end_to_end/cells_csc_gzip.h5ad")).unwrap();
    // Structures are dense at the beginning, then rare: every byte there, some of the others.
    let early = (0..2048).step_by(5);
    for at in early.chain((2048..whole.len()).step_by(whole.len() / 150)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        exercise(&path);
    }
}

#[test]
fn damaged_zarr_never_panics() {
    let scratch = tempfile::tempdir().unwrap();
    for version in [2, 3] {
        let store = scratch.path().join(format!("v{version}"));
        Toy::default().write_zarr(&store, version);
        let mut waiting = vec![store.clone()];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let whole = fs::read(&path).unwrap();
            for at in (0..whole.len()).step_by(7) {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x15;
                fs::write(&path, &bytes).unwrap();
                exercise(&store);
                fs::write(&path, &whole[..at]).unwrap();
                exercise(&store);
            }
            fs::write(&path, whole).unwrap();
        }
    }
}
