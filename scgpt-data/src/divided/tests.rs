//! Parts, written and joined.

use std::{fs, ops::Range, path::PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::{
    Column, Existing, Frame, PartNumber, Result, RowSpool, Silent, Table, write::Additions,
};

const CELLS: usize = 5;

/// Everything that a command may find of cells.
fn found(rows: Range<usize>) -> (Frame, Additions) {
    let texts = |labels: [&str; CELLS]| {
        let label = |row: usize| (!labels[row].is_empty()).then(|| labels[row].to_owned());
        rows.clone().map(label).collect::<Vec<_>>()
    };
    let codes = rows.clone().map(|row| [Some(2), Some(0), None, Some(2), Some(0)][row]).collect();
    let categories = ["z", "never", "a"].map(String::from).to_vec();
    let float = [Some(0.1), Some(f64::NAN), None, Some(-0.0), Some(1e300)];
    let obs = vec![
        ("type".into(), Column::with_gaps(&texts(["T", "B", "", "NK", "B"]))),
        ("label".into(), Column::Categorical { codes, categories, ordered: true }),
        ("text".into(), Column::Text(texts(["x", "", "y", "é", "x"]))),
        ("share".into(), Column::Float(rows.clone().map(|row| float[row]).collect())),
        (
            "n".into(),
            Column::Integer(rows.clone().map(|row| [Some(1), None, Some(3)][row % 3]).collect()),
        ),
        ("is".into(), Column::Boolean(rows.clone().map(|row| Some(row > 2)).collect())),
    ];
    let matrix = |width: usize| {
        let mut spool = RowSpool::new(width).unwrap();
        for row in rows.clone() {
            #[allow(clippy::cast_precision_loss, reason = "test data")]
            let values: Vec<f32> = (0..width).map(|at| (row * width + at) as f32 / 7.0).collect();
            spool.push(&values).unwrap();
        }
        spool
    };
    let obsm = vec![("X_a".into(), matrix(3)), ("X_b".into(), matrix(1))];
    let names = Frame::of_names(rows.map(|row| format!("cell {row}")));
    (names, Additions { obsm, obs, ..Additions::default() })
}

fn run(options: Value) -> DividedRun {
    let cells = DividedCells {
        n_cells: CELLS,
        names: DividedCells::names_of(&found(0..CELLS).0),
        condition: None,
        matrix: Some((7, 70)),
    };
    let (version, command) = ("1.0".into(), "embed".into());
    DividedRun { version, command, model: Some("abc".into()), options, cells }
}

fn write(folder: &tempfile::TempDir, name: &str, part: PartNumber, run: DividedRun) -> PathBuf {
    let mut manifest = PartManifest::new(part, run, "scgpt embed cells.h5ad part=I/N".into());
    let rows = part.rows(CELLS);
    let (obs, additions) = if rows.is_empty() {
        (Frame::default(), Additions::default())
    } else {
        found(rows.clone())
    };
    if !rows.is_empty() {
        let merge = [("cells".to_owned(), Merge::Sum)].into();
        manifest.record =
            Some(PartRecord { name: "r".into(), record: json!({"cells": rows.len()}), merge });
        manifest.warnings = vec!["of all".into(), format!("of {}", rows.start)];
    }
    let path = folder.path().join(part.file_name(name));
    let input = folder.path().join("cells.h5ad");
    make_part_file(manifest, (&obs, &additions), &input, &path, Existing::Replace)
        .and_then(crate::Place::publish)
        .unwrap();
    path
}

fn parts(folder: &tempfile::TempDir, of: usize) -> Vec<PathBuf> {
    let part = |number| PartNumber::new(number, of).unwrap();
    (1..=of).map(|number| write(folder, "x", part(number), run(json!({"seed": 0})))).collect()
}

fn rows_of(spool: &RowSpool) -> Vec<f32> {
    let mut rows = Vec::new();
    spool.read_rows(0, spool.n_rows(), &mut rows).unwrap();
    rows
}

fn refused<T>(result: Result<T>) -> (String, String) {
    let error = result.err().unwrap();
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn joined_parts_are_the_whole() {
    for of in [1, 2, 3, 5, 7] {
        let folder = tempfile::tempdir().unwrap();
        let paths = parts(&folder, of);
        let named = Parts::find(&[folder.path().into()]).unwrap();
        assert_eq!(named, paths);
        assert_eq!(Parts::find(&[folder.path().join("x")]).unwrap(), paths);
        let read = Parts::open(&named).unwrap();
        let joined = read.read(Some(folder.path()), &Silent).unwrap();
        let (names, whole) = found(0..CELLS);
        assert_eq!(joined.obs, names);
        // NaN is not itself.
        assert_eq!(format!("{:?}", joined.additions.obs), format!("{:?}", whole.obs), "{of} parts");
        for ((name, rows), (expected, whole)) in joined.additions.obsm.iter().zip(&whole.obsm) {
            assert_eq!(name, expected);
            assert_eq!(rows_of(rows), rows_of(whole));
        }
        assert_eq!(joined.record, ("r".into(), json!({"cells": CELLS})));
        let warnings = read.warnings();
        assert_eq!(warnings[0], "of all");
        assert_eq!(warnings.len(), 1 + of.min(CELLS), "{warnings:?}");
    }
}

#[test]
fn parts_are_tables_that_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = &parts(&folder, 1)[0];
    let table = Table::read(path).unwrap();
    assert_eq!(
        table.names().collect::<Vec<_>>(),
        ["cell", "type", "label", "text", "share", "n", "is"]
    );
    assert_eq!(table.len(), CELLS);
}

#[test]
fn what_is_missing_twice_or_foreign_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = parts(&folder, 4);
    let (third, first) = (paths.remove(2), paths.remove(0));
    let (said, remedy) = refused(Parts::open(&paths));
    assert_eq!(said, "parts 1, 3 of 4 are missing");
    assert_eq!(remedy, "run `scgpt embed cells.h5ad part=1/4`, and so on");
    paths.push(first);
    let (said, remedy) = refused(Parts::open(&paths));
    assert_eq!(
        (said.as_str(), remedy.as_str()),
        ("part 3 of 4 is missing", "run `scgpt embed cells.h5ad part=3/4`")
    );
    let copy = folder.path().join("copy.parquet");
    fs::copy(&third, &copy).unwrap();
    let (said, _) = refused(Parts::open(&[&paths[..], &[third.clone(), copy]].concat()));
    assert!(said.starts_with("part 3/4 is there twice: `"), "{said}");

    let third_part = PartNumber::new(3, 4).unwrap();
    let mut model = run(json!({"seed": 0}));
    model.model = Some("def".into());
    for (other, expected) in [
        (run(json!({"seed": 1})), "`options.seed` is 1, there 0"),
        (model, "`model` is \"def\", there \"abc\""),
    ] {
        let other = write(&folder, "y", third_part, other);
        let (said, _) = refused(Parts::open(&[&paths[..], &[other]].concat()));
        assert!(said.contains("y.part-0003") && said.contains(expected), "{said}");
    }
    let (said, remedy) = refused(Parts::find(&[folder.path().into()]));
    assert!(said.contains("parts of several outputs: `x`, `y`"), "{said}");
    assert!(remedy.ends_with("/x"), "{remedy}");
    let (said, remedy) = refused(Parts::find(&[folder.path().join("z")]));
    assert!(
        said.contains("no part of a run is there") && remedy.contains("part-0001-of-0016"),
        "{said}"
    );
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = &parts(&folder, 1)[0];
    let whole = fs::read(path).unwrap();
    let verified = |bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        PartFile::open(path).and_then(|file| file.verify())
    };
    verified(&whole).unwrap();
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        let (said, remedy) = refused(verified(&whole[..length]));
        assert!(said.contains("damaged"), "{length}: {said}");
        assert!(remedy.contains("make the part again"), "{remedy}");
    }
    // What is not seen is of no meaning: the manifest is the same, and it has a hash of the rows.
    fs::write(path, &whole).unwrap();
    let manifest = PartFile::open(path).unwrap().manifest().clone();
    let mut seen = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        seen += usize::from(verified(&bytes).is_err());
        if let Ok(file) = PartFile::open(path) {
            assert_eq!(*file.manifest(), manifest, "byte {at}");
        }
    }
    assert!(seen * 9 > whole.len(), "{seen} of {} changed bytes are seen", whole.len());
    let other = folder.path().join("t.parquet");
    let text = Column::Text(vec![Some("a".into())]);
    Table { columns: vec![("x".into(), text)] }.write(&other, Existing::Refuse).unwrap();
    let (said, remedy) = refused(PartFile::open(&other));
    assert!(said.contains("no part of a run") && remedy.contains("part-0001-of-0016"), "{said}");
}
