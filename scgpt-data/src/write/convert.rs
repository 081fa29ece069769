//! Copies between containers, element by element.
//!
//! ```text
//! element of the store             becomes
//!   group                            a group with the same attributes, and its members in turn
//!   numbers, bytes                   an array, in blocks of about [`BLOCK`] bytes
//!   text                             an array, at once
//!   records (rank_genes_groups)      records, field by field
//!   records (obs of old versions)    a table, at the very end: its categories are in uns
//!   a type with no counterpart       nothing: named, with the reason
//! ```
//!
//! Something left out must not be missed later. AnnData reads the columns that `column-order`
//! names, and fails at one that is not there: the list is written anew without it. A sparse matrix
//! without its indices is no matrix: such groups ([`WHOLE`]) go as a whole. Only in `X`, `obs` and
//! `var` is a failure to read the end, as a copy without its cells is none.

use serde_json::{Value, json};

use super::{
    anndata,
    element::{self, Attrs, Sink, Values},
    table,
};
use crate::{
    anndata::{
        frame::{self, is_true, whole},
        records::Records,
        store::{Array, Dtype, Node, Store, join},
    },
    error::{Error, Result},
};

/// Bytes that are copied at a time, about.
const BLOCK: usize = 4 << 20;

/// What the first AnnData versions kept as arrays of records.
const TABLES: [&str; 6] = ["obs", "var", "obsm", "varm", "raw.var", "raw/var"];

/// Groups that mean nothing without one of their members.
const WHOLE: [&str; 7] = [
    "categorical",
    "csr_matrix",
    "csc_matrix",
    "nullable-integer",
    "nullable-boolean",
    "nullable-string-array",
    "awkward-array",
];

/// Copies everything in `store` into `sink`, which is empty. What has no counterpart there, or is
/// of a type that cannot be read, is added to `skipped`, and nothing in `sink` refers to it.
pub(super) fn convert(
    store: &dyn Store,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    convert_but(&[], store, sink, skipped)
}

/// As [`convert`], without the members of the root that are named, for which the caller cares.
pub(super) fn convert_but(
    without: &[&str],
    store: &dyn Store,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let mut copy = Copy { store, sink, skipped, without, tables: Vec::new() };
    for (name, value) in &copy.attributes("")? {
        copy.sink.set_attr("", name, value)?;
    }
    copy.members("")?;
    // Last, as they take names of categories from `uns`.
    for place in std::mem::take(&mut copy.tables) {
        table::split(store, &place, copy.sink, copy.skipped)?;
    }
    Ok(())
}

/// A copy on its way.
struct Copy<'a> {
    store: &'a dyn Store,
    sink: &'a mut dyn Sink,
    /// Places that were left out, each with its reason.
    skipped: &'a mut Vec<String>,
    /// Members of the root that are passed over.
    without: &'a [&'a str],
    /// Places of tables of the first AnnData versions, which wait for everything else.
    tables: Vec<String>,
}

/// What became of an element: the reason why it was left out.
///
/// `None` if it was copied. An error is a failure to read or to write, which [`Copy::member`]
/// judges.
type Outcome = Result<Option<String>>;

