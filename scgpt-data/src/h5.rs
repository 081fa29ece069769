//! [`H5Store`]: an HDF5 file as a [`Store`]; the only place that reads through the HDF5 library.
//!
//! Files are opened for streaming: memory holds the chunks that overlap a window, never the file.

mod links;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use half::f16;
use hdf5_pure::{
    AttrValue, ChunkCacheConfig, DType, Dataset, Datatype, DatatypeByteOrder, File,
    FileAccessProperties, FormatError, Layout, VlenStringReadOptions,
};
use serde_json::{Map, Value, json};

use crate::{
    anndata::{
        claim::{self, Claim},
        store::{Array, Dtype, Field, FieldKind, Node, Store},
    },
    error::{Error, Result},
    guard::guarded,
    h5::links::{Found, Links},
};

/// Decoded chunks kept for one array, so that windows which share a chunk decode it once.
const CHUNK_CACHE_BYTES: usize = 16 << 20;
const CHUNK_CACHE_SLOTS: usize = 4096;

/// Filters the library applies: deflate, shuffle, fletcher32, n-bit, scale-offset, lzf.
const KNOWN_FILTERS: [u16; 6] = [1, 2, 3, 5, 6, 32000];

/// Texts may take this many bytes whatever the size of the file, and else its size this many times.
const ANY_TEXTS: usize = 64 << 20;
const DENSEST_TEXTS: usize = 10;

/// Remedies for files that are whole, but of a kind that is not read.
const WRITE_AGAIN: &str = "save it again in Python, which reads it: anndata.read_h5ad(\"old.h5ad\").write_h5ad(\"new.h5ad\", compression=\"gzip\")";
const DECOMPRESS: &str = "save it again in Python: import hdf5plugin, anndata; anndata.read_h5ad(\"old.h5ad\").write_h5ad(\"new.h5ad\", compression=\"gzip\")";
const TAKE_IN: &str = "bring what the link leads to into the file: read it in Python with anndata.read_h5ad and save it with write_h5ad";

/// An open HDF5 file.
pub(crate) struct H5Store {
    path: PathBuf,
    file: File,
    /// None for the few files whose groups only the library reads.
    links: Option<RefCell<Links>>,
}

struct H5Array {
    path: PathBuf,
    place: String,
    dataset: Dataset,
    shape: Vec<usize>,
    dtype: Dtype,
    /// Little-endian 16-bit floats, which the library does not convert.
    half: bool,
    /// Why the values cannot be read, and what to do about it.
    unsupported: Option<(String, &'static str)>,
    /// Most bytes of all texts together.
    most_text: usize,
}

impl H5Store {
    /// Opens `path` for reading.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let access = FileAccessProperties::new().with_chunk_cache(
            ChunkCacheConfig::new()
                .with_max_bytes(CHUNK_CACHE_BYTES)
                .with_max_slots(CHUNK_CACHE_SLOTS),
        );
        let file = guarded(|| match File::open_streaming_with_options(path, access) {
            Err(hdf5_pure::Error::Format(FormatError::UnsupportedVersion(version))) => {
                Ok(Err(version))
            }
            opened => opened.map(Ok),
        })
        .map_err(|cause| Error::open(path, cause))?
        .map_err(|version| {
            let problem = format!("version {version} of HDF5's file layout is not supported yet");
            Error::invalid(path, "superblock", problem).with_hint(WRITE_AGAIN)
        })?;
        Ok(Self { path: path.into(), file, links: Links::open(path).map(RefCell::new) })
    }

    /// The place of an object without soft links, or `None` if nothing is there.
    fn resolve(&self, place: &str) -> Result<Option<String>> {
        // What our own reader of groups does not know the library may.
        let Some(Ok(found)) = self.links.as_ref().map(|links| links.borrow_mut().find(place))
        else {
            return Ok(Some(place.to_owned()));
        };
        match found {
            Found::Object { path, .. } => Ok(Some(path)),
            Found::Nothing => Ok(None),
            Found::Cycle => Err(self.circular(place)),
            Found::External { file, path } => {
                let problem = format!(
                    "a link out of the file, to `{path}` of `{file}`: such links are not followed"
                );
                Err(Error::invalid(&self.path, place, problem).with_hint(TAKE_IN))
            }
        }
    }

    fn circular(&self, place: &str) -> Error {
        let problem = "a group that contains itself, or groups nested without end";
        Error::invalid(&self.path, place, problem)
            .with_hint("remove the link in Python: with h5py.File(path, \"a\") as f: del f[place]")
    }

    /// Why the values of a dataset cannot be read, if they cannot.
    fn unsupported(dataset: &Dataset) -> Option<(String, &'static str)> {
        let layout = guarded(|| match dataset.layout() {
            Err(hdf5_pure::Error::Format(FormatError::InvalidLayoutVersion(version))) => {
                Ok(Err(version))
            }
            layout => layout.map(Ok),
        });
        match layout {
            Ok(Ok(Layout::Virtual)) => {
                let problem = "a virtual dataset, whose values are in other files or places";
                return Some((problem.into(), WRITE_AGAIN));
            }
            Ok(Err(version @ 5..)) => {
                let problem = format!(
                    "stored in version {version} of HDF5's layout, of its newest releases (libver=\"latest\"), which is not supported yet"
                );
                return Some((problem, WRITE_AGAIN));
            }
            _ => {}
        }
        let filters = guarded(|| Ok::<_, hdf5_pure::Error>(dataset.filters())).unwrap_or_default();
        let unknown = filters.iter().find(|id| !KNOWN_FILTERS.contains(id))?;
        let name = filter_name(*unknown);
        Some((format!("compressed with {name}, which is not supported"), DECOMPRESS))
    }

    fn read<T>(
        &self,
        place: &str,
        call: impl FnOnce() -> Result<T, hdf5_pure::Error>,
    ) -> Result<T> {
        guarded(call).map_err(|cause| Error::read(&self.path, place, cause))
    }
}

