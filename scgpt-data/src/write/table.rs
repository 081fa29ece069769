//! Tables of the first AnnData versions: one array of records, one field a column.

use serde_json::json;

use super::{
    anndata,
    element::{Dtype, Sink, array},
};
use crate::{
    anndata::{
        records,
        store::{self, Field, FieldKind, Node, Store},
    },
    error::{Error, Result},
};

/// Writes the array of records at `place` as what AnnData has there today, so that columns can be
/// added: a table (`obs`, `var`) or a dictionary of arrays (`obsm`, `varm`). Columns of codes with
/// names in `uns/<column>_categories` become categoricals.
///
/// Fields that have no counterpart are added to `skipped`.
pub(super) fn split(
    store: &dyn Store,
    place: &str,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let invalid = |problem: &str| Error::invalid(store.path(), place, problem);
    let Some(Node::Array(table)) = store.node(place)? else {
        return Ok(());
    };
    let store::Dtype::Records(fields) = table.dtype() else {
        return Err(invalid("a table or a group was expected"));
    };
    let is_table = !place.ends_with('m');
    let mut attrs = anndata::dict();
    if is_table {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        attrs = anndata::encoding("dataframe", "0.2.0");
        attrs.insert("_index".into(), json!(names.first()));
        attrs.insert("column-order".into(), json!(names.get(1..)));
    }
    sink.remove(place)?;
    sink.group(place, &attrs)?;
    let bytes = table.bytes()?;
    let size = bytes.len().checked_div(table.len()).unwrap_or(0);
    for field in fields {
        let cells: Vec<&[u8]> = bytes
            .chunks_exact(size.max(1))
            .map(|record| record.get(field.offset..field.offset + field.size))
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("a field ends behind its record"))?;
        column(store, place, field, &cells, is_table, sink, skipped)?;
    }
    Ok(())
}

fn column(
    store: &dyn Store,
    place: &str,
    field: &Field,
    cells: &[&[u8]],
    is_table: bool,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let path = format!("{place}/{}", field.name);
    let mut shape = vec![cells.len() as u64];
    if field.length != 1 || !is_table {
        shape.push(field.length as u64);
    }
    if matches!(field.kind, FieldKind::Text | FieldKind::WideText) {
        let texts: Vec<String> = cells.iter().map(|cell| records::text(field, cell)).collect();
        return sink.strings(&path, &shape, &texts, &anndata::text_array());
    }
    let width = field.size / field.length.max(1);
    let kind = match field.kind {
        FieldKind::Boolean => "bool".into(),
        FieldKind::Signed => format!("int{}", width * 8),
        FieldKind::Unsigned => format!("uint{}", width * 8),
        FieldKind::Float => format!("float{}", width * 8),
        _ => String::new(),
    };
    let Some(dtype) = Dtype::named(&kind).filter(|dtype| dtype.size() == width) else {
        skipped.push(format!("{path}: a field of a type that has no column"));
        return Ok(());
    };
    let mut values = cells.concat();
    if field.big_endian {
        values.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    let names = format!("uns/{}_categories", field.name);
    if is_table
        && matches!(field.kind, FieldKind::Signed)
        && let Some(Node::Array(categories)) = store.node(&names)?
        && *categories.dtype() == store::Dtype::Text
    {
        let codes = (path.as_str(), dtype, values.as_slice());
        anndata::categories_of(sink, codes, &categories.texts()?, false)?;
        return sink.remove(&names);
    }
    array(sink, &path, dtype, &shape, &values, &anndata::dense())
}
