//! Element types of zarr arrays, from their metadata.

use serde_json::{Value, json};

use crate::anndata::store::{Dtype, Field, FieldKind};

/// Most bytes of a record, or of a text of fixed width.
const WIDEST: usize = 1 << 20;

/// The element type of an array, and how text of fixed width is decoded.
///
/// Arrays of records and of fixed-width text are opened as plain bytes: their `dtype` in
/// `metadata` is replaced.
pub(super) fn of(metadata: &mut Value) -> (Dtype, Option<Field>) {
    if metadata["zarr_format"] == 3 {
        let name =
            metadata["data_type"].as_str().or_else(|| metadata["data_type"]["name"].as_str());
        return (
            match name {
                Some("string") => Dtype::Text,
                name => Dtype::named(name.unwrap_or("unknown")),
            },
            None,
        );
    }
    match metadata["dtype"].clone() {
        Value::Array(members) => {
            let mut size = 0;
            let fields = members.iter().map(|member| field(member, &mut size)).collect();
            if size > WIDEST {
                return (Dtype::Other(format!("records of {size} bytes")), None);
            }
            as_bytes(metadata, size);
            (Dtype::Records(fields), None)
        }
        Value::String(name) => {
            let field = plain_field(&name);
            if field.size > WIDEST {
                return (Dtype::Other(name), None);
            }
            match field.kind {
                FieldKind::Text | FieldKind::WideText => {
                    as_bytes(metadata, field.size);
                    (Dtype::Text, Some(field))
                }
                FieldKind::Boolean => (Dtype::Boolean, None),
                FieldKind::Signed => (Dtype::Integer(format!("int{}", field.size * 8)), None),
                FieldKind::Unsigned => (Dtype::Integer(format!("uint{}", field.size * 8)), None),
                FieldKind::Float => (Dtype::Float(format!("float{}", field.size * 8)), None),
                FieldKind::Other if name == "|O" && metadata["filters"][0]["id"] == "vlen-utf8" => {
                    (Dtype::Text, None)
                }
                FieldKind::Other => (Dtype::Other(name), None),
            }
        }
        other => (Dtype::Other(other.to_string()), None),
    }
}

fn as_bytes(metadata: &mut Value, size: usize) {
    metadata["dtype"] = json!(format!("|V{size}"));
    metadata["fill_value"] = json!(vec![0; size]);
}

/// A member `[name, dtype]` or `[name, dtype, shape]` that begins at `end`, which moves behind it.
fn field(member: &Value, end: &mut usize) -> Field {
    let mut field = plain_field(member[1].as_str().unwrap_or_default());
    member[0].as_str().unwrap_or_default().clone_into(&mut field.name);
    if let Some(shape) = member[2].as_array() {
        let lengths = shape.iter().filter_map(|length| usize::try_from(length.as_u64()?).ok());
        field.length = lengths.fold(1, usize::saturating_mul);
        field.size = field.size.saturating_mul(field.length);
    }
    field.offset = *end;
    *end = end.saturating_add(field.size);
    field
}

/// A NumPy type string: byte order, kind, bytes; `<f4`, `|S18`, `<U5`.
fn plain_field(dtype: &str) -> Field {
    let mut characters = dtype.chars();
    let order = characters.next().unwrap_or('|');
    let kind = characters.next().unwrap_or('O');
    let count: usize = characters.as_str().parse().unwrap_or(0);
    let (kind, size) = match kind {
        'b' => (FieldKind::Boolean, count),
        'i' => (FieldKind::Signed, count),
        'u' => (FieldKind::Unsigned, count),
        'f' => (FieldKind::Float, count),
        'S' => (FieldKind::Text, count),
        'U' => (FieldKind::WideText, count.saturating_mul(4)),
        _ => (FieldKind::Other, count),
    };
    Field { name: String::new(), offset: 0, size, length: 1, big_endian: order == '>', kind }
}