impl Store for H5Store {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> String {
        "h5ad".into()
    }

    fn node(&self, place: &str) -> Result<Option<Node>> {
        if place.is_empty() {
            return Ok(Some(Node::Group));
        }
        let Some(path) = self.resolve(place)? else { return Ok(None) };
        if path.is_empty() {
            return Ok(Some(Node::Group));
        }
        let dataset = self.read(place, || match self.file.dataset(&path) {
            Ok(dataset) => Ok(Some(Some(dataset))),
            Err(hdf5_pure::Error::NotADataset(_)) => Ok(Some(None)),
            Err(
                hdf5_pure::Error::NotAGroup(_)
                | hdf5_pure::Error::Format(FormatError::PathNotFound(_)),
            ) => Ok(None),
            Err(cause) => Err(cause),
        })?;
        let Some(Some(dataset)) = dataset else {
            return Ok(dataset.map(|_| Node::Group));
        };
        let (shape, datatype, dtype) =
            self.read(place, || Ok((dataset.shape()?, dataset.datatype()?, dataset.dtype()?)))?;
        let unsupported = Self::unsupported(&dataset);
        let chunk = match &unsupported {
            None => self.read(place, || dataset.chunk_shape())?,
            Some(_) => None,
        };
        // Nothing is taken for a request for memory before it is known to be possible.
        let claim = Claim {
            shape: &shape,
            chunk: chunk.as_deref(),
            element: datatype.type_size().into(),
            is_text: matches!(dtype, DType::String | DType::VariableLengthString),
        };
        let size = self.file.file_size();
        if unsupported.is_none()
            && let Err(problem) = claim.check(|| size)
        {
            return Err(Error::invalid(&self.path, place, problem).with_hint(claim::REMEDY));
        }
        let shape = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::read(&self.path, place, cause))?;
        Ok(Some(Node::Array(Box::new(H5Array {
            path: self.path.clone(),
            place: place.into(),
            dataset,
            shape,
            dtype: dtype_of(&datatype, &dtype),
            half: is_half(&datatype),
            unsupported,
            most_text: usize::try_from(size)
                .unwrap_or(usize::MAX)
                .saturating_mul(DENSEST_TEXTS)
                .max(ANY_TEXTS),
        }))))
    }

    fn children(&self, place: &str) -> Result<Vec<String>> {
        let Some(path) = self.resolve(place)? else {
            return Err(Error::invalid(&self.path, place, "no such group"));
        };
        let listed = self.links.as_ref().map(|links| links.borrow_mut().children(&path));
        if let Some(Ok(Some(names))) = listed {
            return Ok(names);
        }
        let mut names = self.read(place, || {
            let group = match path.as_str() {
                "" => self.file.root(),
                path => self.file.group(path)?,
            };
            let mut names = group.groups()?;
            names.extend(group.datasets()?);
            Ok(names)
        })?;
        names.sort_unstable();
        Ok(names)
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        let path = self.resolve(place)?.unwrap_or_else(|| place.to_owned());
        let attributes = self.read(place, || match path.as_str() {
            "" => self.file.root().attrs(),
            path => match self.file.group(path) {
                Ok(group) => group.attrs(),
                Err(_) => self.file.dataset(path)?.attrs(),
            },
        })?;
        // The library has no order for them; what is written from them must have one.
        let attributes: BTreeMap<_, _> = attributes.into_iter().collect();
        Ok(attributes
            .into_iter()
            .map(|(name, value)| match json_of(&value) {
                // The library hands out a list of one text as the text.
                Value::String(only) if name == "column-order" => (name, json!([only])),
                value => (name, value),
            })
            .collect())
    }

    fn check(&self) -> Result<()> {
        match self.links.as_ref().map(|links| links.borrow_mut().endless()) {
            Some(Ok(Some(place))) => Err(self.circular(&place)),
            _ => Ok(()),
        }
    }
}

impl H5Array {
    fn read<T>(&self, call: impl FnOnce() -> Result<T, hdf5_pure::Error>) -> Result<T> {
        if let Some((problem, remedy)) = &self.unsupported {
            let error = Error::invalid(&self.path, &self.place, problem.as_str());
            return Err(error.with_hint(*remedy));
        }
        guarded(call).map_err(|cause| Error::read(&self.path, &self.place, cause))
    }
}

