//! scBank folders, as pyarrow and HF datasets write them, and spoilt ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use scgpt_data::{CellSource, Layer, Source};
use tempfile::TempDir;

use crate::{entries, read_all};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scbank")
}

/// A copy that may be spoilt.
fn copy(name: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join(name);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(data().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    (place, folder)
}

/// Opens and reads all, which must fail with a remedy.
fn refused(folder: &Path) -> String {
    let error = match Source::open(folder) {
        Ok(mut source) => read_all(&mut source, &Layer::X, 10).unwrap_err(),
        Err(error) => error,
    };
    assert!(error.hint().is_some(), "{error}");
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next;
    }
    text
}

#[test]
fn all_variants_give_the_same_cells() {
    // Sorted, the second of equal genes and `<cls>` left out; cell 1 is empty.
    let expected = [
        (0, 0, 5.0),
        (0, 3, 2.0),
        (2, 1, 1.0),
        (2, 2, 7.0),
        (2, 4, 3.0),
        (3, 0, 2.0),
        (3, 4, 1.0),
        (4, 2, 4.0),
    ];
    for (name, format, dtype) in [
        ("snappy.scb", "scBank (parquet)", "float32"),
        ("zstd.scb", "scBank (parquet)", "float64"),
        ("gzip.scb", "scBank (parquet)", "float32"),
        ("json.scb", "scBank (json)", "float32"),
    ] {
        let folder = data().join(name);
        assert!(Source::recognises(&folder));
        let mut source = Source::open(&folder).unwrap();
        assert_eq!(source.summary().format, format);
        assert_eq!(source.summary().matrices[0].dtype, dtype);
        for step in [1, 2, 3, 10] {
            let (blocks, obs, var) = read_all(&mut source, &Layer::X, step).unwrap();
            assert_eq!(entries(&blocks), expected, "{name}");
            assert_eq!(obs.len(), 5);
            assert_eq!(var.index[..4], ["PARK7", "SSU72", "TNFRSF4", "RBP7"]);
        }
        // Out of order, and twice.
        let one = source.read(&Layer::X, 3..4).unwrap();
        assert_eq!(one.indices(), [0, 4]);
        assert_eq!(source.read(&Layer::X, 0..2).unwrap().n_stored(), 2);
        assert_eq!(source.read(&Layer::X, 0..2).unwrap().n_stored(), 2);
        assert!(source.read(&Layer::Raw, 0..2).is_err());
        assert!(source.read(&Layer::X, 4..6).is_err());
    }
}

#[test]
fn damage_is_named() {
    let (_place, folder) = copy("json.scb");
    let table = folder.join("X.datatable.json");
    for (line, expected) in [
        (r#"{"id": 0, "genes": [1], "expressions": [1.0, 2.0]}"#, "1 genes, but 2 expressions"),
        (
            r#"{"id": 0, "genes": [8], "expressions": [1.0]}"#,
            "gene 8, but gene_vocab.json has the 8 tokens",
        ),
        (r#"{"id": 0, "genes": [-1], "expressions": [1.0]}"#, "gene -1"),
        (r#"{"id": 0, "genes": [1], "expressions": [-1.0]}"#, "negative value"),
        (r#"{"id": 0, "genes": [1]}"#, "missing field `expressions`"),
        (r#"{"id": 0, "gen"#, "cell 0"),
    ] {
        fs::write(&table, line).unwrap();
        let said = refused(&folder);
        assert!(said.contains(expected), "{said}");
    }
    let manifest = folder.join("manifest.json");
    for (text, expected) in [
        ("{", "manifest.json"),
        (r#"{"on_disk_format": "csv", "main_data": "X"}"#, "on_disk_format is `csv`"),
        (r#"{"on_disk_format": "json", "main_data": "Y"}"#, "Y.datatable.json` is not there"),
        (r#"{"on_disk_format": "json"}"#, "main_data"),
    ] {
        fs::write(&manifest, text).unwrap();
        let said = refused(&folder);
        assert!(said.contains(expected), "{said}");
    }
    let (_place, folder) = copy("snappy.scb");
    fs::write(folder.join("gene_vocab.json"), "[]").unwrap();
    assert!(refused(&folder).contains("gene_vocab.json"));
}

#[test]
fn no_byte_of_a_table_can_cause_a_panic() {
    scgpt_data::silence_guarded_panics();
    for name in ["snappy.scb", "zstd.scb", "gzip.scb"] {
        let (_place, folder) = copy(name);
        let table = folder.join("X.datatable.parquet");
        let whole = fs::read(&table).unwrap();
        for n in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(&table, &whole[..n]).unwrap();
            assert!(refused(&folder).contains("X.datatable.parquet"));
        }
        for at in (0..whole.len()).step_by(2) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            fs::write(&table, bytes).unwrap();
            if let Ok(mut source) = Source::open(&folder) {
                // Not every flipped bit can be noticed: parquet has no checksums by default.
                drop(read_all(&mut source, &Layer::X, 2));
            }
        }
    }
}
