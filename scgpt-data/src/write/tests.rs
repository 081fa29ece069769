//! Copies hold what their input holds: every element of files that anndata wrote with all it can.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod made;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{Additions, element::Sink as _, h5::H5Sink, save_copy};
use crate::{
    Existing,
    anndata::{
        frame::{is_true, whole},
        records::{Records, Values},
        store::{Dtype, Node, Store, join},
    },
    cell_source::CellSource as _,
    container::Container,
    frame::Column,
    h5::H5Store,
    source::Source,
    summary::Layer,
    zarr::ZarrStore,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/field_cases").join(name)
}

fn open(path: &Path) -> Box<dyn Store> {
    match Container::of(path).unwrap() {
        Container::Hdf5 => Box::new(H5Store::open(path).unwrap()),
        _ => Box::new(ZarrStore::open(path).unwrap()),
    }
}

/// A copy of a fixture without additions, and what was left out.
fn copied(folder: &Path, input: &Path, name: &str) -> (PathBuf, Vec<String>) {
    let output = folder.join(name);
    let report = save_copy(input, &output, &Additions::default(), Existing::Replace).unwrap();
    (output, report.skipped)
}

/// Attributes as AnnData understands them: containers differ in what types they have.
fn meant(mut attrs: Map<String, Value>) -> Map<String, Value> {
    attrs.retain(|_, value| !value.is_null() && *value != json!([]));
    if let Some(ordered) = attrs.get_mut("ordered") {
        *ordered = is_true(ordered).into();
    }
    if let Some(Value::Array(shape)) = attrs.get_mut("shape") {
        for length in shape {
            *length = whole(length).into();
        }
    }
    attrs
}

/// That `other` has at `place` what `store` has; `n` counts elements.
fn assert_same(store: &dyn Store, other: &dyn Store, place: &str, n: &mut usize) {
    *n += 1;
    assert_eq!(
        meant(store.attributes(place).unwrap()),
        meant(other.attributes(place).unwrap()),
        "{place}"
    );
    let (array, copy) = match (store.node(place).unwrap(), other.node(place).unwrap()) {
        (Some(Node::Group), Some(Node::Group)) => {
            let names = store.children(place).unwrap();
            assert_eq!(names, other.children(place).unwrap(), "{place}");
            for name in names {
                assert_same(store, other, &join(place, &name), n);
            }
            return;
        }
        (Some(Node::Array(array)), Some(Node::Array(copy))) => (array, copy),
        _ => panic!("{place}: of another kind"),
    };
    let is_null =
        store.attributes(place).unwrap().get("encoding-type").is_some_and(|kind| kind == "null");
    if is_null {
        return;
    }
    assert_eq!(array.shape(), copy.shape(), "{place}");
    let all = 0..array.len();
    if let Dtype::Records(fields) = array.dtype() {
        let records = Records::read(store, place, array.as_ref()).unwrap();
        let copies = Records::read(other, place, copy.as_ref()).unwrap();
        assert_eq!(fields.len(), copies.fields().len(), "{place}");
        for (field, copy) in fields.iter().zip(copies.fields()) {
            assert_eq!(field.name, copy.name, "{place}");
            match (records.values(field).unwrap(), copies.values(copy).unwrap()) {
                (Some(Values::Texts(texts)), Some(Values::Texts(copies))) => {
                    assert_eq!(texts, copies, "{place}");
                }
                (Some(Values::Numbers(kind, bytes)), Some(Values::Numbers(of, copies))) => {
                    assert_eq!((kind, bytes), (of, copies), "{place}");
                }
                _ => panic!("{place}: `{}` is of another kind", field.name),
            }
        }
        return;
    }
    assert_eq!(array.dtype(), copy.dtype(), "{place}");
    if *array.dtype() == Dtype::Text {
        assert_eq!(array.texts().unwrap(), copy.texts().unwrap(), "{place}");
    } else {
        assert_eq!(array.raw(all.clone()).unwrap(), copy.raw(all).unwrap(), "{place}");
    }
}

