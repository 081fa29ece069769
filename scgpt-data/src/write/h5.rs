//! [`H5Sink`]: builds an HDF5 file, or extends a copy of one, by appending to its end.
//!
//! Arrays go straight to the end of the file, contiguous, and groups are held in memory as names
//! and addresses until [`Sink::finish`] writes their headers and points the superblock at the new
//! root. Objects of the copied file stay where they are and are linked by address, so that memory
//! and time depend on what is added and not on the size of the file. The format is that of the
//! "HDF5 File Format Specification" version 3.0; what is written needs HDF5 1.8 or later.
//! Own code, so that a copied file keeps its bytes and takes no memory by its size.
//!
//! ```text
//! old file, as it was            superblock … objects … old headers of groups
//! what is new, as it comes       arrays, collections of texts, headers of datasets
//! at the end                     headers of the groups that are known here, the root last
//! superblock                     patched last: where the root is, where the file ends
//! ```
//!
//! Until the superblock is patched the file is the old one with bytes behind its end. A group that
//! is replaced leaves its old header behind, unreferenced.
//!
//! What this needs of a file is refused where it is missing ([`H5Sink::extend`]), and the caller
//! then writes every element anew.

mod appender;
mod heap;
mod message;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use self::{
    appender::Appender,
    heap::{Heap, REFERENCE},
    message::{
        LARGEST, attribute, compound, contiguous_layout, dataspace, datatype, fill_value, lookup3,
        null_dataspace, string_datatype,
    },
};
use crate::{
    anndata::store::Store as _,
    error::{Error, Result},
    h5::H5Store,
    hdf5::{
        bytes::{Bytes, read_at, unsupported},
        group::{Link, Node},
        image::{Image, SIGNATURE},
        message::{ATTRIBUTE, DATASPACE, DATATYPE, FILL_VALUE, LAYOUT, UNDEFINED},
        root,
    },
    regular::refusal,
    write::element::{Attrs, Dtype, Sink, Values, interleave, split},
};

/// Groups of an existing file that get new members.
const GROWING: [&str; 5] = ["obs", "obsm", "obsp", "varm", "uns"];

/// What MuData files begin with, before the HDF5 image.
const MUDATA: &str = concat!(
    "MuData (format-version=0.1.0;creator=scgpt;creator-version=",
    env!("CARGO_PKG_VERSION"),
    ")"
);
/// Bytes before the image of a MuData file.
const USER_BLOCK: u64 = 512;

/// An HDF5 file under construction.
pub(super) struct H5Sink {
    /// Where the file will be, for messages.
    path: PathBuf,
    out: Appender,
    heap: Heap,
    superblock: Superblock,
    root: Node,
    open: Option<OpenArray>,
    /// The copied file, for the values of its attributes.
    original: Option<H5Store>,
}

/// Which fields of the superblock have to follow.
#[derive(Debug)]
enum Superblock {
    /// Versions 0 and 1: offset of the address field of end-of-file, and of the root's entry.
    Old { end: u64, root: u64 },
    /// Versions 2 and 3, as stored.
    ///
    /// 48 bytes with both fields and a checksum of them all.
    New(Vec<u8>),
}

/// An array whose values are being written.
#[derive(Debug)]
struct OpenArray {
    path: String,
    dtype: Dtype,
    shape: Vec<u64>,
    attrs: Attrs,
    /// Where its first value is; nothing else is appended before it ends.
    address: u64,
}

impl H5Sink {
    /// An empty file in `file`, which will be known as `path`; one that ends in `.h5mu` gets the
    /// head by which MuData is known.
    pub(super) fn create(file: File, path: &Path) -> Result<Self> {
        let is_mudata = path.extension().is_some_and(|extension| extension == "h5mu");
        Self::create_image(file, path, is_mudata).map_err(|error| Error::write(path, error))
    }

