//! `obs` and `var` in all forms that AnnData has written: groups of columns (current), the same
//! with `__categories` (0.7), one array of records (before 0.7).
//!
//! ```text
//! obs/                         attributes: `_index`, `column-order`
//!   _index                     names of cells, an array of texts or, from pandas 3, a group
//!   n_counts                   an array: numbers, booleans, texts
//!   cell_type/                 categorical: `codes`, −1 where there is none, and `categories`
//!   quality/                   nullable: `values` and `mask`, which is true where there is none
//!   __categories/cell_type     of version 0.7, whose column is an array of codes
//! ```

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    anndata::{
        kept::Kept,
        records,
        store::{Array, Dtype, Node, Store, join},
    },
    error::{Error, Result},
    frame::{Column, Frame, TEXT},
};

/// Place of the old categories, beside the columns.
const OLD_CATEGORIES: &str = "__categories";

/// Code of a missing value.
const MISSING: i64 = -1;

/// Reads the table at `place`. Columns of no known kind are left out, see [`unread`].
pub(crate) fn read(store: &dyn Store, place: &str) -> Result<Frame> {
    let mut frame = match store.node(place)? {
        Some(Node::Array(array)) => records::frame(store, place, array.as_ref())?,
        Some(Node::Group) => group(store, place)?,
        None => {
            return Err(Error::invalid(store.path(), place, "the table is missing")
                .with_hint("the file is not a complete AnnData file; save it again with anndata"));
        }
    };
    if matches!(place, "obs" | "var") {
        records::add_categories(store, &mut frame)?;
    }
    Ok(frame)
}

/// Names of the columns of the table at `place` that [`read`] leaves out, each with what it is.
pub(crate) fn unread(store: &dyn Store, place: &str) -> Result<Vec<String>> {
    let frame = read(store, place)?;
    let names = match store.node(place)? {
        Some(Node::Array(array)) => match array.dtype() {
            Dtype::Records(fields) => fields.iter().map(|field| field.name.clone()).collect(),
            _ => Vec::new(),
        },
        _ => column_names(store, place)?,
    };
    let known: HashSet<&str> = frame.names().chain([frame.index_name.as_str()]).collect();
    let mut left = Vec::new();
    for name in names.iter().filter(|name| !known.contains(name.as_str())) {
        let what = match store.node(&join(place, name)) {
            Ok(Some(Node::Array(array))) if array.shape().len() != 1 => {
                format!("an array of shape {:?}", array.shape())
            }
            Ok(Some(Node::Array(array))) => array.dtype().name().to_owned(),
            Ok(Some(Node::Group)) => "a group that is no column".into(),
            Ok(None) => "named, but not there".into(),
            Err(error) => error.to_string(),
        };
        left.push(format!("{place}/{name} (not read: {what})"));
    }
    Ok(left)
}

/// Number of rows of the table at `place`, found without reading it.
pub(crate) fn len(store: &dyn Store, place: &str) -> Result<Option<usize>> {
    let index = match store.node(place)? {
        Some(Node::Array(array)) => return Ok(Some(array.len())),
        Some(Node::Group) => join(place, &index_name(store, place)?),
        None => return Ok(None),
    };
    Ok(match store.node(&index)? {
        Some(Node::Array(array)) => Some(array.len()),
        // Of names that may be missing, or of categories.
        Some(Node::Group) => {
            for part in ["values", "codes"] {
                if let Some(Node::Array(part)) = store.node(&join(&index, part))? {
                    return Ok(Some(part.len()));
                }
            }
            None
        }
        None => None,
    })
}

/// Names of the columns of the group at `place` in their order. The index is among them only if the
/// group lists it: AnnData keeps a column of the same name and values once.
pub(crate) fn column_names(store: &dyn Store, place: &str) -> Result<Vec<String>> {
    let mut names: Vec<String> = match store.attributes(place)?.get("column-order") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        // In HDF5 a list of one reads like the one.
        Some(Value::String(name)) => vec![name.clone()],
        // An empty list may be stored as an empty list of numbers.
        Some(_) => Vec::new(),
        None => {
            let index = index_name(store, place)?;
            let mut names = store.children(place)?;
            names.retain(|name| *name != index);
            names
        }
    };
    names.retain(|name| name != OLD_CATEGORIES);
    Ok(names)
}

/// Name of the index of the group at `place`.
pub(crate) fn index_name(store: &dyn Store, place: &str) -> Result<String> {
    if let Some(Value::String(name)) = store.attributes(place)?.get("_index") {
        return Ok(name.clone());
    }
    let found = store.node(&join(place, "index"))?.is_some();
    Ok(if found { "index" } else { "_index" }.into())
}