impl Copy<'_> {
    /// Copies the members of the group at `place`, and returns the names of those that were left
    /// out.
    ///
    /// # Errors
    /// If the group cannot be listed, or one of the essential members not be copied.
    fn members(&mut self, place: &str) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for name in self.store.children(place)? {
            let member = join(place, &name);
            if self.without.contains(&member.as_str()) {
                continue;
            }
            if anndata::member(&name) != name {
                // It would lead out of the group, and out of the folder of a zarr hierarchy.
                self.skipped.push(format!("{member}: a name that is no part of a path"));
                left.push(name);
            } else if !self.member(&member)? {
                left.push(name);
            }
        }
        Ok(left)
    }

    /// The attributes of an element, without those that have no counterpart.
    fn attributes(&mut self, place: &str) -> Result<Attrs> {
        let mut attrs = attributes(self.store, place)?;
        let skipped = &mut *self.skipped;
        attrs.retain(|name, value| {
            let is_known = element::is_attribute(value);
            if !is_known {
                let place = if place.is_empty() { "the whole" } else { place };
                skipped
                    .push(format!("{place}: its attribute `{name}`, of a type that is not known"));
            }
            is_known
        });
        Ok(attrs)
    }

    /// Copies the element at `place`, or notes why not, and returns whether it was copied.
    ///
    /// # Errors
    /// If the output cannot be written; or the input not be read, where it is essential.
    fn member(&mut self, place: &str) -> Result<bool> {
        let outcome = match self.element(place) {
            // What the cells and their matrix are made of is not left out because it is damaged.
            Err(error)
                if matches!(error, Error::Write { .. })
                    || is_essential(place)
                    || error.is_transfer() =>
            {
                return Err(error);
            }
            Err(error) => Some(reason(&error)),
            Ok(outcome) => outcome,
        };
        if let Some(reason) = &outcome {
            self.sink.remove(place)?;
            self.skipped.push(format!("{place}: {reason}"));
        }
        Ok(outcome.is_none())
    }

    /// Copies one element: an array, or a group with what is in it. Returns the reason if it is
    /// left out.
    fn element(&mut self, place: &str) -> Outcome {
        let mut attrs = self.attributes(place)?;
        let array = match self.store.node(place)? {
            None => return Ok(Some("a link, or nothing that is known".into())),
            Some(Node::Group) => return self.group(place, &attrs),
            Some(Node::Array(array)) => array,
        };
        if attrs.get("encoding-type").is_some_and(|kind| kind == "null") {
            self.sink.null(place, &attrs)?;
            return Ok(None);
        }
        let mut shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
        // The first AnnData versions did not say what an element is; a single value of theirs would
        // be taken for an array elsewhere. Their texts were lists of one.
        if !attrs.contains_key("encoding-type") && array.text_width().is_some() && shape == [1] {
            shape.clear();
        }
        if shape.is_empty() && !attrs.contains_key("encoding-type") {
            attrs.extend(match array.dtype() {
                Dtype::Text => anndata::encoding("string", "0.2.0"),
                _ => anndata::encoding("numeric-scalar", "0.2.0"),
            });
        }
        match array.dtype() {
            Dtype::Records(_) if TABLES.contains(&place) => {
                self.tables.push(place.into());
                Ok(None)
            }
            Dtype::Records(_) => self.records(array.as_ref(), place, &shape, &attrs),
            Dtype::Text => match array.text_width() {
                // Bytes, in no character set.
                Some(width) if attrs.get("encoding-type").is_some_and(|kind| kind == "array") => {
                    self.numbers(array.as_ref(), element::Dtype::Bytes(width), place, &attrs)
                }
                _ => {
                    self.sink.strings(place, &shape, &array.texts()?, &attrs)?;
                    Ok(None)
                }
            },
            dtype => match element::Dtype::named(dtype.name()) {
                Some(dtype) => self.numbers(array.as_ref(), dtype, place, &attrs),
                None => Ok(Some(format!("an array of {}", dtype.name()))),
            },
        }
    }

    /// Copies a group. Sparse matrices and their like are copied whole or left out; of a table or a
    /// dictionary what can be copied is, and the order of columns names only what is there.
    fn group(&mut self, place: &str, attrs: &Attrs) -> Outcome {
        let kind = attrs.get("encoding-type").and_then(Value::as_str).unwrap_or_default();
        let is_whole = WHOLE.contains(&kind) || attrs.contains_key("h5sparse_format");
        self.sink.group(place, attrs)?;
        if is_whole {
            for name in self.store.children(place)? {
                if anndata::member(&name) != name {
                    return Ok(Some(format!("`{name}` in it is a name that is no part of a path")));
                }
                if let Some(reason) = self.element(&join(place, &name))? {
                    return Ok(Some(format!("`{name}` is {reason}")));
                }
            }
            return Ok(None);
        }
        let left = self.members(place)?;
        let Some(Value::Array(order)) = attrs.get("column-order") else {
            return Ok(None);
        };
        if let Some(index) = attrs.get("_index").and_then(Value::as_str)
            && left.iter().any(|name| name == index)
        {
            if is_essential(place) {
                let problem = "the index is of a type that cannot be written";
                return Err(Error::invalid(self.store.path(), join(place, index), problem));
            }
            return Ok(Some("its index is left out".into()));
        }
        if !left.is_empty() {
            let is_there = |name: &&Value| left.iter().all(|left| **name != left.as_str());
            let order: Vec<&Value> = order.iter().filter(is_there).collect();
            self.sink.set_attr(place, "column-order", &json!(order))?;
        }
        Ok(None)
    }

    /// Copies an array of records field by field; one with a field of no known kind is left out
    /// whole.
    fn records(&mut self, array: &dyn Array, place: &str, shape: &[u64], attrs: &Attrs) -> Outcome {
        let records = Records::read(self.store, place, array)?;
        let mut fields = Vec::new();
        for field in records.fields() {
            let values = if field.length == 1 { records.values(field)? } else { None };
            let Some(values) = values.and_then(Values::of) else {
                return Ok(Some(format!("records whose field `{}` is not known", field.name)));
            };
            fields.push((field.name.clone(), values));
        }
        self.sink.records(place, shape, &fields, attrs)?;
        Ok(None)
    }

    /// Copies an array of numbers, a block of rows at a time: memory does not depend on its size.
    ///
    /// Values pass as bytes, so none is rounded or cut: a `uint64` of 2⁶³ and more stays what it
    /// is.
    ///
    /// # Errors
    /// If a block cannot be read or written; the array is ended before, so that the sink can go on.
    fn numbers(
        &mut self,
        array: &dyn Array,
        dtype: element::Dtype,
        place: &str,
        attrs: &Attrs,
    ) -> Outcome {
        let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
        let row: usize = array.shape().iter().skip(1).product();
        let rows = (BLOCK / (dtype.size() * row).max(1)).max(1);
        self.sink.begin(place, dtype, &shape, attrs)?;
        for first in (0..array.len()).step_by(rows) {
            match array.raw(first..array.len().min(first + rows)) {
                Ok(bytes) => self.sink.push(&bytes)?,
                Err(error) => {
                    self.sink.end()?;
                    return Err(error);
                }
            }
        }
        self.sink.end()?;
        Ok(None)
    }
}

