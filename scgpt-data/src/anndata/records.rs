//! Tables of the first AnnData versions: one array of records, one field a column.
//!
//! Categories of a column `c` are then in `uns/<c>_categories`.

use crate::{
    anndata::store::{Array, Dtype, Field, FieldKind, Node, Store},
    error::{Error, Result},
    frame::{Column, Frame},
};

/// The table at `place`, whose first field (or `index`) is the index.
pub(super) fn frame(store: &dyn Store, place: &str, array: &dyn Array) -> Result<Frame> {
    let invalid = |problem: String| Error::invalid(store.path(), place, problem);
    let Dtype::Records(fields) = array.dtype() else {
        return Err(invalid(format!("a table was expected, found {}", array.dtype().name())));
    };
    let bytes = array.bytes()?;
    let size = bytes.len().checked_div(array.len()).unwrap_or(0);
    if let Some(field) = fields
        .iter()
        .find(|field| field.offset.saturating_add(field.size) > size && !bytes.is_empty())
    {
        return Err(invalid(format!(
            "field `{}` ends behind its record of {size} bytes",
            field.name
        )));
    }
    let mut frame = Frame::default();
    let index = fields
        .iter()
        .position(|field| field.name == "index" || field.name == "_index")
        .unwrap_or(0);
    for (position, field) in fields.iter().enumerate() {
        let cells = bytes
            .chunks_exact(size.max(1))
            .map(|record| &record[field.offset..field.offset + field.size]);
        let Some(column) = decode(field, cells) else {
            continue;
        };
        if position == index {
            frame.index_name.clone_from(&field.name);
            frame.index = column.labels().into_iter().map(Option::unwrap_or_default).collect();
        } else {
            let column = with_categories(store, &field.name, column)?;
            frame.columns.push((field.name.clone(), column));
        }
    }
    if frame.index.len() != array.len() {
        return Err(invalid("the table has no index of text".into())
            .with_hint("open and save the file with a recent anndata"));
    }
    Ok(frame)
}

fn decode<'a>(field: &Field, cells: impl Iterator<Item = &'a [u8]>) -> Option<Column> {
    if field.length != 1 {
        return None;
    }
    Some(match field.kind {
        FieldKind::Boolean => {
            Column::Boolean(cells.map(|cell| Some(cell.iter().any(|&byte| byte != 0))).collect())
        }
        FieldKind::Text | FieldKind::WideText => {
            Column::Text(cells.map(|cell| Some(text(field, cell))).collect())
        }
        FieldKind::Unsigned => Column::Integer(
            cells.map(|cell| i64::try_from(number(cell, field.big_endian)).ok()).collect(),
        ),
        FieldKind::Signed => {
            let unused =
                64 - 8 * u32::try_from(field.size).ok().filter(|size| (1..=8).contains(size))?;
            Column::Integer(
                cells
                    .map(|cell| {
                        Some((number(cell, field.big_endian) << unused).cast_signed() >> unused)
                    })
                    .collect(),
            )
        }
        FieldKind::Float if field.size == 4 => Column::Float(
            cells
                .map(|cell| {
                    let bits = u32::try_from(number(cell, field.big_endian)).unwrap_or(0);
                    Some(f32::from_bits(bits).into())
                })
                .collect(),
        ),
        FieldKind::Float if field.size == 8 => Column::Float(
            cells.map(|cell| Some(f64::from_bits(number(cell, field.big_endian)))).collect(),
        ),
        FieldKind::Float | FieldKind::Other => return None,
    })
}

/// Up to eight bytes as an unsigned number.
fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let push = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
}

/// The text in the bytes of one [`FieldKind::Text`] or [`FieldKind::WideText`] field.
pub(crate) fn text(field: &Field, cell: &[u8]) -> String {
    if field.kind == FieldKind::WideText {
        let units = cell.chunks_exact(4).map(|unit| number(unit, field.big_endian));
        return units
            .take_while(|&unit| unit != 0)
            .filter_map(|unit| char::from_u32(u32::try_from(unit).ok()?))
            .collect();
    }
    let end = cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&cell[..end]).into_owned()
}

fn with_categories(store: &dyn Store, name: &str, column: Column) -> Result<Column> {
    let Column::Integer(codes) = &column else {
        return Ok(column);
    };
    match store.node(&format!("uns/{name}_categories"))? {
        Some(Node::Array(array)) if *array.dtype() == Dtype::Text => Ok(Column::Categorical {
            codes: codes
                .iter()
                .map(|code| code.and_then(|code| u32::try_from(code).ok()))
                .collect(),
            categories: array.texts()?,
            ordered: false,
        }),
        _ => Ok(column),
    }
}
