//! [`ZarrSink`]: builds a zarr folder, or extends a copy of one.
//!
//! Files are written here, version 2 or 3; chunks are encoded by `zarrs`, each array in a storage of
//! its own in memory, so that names that zarr reserves (`__categories`) do no
//! harm. Chunks are compressed with zstandard, which every zarr-python reads in both versions.
//!
//! ```text
//!                version 2                       version 3
//! group          .zgroup, .zattrs                zarr.json
//! array          .zarray, .zattrs, chunks 0.0    zarr.json, chunks c/0/0
//! text           |O with filter vlen-utf8        string, codec vlen-utf8
//! ```
//!
//! A chunk spans all axes but the first and has about [`CHUNK`] bytes, so values that come row by
//! row fill one after the other and memory holds one. Text is one chunk, as it is in memory
//! already.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use zarrs::{
    array::{Array, ArrayBytes, ArrayMetadata, IntoArrayBytes},
    storage::{ReadableStorageTraits as _, WritableStorageTraits as _, store::MemoryStore},
};

use crate::{
    error::{Error, Result, Source},
    write::element::{Attrs, Dtype, Sink, Values, interleave},
};

/// Bytes of a chunk before compression, about.
const CHUNK: u64 = 4 << 20;

/// A first axis long enough for any array: its length is known at the end.
const OPEN_END: u64 = 1 << 48;

/// A zarr folder under construction.
#[derive(Debug)]
pub(super) struct ZarrSink {
    /// The folder being written.
    folder: PathBuf,
    /// Path of the output, for messages.
    path: PathBuf,
    version: Version,
    open: Option<OpenArray>,
}

/// Version of the zarr format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V2,
    V3,
}

/// An array whose values are being written.
#[derive(Debug)]
struct OpenArray {
    place: String,
    array: Array<MemoryStore>,
    /// The document to be written at the end, when the first length is known.
    metadata: Value,
    attrs: Attrs,
    /// Length of the first axis of a chunk, and bytes of one row.
    rows: u64,
    row: u64,
    scalar: bool,
    /// Bytes of all values so far, and the values of the chunk that is not full yet.
    size: u64,
    pending: Vec<u8>,
}

impl ZarrSink {
    /// An empty store at `folder`, which will be known as `path`: version 2 of the format, which
    /// old and new releases of zarr-python and anndata read.
    pub(super) fn create(folder: &Path, path: &Path) -> Result<Self> {
        let sink =
            Self { folder: folder.into(), path: path.into(), version: Version::V2, open: None };
        sink.write_group("", &Attrs::new())?;
        Ok(sink)
    }

    /// Extends the store at `folder`, which will be known as `path`. Consolidated metadata is
    /// dropped: it would hide what is added.
    pub(super) fn extend(folder: &Path, path: &Path) -> Result<Self> {
        let mut sink =
            Self { folder: folder.into(), path: path.into(), version: Version::V2, open: None };
        let stale = folder.join(".zmetadata");
        if stale.exists() {
            fs::remove_file(stale).map_err(|error| sink.failed(error))?;
        }
        if folder.join("zarr.json").exists() {
            sink.version = Version::V3;
            let mut metadata = sink.read_json("zarr.json")?;
            if let Some(members) = metadata.as_object_mut() {
                members.remove("consolidated_metadata");
            }
            sink.write_json("zarr.json", &metadata)?;
        }
        Ok(sink)
    }

    fn failed(&self, error: impl Into<Source>) -> Error {
        Error::write(&self.path, error)
    }

    /// Reads a metadata document; an empty one if there is no such file.
    fn read_json(&self, place: &str) -> Result<Value> {
        let bytes = match fs::read(self.folder.join(place)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(json!({})),
            Err(error) => return Err(self.failed(error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| self.failed(error))
    }

    fn write_json(&self, place: &str, value: &Value) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|error| self.failed(error))?;
        fs::write(self.folder.join(place), bytes).map_err(|error| self.failed(error))
    }

    /// Makes a folder a group, with these attributes in place of any it had.
    fn write_group(&self, place: &str, attrs: &Attrs) -> Result<()> {
        fs::create_dir_all(self.folder.join(place)).map_err(|error| self.failed(error))?;
        match self.version {
            Version::V2 => {
                self.write_json(&join(place, ".zgroup"), &json!({"zarr_format": 2}))?;
                self.write_json(&join(place, ".zattrs"), &json!(attrs))
            }
            Version::V3 => self.write_json(
                &join(place, "zarr.json"),
                &json!({"zarr_format": 3, "node_type": "group", "attributes": attrs}),
            ),
        }
    }

