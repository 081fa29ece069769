//! [`Remote`]: the files of a zarr hierarchy at a URL.
//!
//! A web server lists nothing. Names come from the consolidated metadata of the root, if there are,
//! which also spare a request for every document; else from listing, where a store can; else
//! from what AnnData says of its members (the columns of a table, the arrays of a matrix), and of
//! groups whose members have any name, such as `obsm`, the usual ones are looked for.
//!
//! Documents are kept. Chunks are fetched when they are decoded, as many at a time as there may be
//! requests; a chunk that is not there holds the fill value, as in a folder, and one that is
//! refused is an error.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use serde_json::Value;
use zarrs::storage::{
    Bytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
    byte_range::{ByteRange, ByteRangeIterator},
};

use super::{claimed::Claimed, names::check_name};
use crate::{
    anndata::store::join,
    cloud::{GetRange, RemoteFolder},
    error,
    regular::{refusal, refused},
};

/// What is at the root of any AnnData.
const ROOT: [&str; 11] =
    ["X", "layers", "mod", "obs", "obsm", "obsp", "raw", "uns", "var", "varm", "varp"];
/// Groups whose members have any name, and those that are looked for where nothing names them.
const USUAL: [(&str, &[&str]); 7] = [
    ("layers", &["counts", "raw", "raw_counts", "logcounts", "lognorm", "spliced", "unspliced"]),
    ("mod", &["rna", "prot", "atac", "RNA", "ADT", "ATAC", "protein", "gex"]),
    (
        "obsm",
        &["X_pca", "X_umap", "X_tsne", "X_scGPT", "X_scVI", "X_harmony", "spatial", "protein"],
    ),
    ("obsp", &["connectivities", "distances"]),
    ("uns", &["scgpt", "neighbors"]),
    ("varm", &["PCs"]),
    ("varp", &[]),
];
/// Arrays by which the size of a hierarchy is judged, and chunks of each that are asked for theirs.
const LARGEST: usize = 4;
const SAMPLES: u64 = 8;
/// A file may have so many bytes whatever the size of a chunk, such as the index of a shard.
const ANY_FILE: u64 = 64 << 20;

/// A hierarchy at a URL.
pub(super) struct Remote {
    folder: RemoteFolder,
    /// Version of the zarr format.
    version: u8,
    /// Consolidated metadata: every document by its key.
    documents: Option<BTreeMap<String, Value>>,
    /// Documents that were asked for.
    kept: Mutex<HashMap<String, Option<Vec<u8>>>>,
    /// Bytes of arrays, about.
    sizes: Mutex<HashMap<String, u64>>,
    /// Groups some of whose members may not have been found.
    unlisted: Mutex<BTreeSet<String>>,
    /// Why a chunk could not be read, which the library knows as text alone.
    failed: Mutex<Option<io::Error>>,
}