fn group(store: &dyn Store, place: &str) -> Result<Frame> {
    let index_name = index_name(store, place)?;
    let index_place = join(place, &index_name);
    let Some(index) = column(store, place, &index_name)? else {
        return Err(Error::invalid(store.path(), index_place, "the index of the table is missing"));
    };
    let index: Vec<String> = index.labels().into_iter().map(Option::unwrap_or_default).collect();
    let names = column_names(store, place)?;
    let mut kept = Kept::of(store, place);
    kept.add(&index_name, text_bytes(index.iter().map(String::as_str)))?;
    let mut columns = Vec::new();
    for name in names {
        let Some(column) = column(store, place, &name)? else {
            continue;
        };
        if column.len() != index.len() {
            return Err(Error::invalid(
                store.path(),
                join(place, &name),
                format!("{} values for {} rows", column.len(), index.len()),
            ));
        }
        kept.add(&name, column.bytes())?;
        columns.push((name, column));
    }
    Ok(Frame { index_name, index, columns })
}

/// Bytes of texts in memory, about.
pub(super) fn text_bytes<'t>(texts: impl Iterator<Item = &'t str>) -> usize {
    texts.map(|text| TEXT + text.len()).sum()
}

/// One column, or `None` if it is absent or of a kind that is no column of labels or numbers.
fn column(store: &dyn Store, table: &str, name: &str) -> Result<Option<Column>> {
    let place = join(table, name);
    match store.node(&place)? {
        Some(Node::Array(array)) => {
            let categories = join(&join(table, OLD_CATEGORIES), name);
            match store.node(&categories)? {
                Some(Node::Array(_)) => {
                    categorical(store, array.as_ref(), &categories, &categories)
                }
                _ => plain(array.as_ref()),
            }
        }
        Some(Node::Group) => {
            if let Some(Node::Array(codes)) = store.node(&join(&place, "codes"))? {
                categorical(store, codes.as_ref(), &join(&place, "categories"), &place)
            } else {
                nullable(store, &place)
            }
        }
        None => Ok(None),
    }
}

/// A list as a column; `None` if it is no list of labels or numbers.
pub(crate) fn plain(array: &dyn Array) -> Result<Option<Column>> {
    if array.shape().len() != 1 {
        return Ok(None);
    }
    Ok(match array.dtype() {
        Dtype::Text => Some(Column::Text(array.texts()?.into_iter().map(Some).collect())),
        dtype if dtype.is_numeric() => records::column_of(dtype, &array.raw(0..array.len())?),
        _ => None,
    })
}

/// `codes` into the labels at `categories`; `ordered` is an attribute of `owner`.
fn categorical(
    store: &dyn Store,
    codes: &dyn Array,
    categories: &str,
    owner: &str,
) -> Result<Option<Column>> {
    if !codes.dtype().is_numeric() {
        return Ok(None);
    }
    let (table, name) = categories.rsplit_once('/').unwrap_or(("", categories));
    let Some(labels) = column(store, table, name)? else {
        return Ok(None);
    };
    let categories: Vec<String> =
        labels.labels().into_iter().map(Option::unwrap_or_default).collect();
    let codes = codes.integers(0..codes.len())?;
    let fits =
        |code: i64| usize::try_from(code).map_or(code == MISSING, |at| at < categories.len());
    if let Some(code) = codes.iter().find(|&&code| !fits(code)) {
        let problem = format!("code {code} with {} categories", categories.len());
        return Err(Error::invalid(store.path(), owner, problem));
    }
    let codes = codes.into_iter().map(|code| u32::try_from(code).ok()).collect();
    let ordered = store.attributes(owner)?.get("ordered").is_some_and(is_true);
    Ok(Some(Column::Categorical { codes, categories, ordered }))
}

/// Whether an attribute is true. Writers in R store numbers, even real ones, or text instead of
/// truth values.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Array(items) => items.first().is_some_and(is_true),
        _ => false,
    }
}

/// A whole number, whatever type the writer gave it.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // Exact up to 2⁵³, more than any axis.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
    })
}

/// A group of `values` and `mask` (true where a value is missing).
fn nullable(store: &dyn Store, place: &str) -> Result<Option<Column>> {
    let Some(Node::Array(values)) = store.node(&join(place, "values"))? else {
        return Ok(None);
    };
    let Some(mut column) = plain(values.as_ref())? else {
        return Ok(None);
    };
    if let Some(Node::Array(mask)) = store.node(&join(place, "mask"))? {
        let mask = mask.integers(0..mask.len())?;
        let missing =
            mask.iter().enumerate().filter(|&(_, &masked)| masked != 0).map(|(row, _)| row);
        match &mut column {
            Column::Text(values) => clear(values, missing),
            Column::Float(values) => clear(values, missing),
            Column::Integer(values) => clear(values, missing),
            Column::Boolean(values) => clear(values, missing),
            Column::Categorical { codes, .. } => clear(codes, missing),
        }
    }
    Ok(Some(column))
}

fn clear<T>(values: &mut [Option<T>], rows: impl Iterator<Item = usize>) {
    for row in rows {
        if let Some(value) = values.get_mut(row) {
            *value = None;
        }
    }
}