    fn create_image(mut file: File, path: &Path, is_mudata: bool) -> io::Result<Self> {
        let mut base = 0;
        if is_mudata {
            base = USER_BLOCK;
            let mut head = MUDATA.as_bytes().to_vec();
            head.resize(512, 0);
            file.write_all(&head)?;
        }
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[2, 8, 8, 0]);
        bytes.resize(48, 0);
        bytes[12..20].copy_from_slice(&base.to_le_bytes());
        bytes[20..28].copy_from_slice(&UNDEFINED.to_le_bytes());
        let file = BufWriter::with_capacity(1 << 20, Image::new(file, base));
        let mut out = Appender { file, end: 0 };
        out.append(&bytes)?;
        Ok(Self {
            path: path.into(),
            out,
            heap: Heap::default(),
            superblock: Superblock::New(bytes),
            root: Node::default(),
            open: None,
            original: None,
        })
    }

    /// Extends the HDF5 file at `copy`, which will be known as `path`.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for a file that cannot be extended by appending: another
    /// width of addresses, managed free space, shared messages.
    pub(super) fn extend(copy: &Path, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(copy)?;
        let mut file =
            Image::find(file)?.ok_or_else(|| unsupported("a file without superblock"))?;
        let head = read_at(&mut file, 0, 48)?;
        let superblock = match head[8] {
            version @ (0 | 1) => {
                let first = 24 + 4 * u64::from(version);
                Superblock::Old { end: first + 16, root: first + 40 }
            }
            _ if Bytes(&head[20..]).number(8)? != UNDEFINED => {
                return Err(unsupported("a file with a superblock extension"));
            }
            _ => Superblock::New(head),
        };
        let root = root(&mut file)?;
        let mut root = Node::read(&mut file, root)?.ok_or_else(|| unsupported("the root"))?;
        for (name, link) in &mut root.links {
            if GROWING.contains(&name.as_str()) && matches!(link, Link::Message(_)) {
                return Err(unsupported("a link"));
            }
            if GROWING.contains(&name.as_str())
                && let Link::Object(address) = *link
                && let Some(group) = Node::read(&mut file, address)?
            {
                *link = Link::Group(group);
            }
        }
        let end = file.seek(SeekFrom::End(0))?;
        let mut out = Appender { file: BufWriter::with_capacity(1 << 20, file), end };
        out.align()?;
        Ok(Self {
            path: path.into(),
            out,
            heap: Heap::default(),
            superblock,
            root,
            open: None,
            original: Some(H5Store::open(copy).map_err(io::Error::other)?),
        })
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::write(&self.path, error)
    }

    /// The group at `path`.
    ///
    /// # Errors
    /// If a name is missing or leads to a dataset. Of an extended file only the root and
    /// [`GROWING`] are known as groups; all others are linked by address and stay as they are.
    fn node(&mut self, path: &str) -> io::Result<&mut Node> {
        let mut node = &mut self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let link = node
                .links
                .iter_mut()
                .find_map(|(other, link)| (other == name).then_some(link))
                .ok_or_else(|| io::Error::other(format!("`{name}` of `{path}` is missing")))?;
            let Link::Group(group) = link else {
                return Err(io::Error::other(format!("`{name}` of `{path}` is no group")));
            };
            node = group;
        }
        Ok(node)
    }

    /// Writes an object header and links it as `path`.
    fn object(
        &mut self,
        path: &str,
        mut messages: Vec<(u8, Vec<u8>)>,
        attrs: &Attrs,
    ) -> io::Result<()> {
        for (name, value) in attrs {
            if let Some(message) = self.attribute(name, value)? {
                messages.push((ATTRIBUTE, message));
            }
        }
        let address = self.out.header(&messages)?;
        let (parent, name) = split(path);
        self.node(parent)?.link(name, Link::Object(address));
        Ok(())
    }

    /// An attribute message; `None` for a value that has none.
    ///
    /// A list becomes one of a single element type: text, truth values, whole or real numbers,
    /// whichever fits all its items. An empty list is one of text.
    ///
    /// # Errors
    /// If it does not fit into a message. The caller's remedy is another container, since HDF5
    /// would put it into dense storage, which is not written here.
    fn attribute(&mut self, name: &str, value: &Value) -> io::Result<Option<Vec<u8>>> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        let shape: &[u64] = if value.is_array() { &[items.len() as u64] } else { &[] };
        let (kind, data) = if items.iter().all(Value::is_string) {
            let texts = items.iter().filter_map(Value::as_str);
            (string_datatype(), self.heap.insert_all(&mut self.out, texts)?)
        } else if items.iter().all(Value::is_boolean) {
            let data = items.iter().map(|item| u8::from(item == &Value::Bool(true)));
            (datatype(Dtype::Bool), data.collect())
        } else if items.iter().all(Value::is_i64) {
            let data = items.iter().filter_map(Value::as_i64);
            (datatype(Dtype::I64), data.flat_map(i64::to_le_bytes).collect())
        } else if items.iter().all(Value::is_number) {
            let data = items.iter().filter_map(Value::as_f64);
            (datatype(Dtype::F64), data.flat_map(f64::to_le_bytes).collect())
        } else {
            return Ok(None);
        };
        let message = attribute(name, &kind, &dataspace(shape), &data);
        if message.len() > LARGEST {
            let problem =
                format!("the attribute `{name}` is larger than the 64 KiB that HDF5 allows");
            return Err(refusal(problem, "write a `.zarr` folder, which has no such limit"));
        }
        Ok(Some(message))
    }

    /// Writes texts into the heap, and an array of references to them.
    fn write_strings(
        &mut self,
        path: &str,
        shape: &[u64],
        values: &[String],
        attrs: &Attrs,
    ) -> io::Result<()> {
        let texts = values.iter().map(String::as_str);
        let data = self.heap.insert_all(&mut self.out, texts)?;
        let address = self.out.append(&data)?;
        let messages = dataset(string_datatype(), shape, address, data.len() as u64);
        self.object(path, messages, attrs)
    }

    /// Writes records as one compound dataset; texts in them are references.
    fn write_records(
        &mut self,
        path: &str,
        shape: &[u64],
        fields: &[(String, Values)],
        attrs: &Attrs,
    ) -> io::Result<()> {
        let mut kinds = Vec::with_capacity(fields.len());
        let mut columns = Vec::with_capacity(fields.len());
        for (name, values) in fields {
            let (kind, size, column) = match values {
                Values::Texts(texts) => {
                    let texts = texts.iter().map(String::as_str);
                    let references = self.heap.insert_all(&mut self.out, texts)?;
                    (string_datatype(), REFERENCE, Cow::<[u8]>::Owned(references))
                }
                Values::Numbers(dtype, bytes) => {
                    (datatype(*dtype), dtype.size(), Cow::Borrowed(bytes.as_slice()))
                }
            };
            kinds.push((name.as_str(), size, kind));
            columns.push((size, column));
        }
        let data = interleave(&columns);
        self.out.align()?;
        let address = self.out.append(&data)?;
        let messages = dataset(compound(&kinds), shape, address, data.len() as u64);
        self.object(path, messages, attrs)
    }

    /// Writes the header of the array whose values were pushed, with as many rows as there were.
    fn write_open(&mut self) -> io::Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let size = self.out.end - open.address;
        let lengths = open.shape.iter().skip(1);
        let row = lengths.fold(open.dtype.size() as u64, |size, &n| size.saturating_mul(n));
        if let Some(first) = open.shape.first_mut()
            && let Some(rows) = size.checked_div(row)
        {
            *first = rows;
        }
        let messages = dataset(datatype(open.dtype), &open.shape, open.address, size);
        self.object(&open.path, messages, &open.attrs)
    }

    /// Writes the groups, the last collection of texts and the superblock, and waits for the disk.
    fn write_end(&mut self) -> io::Result<()> {
        let root = std::mem::take(&mut self.root);
        let root = self.out.group(root)?;
        self.heap.flush(&mut self.out)?;
        // The one address that counts from the beginning of the file.
        let end = self.out.end + self.out.file.get_ref().base();
        match &mut self.superblock {
            Superblock::Old { end: place, root: entry } => {
                // Cache type 0: nothing about the root is repeated in its entry.
                let mut bytes = root.to_le_bytes().to_vec();
                bytes.resize(32, 0);
                self.out.patch(*entry, &bytes)?;
                self.out.patch(*place, &end.to_le_bytes())?;
            }
            Superblock::New(bytes) => {
                bytes[28..36].copy_from_slice(&end.to_le_bytes());
                bytes[36..44].copy_from_slice(&root.to_le_bytes());
                let checksum = lookup3(&bytes[..44]);
                bytes[44..48].copy_from_slice(&checksum.to_le_bytes());
                self.out.patch(0, bytes)?;
            }
        }
        self.out.file.flush()?;
        self.out.file.get_ref().sync()
    }
}

