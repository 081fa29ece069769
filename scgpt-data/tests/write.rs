//! Copies and exports are read back, and nothing is left behind when one fails.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use hdf5_pure::{AttrValue, File, FileBuilder};
use scgpt_data::{
    Additions, CellSource, Column, CopyReport, Csr, Error, Existing, Frame, Layer, Result,
    RowSpool, Source, Summary, export, save_copy,
};
use serde_json::json;

/// Cells made up on demand; reading fails at `broken`.
struct Planted {
    summary: Summary,
    broken: usize,
}

const CELLS: usize = 1300;
const GENES: usize = 50;

impl Planted {
    fn new() -> Self {
        Self {
            summary: Summary {
                path: "planted".into(),
                format: "planted".into(),
                n_cells: CELLS,
                matrices: Vec::new(),
                elements: Vec::new(),
                chosen: None,
                values: None,
            },
            broken: CELLS,
        }
    }
}

impl CellSource for Planted {
    scgpt_data::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(Frame {
            index_name: "barcode".into(),
            index: (0..CELLS).map(|cell| format!("cell-{cell}")).collect(),
            columns: vec![
                ("text".into(), Column::Text(each(|cell| format!("ü{cell}")))),
                ("count".into(), Column::Integer(each(|cell| i64::try_from(cell).unwrap() - 7))),
                ("share".into(), Column::Float(each(|cell| cell as f64 / 3.0))),
                ("even".into(), Column::Boolean(each(|cell| cell % 2 == 0))),
                ("gaps".into(), Column::Integer(holes(|cell| i64::try_from(cell).unwrap()))),
                ("flags".into(), Column::Boolean(holes(|cell| cell % 2 == 0))),
                ("batch".into(), batches()),
            ],
        })
    }

    fn var(&self, _: &Layer) -> Result<Frame> {
        Ok(Frame {
            index_name: "_index".into(),
            index: (0..GENES).map(|gene| format!("G{gene}")).collect(),
            columns: Vec::new(),
        })
    }

    fn read(&mut self, _: &Layer, rows: Range<usize>) -> Result<Csr> {
        if rows.contains(&self.broken) {
            return Err(Error::invalid("planted", "X", "broken here"));
        }
        let mut indptr = vec![0];
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for cell in rows {
            for gene in (cell % 7..GENES).step_by(5) {
                indices.push(u32::try_from(gene).unwrap());
                values.push((cell + gene) as f32);
            }
            indptr.push(indices.len());
        }
        Csr::new(GENES, indptr, indices, values).map_err(|problem| Error::invalid("", "X", problem))
    }
}

fn each<T>(value: impl Fn(usize) -> T) -> Vec<Option<T>> {
    (0..CELLS).map(|cell| Some(value(cell))).collect()
}

fn holes<T>(value: impl Fn(usize) -> T) -> Vec<Option<T>> {
    let filled = (0..CELLS).map(|cell| (cell % 5 != 0).then(|| value(cell)));
    filled.collect()
}

fn batches() -> Column {
    let names = ["a", "b", "c"];
    Column::Categorical {
        codes: holes(|cell| u32::try_from(cell % 3).unwrap()),
        categories: names.map(str::to_owned).to_vec(),
        ordered: true,
    }
}

fn additions(n_cells: usize) -> Additions {
    let mut spool = RowSpool::new(3).unwrap();
    for cell in 0..n_cells {
        spool.push(&[cell as f32, -1.0, 0.5]).unwrap();
    }
    let labels: Vec<String> = (0..n_cells).map(|cell| format!("type {}", cell % 4)).collect();
    Additions {
        obsm: vec![("X_scGPT".into(), spool)],
        obs: vec![("type".into(), Column::categorical(&labels))],
        uns: vec![
            ("scgpt".into(), json!({"seed": 3, "model": {"name": "é"}, "list": ["a", "b"]})),
            ("type_colors".into(), json!(["#ff0000", "#00ff00"])),
        ],
        ..Additions::default()
    }
}

