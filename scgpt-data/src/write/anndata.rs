//! AnnData's on-disk encodings: tables, columns, dictionaries, matrices. They are the same in
//! HDF5 and zarr. From anndata's "On disk format" page; what is written is read by anndata 0.8 and
//! later. Of a dictionary nothing that is `null` is written: anndata before 0.12 would refuse the whole file for it.
//!
//! ```text
//! dataframe            group: index, columns; attributes `_index`, `column-order`
//! categorical          group: codes (-1 is missing), categories; attribute `ordered`
//! nullable-integer     group: values, mask (true is missing); also nullable-boolean
//! string-array, array  one array
//! csr_matrix           group: data, indices, indptr; attribute `shape`
//! dict                 group of elements
//! string, numeric-scalar, null    one value
//! ```
//!
//! Each carries `encoding-type` and `encoding-version`; without them AnnData guesses by the form of
//! an element, as it did for files of old versions.

use serde_json::{Map, Value, json};

use super::element::{Attrs, Dtype, Sink, Values, array};
use crate::{
    csr::Csr,
    error::Result,
    frame::{Column, Frame},
};

/// The attributes of an element encoded as `kind`.
///
/// The two attributes by which AnnData knows how to read an element; `version` is that of the
/// encoding, not of the library.
pub(super) fn encoding(kind: &str, version: &str) -> Attrs {
    let mut attrs = Map::new();
    attrs.insert("encoding-type".into(), kind.into());
    attrs.insert("encoding-version".into(), version.into());
    attrs
}

/// The attributes of a group whose members are the entries of a dictionary.
pub(super) fn dict() -> Attrs {
    encoding("dict", "0.1.0")
}

/// The attributes of an array of numbers or truth values.
pub(super) fn dense() -> Attrs {
    encoding("array", "0.2.0")
}

/// The attributes of an array of texts.
pub(super) fn text_array() -> Attrs {
    encoding("string-array", "0.2.0")
}

/// A whole table, with an index named `_index`.
///
/// Slashes in names of columns become `_`. An index without a name, or with that of a column, is
/// named `_index`.
pub(super) fn frame(sink: &mut dyn Sink, path: &str, frame: &Frame) -> Result<()> {
    let mut attrs = encoding("dataframe", "0.2.0");
    let names: Vec<String> = frame.names().map(member).collect();
    let mut index = member(&frame.index_name);
    // A column of that name would be taken for the index.
    if names.contains(&index) || frame.index_name.is_empty() {
        index = "_index".into();
    }
    attrs.insert("_index".into(), index.as_str().into());
    attrs.insert("column-order".into(), json!(names));
    sink.group(path, &attrs)?;
    let rows = frame.len() as u64;
    sink.strings(&format!("{path}/{index}"), &[rows], &frame.index, &text_array())?;
    for (name, (_, values)) in names.iter().zip(&frame.columns) {
        column(sink, &format!("{path}/{name}"), values)?;
    }
    Ok(())
}

/// The type of the indices and of the offsets of a sparse matrix with that many entries: that of scipy, which takes
/// them for one and fails where they differ.
pub(super) fn index_type(stored: u64) -> Dtype {
    if i32::try_from(stored).is_ok() { Dtype::I32 } else { Dtype::I64 }
}

/// Indices or offsets in their type.
pub(super) fn index_bytes(dtype: Dtype, numbers: impl Iterator<Item = u64>) -> Vec<u8> {
    let width = if dtype == Dtype::I32 { 4 } else { 8 };
    // The lower bytes: larger ones have the wider type.
    numbers.flat_map(|number| number.to_le_bytes().into_iter().take(width)).collect()
}

/// Compressed sparse rows, in place of whatever has that name.
pub(super) fn csr(sink: &mut dyn Sink, path: &str, matrix: &Csr) -> Result<()> {
    sink.remove(path)?;
    rows_of(sink, path, [matrix.n_cells(), matrix.n_genes()])?;
    let mut part = |name: &str, dtype, n: usize, bytes: &[u8]| {
        array(sink, &format!("{path}/{name}"), dtype, &[n as u64], bytes, &dense())
    };
    let bytes: Vec<u8> = matrix.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    part("data", Dtype::F32, matrix.n_stored(), &bytes)?;
    let dtype = index_type(matrix.n_stored() as u64);
    let bytes = index_bytes(dtype, matrix.indices().iter().map(|&index| index.into()));
    part("indices", dtype, matrix.n_stored(), &bytes)?;
    ends(sink, path, &matrix.indptr().iter().map(|&end| end as u64).collect::<Vec<_>>())
}

