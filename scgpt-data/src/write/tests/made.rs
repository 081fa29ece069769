//! Files made for what no fixture has: names, lengths and attributes that lead astray.

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{copied, open};
use crate::{
    Existing,
    anndata::store::{Dtype, Node},
    cell_source::CellSource as _,
    frame::{Column, Frame},
    source::Source,
    summary::Layer,
    write::{
        Additions,
        anndata::{categories_of, dense, encoding, frame},
        element::{Attrs, Dtype as Stored, Sink, Values as Written, array},
        h5::H5Sink,
        save_copy,
        zarr::ZarrSink,
    },
};

fn names(names: &[&str]) -> Frame {
    let index = names.iter().map(|&name| name.into()).collect();
    Frame { index_name: "cell".into(), index, columns: Vec::new() }
}

/// An h5ad file of three cells, two genes, and what is added.
fn hdf5(folder: &Path, add: impl FnOnce(&mut dyn Sink)) -> PathBuf {
    let path = folder.join("made.h5ad");
    let mut sink = H5Sink::create(fs::File::create(&path).unwrap(), &path).unwrap();
    frame(&mut sink, "obs", &names(&["x", "y", "z"])).unwrap();
    frame(&mut sink, "var", &names(&["a", "b"])).unwrap();
    sink.group("uns", &Attrs::new()).unwrap();
    add(&mut sink);
    sink.finish().unwrap();
    path
}

/// A zarr folder of three cells and two genes with one more array, `metadata` and bytes of its chunk.
fn zarr(folder: &Path, place: &str, metadata: &Value, chunk: &[u8]) -> PathBuf {
    let (path, _) = copied(folder, &hdf5(folder, |_| ()), "made.zarr");
    fs::remove_dir_all(path.join(place)).ok();
    fs::create_dir_all(path.join(place)).unwrap();
    fs::write(path.join(place).join(".zarray"), metadata.to_string()).unwrap();
    fs::write(path.join(place).join("0"), chunk).unwrap();
    path
}

#[test]
fn names_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("beside");
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("kept"), "text").unwrap();
    let input = hdf5(folder.path(), |sink| {
        sink.group("uns/..", &Attrs::new()).unwrap();
        sink.group("uns/../..", &Attrs::new()).unwrap();
        sink.group("uns/../../beside", &Attrs::new()).unwrap();
        array(sink, "uns/../../beside/new", Stored::I8, &[1], &[7], &dense()).unwrap();
        sink.remove("obs").unwrap();
        let fields = [
            ("cell".to_owned(), Written::Texts(["x", "y", "z"].map(String::from).to_vec())),
            ("../../beside".to_owned(), Written::Numbers(Stored::I8, vec![1, 2, 3])),
        ];
        sink.records("obs", &[3], &fields, &Attrs::new()).unwrap();
    });
    for name in ["a.zarr", "a.h5ad"] {
        let place = folder.path().join(name);
        let copy = if name == "a.zarr" {
            let (_, skipped) = copied(folder.path(), &input, name);
            assert!(skipped.contains(&"uns/..: a name that is no part of a path".into()));
            let renamed = "obs/../../beside: its name, which becomes `.._.._beside`";
            assert!(skipped.contains(&renamed.to_owned()), "{skipped:?}");
            open(&place)
        } else {
            let labels = vec!["T".to_owned(); 3];
            let additions = Additions {
                obs: vec![("cell_type".into(), Column::categorical(&labels))],
                ..Additions::default()
            };
            save_copy(&input, &place, &additions, Existing::Replace).unwrap();
            open(&place)
        };
        let order = &copy.attributes("obs").unwrap()["column-order"];
        assert_eq!(order[0], ".._.._beside", "{name}");
        assert_eq!(fs::read_dir(&beside).unwrap().count(), 1, "{name}");
    }
    let mut table = names(&["x"]);
    table.columns.push(("../../beside".into(), Column::Integer(vec![Some(1)])));
    let path = folder.path().join("b.zarr");
    fs::create_dir(&path).unwrap();
    let mut sink = ZarrSink::create(&path, &path).unwrap();
    frame(&mut sink, "obs", &table).unwrap();
    assert!(path.join("obs/.._.._beside").is_dir());
}

