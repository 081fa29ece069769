//! [`ZarrStore`]: a zarr folder or zip, version 2 or 3, as a [`Store`].
//!
//! ```text
//! version 2                       version 3
//! .zgroup, .zattrs                zarr.json            a group and its attributes
//! X/data/.zarray                  X/data/zarr.json     shape, chunks, element type, codecs
//! X/data/0, X/data/1, …           X/data/c/0, …        a chunk a file, or many in one: a shard
//! ```
//!
//! A chunk that has no file holds the fill value throughout, so the sizes of files say nothing
//! about shapes; what a shape claims is held against [`Extent`]. Consolidated metadata are not
//! read, as they repeat what each array says of itself, but at a URL, see `remote`.
//!
//! Every array is opened in a storage rooted at its own folder, so that names which zarr reserves
//! (`__categories`) and arrays of records elsewhere in the tree do not matter.
//!
//! Sharded arrays are read by their inner chunks, through an index that is kept; all others through
//! a cache of decoded chunks. Chunks that are too large for the cache are decoded once, see
//! [`chunk`]. Every call into the library is [`guarded`] and reads through [`Bounded`] storage.

mod bounded;
mod claimed;
mod dtype;
mod files;
mod frame;
mod names;
#[cfg(feature = "cloud")]
mod remote;

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};
use zarrs::{
    array::{
        Array as Zarr, ArrayBytes, ArrayMetadata, ArrayShardedExt, ArrayShardedReadableExt,
        ArrayShardedReadableExtCache, ArraySubset, CodecOptions, FromArrayBytes,
        chunk_cache::{ChunkCache, ChunkCacheDecodedLruSizeLimit},
    },
    storage::ReadableStorageTraits,
};

use crate::{
    anndata::{
        chunk,
        extent::{self, Extent},
        records,
        store::{Array, Dtype, Field, FieldKind, Node, Store, join},
    },
    error::{self, Error, Result},
    guard::guarded,
    zarr::{bounded::Bounded, claimed::Claimed, files::Files, frame::Frames},
};

/// Decoded chunks kept for one array, so that windows which share a chunk decode it once.
const CHUNK_CACHE_BYTES: u64 = 32 << 20;

/// Bytes a decompressed chunk may have beside its elements, such as checksums.
const AROUND_CHUNK: u64 = 64 << 10;
/// Most bytes of all texts of a chunk, and of an array however small its files are; a larger array
/// may have [`DENSEST_TEXTS`] times the bytes of its files.
const MOST_TEXTS: u64 = 512 << 20;
/// Most bytes of text for a byte of the files, beyond [`MOST_TEXTS`].
const DENSEST_TEXTS: u64 = 100;

/// An open zarr hierarchy, of which only the version is known.
pub(crate) struct ZarrStore {
    path: PathBuf,
    files: Arc<Files>,
    /// Version of the zarr format, 2 or 3.
    version: u8,
}

