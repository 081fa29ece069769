//! Element types of zarr arrays, from their metadata.

use serde_json::{Value, json};

use crate::anndata::store::{Dtype, Field, FieldKind};

/// Most bytes of a record, or of a text of fixed width.
const WIDEST: usize = 1 << 20;

/// The element type of an array, and how text of fixed width is decoded.
///
/// Arrays of records and of fixed-width text are opened as plain bytes: their data type in
/// `metadata` is replaced.
pub(super) fn of(metadata: &mut Value) -> (Dtype, Option<Field>) {
    if metadata["zarr_format"] == 3 {
        return of_v3(metadata);
    }
    match metadata["dtype"].clone() {
        Value::Array(members) => {
            let mut size = 0;
            let fields: Vec<Field> =
                members.iter().map(|member| field(member, &mut size)).collect();
            // Records within records: where the next field begins is not known.
            if fields.iter().any(|it| (it.kind, it.size) == (FieldKind::Other, 0)) {
                return opaque(metadata, "records of a kind that is not known".into());
            }
            if size > WIDEST {
                return opaque(metadata, format!("records of {size} bytes"));
            }
            as_bytes(metadata, size);
            (Dtype::Records(fields), None)
        }
        Value::String(name) => {
            let field = plain_field(&name);
            if field.size > WIDEST {
                return opaque(metadata, name);
            }
            match field.kind {
                FieldKind::Text | FieldKind::WideText => {
                    as_bytes(metadata, field.size);
                    (Dtype::Text, Some(field))
                }
                FieldKind::Other if name == "|O" && metadata["filters"][0]["id"] == "vlen-utf8" => {
                    (Dtype::Text, None)
                }
                FieldKind::Other => match name.get(1..) {
                    Some(kind @ ("c8" | "c16")) => {
                        // "None" is no number to the library.
                        if metadata["fill_value"].is_null() {
                            metadata["fill_value"] = json!([0.0, 0.0]);
                        }
                        let name = if kind == "c8" { "complex64" } else { "complex128" };
                        (Dtype::named(name), None)
                    }
                    _ => (Dtype::Other(name), None),
                },
                kind => (number(kind, field.size), None),
            }
        }
        other => (Dtype::Other(other.to_string()), None),
    }
}

/// The element type of numbers of that kind and so many bytes.
fn number(kind: FieldKind, size: usize) -> Dtype {
    Dtype::named(&match kind {
        FieldKind::Boolean => "bool".into(),
        FieldKind::Signed => format!("int{}", size * 8),
        FieldKind::Unsigned => format!("uint{}", size * 8),
        _ => format!("float{}", size * 8),
    })
}

/// As [`of`], for version 3 of zarr, whose types are names or objects with a configuration.
fn of_v3(metadata: &mut Value) -> (Dtype, Option<Field>) {
    let data_type = metadata["data_type"].clone();
    let name = data_type.as_str().or_else(|| data_type["name"].as_str()).unwrap_or("unknown");
    if name == "string" {
        return (Dtype::Text, None);
    }
    let is_big = metadata["codecs"]
        .as_array()
        .is_some_and(|codecs| codecs.iter().any(|codec| codec["configuration"]["endian"] == "big"));
    // The name in the standard, by which zarr-python calls it from 3.4 on, and the one of before.
    if matches!(name, "struct" | "structured") {
        let mut size = 0;
        let members = data_type["configuration"]["fields"].as_array().cloned().unwrap_or_default();
        let fields = members.iter().map(|member| {
            let of = |place: usize, key: &str| {
                if member.is_array() { &member[place] } else { &member[key] }
            };
            let name = of(0, "name").as_str().unwrap_or_default();
            let field = field_v3(name, of(1, "data_type"), size, is_big);
            size = size.saturating_add(field.size);
            field
        });
        let fields: Vec<Field> = fields.collect();
        if size > WIDEST {
            return opaque(metadata, format!("records of {size} bytes"));
        }
        if !fields.is_empty() && fields.iter().all(|field| field.size > 0) {
            as_bytes(metadata, size);
            return (Dtype::Records(fields), None);
        }
        return (Dtype::Other("records of a kind that is not known".into()), None);
    }
    let field = field_v3("", &data_type, 0, is_big);
    if field.size > WIDEST {
        return opaque(metadata, format!("text of {} bytes", field.size));
    }
    if matches!(field.kind, FieldKind::Text | FieldKind::WideText) {
        as_bytes(metadata, field.size);
        return (Dtype::Text, Some(field));
    }
    (Dtype::named(name), None)
}

/// A field of version 3, without size if its type is not known.
fn field_v3(name: &str, data_type: &Value, offset: usize, big_endian: bool) -> Field {
    let kind = data_type.as_str().or_else(|| data_type["name"].as_str()).unwrap_or_default();
    let bits = |prefix: &str| kind.strip_prefix(prefix)?.parse::<usize>().ok();
    let bytes = data_type["configuration"]["length_bytes"].as_u64();
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
    let (kind, size) = match kind {
        "bool" => (FieldKind::Boolean, 1),
        "null_terminated_bytes" => (FieldKind::Text, bytes),
        "fixed_length_utf32" => (FieldKind::WideText, bytes),
        _ => None
            .or_else(|| Some((FieldKind::Unsigned, bits("uint")? / 8)))
            .or_else(|| Some((FieldKind::Signed, bits("int")? / 8)))
            .or_else(|| Some((FieldKind::Float, bits("float")? / 8)))
            .unwrap_or((FieldKind::Other, 0)),
    };
    Field { name: name.to_owned(), offset, size, length: 1, big_endian, kind }
}

/// A type whose elements nobody reads; the library would make one of them to fill gaps with.
fn opaque(metadata: &mut Value, name: String) -> (Dtype, Option<Field>) {
    as_bytes(metadata, 1);
    (Dtype::Other(name), None)
}

/// Makes the elements bytes of that size for the library, which then decodes chunks without knowing
/// what is in them and fills gaps with zeros.
fn as_bytes(metadata: &mut Value, size: usize) {
    let name = if metadata["zarr_format"] == 3 { "data_type" } else { "dtype" };
    metadata[name] =
        if name == "dtype" { json!(format!("|V{size}")) } else { json!(format!("r{}", size * 8)) };
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
    // Behind the bytes of a date is its unit: `<M8[ns]`.
    let digits = characters.as_str().split('[').next().unwrap_or_default();
    let count: usize = digits.parse().unwrap_or(0);
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