/// A folder of a test, and the file of the fixtures in it.
fn setting() -> (tempfile::TempDir, PathBuf, usize) {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/embed_end_to_end/cells_csc_gzip.h5ad");
    let input = folder.path().join("in.h5ad");
    fs::copy(fixture, &input).unwrap();
    let n_cells = Source::open(&input).unwrap().summary().n_cells;
    (folder, input, n_cells)
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn matrix(path: &Path) -> Csr {
    let mut source = Source::open(path).unwrap();
    let n_cells = source.summary().n_cells;
    source.read(&Layer::X, 0..n_cells).unwrap()
}

/// That `copy` is `input` and the additions.
fn assert_copy(input: &Path, copy: &Path) {
    assert_eq!(matrix(input), matrix(copy));
    let (input, copy) = (Source::open(input).unwrap(), Source::open(copy).unwrap());
    assert_eq!(input.var(&Layer::X).unwrap(), copy.var(&Layer::X).unwrap());
    let (before, mut after) = (input.obs().unwrap(), copy.obs().unwrap());
    let (name, column) = after.columns.pop().unwrap();
    assert_eq!(before, after);
    assert_eq!((name.as_str(), column.kind()), ("type", "categorical"));
    assert_eq!(column.labels()[1].as_deref(), Some("type 1"));
    let elements = &copy.summary().elements;
    assert!(elements.contains(&"obsm/X_scGPT".to_owned()), "{elements:?}");
    assert!(elements.contains(&"uns/scgpt".to_owned()), "{elements:?}");
    // Lists of a dictionary, and one that is no part of any.
    assert_eq!(copy.read_lists("scgpt").unwrap()["list"], ["a", "b"]);
    assert_eq!(copy.read_lists("type_colors").unwrap()["type_colors"], ["#ff0000", "#00ff00"]);
    assert!(copy.read_lists("batch_colors").unwrap().is_empty());
}

#[test]
fn a_copy_is_the_input_and_the_additions() {
    let (folder, input, n_cells) = setting();
    let bytes = fs::read(&input).unwrap();
    let output = folder.path().join("out.h5ad");
    let report = save_copy(&input, &output, &additions(n_cells), Existing::Refuse).unwrap();
    assert_eq!(report, CopyReport::default());
    assert_copy(&input, &output);
    assert_eq!(fs::read(&input).unwrap(), bytes);
    assert_eq!(entries(folder.path()), ["in.h5ad", "out.h5ad"]);

    let file = File::open(&output).unwrap();
    let embedding = file.dataset("obsm/X_scGPT").unwrap();
    assert_eq!(embedding.shape().unwrap(), [n_cells as u64, 3]);
    assert_eq!(embedding.read_f32().unwrap()[3..6], [1.0, -1.0, 0.5]);
    assert_eq!(embedding.attrs().unwrap()["encoding-type"].as_str(), Some("array"));
    let name = file.dataset("uns/scgpt/model/name").unwrap();
    assert_eq!(name.read_string().unwrap(), ["é"]);
    let order = &file.group("obs").unwrap().attrs().unwrap()["column-order"];
    assert_eq!(order.as_strings().and_then(<[_]>::last).map(String::as_str), Some("type"));
}

#[test]
fn vectors_of_genes_go_to_varm() {
    let (folder, input, _) = setting();
    let n_genes = Source::open(&input).unwrap().var(&Layer::X).unwrap().len();
    let genes = |n: usize| {
        let mut rows = RowSpool::new(2).unwrap();
        (0..n).for_each(|gene| rows.push(&[gene as f32, f32::NAN]).unwrap());
        Additions { varm: vec![("scGPT_gene_emb".into(), rows)], ..Additions::default() }
    };
    for name in ["out.h5ad", "out.zarr"] {
        let output = folder.path().join(name);
        save_copy(&input, &output, &genes(n_genes), Existing::Refuse).unwrap();
        let elements = &Source::open(&output).unwrap().summary().elements.clone();
        assert!(elements.contains(&"varm/scGPT_gene_emb".to_owned()), "{elements:?}");
        let error = save_copy(&input, &output, &genes(n_genes + 1), Existing::Replace).unwrap_err();
        assert!(error.to_string().contains("genes"), "{error}");
    }
    let file = File::open(folder.path().join("out.h5ad")).unwrap();
    let vectors = file.dataset("varm/scGPT_gene_emb").unwrap();
    assert_eq!(vectors.shape().unwrap(), [n_genes as u64, 2]);
    assert!((vectors.read_f32().unwrap()[4] - 2.0).abs() < 1e-6);
}

#[test]
fn a_copy_of_a_copy_replaces_the_additions() {
    let (folder, input, n_cells) = setting();
    let [first, second] = ["first.h5ad", "second.h5ad"].map(|name| folder.path().join(name));
    save_copy(&input, &first, &additions(n_cells), Existing::Refuse).unwrap();
    save_copy(&first, &second, &additions(n_cells), Existing::Refuse).unwrap();
    assert_copy(&input, &second);
}

#[test]
fn containers_are_converted_both_ways() {
    let (folder, input, n_cells) = setting();
    let [zarr, back, twice] = ["a.zarr", "b.h5ad", "c.zarr"].map(|name| folder.path().join(name));
    save_copy(&input, &zarr, &additions(n_cells), Existing::Refuse).unwrap();
    assert_copy(&input, &zarr);
    save_copy(&zarr, &back, &additions(n_cells), Existing::Refuse).unwrap();
    assert_copy(&input, &back);
    save_copy(&zarr, &twice, &additions(n_cells), Existing::Refuse).unwrap();
    assert_copy(&input, &twice);
    assert!(!twice.join(".zmetadata").exists());
}

#[test]
fn a_source_is_exported_to_both_containers() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["out.h5ad", "out.zarr"] {
        let output = folder.path().join(name);
        let mut source = Planted::new();
        export(&mut source, &Layer::X, &output, &additions(CELLS), Existing::Refuse).unwrap();
        assert_eq!(matrix(&output), source.read(&Layer::X, 0..CELLS).unwrap());
        let read = Source::open(&output).unwrap();
        assert_eq!(read.var(&Layer::X).unwrap(), source.var(&Layer::X).unwrap());
        let mut obs = read.obs().unwrap();
        assert_eq!(obs.columns.pop().unwrap().0, "type");
        assert_eq!(obs, source.obs().unwrap());
        // Over an output of either kind.
        export(&mut source, &Layer::X, &output, &additions(CELLS), Existing::Replace).unwrap();
    }
    assert_eq!(entries(folder.path()), ["out.h5ad", "out.zarr"]);
}