impl Remote {
    /// Opens the hierarchy: asks for the documents of its root.
    ///
    /// # Errors
    /// If there are none, or the server refuses or fails.
    pub(super) fn open(url: &Path, most: u64) -> Result<Self, error::Source> {
        let name = url.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if [".h5ad", ".h5", ".h5mu", ".loom", ".zip", ".mtx", ".gz", ".tar", ".rds"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let problem = "of files at a URL, AnnData-zarr and token shards are read";
            return Err(refusal(problem, "download it first (curl -O, or aws s3 cp), or name a zarr store: adata.write_zarr(\"cells.zarr\") in Python writes one").into());
        }
        let folder = RemoteFolder::open(url)?;
        let roots = ["zarr.json", ".zmetadata", ".zgroup", ".zattrs"].map(str::to_owned);
        let mut kept = HashMap::new();
        let mut refused_one = None;
        for (key, document) in roots.iter().zip(folder.get_each(&roots, most)?) {
            match document {
                Ok(document) => {
                    kept.insert(key.clone(), document);
                }
                Err(error) => refused_one = refused_one.or(Some(error)),
            }
        }
        let there = |key: &str| kept.get(key).and_then(Option::as_ref);
        let parse = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes);
        let (version, documents) = if let Some(root) = there("zarr.json") {
            let mut root = parse(root)?;
            (3, consolidated(root["consolidated_metadata"]["metadata"].take(), "zarr.json")?)
        } else if let Some(all) = there(".zmetadata") {
            (2, consolidated(parse(all)?["metadata"].take(), "")?)
        } else if there(".zgroup").is_some() {
            (2, None)
        } else {
            return Err(refused_one.unwrap_or_else(|| nothing(&folder)).into());
        };
        Ok(Self {
            folder,
            version,
            documents,
            kept: Mutex::new(kept),
            sizes: Mutex::default(),
            unlisted: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// The metadata document `key`, or `None` if there is none.
    ///
    /// # Errors
    /// If the server fails, or it has more than `most` bytes.
    pub(super) fn get(&self, key: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        if let Some(document) = lock(&self.kept).get(key) {
            return Ok(document.clone());
        }
        if let Some(documents) = &self.documents {
            let document = documents.get(key).map(|document| document.to_string().into_bytes());
            return Ok(document);
        }
        check_name(key, "the server")?;
        let found = self.folder.get_each(&[key.to_owned()], most)?;
        self.keep(&[key.to_owned()], found).map(|mut found| found.pop().flatten())
    }

    /// Keeps documents that were asked for.
    fn keep(
        &self,
        keys: &[String],
        found: Vec<io::Result<Option<Vec<u8>>>>,
    ) -> io::Result<Vec<Option<Vec<u8>>>> {
        let mut documents = Vec::new();
        for (key, document) in keys.iter().zip(found) {
            let document = match document {
                Ok(document) => document,
                // The root could be read; where listing is forbidden, S3 refuses what is not there.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
                Err(error) => return Err(error),
            };
            lock(&self.kept).insert(key.clone(), document.clone());
            documents.push(document);
        }
        Ok(documents)
    }

    /// Names of the groups and arrays in the group `place`, sorted.
    ///
    /// # Errors
    /// If the server fails.
    pub(super) fn folders(&self, place: &str, most: u64) -> io::Result<Vec<String>> {
        let mut names = if let Some(documents) = &self.documents {
            let prefix = join(place, "");
            let below = documents.keys().filter_map(|key| key.strip_prefix(prefix.as_str()));
            below.filter_map(|key| Some(key.split_once('/')?.0.to_owned())).collect()
        } else if let Some(names) = self.folder.folders(place)? {
            names
        } else {
            self.known(place, most)?
        };
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The members of a group that its attributes or its name tell of, and that are there.
    fn known(&self, place: &str, most: u64) -> io::Result<Vec<String>> {
        let attributes = self.attributes(place, most)?;
        let texts = |key: &str| -> Vec<String> {
            let listed = attributes[key].as_array().into_iter().flatten();
            listed.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
        };
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let names: Vec<String> = match (place, attributes["encoding-type"].as_str()) {
            (_, Some("dataframe")) => {
                let index = attributes["_index"].as_str().unwrap_or("_index").to_owned();
                [vec![index], texts("column-order")].concat()
            }
            (_, Some("csr_matrix" | "csc_matrix")) => owned(&["data", "indices", "indptr"]),
            (_, Some("categorical")) => owned(&["categories", "codes"]),
            (_, Some(kind)) if kind.starts_with("nullable-") => owned(&["mask", "values"]),
            ("", _) => owned(&ROOT),
            (place, kind) if kind == Some("raw") || place == "raw" => owned(&["X", "var", "varm"]),
            (place, _) => {
                lock(&self.unlisted).insert(place.to_owned());
                let group = place.rsplit('/').next().unwrap_or(place);
                // A modality is an AnnData.
                let of = if place.starts_with("mod/") && place.matches('/').count() == 1 {
                    Some(ROOT.as_slice())
                } else {
                    USUAL.iter().find(|(name, _)| *name == group).map(|(_, names)| *names)
                };
                owned(of.unwrap_or_default())
            }
        };
        let documents: &[&str] =
            if self.version == 3 { &["zarr.json"] } else { &[".zarray", ".zgroup"] };
        let mut keys = Vec::new();
        for name in &names {
            check_name(name, "the server")?;
            keys.extend(documents.iter().map(|document| join(&join(place, name), document)));
        }
        let found = self.folder.get_each(&keys, most)?;
        let found = self.keep(&keys, found)?;
        let is_there = found.chunks(documents.len()).map(|found| found.iter().any(Option::is_some));
        Ok(names.into_iter().zip(is_there).filter_map(|(name, is)| is.then_some(name)).collect())
    }

    fn attributes(&self, place: &str, most: u64) -> io::Result<Value> {
        let name = if self.version == 3 { "zarr.json" } else { ".zattrs" };
        let document = self.get(&join(place, name), most)?.unwrap_or_default();
        // What is no document is told where it is read.
        let mut document: Value = serde_json::from_slice(&document).unwrap_or_default();
        Ok(if self.version == 3 { document["attributes"].take() } else { document })
    }

    /// What could not be listed, for people; nothing if everything was.
    pub(super) fn unlisted(&self) -> Vec<String> {
        let groups = lock(&self.unlisted);
        if groups.is_empty() {
            return Vec::new();
        }
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        vec![format!(
            "members of {} with unusual names, if there are: the server lists none, and the store has no consolidated metadata",
            groups.join(", ")
        )]
    }

    /// About the bytes of the largest arrays that are known, by the sizes of some of their chunks: to list
    /// all files takes a request for every thousand of them.
    pub(super) fn stored(&self, most: u64) -> u64 {
        // What cannot be asked for is nothing, as for a folder.
        self.sampled(most).unwrap_or(0)
    }

    fn sampled(&self, most: u64) -> io::Result<u64> {
        let name = if self.version == 3 { "zarr.json" } else { ".zarray" };
        let mut arrays: Vec<(u64, String, Value)> = Vec::new();
        for key in self.known_documents(name) {
            let Some(document) = self.get(&key, most)? else { continue };
            let document: Value = serde_json::from_slice(&document).unwrap_or_default();
            let place = key.strip_suffix(name).unwrap_or_default().trim_end_matches('/');
            if let Some(claimed) = Claimed::elements(&document) {
                arrays.push((claimed, place.to_owned(), document));
            }
        }
        arrays.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        let mut sum = 0_u64;
        for (_, place, document) in arrays.iter().take(LARGEST) {
            sum = sum.saturating_add(self.size_of(place, document)?);
        }
        Ok(sum)
    }

    /// Keys of the documents of that name that are there, as far as was asked.
    fn known_documents(&self, name: &str) -> Vec<String> {
        if let Some(documents) = &self.documents {
            return documents.keys().filter(|key| key.ends_with(name)).cloned().collect();
        }
        let kept = lock(&self.kept);
        let there = kept.iter().filter(|(key, document)| key.ends_with(name) && document.is_some());
        there.map(|(key, _)| key.clone()).collect()
    }

    /// About the bytes of an array.
    fn size_of(&self, place: &str, document: &Value) -> io::Result<u64> {
        if let Some(&size) = lock(&self.sizes).get(place) {
            return Ok(size);
        }
        let grid = Claimed::grid(document).unwrap_or_default();
        let all = grid.iter().fold(1_u64, |all, &n| all.saturating_mul(n));
        let samples = all.min(SAMPLES);
        let key = |sample| Claimed::chunk_key(document, &grid, all / samples * sample);
        let keys: Vec<String> = (0..samples).map(|sample| join(place, &key(sample))).collect();
        let mut sizes: Vec<u64> =
            self.folder.sizes(&keys)?.into_iter().map(Option::unwrap_or_default).collect();
        sizes.sort_unstable();
        // Of many the middle one: a few chunks that are there say nothing of those that are not.
        let size = if samples == all {
            sizes.into_iter().fold(0, u64::saturating_add)
        } else {
            sizes.get(sizes.len() / 2).copied().unwrap_or(0).saturating_mul(all)
        };
        lock(&self.sizes).insert(place.to_owned(), size);
        Ok(size)
    }

    /// Why the last chunk could not be read.
    pub(super) fn failure(&self) -> Option<io::Error> {
        lock(&self.failed).take()
    }
}

/// The documents of consolidated metadata; those of version 3 have the places of nodes as names.
fn consolidated(metadata: Value, document: &str) -> io::Result<Option<BTreeMap<String, Value>>> {
    let Value::Object(metadata) = metadata else { return Ok(None) };
    let mut documents = BTreeMap::new();
    for (name, value) in metadata {
        let key = if document.is_empty() { name } else { join(&name, document) };
        check_name(&key, "the consolidated metadata")?;
        documents.insert(key, value);
    }
    Ok(Some(documents))
}

fn nothing(folder: &RemoteFolder) -> io::Error {
    let problem = format!(
        "no zarr store is there: neither `{}` nor `{}` (404)",
        folder.url("zarr.json"),
        folder.url(".zgroup")
    );
    refused(
        io::ErrorKind::NotFound,
        problem,
        "name the folder of an AnnData-zarr store, as https://host/cells.zarr, not a page or a folder above it",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of a hierarchy as a storage that `zarrs` reads.
pub(super) struct RemoteStorage {
    pub(super) remote: Arc<Remote>,
    pub(super) place: String,
    /// Most bytes of a decompressed chunk, once that is known.
    pub(super) most: Arc<OnceLock<u64>>,
}

impl RemoteStorage {
    fn part(&self, key: &StoreKey, range: ByteRange) -> io::Result<Option<Bytes>> {
        let chunk = self.most.get().copied().unwrap_or(0);
        // What does not become smaller by its compression becomes hardly larger.
        let most = chunk.saturating_mul(2).max(ANY_FILE);
        let part = match range {
            ByteRange::FromStart(0, None) => None,
            ByteRange::FromStart(first, None) => Some(GetRange::Offset(first)),
            ByteRange::FromStart(_, Some(0)) | ByteRange::Suffix(0) => {
                return Ok(Some(Bytes::new()));
            }
            ByteRange::FromStart(first, Some(length)) => {
                let end = first.checked_add(length);
                let end = end.ok_or_else(|| io::Error::other("a part of a file without end"))?;
                Some(GetRange::Bounded(first..end))
            }
            ByteRange::Suffix(length) => Some(GetRange::Suffix(length)),
        };
        let key = join(&self.place, key.as_str());
        let Some(bytes) = self.remote.folder.get(&key, part, most)? else { return Ok(None) };
        match range {
            ByteRange::FromStart(_, Some(length)) | ByteRange::Suffix(length)
                if bytes.len() as u64 != length =>
            {
                Err(io::Error::other(format!("a part of `{key}` lies behind its end")))
            }
            _ => Ok(Some(bytes.into())),
        }
    }

    /// Keeps an error for whoever reads the array.
    fn failed(&self, error: io::Error) -> StorageError {
        let text = error.to_string();
        lock(&self.remote.failed).get_or_insert(error);
        StorageError::Other(text)
    }
}

impl ReadableStorageTraits for RemoteStorage {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let mut parts = Vec::new();
        for range in byte_ranges {
            match self.part(key, range).map_err(|error| self.failed(error))? {
                Some(part) => parts.push(Ok(part)),
                None => return Ok(None),
            }
        }
        Ok(Some(Box::new(parts.into_iter())))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        let key = join(&self.place, key.as_str());
        let sizes = self.remote.folder.sizes(&[key]).map_err(|error| self.failed(error))?;
        Ok(sizes.into_iter().next().flatten())
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}