    /// Writes the metadata documents of an array.
    fn write_array(&self, place: &str, metadata: &Value, attrs: &Attrs) -> Result<()> {
        match self.version {
            Version::V2 => {
                self.write_json(&join(place, ".zarray"), metadata)?;
                self.write_json(&join(place, ".zattrs"), &json!(attrs))
            }
            Version::V3 => {
                let mut metadata = metadata.clone();
                metadata["attributes"] = json!(attrs);
                self.write_json(&join(place, "zarr.json"), &metadata)
            }
        }
    }

    /// Metadata of an array; `None` is text.
    fn metadata(&self, dtype: Option<Dtype>, shape: &[u64], chunks: &[u64]) -> Value {
        let fill = match dtype {
            None | Some(Dtype::Bytes(_)) => json!(""),
            Some(Dtype::Bool) => json!(false),
            Some(Dtype::F16 | Dtype::F32 | Dtype::F64) => json!(0.0),
            Some(Dtype::C64 | Dtype::C128) => json!([0.0, 0.0]),
            Some(_) => json!(0),
        };
        let text = if self.version == Version::V2 { "|O" } else { "string" };
        let data_type = dtype.map_or(json!(text), |dtype| data_type(dtype, self.version));
        match self.version {
            Version::V2 => json!({
                "zarr_format": 2,
                "shape": shape,
                "chunks": chunks,
                "dtype": data_type,
                "fill_value": fill,
                "order": "C",
                "filters": dtype.is_none().then(|| json!([{"id": "vlen-utf8"}])),
                "compressor": {"id": "zstd", "level": 3},
                "dimension_separator": ".",
            }),
            Version::V3 => json!({
                "zarr_format": 3,
                "node_type": "array",
                "shape": shape,
                "data_type": data_type,
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": fill,
                "codecs": [
                    match dtype {
                        None => json!({"name": "vlen-utf8", "configuration": {}}),
                        Some(Dtype::Bytes(_)) => json!({"name": "bytes"}),
                        Some(dtype) if dtype.size() == 1 => json!({"name": "bytes"}),
                        Some(_) => json!({"name": "bytes", "configuration": {"endian": "little"}}),
                    },
                    {"name": "zstd", "configuration": {"level": 3, "checksum": false}},
                ],
                "storage_transformers": [],
            }),
        }
    }

    /// An array for encoding chunks, with the metadata documents in its new folder.
    ///
    /// # Errors
    /// If the folder cannot be made anew, or `zarrs` does not take the metadata.
    fn array(&self, place: &str, metadata: &Value, attrs: &Attrs) -> Result<Array<MemoryStore>> {
        let folder = self.folder.join(place);
        remove(&folder).map_err(|error| self.failed(error))?;
        fs::create_dir_all(&folder).map_err(|error| self.failed(error))?;
        self.write_array(place, metadata, attrs)?;
        let metadata = metadata.clone();
        let metadata = match self.version {
            Version::V2 => serde_json::from_value(metadata).map(ArrayMetadata::V2),
            Version::V3 => serde_json::from_value(metadata).map(ArrayMetadata::V3),
        };
        let metadata = metadata.map_err(|error| self.failed(error))?;
        let store = Arc::new(MemoryStore::new());
        Array::new_with_metadata(store, "/", metadata).map_err(|error| self.failed(error))
    }

    /// Encodes a chunk in memory, and writes its file: the library would wait for the disk each time.
    fn store_chunk<'a>(
        &self,
        (place, array): (&str, &Array<MemoryStore>),
        chunk: &[u64],
        values: impl IntoArrayBytes<'a>,
    ) -> Result<()> {
        array.store_chunk(chunk, values).map_err(|error| self.failed(error))?;
        let (key, store) = (array.chunk_key(chunk), array.storage());
        // A chunk of nothing but what fills gaps is none.
        let Some(bytes) = store.get(&key).map_err(|error| self.failed(error))? else {
            return Ok(());
        };
        store.erase(&key).map_err(|error| self.failed(error))?;
        let path = self.folder.join(place).join(key.as_str());
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|error| self.failed(error))
    }

    /// Writes the pending values as the chunk they belong to, padded to its size.
    fn store_pending(&self, open: &mut OpenArray) -> Result<()> {
        let full = open.rows * open.row;
        let first = (open.size - open.pending.len() as u64) / full;
        let mut bytes = std::mem::take(&mut open.pending);
        let full = usize::try_from(full).map_err(|error| self.failed(error))?;
        bytes.resize(full, 0);
        let mut chunk = vec![0; open.array.dimensionality()];
        if let Some(index) = chunk.first_mut() {
            *index = first;
        }
        self.store_chunk((&open.place, &open.array), &chunk, ArrayBytes::new_flen(bytes))
    }
}

