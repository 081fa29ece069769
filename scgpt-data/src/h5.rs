//! [`H5Store`]: an HDF5 file as a [`Store`]; the only place that reads through the HDF5 library.
//!
//! Files are opened for streaming: memory holds the chunks that overlap a window, never the file.
//!
//! The library reads values, types and filters; what it lacks is beside it: links that are soft, in
//! `links`; texts in other character sets, in `heap`; names for what is not supported, in
//! `unsupported`. Every call into it is [`guarded`], and reads through a [`BoundedSource`].

mod datatype;
mod heap;
mod links;
mod source;
mod unsupported;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hdf5_pure::{
    AttrValue, ChunkCacheConfig, Dataset, File, FileAccessProperties, FormatError, Group, Layout,
};
use serde_json::{Map, Value, json};

use self::{
    datatype::{Padding, Stored, TextForm},
    heap::Heap,
    source::BoundedSource,
    unsupported::{WRITE_AGAIN, unsupported},
};
use crate::{
    anndata::{
        chunk,
        extent::{self, Extent},
        store::{Array, Dtype, Node, Store, text_of},
    },
    error::{Error, Result},
    guard::guarded,
    h5::links::{Found, Links},
};

/// Decoded chunks kept for one array, so that windows which share a chunk decode it once.
const CHUNK_CACHE_BYTES: usize = 16 << 20;
const CHUNK_CACHE_SLOTS: usize = 4096;

/// For a file whose groups only the library can read: how deep groups may lie within each other,
/// and how many members it may list beside those that the file has room for.
const MOST_NESTED: usize = 32;
const MOST_TOLD: u64 = 1 << 12;
/// Fewest bytes that a member takes in a file, if each is looked at a few times.
const LEAST_MEMBER: u64 = 16;

/// Bytes that texts may take whatever the size of the file; beyond it they may take this many times
/// its size.
const ANY_TEXTS: u64 = 64 << 20;
const DENSEST_TEXTS: u64 = 10;

/// What to do about links out of a file.
const TAKE_IN: &str = "bring what the link leads to into the file: read it in Python with anndata.read_h5ad and save it with write_h5ad";

/// Rows of text that are looked up at a time: the library searches the collections of a window one
/// after the other.
const TEXTS: usize = 4096;

/// An open HDF5 file.
pub(crate) struct H5Store {
    path: PathBuf,
    file: File,
    /// `None` for the few files whose groups only the library reads.
    links: Option<RefCell<Links>>,
    /// How many members of groups the library has listed.
    told: Cell<u64>,
    /// The members of groups that were listed: to find each by its name takes a walk of the group.
    listed: Mutex<HashMap<String, Arc<Members>>>,
}

/// The members of a group.
///
/// Hard links alone, by their names.
struct Members(BTreeMap<String, Member>);

#[derive(Clone)]
enum Member {
    Group(Group),
    Dataset(Dataset),
}

