//! Tables of the first AnnData versions: one array of records, one field a column.
//!
//! AnnData before 0.7 kept `obs`, `var`, `obsm` and `varm` so: pandas made records of a table, and
//! names of categories went to `uns`, where `louvain_categories` has those of the codes in the
//! field `louvain`. Nothing can be added to an array of records, so a table that gets a new column
//! is first made what it would be today.

use serde_json::json;

use super::{
    anndata,
    element::{Dtype, Sink, Values},
};
use crate::{
    anndata::{
        number,
        records::{self, Records, index_of},
        store::{self, Field, Node, Store},
    },
    error::{Error, Result},
};

/// Writes the array of records at `place` as what AnnData has there today, so that columns can be
/// added: a table (`obs`, `var`) or a dictionary of arrays (`obsm`, `varm`). Columns of codes with
/// names in `uns/<column>_categories` become categoricals.
///
/// Fields that have no counterpart are added to `skipped`, and so are names that are no part of a
/// path, which are spelled anew.
///
/// A place with a group, or with nothing, stays as it is.
///
/// # Errors
/// [`Error::Invalid`] for an array of anything but records, or an index that cannot be read.
pub(super) fn split(
    store: &dyn Store,
    place: &str,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let Some(Node::Array(table)) = store.node(place)? else {
        return Ok(());
    };
    if !matches!(table.dtype(), store::Dtype::Records(_)) {
        let problem = "a table or a group was expected";
        return Err(Error::invalid(store.path(), place, problem));
    }
    let records = Records::read(store, place, table.as_ref())?;
    let is_table = !place.ends_with('m');
    let index = index_of(records.fields());
    sink.remove(place)?;
    sink.group(place, &anndata::dict())?;
    let mut names: Vec<String> = Vec::new();
    let mut index_name = None;
    for (position, field) in records.fields().iter().enumerate() {
        let name = anndata::member(&field.name);
        if name != field.name {
            skipped.push(format!("{place}/{}: its name, which becomes `{name}`", field.name));
        }
        let path = format!("{place}/{name}");
        let shape = match (field.length, is_table) {
            (1, true) => vec![table.len() as u64],
            (length, _) => vec![table.len() as u64, length as u64],
        };
        let read = records.values(field)?;
        if is_table
            && let Some(values) = &read
            && name == field.name
            && categorical(store, place, field, values, sink)?
        {
            names.push(name);
            continue;
        }
        match read.and_then(Values::of) {
            Some(values) => {
                let attrs = [&anndata::text_array(), &anndata::dense()];
                values.write(sink, &path, &shape, attrs)?;
                if position == index {
                    index_name = Some(name);
                } else {
                    names.push(name);
                }
            }
            None if is_table && position == index => {
                return Err(Error::invalid(store.path(), place, "the index cannot be read"));
            }
            None => skipped.push(format!("{path}: a field of a type that has no column")),
        }
    }
    if is_table {
        let mut attrs = anndata::encoding("dataframe", "0.2.0");
        attrs.insert("_index".into(), json!(index_name));
        attrs.insert("column-order".into(), json!(names));
        for (name, value) in &attrs {
            sink.set_attr(place, name, value)?;
        }
    }
    Ok(())
}

/// Writes a column of codes as a categorical, if its categories are in `uns`.
///
/// `false` if there are none, or if the codes do not fit them: `obs` and `var` share `uns`, so they
/// may be those of a column of the same name in the other table. Its categories in `uns` go, since
/// they are in the column now.
fn categorical(
    store: &dyn Store,
    place: &str,
    field: &Field,
    values: &records::Values,
    sink: &mut dyn Sink,
) -> Result<bool> {
    let records::Values::Numbers(read @ store::Dtype::Integer(name), bytes) = values else {
        return Ok(false);
    };
    let (Some(dtype), Some(codes)) = (Dtype::named(name), number::decode::<i64>(read, bytes))
    else {
        return Ok(false);
    };
    if field.length != 1 || !matches!(place, "obs" | "var") {
        return Ok(false);
    }
    let categories = records::categories(store, &field.name, &codes)?.and_then(Values::of);
    let Some(categories) = categories else {
        return Ok(false);
    };
    let count = match &categories {
        Values::Texts(texts) => texts.len(),
        Values::Numbers(dtype, bytes) => bytes.len() / dtype.size(),
    };
    let path = format!("{place}/{}", field.name);
    anndata::categories_of(sink, (&path, dtype, bytes), (&categories, count), false)?;
    sink.remove(&format!("uns/{}_categories", field.name))?;
    Ok(true)
}
