//! [`Store`]: the groups, arrays and attributes that h5ad, zarr and 10x files are made of.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

pub(crate) use super::dtype::{Dtype, Field, FieldKind};
use crate::{
    anndata::number,
    error::{Error, Result},
};

/// A tree of groups and arrays with attributes; places are paths such as `obs/cell_type/codes`.
pub(crate) trait Store: Send {
    /// The file or folder.
    fn path(&self) -> &Path;

    /// The format, in words.
    fn format(&self) -> String;

    /// What is at `place` (the root is `""`), or `None`.
    fn node(&self, place: &str) -> Result<Option<Node>>;

    /// Names of the members of the group at `place`, sorted.
    fn children(&self, place: &str) -> Result<Vec<String>>;

    /// Attributes of the node at `place`.
    fn attributes(&self, place: &str) -> Result<Map<String, Value>>;

    /// Bytes of the file, or of all files of a folder.
    fn stored(&self) -> u64;

    /// Checks that the tree can be walked to an end.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Members that may be there and could not be listed, for people.
    fn unlisted(&self) -> Vec<String> {
        Vec::new()
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

    /// The error that says its elements are no numbers.
    fn not_numbers(&self) -> Error;

    /// The error that says it cannot be read.
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

/// A group of a store as a store of its own.
pub(crate) struct Within {
    store: Box<dyn Store>,
    prefix: String,
    /// Path of the store with that of the group behind it, for messages.
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

    fn unlisted(&self) -> Vec<String> {
        self.store.unlisted()
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
