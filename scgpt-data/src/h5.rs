//! [`H5Store`]: an HDF5 file as a [`Store`]; the only place that reads through the HDF5 library.
//!
//! Files are opened for streaming: memory holds the chunks that overlap a window, never the file.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use half::f16;
use hdf5_pure::{
    AttrValue, ChunkCacheConfig, DType, Dataset, Datatype, DatatypeByteOrder, File,
    FileAccessProperties, FormatError,
};
use serde_json::{Map, Value, json};

use crate::{
    anndata::store::{Array, Dtype, Field, FieldKind, Node, Store},
    error::{Error, Result},
    guard::guarded,
};

/// Decoded chunks kept for one array, so that windows which share a chunk decode it once.
const CHUNK_CACHE_BYTES: usize = 16 << 20;
const CHUNK_CACHE_SLOTS: usize = 4096;

/// Filters the library applies: deflate, shuffle, fletcher32, n-bit, scale-offset, lzf.
const KNOWN_FILTERS: [u16; 6] = [1, 2, 3, 5, 6, 32000];

/// No list takes more bytes than this times the file: deflate, the densest filter, reaches 1032.
const MAX_EXPANSION: u64 = 2048;

/// An open HDF5 file.
pub(crate) struct H5Store {
    path: PathBuf,
    file: File,
}

struct H5Array {
    path: PathBuf,
    place: String,
    dataset: Dataset,
    shape: Vec<usize>,
    dtype: Dtype,
    /// Little-endian 16-bit floats, which the library does not convert.
    half: bool,
}

impl H5Store {
    /// Opens `path` for reading.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let access = FileAccessProperties::new().with_chunk_cache(
            ChunkCacheConfig::new()
                .with_max_bytes(CHUNK_CACHE_BYTES)
                .with_max_slots(CHUNK_CACHE_SLOTS),
        );
        let file = guarded(|| File::open_streaming_with_options(path, access))
            .map_err(|cause| Error::open(path, cause))?;
        Ok(Self { path: path.into(), file })
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
        let dataset = self.read(place, || match self.file.dataset(place) {
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
        // A damaged length must not be taken for a request for memory.
        if let &[length] = shape.as_slice()
            && length.saturating_mul(datatype.type_size().into()) / MAX_EXPANSION
                > self.file.file_size()
        {
            let problem = format!("claims {length} elements, more than the file can hold");
            return Err(Error::invalid(&self.path, place, problem)
                .with_hint("the file is damaged; copy it again"));
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
        }))))
    }

    fn children(&self, place: &str) -> Result<Vec<String>> {
        let mut names = self.read(place, || {
            let group = match place {
                "" => self.file.root(),
                _ => self.file.group(place)?,
            };
            let mut names = group.groups()?;
            names.extend(group.datasets()?);
            Ok(names)
        })?;
        names.sort_unstable();
        Ok(names)
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        let attributes = self.read(place, || match place {
            "" => self.file.root().attrs(),
            _ => match self.file.group(place) {
                Ok(group) => group.attrs(),
                Err(_) => self.file.dataset(place)?.attrs(),
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
}

impl H5Array {
    fn read<T>(&self, call: impl FnOnce() -> Result<T, hdf5_pure::Error>) -> Result<T> {
        guarded(call).map_err(|cause| {
            let filters =
                guarded(|| Ok::<_, hdf5_pure::Error>(self.dataset.filters())).unwrap_or_default();
            match filters.iter().find(|id| !KNOWN_FILTERS.contains(id)) {
                Some(&id) => Error::invalid(
                    &self.path,
                    &self.place,
                    format!("compressed with {}, which is not supported", filter_name(id)),
                )
                .with_hint(
                    "save the file again in Python: adata.write_h5ad(path, compression=\"gzip\")",
                ),
                None => Error::read(&self.path, &self.place, cause),
            }
        })
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
        self.read(|| self.dataset.read_string())
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
