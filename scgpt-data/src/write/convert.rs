//! Copies between containers, element by element.

use super::{
    element::{self, Attrs, Sink},
    table,
};
use crate::{
    anndata::store::{Array, Dtype, Node, Store, join},
    error::Result,
};

/// Bytes that are copied at a time, about.
const BLOCK: usize = 4 << 20;

/// Copies everything in `store` into `sink`, which is empty. What has no counterpart there, or is
/// of a type that cannot be read, is added to `skipped`.
pub(super) fn convert(
    store: &dyn Store,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    for (name, value) in &attributes(store, "")? {
        sink.set_attr("", name, value)?;
    }
    let mut tables = Vec::new();
    for name in store.children("")? {
        element(store, &name, sink, skipped, &mut tables)?;
    }
    // Last, as they take names of categories from `uns`.
    for place in tables {
        table::split(store, &place, sink, skipped)?;
    }
    Ok(())
}

fn element(
    store: &dyn Store,
    place: &str,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
    tables: &mut Vec<String>,
) -> Result<()> {
    let attrs = match attributes(store, place) {
        Ok(attrs) => attrs,
        Err(error) => {
            skipped.push(format!("{place}: {error}"));
            return Ok(());
        }
    };
    match store.node(place) {
        Ok(Some(Node::Group)) => {
            sink.group(place, &attrs)?;
            for name in store.children(place)? {
                element(store, &join(place, &name), sink, skipped, tables)?;
            }
        }
        Ok(Some(Node::Array(_)))
            if attrs.get("encoding-type").is_some_and(|kind| kind == "null") =>
        {
            sink.null(place, &attrs)?;
        }
        Ok(Some(Node::Array(array))) => match array.dtype() {
            Dtype::Records(_) if TABLES.contains(&place) => tables.push(place.into()),
            Dtype::Records(_) => skipped.push(format!("{place}: an array of records")),
            Dtype::Other(name) => skipped.push(format!("{place}: an array of {name}")),
            Dtype::Text => {
                let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
                sink.strings(place, &shape, &array.texts()?, &attrs)?;
            }
            _ => numbers(array.as_ref(), place, sink, &attrs, skipped)?,
        },
        Ok(None) => skipped.push(format!("{place}: a link, or nothing that is known")),
        Err(error) => skipped.push(format!("{place}: {error}")),
    }
    Ok(())
}

/// What the first AnnData versions kept as arrays of records.
const TABLES: [&str; 6] = ["obs", "var", "obsm", "varm", "raw.var", "raw/var"];

fn numbers(
    array: &dyn Array,
    place: &str,
    sink: &mut dyn Sink,
    attrs: &Attrs,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let Some(dtype) = element::Dtype::named(array.dtype().name()) else {
        skipped.push(format!("{place}: an array of {}", array.dtype().name()));
        return Ok(());
    };
    let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
    let row: usize = array.shape().iter().skip(1).product();
    let rows = (BLOCK / (8 * row.max(1))).max(1);
    sink.begin(place, dtype, &shape, attrs)?;
    for first in (0..array.len()).step_by(rows) {
        let rows = first..array.len().min(first + rows);
        let bytes: Vec<u8> = match dtype {
            element::Dtype::F32 => {
                array.floats(rows)?.into_iter().flat_map(f32::to_le_bytes).collect()
            }
            element::Dtype::F64 => {
                array.doubles(rows)?.into_iter().flat_map(f64::to_le_bytes).collect()
            }
            _ => array
                .integers(rows)?
                .into_iter()
                .flat_map(|number| number.to_le_bytes().into_iter().take(dtype.size()))
                .collect(),
        };
        sink.push(&bytes)?;
    }
    sink.end()
}

/// The attributes of an element as AnnData wants them, where the storage is less exact.
fn attributes(store: &dyn Store, place: &str) -> Result<Attrs> {
    let mut attrs = store.attributes(place)?;
    // AnnData 0.7 keeps the categories of a column beside it, and refers to them.
    let (parent, name) = element::split(place);
    let beside = format!("__categories/{name}");
    if !parent.is_empty() && matches!(store.node(&join(parent, &beside)), Ok(Some(_))) {
        attrs.insert("categories".into(), beside.into());
    }
    attrs.retain(|_, value| !value.is_null());
    // HDF5 has truth values by way of numbers only.
    if let Some(ordered) = attrs.get_mut("ordered").filter(|value| value.is_number()) {
        *ordered = (*ordered != 0).into();
    }
    Ok(attrs)
}