#[test]
fn axes_of_any_length_beside_one_without() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [0, 1 << 32, 1 << 32];
    let input = hdf5(folder.path(), |sink| {
        array(sink, "uns/none", Stored::F32, &shape, &[], &dense()).unwrap();
    });
    for name in ["b.zarr", "b.h5ad"] {
        let (copy, skipped) = copied(folder.path(), &input, name);
        assert_eq!(skipped, [""; 0]);
        let Some(Node::Array(array)) = open(&copy).node("uns/none").unwrap() else {
            panic!("{name}")
        };
        assert_eq!(array.shape(), [0, 1 << 32, 1 << 32]);
    }
    // Texts of no letters at all.
    let metadata = json!({"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|S0", "fill_value": "",
        "order": "C", "filters": null, "compressor": null});
    let input = zarr(folder.path(), "uns/empty", &metadata, &[]);
    let attrs = json!({"encoding-type": "array", "encoding-version": "0.2.0"});
    fs::write(input.join("uns/empty/.zattrs"), attrs.to_string()).unwrap();
    copied(folder.path(), &input, "c.h5ad");
}

#[test]
fn fields_of_records_are_named_in_two_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.zarr");
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {}});
    fs::create_dir_all(path.join("r")).unwrap();
    fs::write(path.join("zarr.json"), group.to_string()).unwrap();
    for (name, fields) in [
        ("structured", json!([["a", "int8"], ["b", "int16"]])),
        (
            "struct",
            json!([{"name": "a", "data_type": "int8"}, {"name": "b", "data_type": "int16"}]),
        ),
    ] {
        let array = json!({"zarr_format": 3, "node_type": "array", "shape": [1],
            "data_type": {"name": name, "configuration": {"fields": fields}},
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}},
            "chunk_key_encoding": {"name": "default"}, "fill_value": {"a": 0, "b": 0}, "attributes": {},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]});
        fs::write(path.join("r/zarr.json"), array.to_string()).unwrap();
        let Some(Node::Array(array)) = open(&path).node("r").unwrap() else { panic!("{name}") };
        let Dtype::Records(fields) = array.dtype() else {
            panic!("{name}: {}", array.dtype().name())
        };
        let places: Vec<(&str, usize)> =
            fields.iter().map(|field| (field.name.as_str(), field.offset)).collect();
        assert_eq!(places, [("a", 0), ("b", 1)], "{name}");
    }
}

#[test]
fn names_may_be_categories() {
    let folder = tempfile::tempdir().unwrap();
    let input = hdf5(folder.path(), |sink| {
        let mut table = names(&["x", "y", "z"]);
        let labels = ["z", "x", "y"].map(String::from);
        table.columns.push(("cell_id".into(), Column::categorical(&labels)));
        sink.remove("obs").unwrap();
        frame(sink, "obs", &table).unwrap();
        sink.set_attr("obs", "_index", &json!("cell_id")).unwrap();
    });
    let (copy, skipped) = copied(folder.path(), &input, "i.zarr");
    assert_eq!(skipped, [""; 0]);
    assert_eq!(Source::open(&copy).unwrap().obs().unwrap().index, ["z", "x", "y"]);
}

#[test]
fn dates_among_records_do_not_move_what_is_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!([["index", "|S1"], ["day", "<M8[ns]"], ["n", "<i4"]]);
    let metadata = json!({"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": fields,
        "fill_value": null, "order": "C", "filters": null, "compressor": null});
    let records = [b'x', b'y', b'z'].iter().zip(5_i32..);
    let chunk = records.flat_map(|(&name, n)| [&[name][..], &[9; 8], &n.to_le_bytes()].concat());
    let input = zarr(folder.path(), "obs", &metadata, &chunk.collect::<Vec<u8>>());
    let (copy, skipped) = copied(folder.path(), &input, "d.h5ad");
    assert_eq!(skipped, ["obs/day: a field of a type that has no column"]);
    let obs = Source::open(&copy).unwrap().obs().unwrap();
    assert_eq!(obs.column("n"), Some(&Column::Integer(vec![Some(5), Some(6), Some(7)])));
}

#[test]
fn texts_of_version_3_claim_no_more_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.zarr");
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {}});
    for data_type in [
        json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": 400_000_000_000_u64}}),
        json!({"name": "structured", "configuration": {"fields":
            [["a", {"name": "null_terminated_bytes", "configuration": {"length_bytes": u64::MAX}}], ["b", "int64"]]}}),
        json!({"name": "struct", "configuration": {"fields":
            [{"name": "a", "data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": u64::MAX}}}]}}),
    ] {
        fs::create_dir_all(path.join("wide")).unwrap();
        fs::write(path.join("zarr.json"), group.to_string()).unwrap();
        let array = json!({"zarr_format": 3, "node_type": "array", "shape": [1], "data_type": data_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}},
            "chunk_key_encoding": {"name": "default"}, "fill_value": "", "attributes": {},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]});
        fs::write(path.join("wide/zarr.json"), array.to_string()).unwrap();
        let Some(Node::Array(array)) = open(&path).node("wide").unwrap() else {
            panic!("an array")
        };
        assert!(array.dtype().name().ends_with(" bytes"), "{}", array.dtype().name());
    }
}

