//! [`Beneath`]: a group of a sink as a sink of its own.

use serde_json::Value;

use super::element::{Attrs, Dtype, Sink, Values};
use crate::{anndata::store::join, error::Result};

/// A sink whose root is a group of another, which exists.
pub(super) struct Beneath<'a> {
    sink: &'a mut dyn Sink,
    group: &'a str,
}

impl<'a> Beneath<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink, group: &'a str) -> Self {
        Self { sink, group }
    }

    fn path(&self, path: &str) -> String {
        if path.is_empty() { self.group.to_owned() } else { join(self.group, path) }
    }
}

impl Sink for Beneath<'_> {
    fn group(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        self.sink.group(&self.path(path), attrs)
    }

    fn attrs(&mut self, path: &str) -> Result<Attrs> {
        self.sink.attrs(&self.path(path))
    }

    fn set_attr(&mut self, path: &str, name: &str, value: &Value) -> Result<()> {
        self.sink.set_attr(&self.path(path), name, value)
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        self.sink.remove(&self.path(path))
    }

    fn strings(
        &mut self,
        path: &str,
        shape: &[u64],
        values: &[String],
        attrs: &Attrs,
    ) -> Result<()> {
        self.sink.strings(&self.path(path), shape, values, attrs)
    }

    fn records(
        &mut self,
        path: &str,
        shape: &[u64],
        fields: &[(String, Values)],
        attrs: &Attrs,
    ) -> Result<()> {
        self.sink.records(&self.path(path), shape, fields, attrs)
    }

    fn null(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        self.sink.null(&self.path(path), attrs)
    }

    fn begin(&mut self, path: &str, dtype: Dtype, shape: &[u64], attrs: &Attrs) -> Result<()> {
        self.sink.begin(&self.path(path), dtype, shape, attrs)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.push(bytes)
    }

    fn end(&mut self) -> Result<()> {
        self.sink.end()
    }

    /// The whole is completed by its owner.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
