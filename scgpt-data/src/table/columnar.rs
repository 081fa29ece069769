//! Tables in parquet: flat columns, each with an optional value a row.
//!
//! A column of integers, floats, booleans or texts is read into the [`Column`] of the same kind.
//! Nested columns, lists, byte arrays of fixed length and timestamps of 96 bits are left out. The
//! size that pages claim to have once they are unpacked is held against the bytes of the file
//! before any is decoded, see [`pages`].

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type},
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use super::{Table, values::Values};
use crate::{
    error::{self, Error, Result},
    frame::Column,
    guard::guarded,
    pages,
};

/// Reads the flat columns of the parquet file `file`, which was opened from `path`.
///
/// # Errors
/// [`Error::Open`] if it is no parquet file or has no flat column, [`Error::Invalid`] if a page
/// claims more than its file can hold, [`Error::Read`] if a column cannot be decoded.
pub(super) fn read(path: &Path, file: File) -> Result<Table> {
    let reader =
        guarded(|| SerializedFileReader::new(file)).map_err(|error| Error::open(path, error))?;
    pages::check(path, reader.metadata())?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut columns = Vec::new();
    for (index, column) in schema.columns().iter().enumerate() {
        let is_flat = column.max_rep_level() == 0 && column.path().parts().len() == 1;
        // A fixed-length array or a timestamp of 96 bits is no text, number or truth value.
        let is_plain =
            !matches!(column.physical_type(), Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY);
        if is_flat && is_plain {
            let name = column.path().string();
            let values = guarded(|| read_column(&reader, 0..reader.num_row_groups(), index))
                .map_err(|error| Error::read(path, &name, error))?;
            columns.push((name, values));
        }
    }
    if columns.is_empty() {
        return Err(Error::open(path, "the table has no flat column"));
    }
    Ok(Table { columns })
}

/// Column number `index` of some row groups, one after the other.
///
/// # Errors
/// If it is of a type that is left out, or damaged.
pub(crate) fn read_column(
    reader: &SerializedFileReader<File>,
    groups: Range<usize>,
    index: usize,
) -> Result<Column, error::Source> {
    let column = reader.metadata().file_metadata().schema_descr().column(index);
    let mut parts = Parts::default();
    for group in groups {
        let group = reader.get_row_group(group)?;
        let n = usize::try_from(group.metadata().num_rows())?;
        parts.add(group.get_column_reader(index)?, n, column.max_def_level())?;
    }
    Ok(match column.physical_type() {
        Physical::BOOLEAN => Column::Boolean(parts.truths),
        Physical::INT32 | Physical::INT64 => Column::Integer(parts.whole),
        Physical::FLOAT | Physical::DOUBLE => Column::Float(parts.real),
        _ => Column::Text(parts.text),
    })
}

/// The values of a column so far, one a row, `None` where one is missing. Only the list that fits
/// the type of the column is filled.
#[derive(Default)]
struct Parts {
    text: Vec<Option<String>>,
    real: Vec<Option<f64>>,
    whole: Vec<Option<i64>>,
    truths: Vec<Option<bool>>,
}

impl Parts {
    /// Appends the `n` values of one row group. Narrow numbers are widened: 32 bits to 64.
    ///
    /// # Errors
    /// If the column is of a type that is left out, or a text is not UTF-8.
    fn add(&mut self, reader: ColumnReader, n: usize, max: i16) -> Result<(), error::Source> {
        match reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                for value in values(reader, n, max)? {
                    let text = value.map(|value| value.as_utf8().map(String::from)).transpose()?;
                    self.text.push(text);
                }
            }
            ColumnReader::DoubleColumnReader(reader) => {
                self.real.extend(values(reader, n, max)?);
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.real.extend(values(reader, n, max)?.into_iter().map(|x| x.map(f64::from)));
            }
            ColumnReader::Int64ColumnReader(reader) => {
                self.whole.extend(values(reader, n, max)?);
            }
            ColumnReader::Int32ColumnReader(reader) => {
                self.whole.extend(values(reader, n, max)?.into_iter().map(|x| x.map(i64::from)));
            }
            ColumnReader::BoolColumnReader(reader) => {
                self.truths.extend(values(reader, n, max)?);
            }
            _ => return Err("a column of another type".into()),
        }
        Ok(())
    }
}

