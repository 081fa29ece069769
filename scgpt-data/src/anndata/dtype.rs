//! [`Dtype`]: the types of elements that arrays have.

/// The element type of an [`Array`](super::store::Array).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dtype {
    Boolean,
    /// Whole numbers by their usual name, such as `int32` or `uint8`.
    Integer(String),
    /// Real numbers by their usual name, such as `float32`.
    Float(String),
    /// Complex numbers by their usual name, `complex64` or `complex128`.
    Complex(String),
    Text,
    Records(Vec<Field>),
    /// Anything else, described in words for messages.
    Other(String),
}

/// One field of a [`Dtype::Records`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Offset of its first byte within the record.
    pub(crate) offset: usize,
    /// Bytes of the field.
    pub(crate) size: usize,
    /// Number of values: more than one for a field that is an array.
    pub(crate) length: usize,
    pub(crate) big_endian: bool,
    pub(crate) kind: FieldKind,
}

/// How the bytes of a [`Field`] are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Boolean,
    Signed,
    Unsigned,
    Float,
    /// Zero-padded UTF-8.
    Text,
    /// Zero-padded UTF-32.
    WideText,
    /// A reference to text of any length elsewhere in the file.
    Reference,
    Other,
}

impl Dtype {
    /// The name shown by `inspect`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Boolean => "bool",
            Self::Integer(name) | Self::Float(name) | Self::Complex(name) | Self::Other(name) => {
                name
            }
            Self::Text => "text",
            Self::Records(_) => "records",
        }
    }

    /// Whether elements can be read as numbers.
    pub(crate) fn is_numeric(&self) -> bool {
        matches!(self, Self::Boolean | Self::Integer(_) | Self::Float(_))
    }

    /// A type with its usual name, `int16` or `float64`.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "bool" => Self::Boolean,
            "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" => {
                Self::Integer(name.to_owned())
            }
            "float16" | "float32" | "float64" => Self::Float(name.to_owned()),
            "complex64" | "complex128" => Self::Complex(name.to_owned()),
            _ => Self::Other(name.to_owned()),
        }
    }
}
