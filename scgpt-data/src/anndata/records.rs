//! Arrays of records: tables of the first AnnData versions (one field a column), and what
//! `rank_genes_groups` consists of.
//!
//! Categories of a column `c` are then in `uns/<c>_categories`.

use crate::{
    anndata::{
        kept::Kept,
        number,
        store::{Array, Dtype, Field, FieldKind, Node, Store, members, text_of},
    },
    error::{Error, Result},
    frame::{Column, Frame},
};

/// The records of an array, in memory.
pub(crate) struct Records<'a> {
    array: &'a dyn Array,
    fields: &'a [Field],
    bytes: Vec<u8>,
    size: usize,
}

/// The values of one field, or of an array.
pub(crate) enum Values {
    Texts(Vec<String>),
    /// Their type, and little-endian bytes.
    Numbers(Dtype, Vec<u8>),
}

impl<'a> Records<'a> {
    /// The records of `array`, which is at `place`.
    pub(crate) fn read(store: &dyn Store, place: &str, array: &'a dyn Array) -> Result<Self> {
        let invalid = |problem: String| Error::invalid(store.path(), place, problem);
        let Dtype::Records(fields) = array.dtype() else {
            return Err(invalid(format!("a table was expected, found {}", array.dtype().name())));
        };
        let bytes = array.raw(0..array.len())?;
        let count: usize = array.shape().iter().product();
        let size = bytes.len().checked_div(count).unwrap_or(0);
        if let Some(field) = fields
            .iter()
            .find(|field| field.offset.saturating_add(field.size) > size && !bytes.is_empty())
        {
            return Err(invalid(format!(
                "field `{}` ends behind its record of {size} bytes",
                field.name
            )));
        }
        Ok(Self { array, fields, bytes, size })
    }

    /// The fields of a record, in order.
    pub(crate) fn fields(&self) -> &'a [Field] {
        self.fields
    }

    /// The values of a field, record by record; `None` if the field is of no known kind.
    pub(crate) fn values(&self, field: &Field) -> Result<Option<Values>> {
        let cells = || {
            let records = self.bytes.chunks_exact(self.size.max(1));
            records.map(|record| &record[field.offset..field.offset + field.size])
        };
        let width = field.size / field.length.max(1);
        let kind = match field.kind {
            FieldKind::Text | FieldKind::WideText if field.length == 1 => {
                return Ok(Some(Values::Texts(cells().map(|cell| text(field, cell)).collect())));
            }
            FieldKind::Reference if field.length == 1 => {
                let references: Vec<&[u8]> = cells().collect();
                return self.array.referenced(&references).map(|texts| Some(Values::Texts(texts)));
            }
            FieldKind::Boolean => "bool".into(),
            FieldKind::Signed => format!("int{}", width * 8),
            FieldKind::Unsigned => format!("uint{}", width * 8),
            FieldKind::Float => format!("float{}", width * 8),
            _ => return Ok(None),
        };
        let dtype = Dtype::named(&kind);
        if !dtype.is_numeric() {
            return Ok(None);
        }
        let mut bytes: Vec<u8> = cells().flatten().copied().collect();
        if field.big_endian {
            bytes.chunks_exact_mut(width.max(1)).for_each(<[u8]>::reverse);
        }
        Ok(Some(Values::Numbers(dtype, bytes)))
    }
}

/// The table at `place`, whose first field (or `index`) is the index.
pub(super) fn frame(store: &dyn Store, place: &str, array: &dyn Array) -> Result<Frame> {
    let records = Records::read(store, place, array)?;
    let mut frame = Frame::default();
    let mut kept = Kept::of(store, place);
    let index = index_of(records.fields());
    for (position, field) in records.fields().iter().enumerate() {
        if field.length != 1 {
            continue;
        }
        let column = match records.values(field)? {
            Some(Values::Texts(texts)) => Column::Text(texts.into_iter().map(Some).collect()),
            Some(Values::Numbers(dtype, bytes)) => match column_of(&dtype, &bytes) {
                Some(column) => column,
                None => continue,
            },
            None => continue,
        };
        kept.add(&field.name, column.bytes())?;
        if position == index {
            frame.index_name.clone_from(&field.name);
            frame.index = column.labels().into_iter().map(Option::unwrap_or_default).collect();
        } else {
            frame.columns.push((field.name.clone(), column));
        }
    }
    if frame.index.len() != array.len() {
        return Err(Error::invalid(store.path(), place, "the table has no index of text")
            .with_hint("open and save the file with a recent anndata"));
    }
    Ok(frame)
}