/// The group of compressed sparse rows of that shape; `data` and `indices` are the caller's, and [`ends`] follow.
pub(super) fn rows_of(sink: &mut dyn Sink, path: &str, shape: [usize; 2]) -> Result<()> {
    let mut attrs = encoding("csr_matrix", "0.1.0");
    attrs.insert("shape".into(), json!(shape));
    sink.group(path, &attrs)
}

/// Where the rows of compressed sparse rows end, after a 0.
pub(super) fn ends(sink: &mut dyn Sink, path: &str, ends: &[u64]) -> Result<()> {
    let dtype = index_type(ends.last().copied().unwrap_or(0));
    let bytes = index_bytes(dtype, ends.iter().copied());
    array(sink, &format!("{path}/indptr"), dtype, &[ends.len() as u64], &bytes, &dense())
}

/// One column. Text with missing values becomes a categorical: plain text has no place for them.
///
/// Missing numbers are NaN. Missing whole numbers and truth values need a mask beside them, which
/// AnnData reads as a nullable column of pandas; where nothing is missing they are plain arrays.
pub(super) fn column(sink: &mut dyn Sink, path: &str, column: &Column) -> Result<()> {
    let rows = column.len() as u64;
    match column {
        Column::Text(values) if values.contains(&None) => {
            self::column(sink, path, &Column::with_gaps(values))
        }
        Column::Text(values) => {
            let values: Vec<String> = values.iter().flatten().cloned().collect();
            sink.strings(path, &[rows], &values, &text_array())
        }
        Column::Categorical { codes, categories, ordered } => {
            let codes: Vec<i64> = codes.iter().map(|code| code.map_or(-1, i64::from)).collect();
            categorical(sink, path, &codes, categories, *ordered)
        }
        Column::Float(values) => {
            let bytes: Vec<u8> =
                values.iter().flat_map(|value| value.unwrap_or(f64::NAN).to_le_bytes()).collect();
            array(sink, path, Dtype::F64, &[rows], &bytes, &dense())
        }
        Column::Integer(values) => {
            let bytes: Vec<u8> =
                values.iter().flat_map(|value| value.unwrap_or(0).to_le_bytes()).collect();
            let missing = values.iter().map(|value| u8::from(value.is_none()));
            masked(sink, path, "nullable-integer", Dtype::I64, &bytes, missing)
        }
        Column::Boolean(values) => {
            let bytes: Vec<u8> =
                values.iter().map(|value| u8::from(value.unwrap_or(false))).collect();
            let missing = values.iter().map(|value| u8::from(value.is_none()));
            masked(sink, path, "nullable-boolean", Dtype::Bool, &bytes, missing)
        }
    }
}

/// Codes in the narrowest signed type, as pandas has them; -1 is missing.
///
/// `codes` are places in `categories`.
fn categorical(
    sink: &mut dyn Sink,
    path: &str,
    codes: &[i64],
    categories: &[String],
    ordered: bool,
) -> Result<()> {
    let n_categories = categories.len();
    let dtype = match n_categories {
        0..=0x7f => Dtype::I8,
        0x80..=0x7fff => Dtype::I16,
        _ => Dtype::I32,
    };
    // The low bytes of a number in two's complement are the narrower number.
    let codes: Vec<u8> =
        codes.iter().flat_map(|code| code.to_le_bytes().into_iter().take(dtype.size())).collect();
    let categories = Values::Texts(categories.to_vec());
    categories_of(sink, (path, dtype, &codes), (&categories, n_categories), ordered)
}

/// A categorical of codes that are bytes already.
///
/// `dtype` is that of the codes, and may be any whole number; `categories` are texts or numbers,
/// `n_categories` of them. What is at `path` is replaced.
pub(super) fn categories_of(
    sink: &mut dyn Sink,
    (path, dtype, codes): (&str, Dtype, &[u8]),
    (categories, n_categories): (&Values, usize),
    ordered: bool,
) -> Result<()> {
    let mut attrs = encoding("categorical", "0.2.0");
    attrs.insert("ordered".into(), ordered.into());
    sink.remove(path)?;
    sink.group(path, &attrs)?;
    let shape = [(codes.len() / dtype.size()) as u64];
    array(sink, &format!("{path}/codes"), dtype, &shape, codes, &dense())?;
    let path = format!("{path}/categories");
    categories.write(sink, &path, &[n_categories as u64], [&text_array(), &dense()])
}