impl ZarrStore {
    /// Opens a zarr folder, or a zip of one.
    ///
    /// # Errors
    /// [`Error::Open`] if it has no document of a group at its root, [`Error::Read`] if that is no
    /// JSON.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let files = Files::open(path).map_err(|cause| Error::open(path, cause))?;
        let mut store = Self { path: path.into(), files: Arc::new(files), version: 2 };
        if store.json("zarr.json")?.is_some() {
            store.version = 3;
        } else if store.json(".zgroup")?.is_none() {
            return Err(Error::open(path, "it holds neither `zarr.json` nor `.zgroup`"));
        }
        Ok(store)
    }

    /// The metadata document at `place`, or `None` if there is none.
    fn json(&self, place: &str) -> Result<Option<Value>> {
        let read = |cause: error::Source| Error::read(&self.path, place, cause);
        let Some(bytes) = self.files.get(place).map_err(|cause| read(cause.into()))? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|cause| read(cause.into()))
    }

    /// Opens the array at `place`, which `metadata` describes.
    ///
    /// The type of its elements may be one that the library does not know, such as records: it is
    /// then given as plain bytes, and decoded here.
    ///
    /// # Errors
    /// [`Error::Invalid`] if shape or chunks claim more than the files can hold, [`Error::Read`] if
    /// the library does not take the metadata.
    fn array(&self, place: &str, mut metadata: Value) -> Result<Box<dyn Array>> {
        let read = |cause: error::Source| Error::read(&self.path, place, cause);
        let (dtype, text) = dtype::of(&mut metadata);
        let frames = Frames::of(&metadata);
        let claimed = Claimed::of(&metadata);
        let metadata = if metadata["zarr_format"] == 3 {
            serde_json::from_value(metadata).map(ArrayMetadata::V3)
        } else {
            serde_json::from_value(metadata).map(ArrayMetadata::V2)
        }
        .map_err(|cause| read(cause.into()))?;
        let most = Arc::default();
        let files = self.files.storage(place, &most).map_err(read)?;
        let storage = Bounded { files, frames, asks_sizes: !self.files.is_remote(), most };
        let storage = Arc::new(storage);
        let opened: Arc<dyn ReadableStorageTraits> = storage.clone();
        let array = guarded(|| Zarr::new_with_metadata(opened, "/", metadata)).map_err(read)?;
        // Nothing is taken for a request for memory before it is known to be possible.
        let size = array.data_type().fixed_size().map(|size| size as u64);
        let is_text = dtype == Dtype::Text;
        let extent = |shape, chunk| Extent { shape, chunk, element: size.unwrap_or(1), is_text };
        extent(array.shape(), claimed.chunk.as_deref())
            .check(|| self.files.stored())
            .and_then(|()| {
                Extent { shape: &[claimed.parts], chunk: None, element: 16, is_text: false }
                    .check(|| self.files.stored())
            })
            .map_err(|problem| {
                Error::invalid(&self.path, place, problem).with_hint(extent::REMEDY)
            })?;
        // No chunk of a grid that is not known holds more than all.
        let lengths = claimed.chunk.as_deref().unwrap_or(array.shape());
        let elements = lengths.iter().fold(1_u64, |all, &n| all.saturating_mul(n));
        storage.most.get_or_init(|| match size {
            Some(size) => elements.saturating_mul(size).saturating_add(AROUND_CHUNK),
            None => MOST_TEXTS,
        });
        let shape = array
            .shape()
            .iter()
            .map(|&length| usize::try_from(length))
            .collect::<Result<_, _>>()
            .map_err(|cause| read(cause.into()))?;
        let array = Arc::new(array);
        let chunks = if array.is_sharded() {
            Chunks::Shards(ArrayShardedReadableExtCache::new(&array))
        } else {
            Chunks::Plain(ChunkCacheDecodedLruSizeLimit::new(array.clone(), CHUNK_CACHE_BYTES))
        };
        Ok(chunk::spooled(Box::new(ZarrArray {
            path: self.path.clone(),
            place: place.into(),
            array,
            chunks,
            shape,
            dtype,
            text,
            files: self.files.clone(),
        })))
    }
}

impl Store for ZarrStore {
    fn stored(&self) -> u64 {
        self.files.stored()
    }

    fn check(&self) -> Result<()> {
        self.files.check().map_err(|cause| Error::open(&self.path, cause))
    }

    fn unlisted(&self) -> Vec<String> {
        self.files.unlisted()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> String {
        format!("AnnData-zarr v{}{}", self.version, self.files.suffix())
    }

    fn node(&self, place: &str) -> Result<Option<Node>> {
        if self.version == 3 {
            return Ok(match self.json(&join(place, "zarr.json"))? {
                Some(metadata) if metadata["node_type"] == "array" => {
                    Some(Node::Array(self.array(place, metadata)?))
                }
                Some(_) => Some(Node::Group),
                None => None,
            });
        }
        if let Some(metadata) = self.json(&join(place, ".zarray"))? {
            return Ok(Some(Node::Array(self.array(place, metadata)?)));
        }
        Ok(self.json(&join(place, ".zgroup"))?.map(|_| Node::Group))
    }

    fn children(&self, place: &str) -> Result<Vec<String>> {
        self.files.folders(place).map_err(|cause| Error::read(&self.path, place, cause))
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        let attributes = if self.version == 3 {
            self.json(&join(place, "zarr.json"))?.map(|mut metadata| metadata["attributes"].take())
        } else {
            self.json(&join(place, ".zattrs"))?
        };
        Ok(match attributes {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        })
    }
}

/// An open array, which decodes the chunks that a window needs.
struct ZarrArray {
    path: PathBuf,
    place: String,
    array: Arc<Zarr<dyn ReadableStorageTraits>>,
    chunks: Chunks,
    shape: Vec<usize>,
    dtype: Dtype,
    /// How the bytes of fixed-width text are decoded; `None` for all other arrays.
    text: Option<Field>,
    files: Arc<Files>,
}

/// The decoded chunks, or the indices of shards, that are kept.
enum Chunks {
    Plain(ChunkCacheDecodedLruSizeLimit),
    /// The inner chunks of a shard are read one by one, through its cached index.
    Shards(ArrayShardedReadableExtCache),
}

impl ZarrArray {
    /// The rows `rows`, whole along all other axes.
    fn subset(&self, rows: Range<usize>) -> ArraySubset {
        let mut ranges: Vec<Range<u64>> =
            self.shape.iter().map(|&length| 0..length as u64).collect();
        if let Some(first) = ranges.first_mut() {
            *first = rows.start as u64..rows.end as u64;
        }
        ArraySubset::new_with_ranges(&ranges)
    }

