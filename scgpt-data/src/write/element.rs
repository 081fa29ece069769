//! [`Sink`]: the few element kinds that AnnData is made of, whatever the container.
//!
//! ```text
//! arrays     begin, push …, end      numbers, row by row; the first length may be open till the end
//!            strings                 text, at once
//!            records                 fields, at once
//!            null                    the element without a value
//! groups     group, attrs, set_attr, remove
//!            finish
//! ```
//!
//! A container knows nothing of AnnData: encodings are attributes to it, and come from above.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{anndata::records, error::Result};

/// Attributes of an element: text, numbers, truth values, and lists of them.
pub(super) type Attrs = Map<String, Value>;

/// Whether an attribute is one that both containers have.
pub(super) fn is_attribute(value: &Value) -> bool {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        value => std::slice::from_ref(value),
    };
    [Value::is_string, Value::is_boolean, Value::is_number].iter().any(|is| items.iter().all(is))
}

/// Element type of an array of numbers, truth values or bytes.
///
/// Names are those of NumPy. Whatever the machine, bytes are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
    /// Complex numbers: two real ones.
    C64,
    C128,
    /// So many bytes of text.
    Bytes(usize),
}

impl Dtype {
    /// The type with NumPy's name, `uint16`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int8" => Self::I8,
            "int16" => Self::I16,
            "int32" => Self::I32,
            "int64" => Self::I64,
            "uint8" => Self::U8,
            "uint16" => Self::U16,
            "uint32" => Self::U32,
            "uint64" => Self::U64,
            "float16" => Self::F16,
            "float32" => Self::F32,
            "float64" => Self::F64,
            "complex64" => Self::C64,
            "complex128" => Self::C128,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::C64 => 8,
            Self::C128 => 16,
            Self::Bytes(width) => width,
        }
    }
}

/// Values of one kind: text, or numbers as little-endian bytes.
pub(super) enum Values {
    Texts(Vec<String>),
    /// As many as the size of one goes into the bytes.
    Numbers(Dtype, Vec<u8>),
}

impl Values {
    /// Values that were read; `None` for numbers of a type that is not written.
    pub(super) fn of(values: records::Values) -> Option<Self> {
        Some(match values {
            records::Values::Texts(texts) => Self::Texts(texts),
            records::Values::Numbers(dtype, bytes) => {
                Self::Numbers(Dtype::named(dtype.name())?, bytes)
            }
        })
    }

    /// Writes an array of them.
    ///
    /// The attributes are those for text and those for numbers.
    pub(super) fn write(
        &self,
        sink: &mut dyn Sink,
        path: &str,
        shape: &[u64],
        [text, numbers]: [&Attrs; 2],
    ) -> Result<()> {
        match self {
            Self::Texts(texts) => sink.strings(path, shape, texts, text),
            Self::Numbers(dtype, bytes) => array(sink, path, *dtype, shape, bytes, numbers),
        }
    }
}

/// A container under construction.
///
/// Paths are relative to the root, with `/` between names; the parent of an element exists before
/// it. An element with an existing name replaces that element.
pub(super) trait Sink {
    /// Makes sure that `path` is a group; a group that exists keeps its attributes and members.
    fn group(&mut self, path: &str, attrs: &Attrs) -> Result<()>;

    /// Attributes of a group.
    ///
    /// Those of the input, if it is extended, with what was set since.
    fn attrs(&mut self, path: &str) -> Result<Attrs>;

    /// Sets one attribute of a group.
    fn set_attr(&mut self, path: &str, name: &str, value: &Value) -> Result<()>;

    /// Takes `path` away, if it is there.
    fn remove(&mut self, path: &str) -> Result<()>;

    /// An array of text; an empty `shape` is one value.
    fn strings(
        &mut self,
        path: &str,
        shape: &[u64],
        values: &[String],
        attrs: &Attrs,
    ) -> Result<()>;

    /// An array of records: the values of each field, record by record.
    fn records(
        &mut self,
        path: &str,
        shape: &[u64],
        fields: &[(String, Values)],
        attrs: &Attrs,
    ) -> Result<()>;

    /// The element that stands for "nothing".
    fn null(&mut self, path: &str, attrs: &Attrs) -> Result<()>;

    /// Begins an array whose values follow with [`push`](Self::push).
    ///
    /// One array is open at a time, and nothing else is written before it ends. A first length of
    /// `u64::MAX` is one that is not known yet.
    fn begin(&mut self, path: &str, dtype: Dtype, shape: &[u64], attrs: &Attrs) -> Result<()>;

    /// The next values of the array, little-endian, row-major.
    fn push(&mut self, bytes: &[u8]) -> Result<()>;

    /// Ends the array. The length of its first axis is what was pushed, whatever
    /// [`begin`](Self::begin) was told, unless nothing was and the length was not `u64::MAX`.
    fn end(&mut self) -> Result<()>;

    /// Completes the container.
    ///
    /// Nothing may be written after it. Without it the output is not complete.
    fn finish(&mut self) -> Result<()>;
}

/// A whole array at once.
pub(super) fn array(
    sink: &mut dyn Sink,
    path: &str,
    dtype: Dtype,
    shape: &[u64],
    bytes: &[u8],
    attrs: &Attrs,
) -> Result<()> {
    sink.begin(path, dtype, shape, attrs)?;
    sink.push(bytes)?;
    sink.end()
}

/// The folder part of a path, empty for a member of the root, and the name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Columns of elements of some size each, record by record.
///
/// Every column has as many elements; records are as long as the sizes together.
///
/// # Panics
/// If a column is shorter than the first.
pub(super) fn interleave(columns: &[(usize, Cow<'_, [u8]>)]) -> Vec<u8> {
    let size: usize = columns.iter().map(|(size, _)| size).sum();
    let count = columns.first().map_or(0, |(size, bytes)| bytes.len() / (*size).max(1));
    let mut records = Vec::with_capacity(size * count);
    for record in 0..count {
        for (size, bytes) in columns {
            records.extend_from_slice(&bytes[record * size..][..*size]);
        }
    }
    records
}