#[test]
fn all_that_anndata_writes_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let rich = open(&fixture("rich.h5ad"));
    for input in ["rich.h5ad", "rich_v2.zarr.zip", "rich_v3.zarr.zip"] {
        for name in ["a.h5ad", "a.zarr"] {
            let (output, skipped) = copied(folder.path(), &fixture(input), name);
            assert_eq!(skipped, Vec::<String>::new(), "{input} to {name}");
            let mut n = 0;
            assert_same(rich.as_ref(), open(&output).as_ref(), "", &mut n);
            assert!(n > 160, "{n} elements");
            // There and back.
            let (back, skipped) = copied(folder.path(), &output, "back.h5ad");
            assert_eq!(skipped, Vec::<String>::new(), "{input} to {name} and back");
            assert_same(rich.as_ref(), open(&back).as_ref(), "", &mut n);
        }
    }
}

#[test]
fn values_are_those_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let (zarr, _) = copied(folder.path(), &fixture("rich.h5ad"), "a.zarr");
    let (back, _) = copied(folder.path(), &zarr, "b.h5ad");
    for path in [fixture("rich.h5ad"), fixture("rich_v3.zarr.zip"), zarr, back] {
        let obs = Source::open(&path).unwrap().obs().unwrap();
        let labels = |name: &str| {
            let labels = obs.column(name).unwrap().labels();
            labels.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ")
        };
        let path = path.display();
        assert_eq!(labels("c_u8").split(' ').next(), Some("18446744073709551615"), "{path}");
        assert_eq!(labels("c_i8").split(' ').next(), Some("9223372036854775807"), "{path}");
        assert_eq!(labels("cat_int"), "3 5 7 3 3 3", "{path}");
        let large = "9223372036854775808 9223372036854775809";
        assert_eq!(labels("cat_u8"), [large; 3].join(" "), "{path}");
        let ids = (1..5).map(|id| (0x8000_0000_0000_0000_u64 + id).to_string());
        let ids: Vec<String> =
            [String::new(), "9223372036854775808".into()].into_iter().chain(ids).collect();
        assert_eq!(labels("nuint"), ids.join(" "), "{path}");
        assert_eq!(labels("text"), "ü  b c d 日本", "{path}");
        let Some(Column::Float(halves)) = obs.column("c_f2") else {
            panic!("{path}: no numbers");
        };
        assert!(halves[0].is_some_and(|value| value > 1.0 && value < 100.0), "{path}");
        assert!(halves[2].unwrap().is_nan(), "{path}");
    }
}

#[test]
fn axes_without_length_stay() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.zarr", "a.h5ad"] {
        let (output, _) = copied(folder.path(), &fixture("31_zero_width.h5ad"), name);
        let Some(Node::Array(empty)) = open(&output).node("obsm/X_empty").unwrap() else {
            panic!("no array");
        };
        assert_eq!(empty.shape(), [30, 0]);
    }
}

#[test]
fn categories_of_the_first_versions_find_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.zarr", "a.h5ad"] {
        let numbers = fixture("32_number_categories.h5ad");
        let (output, _) = copied(folder.path(), &numbers, name);
        for path in [&numbers, &output] {
            let ages = Source::open(path).unwrap().obs().unwrap();
            let ages = ages.column("age").unwrap().labels();
            assert_eq!(ages[..4], ["3", "5", "7", "3"].map(|age| Some(age.to_owned())));
        }
        // As numbers, not as text.
        let Some(Node::Array(ages)) = open(&output).node("obs/age/categories").unwrap() else {
            panic!("no categories");
        };
        assert_eq!((ages.dtype().name(), ages.integers(0..3).unwrap()), ("int64", vec![3, 5, 7]));

        let same = fixture("33_same_name.h5ad");
        let (output, _) = copied(folder.path(), &same, name);
        for path in [&same, &output] {
            let source = Source::open(path).unwrap();
            let (obs, var) = (source.obs().unwrap(), source.var(&Layer::X).unwrap());
            assert_eq!(obs.column("n").unwrap().kind(), "categorical");
            assert_eq!(var.column("n").unwrap().kind(), "integer");
        }
    }
}

#[test]
fn enumerations_are_their_codes() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("35_enum_column.h5ad");
    let (output, skipped) = copied(folder.path(), &input, "a.zarr");
    assert_eq!(skipped, Vec::<String>::new());
    let [before, after] = [input, output].map(|path| Source::open(path).unwrap().obs().unwrap());
    assert_eq!(before.column("passed").unwrap().kind(), "integer");
    assert_eq!(before, after);
}