/// A plain array, or values and mask where something is missing.
///
/// `mask` has one byte a value, 1 where it is missing; the value there is of no meaning.
fn masked(
    sink: &mut dyn Sink,
    path: &str,
    kind: &str,
    dtype: Dtype,
    values: &[u8],
    missing: impl Iterator<Item = u8>,
) -> Result<()> {
    let mask: Vec<u8> = missing.collect();
    let shape = [mask.len() as u64];
    if !mask.contains(&1) {
        return array(sink, path, dtype, &shape, values, &dense());
    }
    sink.remove(path)?;
    sink.group(path, &encoding(kind, "0.1.0"))?;
    array(sink, &format!("{path}/values"), dtype, &shape, values, &dense())?;
    array(sink, &format!("{path}/mask"), Dtype::Bool, &shape, &mask, &dense())
}

/// A JSON value as an element of `uns`: object → dictionary; text, number and truth value →
/// scalar; list of one of these kinds → array; any other list → dictionary with the keys `0`, `1`, …
///
/// Numbers are `int64` where they fit and else `float64`.
pub(super) fn json(sink: &mut dyn Sink, path: &str, value: &Value) -> Result<()> {
    let scalar = |dtype, bytes: &[u8], sink: &mut dyn Sink| {
        array(sink, path, dtype, &[], bytes, &encoding("numeric-scalar", "0.2.0"))
    };
    match value {
        Value::Null => sink.null(path, &encoding("null", "0.1.0")),
        Value::Bool(value) => scalar(Dtype::Bool, &[u8::from(*value)], sink),
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                return scalar(Dtype::I64, &number.to_le_bytes(), sink);
            }
            let number = number.as_f64().unwrap_or(f64::NAN);
            scalar(Dtype::F64, &number.to_le_bytes(), sink)
        }
        Value::String(text) => {
            let text = std::slice::from_ref(text);
            sink.strings(path, &[], text, &encoding("string", "0.2.0"))
        }
        Value::Array(items) => json_list(sink, path, items),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), value));
            json_dict(sink, path, members)
        }
    }
}

/// A list as one array if all its items are of one kind, else as a dictionary by number: an array
/// of AnnData has one element type.
///
/// An empty list is an array of texts.
fn json_list(sink: &mut dyn Sink, path: &str, items: &[Value]) -> Result<()> {
    let shape = [items.len() as u64];
    if items.iter().all(Value::is_string) {
        let texts: Vec<String> =
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        return sink.strings(path, &shape, &texts, &text_array());
    }
    let (dtype, bytes): (_, Vec<u8>) = if items.iter().all(Value::is_boolean) {
        let flags = items.iter().map(|item| u8::from(item == &Value::Bool(true)));
        (Dtype::Bool, flags.collect())
    } else if items.iter().all(Value::is_i64) {
        let numbers = items.iter().filter_map(Value::as_i64);
        (Dtype::I64, numbers.flat_map(i64::to_le_bytes).collect())
    } else if items.iter().all(Value::is_number) {
        let numbers = items.iter().filter_map(Value::as_f64);
        (Dtype::F64, numbers.flat_map(f64::to_le_bytes).collect())
    } else {
        let members = items.iter().enumerate();
        return json_dict(sink, path, members.map(|(at, item)| (at.to_string(), item)));
    };
    array(sink, path, dtype, &shape, &bytes, &dense())
}

/// A group with one element a member that is not `null`, named by [`member`].
///
/// Members are written in the order of the map, which is that of insertion where `serde_json` has the
/// feature `preserve_order`, and of names where it has not. Readers find members by name, so builds
/// with other features write the same contents, though not the same bytes.
fn json_dict<'a>(
    sink: &mut dyn Sink,
    path: &str,
    members: impl Iterator<Item = (String, &'a Value)>,
) -> Result<()> {
    sink.remove(path)?;
    sink.group(path, &dict())?;
    for (name, value) in members.filter(|(_, value)| !value.is_null()) {
        json(sink, &format!("{path}/{}", member(&name)), value)?;
    }
    Ok(())
}

/// A name that is one part of a path.
///
/// A slash would make two parts of it, and two dots would lead out of the folder of a zarr
/// hierarchy.
pub(super) fn member(name: &str) -> String {
    match name {
        "" | "." | ".." => "_".into(),
        name => name.replace('/', "_"),
    }
}