impl Array for H5Array {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> &Dtype {
        &self.dtype
    }

    fn floats(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let (start, count) = (rows.start as u64, rows.len() as u64);
        if self.half {
            let bytes = self.read(|| self.dataset.read_raw_rows(start, count))?;
            let halves = bytes.chunks_exact(2).map(|half| f16::from_le_bytes([half[0], half[1]]));
            return Ok(halves.map(f32::from).collect());
        }
        self.read(|| self.dataset.read_f32_rows(start, count))
    }

    fn doubles(&self, rows: Range<usize>) -> Result<Vec<f64>> {
        if self.half {
            return Ok(self.floats(rows)?.into_iter().map(f64::from).collect());
        }
        self.read(|| self.dataset.read_f64_rows(rows.start as u64, rows.len() as u64))
    }

    fn integers(&self, rows: Range<usize>) -> Result<Vec<i64>> {
        self.read(|| self.dataset.read_i64_rows(rows.start as u64, rows.len() as u64))
    }

    fn texts(&self) -> Result<Vec<String>> {
        let limit = VlenStringReadOptions::new().with_max_payload_bytes(self.most_text);
        self.read(|| match self.dataset.dtype()? {
            DType::VariableLengthString => self.dataset.read_vlen_strings(limit),
            _ => self.dataset.read_string(),
        })
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        self.read(|| self.dataset.read_raw())
    }
}

fn filter_name(id: u16) -> String {
    match id {
        4 => "szip".into(),
        32001 => "blosc".into(),
        32004 => "lz4".into(),
        32008 => "bitshuffle".into(),
        32013 => "zfp".into(),
        32015 => "zstd".into(),
        32026 => "blosc2".into(),
        _ => format!("HDF5 filter {id}"),
    }
}

fn dtype_of(datatype: &Datatype, dtype: &DType) -> Dtype {
    match datatype {
        Datatype::Compound { members, .. } => Dtype::Records(
            members
                .iter()
                .map(|member| {
                    let (kind, big_endian, length) = field_kind(&member.datatype);
                    Field {
                        name: member.name.clone(),
                        offset: usize::try_from(member.byte_offset).unwrap_or(usize::MAX),
                        size: member.datatype.type_size() as usize,
                        length,
                        big_endian,
                        kind,
                    }
                })
                .collect(),
        ),
        _ => match dtype {
            DType::String | DType::VariableLengthString => Dtype::Text,
            // Written by h5py for NumPy truth values.
            DType::Enum(names) if names == &["FALSE", "TRUE"] => Dtype::Boolean,
            _ => match datatype {
                Datatype::FixedPoint { size, layout, .. } => {
                    let sign = if layout.signed { "" } else { "u" };
                    Dtype::Integer(format!("{sign}int{}", size * 8))
                }
                Datatype::FloatingPoint { size, .. } => Dtype::Float(format!("float{}", size * 8)),
                _ => Dtype::Other(dtype.to_string()),
            },
        },
    }
}

fn is_half(datatype: &Datatype) -> bool {
    matches!(datatype, Datatype::FloatingPoint { size: 2, byte_order: DatatypeByteOrder::LittleEndian, layout } if layout.mantissa_size == 10)
}

/// Kind of the values of a field, whether they are big-endian, and how many there are.
fn field_kind(datatype: &Datatype) -> (FieldKind, bool, usize) {
    let big = |order: &DatatypeByteOrder| *order == DatatypeByteOrder::BigEndian;
    match datatype {
        Datatype::FixedPoint { byte_order, layout, .. } => (
            if layout.signed { FieldKind::Signed } else { FieldKind::Unsigned },
            big(byte_order),
            1,
        ),
        Datatype::FloatingPoint { byte_order, .. } => (FieldKind::Float, big(byte_order), 1),
        Datatype::String { .. } => (FieldKind::Text, false, 1),
        Datatype::Enumeration { size: 1, .. } => (FieldKind::Boolean, false, 1),
        Datatype::Array { base_type, dimensions } => {
            let (kind, big_endian, _) = field_kind(base_type);
            let length = dimensions.iter().map(|&length| length as usize).product();
            (kind, big_endian, length)
        }
        _ => (FieldKind::Other, false, 1),
    }
}

/// Attributes are text and numbers; others become `null`.
fn json_of(value: &AttrValue) -> Value {
    match value {
        AttrValue::I32Array(items) => json!(items),
        AttrValue::I64Array(items) => json!(items),
        AttrValue::U32Array(items) => json!(items),
        AttrValue::U64Array(items) => json!(items),
        _ => None
            .or_else(|| value.as_str().map(|text| json!(text)))
            .or_else(|| value.as_strings().map(|texts| json!(texts)))
            .or_else(|| value.as_i64().map(|number| json!(number)))
            .or_else(|| value.as_f64().map(|number| json!(number)))
            .or_else(|| value.to_f64s().map(|numbers| json!(numbers)))
            .unwrap_or(Value::Null),
    }
}