#[test]
fn what_is_left_out_is_said_and_nothing_refers_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("left_out.h5ad");
    let (output, skipped) = copied(folder.path(), &input, "a.zarr");
    assert_eq!(
        skipped,
        [
            "obs/opaque: an array of opaque values of 3 bytes",
            "obs/sort: `codes` is an array of floating-point numbers of 16 bytes",
            "obsm/table/_index: an array of opaque values of 3 bytes",
            "obsm/table: its index is left out",
            "uns/lists: an array of lists of any length",
        ]
        .map(str::to_owned)
    );
    let store = open(&output);
    let order = &store.attributes("obs").unwrap()["column-order"];
    assert_eq!(*order, json!(["kept", "old"]));
    for place in ["obs/opaque", "obs/sort", "obsm/table", "uns/lists"] {
        assert!(store.node(place).unwrap().is_none(), "{place}");
    }
    let unread = Source::open(&input).unwrap().unread().unwrap().join("\n");
    assert!(unread.contains("obs/opaque (not read: opaque values of 3 bytes)"), "{unread}");
    // Text that is not UTF-8 is Latin-1, in elements and in the heap.
    let obs = Source::open(&output).unwrap().obs().unwrap();
    assert_eq!(obs.column("kept").unwrap().labels()[0].as_deref(), Some("Zürich"));
    assert_eq!(obs.column("old").unwrap().labels()[0].as_deref(), Some("Zürich"));
}

#[test]
fn additions_keep_the_columns_there_were() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("37_no_column_order.h5ad");
    let before = Source::open(&input).unwrap().obs().unwrap();
    for name in ["a.h5ad", "a.zarr"] {
        let labels = vec!["T".to_owned(); before.len()];
        let additions = Additions {
            obs: vec![("cell_type".into(), Column::categorical(&labels))],
            ..Additions::default()
        };
        let output = folder.path().join(name);
        save_copy(&input, &output, &additions, Existing::Replace).unwrap();
        let after = Source::open(&output).unwrap().obs().unwrap();
        assert_eq!(after.names().collect::<Vec<_>>(), ["sample", "cell_type"]);
        assert_eq!((&after.index, &after.columns[0]), (&before.index, &before.columns[0]));
        let attrs = open(&output).attributes("obs").unwrap();
        assert_eq!(
            (&attrs["encoding-type"], &attrs["_index"]),
            (&json!("dataframe"), &json!("index"))
        );
    }
}

#[test]
fn attributes_are_read_by_their_value() {
    let folder = tempfile::tempdir().unwrap();
    let ordered = fixture("38_ordered_f8.h5ad");
    for path in [&ordered, &copied(folder.path(), &ordered, "a.zarr").0] {
        let obs = Source::open(path).unwrap().obs().unwrap();
        let batch = obs.column("batch").unwrap();
        assert!(matches!(batch, Column::Categorical { ordered: false, .. }), "{batch:?}");
    }
    let real = fixture("38_shape_f8.h5ad");
    let (zarr, _) = copied(folder.path(), &real, "b.zarr");
    for path in [&real, &zarr] {
        assert_eq!(Source::open(path).unwrap().summary().shape(&Layer::X).unwrap(), (30, 60));
    }
    let text = fs::read_to_string(zarr.join("X/.zattrs")).unwrap();
    assert!(!text.contains("30.0"), "{text}");
}

#[test]
fn attributes_that_cannot_be_read_are_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    let mut bytes = fs::read(fixture("38_ordered_f8.h5ad")).unwrap();
    // The reference of `column-order` to its one text, `batch`: length, where texts are, which.
    let name = b"column-order";
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(name)).unwrap() + 64;
    assert_eq!(bytes[at..at + 16], [5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]);
    bytes[at + 3] = 0x70;
    fs::write(&path, bytes).unwrap();
    let error = open(&path).attributes("obs").unwrap_err();
    assert!(error.to_string().contains("attributes of 1879"), "{error}");
    assert!(error.hint().is_some());
    let mut sink = H5Sink::extend(&path, &path).unwrap();
    let error = sink.attrs("obs").unwrap_err();
    assert!(error.to_string().contains("attributes of 1879"), "{error}");
}

#[test]
fn a_gene_that_occurs_twice_in_a_cell_is_added_up() {
    let mut source = Source::open(fixture("44_twice.h5ad")).unwrap();
    let cells = source.read(&Layer::X, 0..2).unwrap();
    assert_eq!((cells.indptr(), cells.indices()), ([0, 2, 2].as_slice(), [4, 7].as_slice()));
    assert_eq!(cells.values(), [3.0, 3.0]);
}