/// Which field is the index.
pub(crate) fn index_of(fields: &[Field]) -> usize {
    fields.iter().position(|field| field.name == "index" || field.name == "_index").unwrap_or(0)
}

/// Numbers as a column. Whole numbers that are too large for one become text: they are names.
pub(super) fn column_of(dtype: &Dtype, bytes: &[u8]) -> Option<Column> {
    Some(match dtype {
        Dtype::Boolean => Column::Boolean(bytes.iter().map(|&value| Some(value != 0)).collect()),
        Dtype::Integer(name) if name == "uint64" => {
            let values = number::unsigned(bytes);
            match values.iter().map(|&value| i64::try_from(value)).collect::<Result<Vec<_>, _>>() {
                Ok(values) => Column::Integer(values.into_iter().map(Some).collect()),
                Err(_) => {
                    Column::Text(values.iter().map(|value| Some(value.to_string())).collect())
                }
            }
        }
        Dtype::Integer(_) => {
            Column::Integer(number::decode(dtype, bytes)?.into_iter().map(Some).collect())
        }
        Dtype::Float(_) => {
            Column::Float(number::decode(dtype, bytes)?.into_iter().map(Some).collect())
        }
        _ => return None,
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
    text_of(&cell[..end])
}

/// The categories that the first AnnData versions kept in `uns` for a column of codes, if these are
/// codes of them: of columns of one name in `obs` and `var`, only one has its categories there.
pub(crate) fn categories(store: &dyn Store, column: &str, codes: &[i64]) -> Result<Option<Values>> {
    let Some(Node::Array(array)) = store.node(&format!("uns/{column}_categories"))? else {
        return Ok(None);
    };
    let count: usize = array.shape().iter().product();
    let fits = |&code: &i64| code >= -1 && usize::try_from(code).unwrap_or(0) < count.max(1);
    if array.shape().len() > 1 || codes.is_empty() || !codes.iter().all(fits) {
        return Ok(None);
    }
    Ok(match array.dtype() {
        Dtype::Text => Some(Values::Texts(array.texts()?)),
        dtype if dtype.is_numeric() => {
            Some(Values::Numbers(dtype.clone(), array.raw(0..array.len())?))
        }
        _ => None,
    })
}

/// Gives the columns of codes in `obs` and `var` their categories.
pub(super) fn add_categories(store: &dyn Store, frame: &mut Frame) -> Result<()> {
    let lists = members(store, "uns")?;
    for name in lists.iter().filter_map(|list| list.strip_suffix("_categories")) {
        let Some((_, column)) = frame.columns.iter_mut().find(|(other, _)| other == name) else {
            continue;
        };
        let Column::Integer(values) = column else {
            continue;
        };
        let Some(codes) = values.iter().copied().collect::<Option<Vec<i64>>>() else {
            continue;
        };
        let categories = match categories(store, name, &codes)? {
            Some(Values::Texts(texts)) => texts,
            Some(Values::Numbers(dtype, bytes)) => match column_of(&dtype, &bytes) {
                Some(numbers) => {
                    numbers.labels().into_iter().map(Option::unwrap_or_default).collect()
                }
                None => continue,
            },
            None => continue,
        };
        *column = Column::Categorical {
            codes: codes.into_iter().map(|code| u32::try_from(code).ok()).collect(),
            categories,
            ordered: false,
        };
    }
    Ok(())
}