#[test]
fn a_file_of_the_newer_format_is_extended() {
    let (folder, ..) = setting();
    let input = folder.path().join("new.h5ad");
    let mut builder = FileBuilder::new();
    builder.create_dataset("X").with_f32_data(&[1.0, 2.0]).with_shape(&[2, 1]);
    for (name, index) in [("obs", &["a", "b"][..]), ("var", &["G"][..])] {
        let mut group = builder.create_group(name);
        group.set_attr("_index", AttrValue::VarLenString("_index".into()));
        group.set_attr("encoding-type", AttrValue::VarLenString("dataframe".into()));
        group.set_attr("column-order", AttrValue::VarLenStringArray(Vec::new()));
        group.create_dataset("_index").with_vlen_strings(index);
        builder.add_group(group.finish());
    }
    builder.write(&input).unwrap();
    let output = folder.path().join("out.h5ad");
    save_copy(&input, &output, &additions(2), Existing::Refuse).unwrap();
    assert_copy(&input, &output);
    // The file was extended, not converted: what was there is there in the same place.
    let (before, after) = (fs::read(&input).unwrap(), fs::read(&output).unwrap());
    assert_eq!(before[48..], after[48..before.len()]);
}

#[test]
fn outputs_are_not_overwritten_unasked() {
    let (folder, input, n_cells) = setting();
    let output = folder.path().join("out.h5ad");
    fs::write(&output, "precious").unwrap();
    let error = save_copy(&input, &output, &additions(n_cells), Existing::Refuse).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let error =
        export(&mut Planted::new(), &Layer::X, &output, &additions(CELLS), Existing::Refuse);
    assert!(matches!(error.unwrap_err(), Error::Exists { .. }));
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    save_copy(&input, &output, &additions(n_cells), Existing::Replace).unwrap();
    assert_copy(&input, &output);
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let (folder, input, n_cells) = setting();
    let output = folder.path().join("out.h5ad");
    let bytes = fs::read(&input).unwrap();

    let error = save_copy(&input, &input, &additions(n_cells), Existing::Replace).unwrap_err();
    assert!(error.to_string().contains("is the input"), "{error}");
    let error = save_copy(&input, &output, &additions(n_cells + 1), Existing::Refuse).unwrap_err();
    assert!(error.to_string().contains("rows, but there are"), "{error}");
    let missing = folder.path().join("missing/out.h5ad");
    let error = save_copy(&input, &missing, &additions(n_cells), Existing::Refuse).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    let none = folder.path().join("none.h5ad");
    let error = save_copy(&none, &output, &additions(n_cells), Existing::Refuse).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    fs::write(folder.path().join("cut.h5ad"), &bytes[..bytes.len() / 2]).unwrap();
    let cut = folder.path().join("cut.h5ad");
    save_copy(&cut, &output, &additions(n_cells), Existing::Refuse).unwrap_err();
    for name in ["out.h5ad", "out.zarr"] {
        let mut source = Planted::new();
        source.broken = 900;
        let output = folder.path().join(name);
        let error = export(&mut source, &Layer::X, &output, &additions(CELLS), Existing::Refuse);
        assert!(error.unwrap_err().to_string().contains("broken here"));
    }
    assert_eq!(entries(folder.path()), ["cut.h5ad", "in.h5ad"]);
    assert_eq!(fs::read(&input).unwrap(), bytes);
}