/// A dataset, whose values are read when they are asked for.
struct H5Array {
    path: PathBuf,
    file: File,
    place: String,
    dataset: Dataset,
    shape: Vec<usize>,
    stored: Stored,
    /// Why the values cannot be read, and what to do about it.
    unsupported: Option<(String, &'static str)>,
    /// Most bytes of all texts together.
    most_text: u64,
}

impl H5Store {
    /// Opens `path` for reading.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let access = FileAccessProperties::new().with_chunk_cache(
            ChunkCacheConfig::new()
                .with_max_bytes(CHUNK_CACHE_BYTES)
                .with_max_slots(CHUNK_CACHE_SLOTS),
        );
        let open = || File::from_source_with_options(BoundedSource::open(path)?, access);
        let file = guarded(|| match open() {
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
        let links = Links::open(path).map(RefCell::new);
        Ok(Self { path: path.into(), file, links, listed: Mutex::default(), told: Cell::default() })
    }

    /// The place of an object after its soft links were followed, or `None` if nothing is there.
    fn resolve(&self, place: &str) -> Result<Option<String>> {
        // What our own reader of groups does not know the library may, but for cycles.
        let Some(Ok(found)) = self.links.as_ref().map(|links| links.borrow_mut().find(place))
        else {
            let is_endless = place.matches('/').count() > MOST_NESTED;
            return if is_endless { Err(self.circular(place)) } else { Ok(Some(place.to_owned())) };
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

    /// The error for groups that cannot be walked to an end.
    fn circular(&self, place: &str) -> Error {
        let problem = "a group that contains itself, or groups nested without end";
        Error::invalid(&self.path, place, problem)
            .with_hint("remove the link in Python: with h5py.File(path, \"a\") as f: del f[place]")
    }

    fn read<T>(
        &self,
        place: &str,
        call: impl FnOnce() -> Result<T, hdf5_pure::Error>,
    ) -> Result<T> {
        guarded(call).map_err(|cause| Error::read(&self.path, place, cause))
    }

    /// What is at `place`, which is not the root and without soft links.
    ///
    /// # Errors
    /// If the library cannot read what is there.
    fn find(&self, place: &str) -> Result<Option<Member>> {
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", place));
        match self.members(parent) {
            Ok(members) => Ok(members.and_then(|members| members.0.get(name).cloned())),
            // A broken member is no obstacle to the others of its group.
            Err(_) => self.read(place, || match self.file.dataset(place) {
                Ok(dataset) => Ok(Some(Member::Dataset(dataset))),
                Err(hdf5_pure::Error::NotADataset(_)) => {
                    self.file.group(place).map(|group| Some(Member::Group(group)))
                }
                Err(
                    hdf5_pure::Error::NotAGroup(_)
                    | hdf5_pure::Error::Format(FormatError::PathNotFound(_)),
                ) => Ok(None),
                Err(cause) => Err(cause),
            }),
        }
    }

    /// The members of the group at `place`, listed once; `None` if there is no such group.
    ///
    /// # Errors
    /// If one member cannot be read, as then the library lists none.
    fn members(&self, place: &str) -> Result<Option<Arc<Members>>> {
        let known = self.listed.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let group = match place {
            "" => self.file.root(),
            _ => match self.find(place)? {
                Some(Member::Group(group)) => group,
                _ => return Ok(None),
            },
        };
        let members = self.read(place, || {
            let groups = group.iter_groups()?.map(|(name, group)| (name, Member::Group(group)));
            let datasets = group.iter_datasets()?.map(|(name, it)| (name, Member::Dataset(it)));
            Ok(Arc::new(Members(groups.chain(datasets).collect())))
        })?;
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.insert(place.into(), members.clone());
        Ok(Some(members))
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
        let dataset = match self.find(&path)? {
            None => return Ok(None),
            Some(Member::Group(_)) => return Ok(Some(Node::Group)),
            Some(Member::Dataset(dataset)) => dataset,
        };
        let (shape, datatype) = self.read(place, || Ok((dataset.shape()?, dataset.datatype()?)))?;
        let stored = datatype::of(&datatype);
        let unsupported = unsupported(&dataset);
        let chunk = match &unsupported {
            None => self.read(place, || dataset.chunk_shape())?,
            Some(_) => None,
        };
        // Nothing is taken for a request for memory before it is known to be possible.
        let extent = Extent {
            shape: &shape,
            chunk: chunk.as_deref(),
            element: datatype.type_size().into(),
            is_text: stored.dtype == Dtype::Text,
        };
        let size = self.file.file_size();
        if unsupported.is_none()
            && let Err(problem) = extent.check(|| size)
        {
            return Err(Error::invalid(&self.path, place, problem).with_hint(extent::REMEDY));
        }
        let shape = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::read(&self.path, place, cause))?;
        Ok(Some(Node::Array(chunk::spooled(Box::new(H5Array {
            path: self.path.clone(),
            file: self.file.clone(),
            place: place.into(),
            dataset,
            shape,
            stored,
            unsupported,
            most_text: size.saturating_mul(DENSEST_TEXTS).max(ANY_TEXTS),
        })))))
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
        // Each takes some bytes; groups that are in each other are small and endless to walk.
        let all = self.told.get() + names.len() as u64;
        self.told.set(all);
        if all > MOST_TOLD + self.file.file_size() / LEAST_MEMBER {
            return Err(self.circular(place));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn attributes(&self, place: &str) -> Result<Map<String, Value>> {
        let path = self.resolve(place)?.unwrap_or_else(|| place.to_owned());
        // What our own reader of attributes does not know the library may.
        let texts = self.links.as_ref().map(|links| links.borrow_mut().attribute_texts(&path));
        if let Some(Ok(size)) = texts
            && size > ANY_TEXTS.max(DENSEST_TEXTS.saturating_mul(self.file.file_size()))
        {
            let problem = format!("attributes of {size} bytes, more than the file can hold");
            return Err(Error::invalid(&self.path, place, problem).with_hint(extent::REMEDY));
        }
        let member = if path.is_empty() { None } else { Some(self.find(&path)?) };
        let attributes = self.read(place, || match member {
            None => self.file.root().attrs(),
            Some(Some(Member::Group(group))) => group.attrs(),
            Some(Some(Member::Dataset(dataset))) => dataset.attrs(),
            Some(None) => Err(FormatError::PathNotFound(place.into()).into()),
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

    fn stored(&self) -> u64 {
        self.file.file_size()
    }

    fn check(&self) -> Result<()> {
        match self.links.as_ref().map(|links| links.borrow_mut().endless()) {
            Some(Ok(Some(place))) => Err(self.circular(&place)),
            _ => Ok(()),
        }
    }
}

impl H5Array {
    fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(&self.path, &self.place, problem)
    }

    /// Checks that texts of `size` bytes together are in proportion to the file.
    fn check_texts(&self, size: u64) -> Result<()> {
        if size <= self.most_text {
            return Ok(());
        }
        let problem = format!("claims texts of {size} bytes, more than the file can hold");
        Err(self.invalid(problem).with_hint(extent::REMEDY))
    }

    /// Some texts of an array whose texts are in the heap.
    ///
    /// # Errors
    /// [`Error::Read`] if a text is not where its reference leads.
    fn heap_texts(&self, rows: Range<usize>) -> Result<Vec<String>> {
        let (start, count) = (rows.start as u64, rows.len() as u64);
        let texts = self.read(|| self.dataset.read_string_rows(start, count))?;
        // What the library puts for bytes that are not UTF-8.
        if texts.iter().any(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
            let references = self.raw(rows)?;
            let references: Vec<&[u8]> = references.chunks_exact(heap::REFERENCE).collect();
            return self.referenced(&references);
        }
        Ok(texts)
    }

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
        &self.stored.dtype
    }

    fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        // Nothing is stored of an array without elements, and there is nothing to read.
        if rows.is_empty() || self.shape.contains(&0) {
            return Ok(Vec::new());
        }
        let (start, count) = (rows.start as u64, rows.len() as u64);
        let mut bytes = self.read(|| self.dataset.read_raw_rows(start, count))?;
        if let Some(width) = self.stored.reversed {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }

    fn texts(&self) -> Result<Vec<String>> {
        if self.shape.contains(&0) {
            return Ok(Vec::new());
        }
        match self.stored.text {
            TextForm::No => Err(self.invalid(format!("{}, expected text", self.dtype().name()))),
            TextForm::Fixed(width, padding) => {
                let bytes = self.raw(0..self.len())?;
                let cells = bytes.chunks_exact(width.max(1));
                Ok(cells.map(|cell| text_of(unpadded(cell, padding))).collect())
            }
            TextForm::Heap => {
                let size = self.read(|| self.dataset.vlen_string_payload_size())?;
                self.check_texts(size)?;
                let mut texts = Vec::new();
                for first in (0..self.len()).step_by(TEXTS) {
                    let rows = first..self.len().min(first + TEXTS);
                    texts.extend(self.heap_texts(rows)?);
                }
                Ok(texts)
            }
        }
    }

    fn text_width(&self) -> Option<usize> {
        match self.stored.text {
            TextForm::Fixed(width, _) => Some(width),
            _ => None,
        }
    }

    fn referenced(&self, references: &[&[u8]]) -> Result<Vec<String>> {
        let superblock = self.file.superblock();
        if (superblock.offset_size, superblock.length_size) != (8, 8) {
            return Err(self.invalid("text in a file with addresses of less than eight bytes"));
        }
        self.check_texts(references.iter().map(|reference| heap::length(reference)).sum())?;
        let texts = Heap::open(&self.path, superblock.base_address.get()).and_then(|mut heap| {
            references.iter().map(|reference| heap.text(reference)).collect::<Result<_, _>>()
        });
        texts.map_err(|cause| Error::read(&self.path, &self.place, cause))
    }

    fn chunk(&self) -> Option<(usize, u64)> {
        match guarded(|| self.dataset.layout()) {
            Ok(Layout::Chunked { chunk_shape, .. }) => {
                let size = self.dataset.element_size().ok()?;
                let rows = usize::try_from(*chunk_shape.first()?).ok()?;
                Some((rows, chunk_shape.iter().fold(size, |size, n| size.saturating_mul(*n))))
            }
            _ => None,
        }
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::read(&self.path, &self.place, cause)
    }

    fn not_numbers(&self) -> Error {
        self.invalid(format!("{}, expected numbers", self.dtype().name()))
    }
}

/// Text of fixed width without what fills it up.
fn unpadded(cell: &[u8], padding: Padding) -> &[u8] {
    let behind_last =
        |filler: u8| cell.iter().rposition(|&byte| byte != filler).map_or(0, |at| at + 1);
    let end = match padding {
        Padding::Terminated => cell.iter().position(|&byte| byte == 0).unwrap_or(cell.len()),
        Padding::Zeros => behind_last(0),
        Padding::Spaces => behind_last(b' '),
    };
    &cell[..end]
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
