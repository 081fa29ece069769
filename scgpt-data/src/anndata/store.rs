//! [`Store`]: the groups, arrays and attributes that h5ad, zarr and 10x files are made of.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::Result;

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

    /// Rows as `f32`, row-major. Wider types are rounded.
    fn floats(&self, rows: Range<usize>) -> Result<Vec<f32>>;

    /// Rows as `f64`, row-major.
    fn doubles(&self, rows: Range<usize>) -> Result<Vec<f64>>;

    /// Rows as `i64`, row-major; truth values are 0 and 1.
    fn integers(&self, rows: Range<usize>) -> Result<Vec<i64>>;

    /// All elements as text.
    fn texts(&self) -> Result<Vec<String>>;

    /// The bytes of all elements, for [`Dtype::Records`].
    fn bytes(&self) -> Result<Vec<u8>>;

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
    Other,
}

impl Dtype {
    /// The name shown by `inspect`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Boolean => "bool",
            Self::Integer(name) | Self::Float(name) | Self::Other(name) => name,
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
            _ if name.starts_with("int") || name.starts_with("uint") => {
                Self::Integer(name.to_owned())
            }
            _ if name.starts_with("float") || name == "bfloat16" => Self::Float(name.to_owned()),
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
}

/// `place` of a child: `join("obs", "index")` is `obs/index`.
pub(crate) fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") }
}