#[test]
fn attributes_that_have_no_counterpart_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let (input, _) = copied(folder.path(), &hdf5(folder.path(), |_| ()), "e.zarr");
    let attrs = json!({"nested": {"a": 1}, "mixed": [1, "a"], "null": null, "good": ["a"]});
    fs::write(input.join("uns/.zattrs"), attrs.to_string()).unwrap();
    let (copy, skipped) = copied(folder.path(), &input, "e.h5ad");
    let said = ["nested", "mixed", "null"]
        .map(|name| format!("uns: its attribute `{name}`, of a type that is not known"));
    assert_eq!(skipped, said);
    assert_eq!(Value::Object(open(&copy).attributes("uns").unwrap()), json!({"good": "a"}));
}

#[test]
fn a_column_may_be_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let input = hdf5(folder.path(), |sink| {
        sink.set_attr("obs", "column-order", &json!(["cell"])).unwrap();
    });
    for name in ["f.zarr", "f.h5ad"] {
        let (copy, skipped) = copied(folder.path(), &input, name);
        assert_eq!(skipped, [""; 0]);
        assert_eq!(open(&copy).attributes("obs").unwrap()["column-order"], json!(["cell"]));
        let obs = Source::open(&copy).unwrap().obs().unwrap();
        assert_eq!(obs.column("cell").unwrap().labels()[1].as_deref(), Some("y"));
    }
}

#[test]
fn lists_that_are_too_long_for_an_attribute_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (input, _) = copied(folder.path(), &hdf5(folder.path(), |_| ()), "g.zarr");
    let order: Vec<String> = (0..4100).map(|n| format!("column {n}")).collect();
    let mut sink = ZarrSink::extend(&input, &input).unwrap();
    sink.set_attr("obs", "column-order", &json!(order)).unwrap();
    let output = folder.path().join("g.h5ad");
    let error = save_copy(&input, &output, &Additions::default(), Existing::Replace).unwrap_err();
    let said = error.source().unwrap().to_string();
    assert_eq!(said, "the attribute `column-order` is larger than the 64 KiB that HDF5 allows");
    assert!(error.hint().unwrap().contains(".zarr"));
}

#[test]
fn a_raw_that_is_none_is_no_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let path = hdf5(folder.path(), |sink| {
        let attrs = encoding("null", "0.1.0");
        sink.null("raw", &attrs).unwrap();
        array(sink, "X", Stored::F32, &[3, 2], &[0; 24], &dense()).unwrap();
    });
    let error = Source::open(&path).unwrap().var(&Layer::Raw).unwrap_err();
    assert!(error.to_string().contains("no such matrix; the file has `X`"), "{error}");
}

#[test]
fn codes_below_missing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = hdf5(folder.path(), |sink| {
        let categories = Written::Texts(vec!["u".into()]);
        let codes = [-2_i8, 0, 0].map(|code| code.to_le_bytes()[0]);
        categories_of(sink, ("obs/c", Stored::I8, &codes), (&categories, 1), false).unwrap();
        sink.set_attr("obs", "column-order", &json!(["c"])).unwrap();
    });
    let error = Source::open(&path).unwrap().obs().unwrap_err();
    assert!(error.to_string().contains("code -2 with 1 categories"), "{error}");
}

#[test]
fn single_texts_of_the_first_versions_are_no_lists() {
    let folder = tempfile::tempdir().unwrap();
    let input = hdf5(folder.path(), |sink| {
        array(sink, "uns/method", Stored::Bytes(4), &[1], b"umap", &Attrs::new()).unwrap();
    });
    let store = copied(folder.path(), &input, "h.zarr").0;
    let store = open(&store);
    let Some(Node::Array(array)) = store.node("uns/method").unwrap() else { panic!("an array") };
    assert_eq!((array.shape(), array.texts().unwrap()), (&[][..], vec!["umap".to_owned()]));
    assert_eq!(store.attributes("uns/method").unwrap()["encoding-type"], "string");
}
