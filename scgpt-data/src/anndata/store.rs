//! [`Store`]: the groups, arrays and attributes that h5ad, zarr and 10x files are made of.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    anndata::number,
    error::{Error, Result},
};

/// A tree of groups and arrays with attributes; places are paths such as `obs/cell_type/codes`.
pub(crate) trait Store: Send {
    /// The file or folder.
    fn path(&self) -> &Path;

    /// Format in words.
    fn format(&self) -> String;

    /// What is at `place` (the root is `""`), or `None`.
    fn node(&self, place: &str) -> Result<Option<Node>>;

    /// Names of the members of the group at `place`, sorted.
    fn children(&self, place: &str) -> Result<Vec<String>>;

    /// Attributes of the node at `place`.
    fn attributes(&self, place: &str) -> Result<Map<String, Value>>;

    /// Bytes of the file, or of all files.
    fn stored(&self) -> u64;

    /// That the tree has an end.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A node of a [`Store`].
pub(crate) enum Node {
    Group,
    Array(Box<dyn Array>),
}

/// An array of a [`Store`], opened once and read in windows along its first axis.
pub(crate) trait Array: Send {
    fn shape(&self) -> &[usize];

    fn dtype(&self) -> &Dtype;

    /// Rows as elements of [`Self::dtype`], row-major and little-endian; of records and fixed-width
    /// text, the bytes as they are stored.
    fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>>;

    /// All elements as text.
    fn texts(&self) -> Result<Vec<String>>;

    /// Bytes of one element, if it is text of fixed width and stored in them.
    fn text_width(&self) -> Option<usize>;

    /// The texts that fields of records refer to ([`FieldKind::Reference`]).
    fn referenced(&self, references: &[&[u8]]) -> Result<Vec<String>>;

    /// Rows of a chunk along the first axis, and bytes of a chunk before compression, if the array is
    /// stored in chunks that are decoded as a whole.
    fn chunk(&self) -> Option<(usize, u64)>;

    /// The error that its elements are no numbers.
    fn not_numbers(&self) -> Error;

    /// The error that it cannot be read.
    fn failed(&self, cause: io::Error) -> Error;

    /// Rows as `f32`, row-major. Wider types are rounded.
    fn floats(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        number::decode(self.dtype(), &self.raw(rows)?).ok_or_else(|| self.not_numbers())
    }

    /// Rows as `i64`, row-major; truth values are 0 and 1.
    fn integers(&self, rows: Range<usize>) -> Result<Vec<i64>> {
        number::decode(self.dtype(), &self.raw(rows)?).ok_or_else(|| self.not_numbers())
    }

    /// Length of the first axis.
    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(1)
    }
}

/// The element type of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dtype {
    Boolean,
    /// With the usual name: `int32`, `uint8`…
    Integer(String),
    /// With the usual name: `float32`…
    Float(String),
    /// With the usual name: `complex64`, `complex128`.
    Complex(String),
    Text,
    Records(Vec<Field>),
    /// Anything else, in words.
    Other(String),
}

/// One field of a [`Dtype::Records`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Of its first byte within the record.
    pub(crate) offset: usize,
    /// In bytes.
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
    /// To text of any length elsewhere in the file.
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

/// A group of a store as a store of its own.
pub(crate) struct Within {
    store: Box<dyn Store>,
    prefix: String,
    /// That of the store and the group, for messages.
    path: PathBuf,
}

impl Within {
    pub(crate) fn new(store: Box<dyn Store>, group: &str) -> Self {
        let path = store.path().join(group);
        Self { store, prefix: group.to_owned(), path }
    }

    fn place(&self, place: &str) -> String {
        if place.is_empty() { self.prefix.clone() } else { join(&self.prefix, place) }
    }
}

impl Store for Within {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> String {
        self.store.format()
    }

    fn node(&self, place: &str) -> Result<Option<Node>> {
        self.store.node(&self.place(place))
    }

    fn children(&self, place: &str) -> Result<Vec<String>> {
        self.store.children(&self.place(place))
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        self.store.attributes(&self.place(place))
    }

    fn stored(&self) -> u64 {
        self.store.stored()
    }
}

/// Names of the members of the group at `place`; none if there is no such group.
pub(crate) fn members(store: &dyn Store, place: &str) -> Result<Vec<String>> {
    match store.node(place)? {
        Some(Node::Group) => store.children(place),
        _ => Ok(Vec::new()),
    }
}

/// `place` of a child: `join("obs", "index")` is `obs/index`.
pub(crate) fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") }
}

/// Text from its bytes: UTF-8, or else Latin-1, in which every byte is a character.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_either_character_set() {
        assert_eq!(text_of("Zürich".as_bytes()), "Zürich");
        assert_eq!(text_of(b"Z\xfcrich"), "Zürich");
    }
}