/// The messages of a contiguous dataset.
fn dataset(kind: Vec<u8>, shape: &[u64], address: u64, size: u64) -> Vec<(u8, Vec<u8>)> {
    vec![
        (DATASPACE, dataspace(shape)),
        (DATATYPE, kind),
        (FILL_VALUE, fill_value()),
        (LAYOUT, contiguous_layout(address, size)),
    ]
}

impl Sink for H5Sink {
    fn group(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        let (parent, name) = split(path);
        let exists = self
            .node(parent)
            .map(|node| node.links.iter().any(|(other, _)| other == name))
            .map_err(|error| self.failed(error))?;
        if exists {
            return match self.node(path) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.failed(error)),
            };
        }
        self.node(parent)
            .map(|node| node.link(name, Link::Group(Node::default())))
            .map_err(|error| self.failed(error))?;
        for (name, value) in attrs {
            self.set_attr(path, name, value)?;
        }
        Ok(())
    }

    /// Values of old attributes are read by the HDF5 library, and those that were set since are
    /// laid over them.
    fn attrs(&mut self, path: &str) -> Result<Attrs> {
        // A group that is new has no attributes in the original.
        let mut attrs = match &self.original {
            Some(original) if !matches!(original.node(path), Ok(None)) => {
                original.attributes(path)?
            }
            _ => Attrs::new(),
        };
        match self.node(path) {
            Ok(node) => attrs.extend(node.values.clone()),
            Err(error) => return Err(self.failed(error)),
        }
        Ok(attrs)
    }

    fn set_attr(&mut self, path: &str, name: &str, value: &Value) -> Result<()> {
        match self.attribute(name, value) {
            Ok(None) => Ok(()),
            Ok(Some(message)) => self.node(path).map(|node| {
                node.values.insert(name.into(), value.clone());
                node.attribute(name, message);
            }),
            Err(error) => Err(error),
        }
        .map_err(|error| self.failed(error))
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        let (parent, name) = split(path);
        let removed = self.node(parent).map(|node| node.links.retain(|(other, _)| other != name));
        removed.map_err(|error| self.failed(error))
    }

    fn strings(
        &mut self,
        path: &str,
        shape: &[u64],
        values: &[String],
        attrs: &Attrs,
    ) -> Result<()> {
        self.write_strings(path, shape, values, attrs).map_err(|error| self.failed(error))
    }

    fn records(
        &mut self,
        path: &str,
        shape: &[u64],
        fields: &[(String, Values)],
        attrs: &Attrs,
    ) -> Result<()> {
        self.write_records(path, shape, fields, attrs).map_err(|error| self.failed(error))
    }

    fn null(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        let messages = vec![
            (DATASPACE, null_dataspace()),
            (DATATYPE, datatype(Dtype::F32)),
            (FILL_VALUE, fill_value()),
            (LAYOUT, contiguous_layout(UNDEFINED, 0)),
        ];
        self.object(path, messages, attrs).map_err(|error| self.failed(error))
    }

    fn begin(&mut self, path: &str, dtype: Dtype, shape: &[u64], attrs: &Attrs) -> Result<()> {
        self.out.align().map_err(|error| self.failed(error))?;
        self.open = Some(OpenArray {
            path: path.into(),
            dtype,
            shape: shape.into(),
            attrs: attrs.clone(),
            address: self.out.end,
        });
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.append(bytes).map(drop).map_err(|error| self.failed(error))
    }

    fn end(&mut self) -> Result<()> {
        self.write_open().map_err(|error| self.failed(error))
    }

    fn finish(&mut self) -> Result<()> {
        self.write_end().map_err(|error| self.failed(error))
    }
}