impl Sink for ZarrSink {
    fn group(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        let exists =
            [".zgroup", "zarr.json"].iter().any(|name| self.folder.join(path).join(name).exists());
        if exists { Ok(()) } else { self.write_group(path, attrs) }
    }

    fn attrs(&mut self, path: &str) -> Result<Attrs> {
        let attrs = match self.version {
            Version::V2 => self.read_json(&join(path, ".zattrs"))?,
            Version::V3 => self.read_json(&join(path, "zarr.json"))?["attributes"].take(),
        };
        Ok(match attrs {
            Value::Object(attrs) => attrs,
            _ => Attrs::new(),
        })
    }

    fn set_attr(&mut self, path: &str, name: &str, value: &Value) -> Result<()> {
        let mut attrs = self.attrs(path)?;
        attrs.insert(name.into(), value.clone());
        self.write_group(path, &attrs)
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        remove(&self.folder.join(path)).map_err(|error| self.failed(error))
    }

    fn strings(
        &mut self,
        path: &str,
        shape: &[u64],
        values: &[String],
        attrs: &Attrs,
    ) -> Result<()> {
        let chunks: Vec<u64> = shape.iter().map(|&length| length.max(1)).collect();
        let metadata = self.metadata(None, shape, &chunks);
        let array = self.array(path, &metadata, attrs)?;
        if values.is_empty() {
            return Ok(());
        }
        self.store_chunk((path, &array), &vec![0; shape.len()], values)
    }

    fn records(
        &mut self,
        path: &str,
        shape: &[u64],
        fields: &[(String, Values)],
        attrs: &Attrs,
    ) -> Result<()> {
        let mut types = Vec::with_capacity(fields.len());
        let mut columns = Vec::with_capacity(fields.len());
        for (name, values) in fields {
            let (kind, size, bytes) = match values {
                Values::Texts(texts) => {
                    let (longest, bytes) = wide(texts);
                    let kind = match self.version {
                        Version::V2 => json!(format!("<U{longest}")),
                        Version::V3 => json!({
                            "name": "fixed_length_utf32",
                            "configuration": {"length_bytes": longest * 4},
                        }),
                    };
                    (kind, longest * 4, Cow::<[u8]>::Owned(bytes))
                }
                Values::Numbers(dtype, bytes) => {
                    (data_type(*dtype, self.version), dtype.size(), Cow::Borrowed(bytes.as_slice()))
                }
            };
            types.push(json!([name, kind]));
            columns.push((size, bytes));
        }
        let size: usize = columns.iter().map(|(size, _)| size).sum();
        // Written as plain bytes; what they are is said at the end.
        self.begin(path, Dtype::Bytes(size), shape, attrs)?;
        self.push(&interleave(&columns))?;
        if let Some(open) = &mut self.open {
            open.metadata["fill_value"] = json!(zeros(size));
            match self.version {
                Version::V2 => open.metadata["dtype"] = json!(types),
                Version::V3 => {
                    open.metadata["data_type"] =
                        json!({"name": "structured", "configuration": {"fields": types}});
                }
            }
        }
        self.end()
    }

    fn null(&mut self, path: &str, attrs: &Attrs) -> Result<()> {
        let metadata = self.metadata(Some(Dtype::Bool), &[], &[]);
        self.array(path, &metadata, attrs).map(drop)
    }