    /// Decodes the rows `rows`.
    fn get<T: FromArrayBytes + Send>(&self, rows: Range<usize>) -> Result<T> {
        let subset = self.subset(rows);
        let read = || {
            // As many chunks at a time as there are threads for them.
            let threads = rayon::current_num_threads();
            let options = CodecOptions::default();
            let least = options.chunk_concurrent_minimum().max(threads);
            let options =
                options.with_concurrent_target(threads).with_chunk_concurrent_minimum(least);
            match &self.chunks {
                Chunks::Plain(cache) => cache.retrieve_array_subset(&subset, &options),
                Chunks::Shards(cache) => {
                    self.array.retrieve_array_subset_sharded_opt(cache, &subset, &options)
                }
            }
        };
        guarded(|| self.files.reading(read)).map_err(|cause| {
            let cause = self.files.failure().map_or(cause, Into::into);
            Error::read(&self.path, &self.place, cause)
        })
    }
}

impl ZarrArray {
    /// All texts of any length, chunk by chunk, as only decoding tells how long they are.
    ///
    /// # Errors
    /// If together they are longer than [`MOST_TEXTS`] and out of proportion to the files.
    fn free_texts(&self) -> Result<Vec<String>> {
        let rows = self.array.chunk_shape(&vec![0; self.shape.len()]).ok();
        let rows = rows.and_then(|shape| usize::try_from(shape.first()?.get()).ok());
        let (mut texts, mut size) = (Vec::new(), 0_u64);
        for first in (0..self.len()).step_by(rows.unwrap_or(self.len())) {
            let last = first.saturating_add(rows.unwrap_or(usize::MAX)).min(self.len());
            let part: Vec<String> = self.get(first..last)?;
            size += part.iter().map(|text| text.len() as u64).sum::<u64>();
            if size > MOST_TEXTS && size / DENSEST_TEXTS > self.files.stored() {
                let problem = format!("texts of {} MB, more than is stored can mean", size >> 20);
                let error = Error::invalid(&self.path, &self.place, problem);
                return Err(error.with_hint(extent::REMEDY));
            }
            texts.extend(part);
        }
        Ok(texts)
    }
}

impl Array for ZarrArray {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> &Dtype {
        &self.dtype
    }

    fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        // An array without elements has no chunks.
        if rows.is_empty() || self.shape.contains(&0) {
            return Ok(Vec::new());
        }
        let bytes: ArrayBytes<'static> = self.get(rows)?;
        let bytes = bytes.into_fixed().map_err(|_| self.not_numbers())?;
        Ok(bytes.into_owned())
    }

    fn texts(&self) -> Result<Vec<String>> {
        if self.shape.contains(&0) {
            return Ok(Vec::new());
        }
        match &self.text {
            None => self.free_texts(),
            Some(field) => {
                let bytes = self.raw(0..self.len())?;
                Ok(bytes
                    .chunks_exact(field.size.max(1))
                    .map(|cell| records::text(field, cell))
                    .collect())
            }
        }
    }

    fn text_width(&self) -> Option<usize> {
        let field = self.text.as_ref().filter(|field| field.kind == FieldKind::Text);
        field.map(|field| field.size)
    }

    fn referenced(&self, _: &[&[u8]]) -> Result<Vec<String>> {
        Err(Error::invalid(&self.path, &self.place, "references to text, which zarr does not have"))
    }

    fn chunk(&self) -> Option<(usize, u64)> {
        let Chunks::Plain(_) = &self.chunks else {
            return None;
        };
        let shape = self.array.chunk_shape(&vec![0; self.shape.len()]).ok()?;
        let size = self.array.data_type().fixed_size()? as u64;
        let rows = usize::try_from(shape.first()?.get()).ok()?;
        Some((rows, shape.iter().fold(size, |size, n| size.saturating_mul(n.get()))))
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::read(&self.path, &self.place, cause)
    }

    fn not_numbers(&self) -> Error {
        let problem = format!("elements of type {}, expected numbers", self.dtype.name());
        Error::invalid(&self.path, &self.place, problem)
    }
}

/// Writes a metadata document of a hierarchy that is made by hand.
#[cfg(test)]
pub(crate) fn by_hand(folder: &Path, place: &str, file: &str, metadata: &Value) {
    let folder = folder.join(place);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(file), metadata.to_string()).unwrap();
}