/// Whether a place is part of the matrix, the table of cells or that of genes.
fn is_essential(place: &str) -> bool {
    ["X", "obs", "var"].contains(&place.split('/').next().unwrap_or(place))
}

/// What is wrong, without the file, which is the input.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::Invalid { problem, .. } => problem.clone(),
        Error::Read { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

/// The attributes of an element as AnnData wants them, where the storage is less exact.
///
/// What differs: `ordered` is a truth value, lengths are whole numbers, categories are named by a
/// path within the table instead of a reference, and tables say what [`complete`] adds.
fn attributes(store: &dyn Store, place: &str) -> Result<Attrs> {
    let mut attrs = store.attributes(place)?;
    // AnnData 0.7 keeps the categories of a column beside it, and refers to them.
    let (parent, name) = element::split(place);
    let beside = format!("__categories/{name}");
    if !parent.is_empty() && matches!(store.node(&join(parent, &beside)), Ok(Some(_))) {
        attrs.insert("categories".into(), beside.into());
    }
    // HDF5 has truth values by way of numbers only, and writers in R have real numbers.
    if let Some(ordered) = attrs.get_mut("ordered") {
        *ordered = is_true(ordered).into();
    }
    for name in ["shape", "h5sparse_shape"] {
        if let Some(Value::Array(lengths)) = attrs.get_mut(name) {
            let whole: Option<Vec<u64>> = lengths.iter().map(whole).collect();
            if let Some(whole) = whole {
                *lengths = whole.into_iter().map(Value::from).collect();
            }
        }
    }
    if matches!(place, "obs" | "var") && matches!(store.node(place)?, Some(Node::Group)) {
        complete(store, place, &mut attrs)?;
    }
    Ok(attrs)
}

/// Adds what a table must say of itself, and what this one does not.
///
/// That is the index and the order of columns, as this crate reads them, and the encoding: 0.1.0
/// for tables whose categories are beside the columns. What the table says itself is kept, but for
/// the order of columns.
pub(super) fn complete(store: &dyn Store, place: &str, attrs: &mut Attrs) -> Result<()> {
    let is_old = matches!(store.node(&join(place, "__categories"))?, Some(Node::Group));
    let version = if is_old { "0.1.0" } else { "0.2.0" };
    let mut said = anndata::encoding("dataframe", version);
    said.insert("_index".into(), frame::index_name(store, place)?.into());
    // An empty list may be stored as an empty list of numbers.
    attrs.insert("column-order".into(), json!(frame::column_names(store, place)?));
    for (name, value) in said {
        attrs.entry(name).or_insert(value);
    }
    Ok(())
}