    fn begin(&mut self, path: &str, dtype: Dtype, shape: &[u64], attrs: &Attrs) -> Result<()> {
        // What has no elements may have axes of any length, and texts no letters.
        let longest = if shape.contains(&0) { 1 } else { u64::MAX };
        let inner: Vec<u64> =
            shape.iter().skip(1).map(|&length| length.clamp(1, longest)).collect();
        let row = (inner.iter().product::<u64>() * dtype.size() as u64).max(1);
        let rows = shape.first().map_or(1, |&length| length.clamp(1, (CHUNK / row).max(1)));
        let (mut open_shape, mut chunks) = (shape.to_vec(), inner);
        if let Some(first) = open_shape.first_mut() {
            *first = OPEN_END;
            chunks.insert(0, rows);
        }
        let mut metadata = self.metadata(Some(dtype), &open_shape, &chunks);
        let array = self.array(path, &as_stored(&metadata, dtype), attrs)?;
        metadata["shape"] = json!(shape);
        self.open = Some(OpenArray {
            place: path.into(),
            array,
            metadata,
            attrs: attrs.clone(),
            rows,
            row,
            scalar: shape.is_empty(),
            size: 0,
            pending: Vec::new(),
        });
        Ok(())
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let full = usize::try_from(open.rows * open.row).map_err(|error| self.failed(error))?;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(full - open.pending.len()));
            open.pending.extend_from_slice(now);
            open.size += now.len() as u64;
            bytes = later;
            if open.pending.len() == full {
                self.store_pending(&mut open)?;
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if !open.pending.is_empty() {
            self.store_pending(&mut open)?;
        }
        // Of an array without elements, the length that was said is all there is.
        let is_counted = open.size > 0 || open.metadata["shape"][0] == json!(u64::MAX);
        if !open.scalar && is_counted {
            open.metadata["shape"][0] = json!(open.size / open.row);
        }
        self.write_array(&open.place, &open.metadata, &open.attrs)
    }

    fn finish(&mut self) -> Result<()> {
        // Nothing is open; who publishes the folder makes it durable.
        Ok(())
    }
}

/// The metadata with which chunks of `dtype` are encoded: bytes are plain bytes.
fn as_stored(metadata: &Value, dtype: Dtype) -> Value {
    let mut metadata = metadata.clone();
    if let Dtype::Bytes(width) = dtype {
        metadata["fill_value"] = json!(vec![0; width]);
        if metadata["zarr_format"] == 3 {
            metadata["data_type"] = json!(format!("r{}", width * 8));
        } else {
            metadata["dtype"] = json!(format!("|V{width}"));
        }
    }
    metadata
}

/// The data type of `dtype` in version 2 or 3.
///
/// Chunks of bytes are encoded under another name, see [`as_stored`].
fn data_type(dtype: Dtype, version: Version) -> Value {
    let [v2, v3] = match dtype {
        Dtype::Bool => ["|b1", "bool"],
        Dtype::I8 => ["|i1", "int8"],
        Dtype::I16 => ["<i2", "int16"],
        Dtype::I32 => ["<i4", "int32"],
        Dtype::I64 => ["<i8", "int64"],
        Dtype::U8 => ["|u1", "uint8"],
        Dtype::U16 => ["<u2", "uint16"],
        Dtype::U32 => ["<u4", "uint32"],
        Dtype::U64 => ["<u8", "uint64"],
        Dtype::F16 => ["<f2", "float16"],
        Dtype::F32 => ["<f4", "float32"],
        Dtype::F64 => ["<f8", "float64"],
        Dtype::C64 => ["<c8", "complex64"],
        Dtype::C128 => ["<c16", "complex128"],
        Dtype::Bytes(width) => {
            return match version {
                Version::V2 => json!(format!("|S{width}")),
                Version::V3 => json!({
                    "name": "null_terminated_bytes",
                    "configuration": {"length_bytes": width},
                }),
            };
        }
    };
    json!(if version == Version::V2 { v2 } else { v3 })
}

/// `size` zero bytes in base64, the fill value of a record.
fn zeros(size: usize) -> String {
    let digits = (size * 8).div_ceil(6);
    "A".repeat(digits) + &"=".repeat(digits.next_multiple_of(4) - digits)
}

/// Text in the fixed-width form that NumPy has for fields of records: UTF-32, and its bytes.
fn wide(texts: &[String]) -> (usize, Vec<u8>) {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::with_capacity(texts.len() * longest * 4);
    for (text, end) in texts.iter().zip(1..) {
        bytes.extend(text.chars().flat_map(|character| u32::from(character).to_le_bytes()));
        bytes.resize(end * longest * 4, 0);
    }
    (longest, bytes)
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.into() } else { format!("{place}/{name}") }
}

/// Takes a folder away, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