/// The next `n` values of a column within a row group, missing ones included.
/// Parquet stores only those that are there, and a definition level a row: the row has a value
/// where its level is `max_definition`. A column that cannot lack any has 0 as its largest level
/// and no levels.
///
/// # Errors
/// If the row group ends before `n` rows, or a page is damaged.
fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    n: usize,
    max_definition: i16,
) -> Result<Vec<Option<T::T>>, error::Source> {
    let (mut definitions, mut values) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < n {
        let (more, ..) =
            reader.read_records(n - read, Some(&mut definitions), None, &mut values)?;
        if more == 0 {
            return Err(format!("the row group ends after {read} of {n} rows").into());
        }
        read += more;
    }
    if max_definition == 0 {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    let value = |&level: &i16| if level == max_definition { values.next() } else { None };
    Ok(definitions.iter().map(value).collect())
}

/// A parquet file under construction.
pub(super) struct Writer(SerializedFileWriter<File>);

impl Writer {
    /// A file with these columns, of the kinds of the values of `block`. Every column is optional; a
    /// categorical is written as text.
    pub(super) fn new(
        names: &[String],
        block: &[Values<'_>],
        file: File,
    ) -> Result<Self, error::Source> {
        let fields = names.iter().zip(block).map(|(name, values)| column_type(name, values));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Type::group_type_builder("table").with_fields(fields).build()?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Ok(Self(SerializedFileWriter::new(file, schema, Arc::new(properties))?))
    }

    /// Writes further rows as a row group, compressed by Snappy.
    pub(super) fn push(&mut self, block: &[Values<'_>]) -> Result<(), error::Source> {
        let mut group = self.0.next_row_group()?;
        for values in block {
            write_column(&mut group, values)?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), error::Source> {
        self.0.close()?;
        Ok(())
    }
}

/// A column that may lack values, of the kind of these.
pub(crate) fn column_type(name: &str, values: &Values<'_>) -> Result<Arc<Type>, error::Source> {
    let (physical, logical) = match values {
        Values::Single(_) => (Physical::FLOAT, None),
        Values::Column(column) => match column.as_ref() {
            Column::Float(_) => (Physical::DOUBLE, None),
            Column::Integer(_) => (Physical::INT64, None),
            Column::Boolean(_) => (Physical::BOOLEAN, None),
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        },
    };
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    Ok(Arc::new(field.build()?))
}

/// Writes the next column of a row group.
pub(crate) fn write_column(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &Values<'_>,
) -> Result<(), error::Source> {
    let mut to = group.next_column()?.ok_or("a column more than the schema has")?;
    match values {
        Values::Single(values) => {
            let there = vec![1; values.len()];
            to.typed::<FloatType>().write_batch(values, Some(&there), None)?;
        }
        Values::Column(column) => match column.as_ref() {
            Column::Float(values) => put::<DoubleType>(&mut to, values)?,
            Column::Integer(values) => put::<Int64Type>(&mut to, values)?,
            Column::Boolean(values) => put::<BoolType>(&mut to, values)?,
            text => {
                let bytes = |label: String| ByteArray::from(label.into_bytes());
                let labels = text.labels().into_iter();
                let values: Vec<_> = labels.map(|label| label.map(bytes)).collect();
                put::<ByteArrayType>(&mut to, &values)?;
            }
        },
    }
    to.close()?;
    Ok(())
}

/// Writes the values of a column: those that are there, and a level a row that says where.
fn put<T: DataType>(
    to: &mut SerializedColumnWriter<'_>,
    values: &[Option<T::T>],
) -> Result<(), error::Source> {
    let definitions: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    to.typed::<T>().write_batch(&present, Some(&definitions), None)?;
    Ok(())
}
