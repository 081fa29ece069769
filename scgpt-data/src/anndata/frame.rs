//! `obs` and `var` in all forms that AnnData has written: groups of columns (current), the same
//! with `__categories` (0.7), one array of records (before 0.7).

use serde_json::Value;

use crate::{
    anndata::{
        records,
        store::{Array, Dtype, Node, Store, join},
    },
    error::{Error, Result},
    frame::{Column, Frame},
};

/// Place of the old categories, beside the columns.
const OLD_CATEGORIES: &str = "__categories";

/// The table at `place`.
pub(crate) fn read(store: &dyn Store, place: &str) -> Result<Frame> {
    match store.node(place)? {
        Some(Node::Array(array)) => records::frame(store, place, array.as_ref()),
        Some(Node::Group) => group(store, place),
        None => Err(Error::invalid(store.path(), place, "the table is missing")
            .with_hint("the file is not a complete AnnData file; save it again with anndata")),
    }
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
        Some(Node::Group) => match store.node(&join(&index, "values"))? {
            Some(Node::Array(values)) => Some(values.len()),
            _ => None,
        },
        None => None,
    })
}

fn index_name(store: &dyn Store, place: &str) -> Result<String> {
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
    let names = match store.attributes(place)?.get("column-order") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        // In HDF5 a list of one reads like the one.
        Some(Value::String(name)) => vec![name.clone()],
        // An empty list may be stored as an empty list of numbers.
        Some(_) => Vec::new(),
        None => store.children(place)?,
    };
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        if name == index_name || name == OLD_CATEGORIES {
            continue;
        }
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
        columns.push((name, column));
    }
    Ok(Frame { index_name, index, columns })
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
    let rows = 0..array.len();
    Ok(Some(match array.dtype() {
        Dtype::Text => Column::Text(array.texts()?.into_iter().map(Some).collect()),
        Dtype::Boolean => Column::Boolean(
            array.integers(rows)?.into_iter().map(|value| Some(value != 0)).collect(),
        ),
        Dtype::Integer(_) => Column::Integer(array.integers(rows)?.into_iter().map(Some).collect()),
        Dtype::Float(_) => Column::Float(array.doubles(rows)?.into_iter().map(Some).collect()),
        Dtype::Records(_) | Dtype::Other(_) => return Ok(None),
    }))
}

/// `codes` into the labels at `categories`; `ordered` is an attribute of `owner`.
fn categorical(
    store: &dyn Store,
    codes: &dyn Array,
    categories: &str,
    owner: &str,
) -> Result<Option<Column>> {
    let (table, name) = categories.rsplit_once('/').unwrap_or(("", categories));
    let Some(labels) = column(store, table, name)? else {
        return Ok(None);
    };
    let categories: Vec<String> =
        labels.labels().into_iter().map(Option::unwrap_or_default).collect();
    let codes = codes
        .integers(0..codes.len())?
        .into_iter()
        // Missing values have the code -1.
        .map(|code| u32::try_from(code).ok())
        .collect::<Vec<_>>();
    if let Some(code) = codes.iter().flatten().find(|&&code| code as usize >= categories.len()) {
        return Err(Error::invalid(
            store.path(),
            owner,
            format!("code {code} with {} categories", categories.len()),
        ));
    }
    let ordered = match store.attributes(owner)?.get("ordered") {
        Some(Value::Bool(ordered)) => *ordered,
        Some(Value::Number(number)) => number.as_i64() != Some(0),
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    Ok(Some(Column::Categorical { codes, categories, ordered }))
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
