//! [`ShardFolder`]: random access to the cells of all shards.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use memmap2::Mmap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    file::{Chunk, ShardFile, release},
    manifest::{LabelKind, MANIFEST, Manifest, ShardEntry},
};
use crate::{
    csr::CsrRow,
    error::{Error, Result},
    frame::{Column, Frame},
    hex::hex,
    names::similar_names,
    narrow::narrow,
    regular,
    vocab::{GeneToken, GeneVocab},
};
#[cfg(feature = "query")]
use crate::{query::CellQuery, subset::ChosenCells};

/// Bytes of the files that may stay mapped in memory, about.
const RESIDENT: usize = 160 << 20;
/// Bytes that one access may map: the system maps the neighbours of a page with it.
const AROUND: usize = 64 << 10;

const OTHER_VOCABULARY: &str =
    "use the model whose vocabulary the shards were made with, or make them again with this one";
const DAMAGED: &str =
    "copy the folder again from where it was made, or make it again with `scgpt convert`";

/// A folder of token shards, open for reading: cells come straight out of memory-mapped files, in
/// any order, from any thread.
///
/// Memory: a few hundred bytes a thousand cells, and some hundred megabytes of mapped file, which
/// the system may take back at any time.
///
/// # Example
/// ```no_run
/// use scgpt_data::{CellKey, CellSplit, ShardFolder, TokenConfig, TokenScratch, Tokenizer};
///
/// let shards = ShardFolder::open("shards")?;
/// let tokenizer = Tokenizer::of_tokens(shards.vocab(), TokenConfig::default())?;
/// let split = CellSplit::new(shards.n_cells(), 0.03, 0)?;
/// let mut scratch = TokenScratch::default();
/// for cell in split.order(0).cells_from(0) {
///     let tokens = tokenizer.cell(shards.cell(cell)?, CellKey::Number { cell: cell as u64, epoch: 0 }, &mut scratch);
/// }
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct ShardFolder {
    path: PathBuf,
    manifest: Manifest,
    vocab: GeneVocab,
    maps: Vec<Arc<Mmap>>,
    chunks: Vec<Chunk>,
    /// First cell of every chunk, and the shard it is in.
    starts: Vec<(usize, usize)>,
    n_cells: usize,
    /// Bytes that may have been mapped since the last release.
    touched: AtomicUsize,
}

impl ShardFolder {
    /// Opens a folder: takes milliseconds, whatever its size.
    ///
    /// Checked are the manifest, the vocabulary against its hash, and every shard's length, Arrow
    /// footer, schema and offsets; what the shards hold is checked by [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Error::Open`] or [`Error::Invalid`] naming the file and what does not fit the manifest.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.join(MANIFEST).exists() {
            return Err(Error::invalid(path, MANIFEST, "not there: no folder of token shards")
                .with_hint("make token shards with `scgpt convert cells.h5ad -o shards/`"));
        }
        let manifest = Manifest::read(path)?;
        let vocab = vocab(path, &manifest)?;
        let files: Vec<ShardFile> = manifest
            .shards
            .par_iter()
            .map(|entry| {
                let file = path.join(&entry.file);
                ShardFile::open(&file, entry, &manifest.labels, &manifest.vocab.sha256)
            })
            .collect::<Result<_>>()?;
        let mut folder = Self {
            path: path.into(),
            manifest,
            vocab,
            maps: Vec::with_capacity(files.len()),
            chunks: Vec::new(),
            starts: Vec::new(),
            n_cells: 0,
            touched: AtomicUsize::new(0),
        };
        for (number, file) in files.into_iter().enumerate() {
            folder.maps.push(file.map);
            for chunk in file.chunks {
                folder.starts.push((folder.n_cells, number));
                folder.n_cells += chunk.len();
                folder.chunks.push(chunk);
            }
        }
        Ok(folder)
    }

    /// What the folder says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The vocabulary of the gene tokens.
    pub fn vocab(&self) -> &GeneVocab {
        &self.vocab
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.n_cells
    }

    /// Number of gene tokens of all cells.
    pub fn n_tokens(&self) -> u64 {
        self.manifest.n_tokens
    }

    /// One cell, as it lies in the file: indices are gene tokens of [`vocab`](Self::vocab).
    ///
    /// # Errors
    /// If there is no such cell, or the file is damaged: tokens that do not ascend within the
    /// vocabulary, or values that are negative or not finite.
    pub fn cell(&self, cell: usize) -> Result<CsrRow<'_>> {
        let (chunk, row) = self.locate(cell)?;
        let found = self.chunks[chunk].row(row);
        self.account(found.indices.len());
        let is_ascending = found.indices.is_sorted_by(|a, b| a < b);
        let is_known = found.indices.last().is_none_or(|&last| (last as usize) < self.vocab.len());
        let is_valid = found.values.iter().all(|value| (0.0..f32::INFINITY).contains(value));
        if is_ascending && is_known && is_valid {
            return Ok(found);
        }
        let problem = if is_valid {
            format!("gene tokens do not ascend within the vocabulary of {}", self.vocab.len())
        } else {
            "a value is negative or not finite".into()
        };
        let (_, shard) = self.starts[chunk];
        let file = self.path.join(&self.manifest.shards[shard].file);
        Err(Error::invalid(file, format!("cell {cell}"), problem).with_hint(DAMAGED))
    }

    /// The number of a cell among all cells of all sources, those that were skipped included.
    ///
    /// # Errors
    /// If there is no such cell.
    pub fn id(&self, cell: usize) -> Result<i64> {
        let (chunk, row) = self.locate(cell)?;
        Ok(self.chunks[chunk].id(row))
    }

    /// The labels of a kept column of `obs`.
    ///
    /// # Errors
    /// If there is none of that name; the message lists those there are.
    pub fn labels(&self, column: &str) -> Result<ShardLabels<'_>> {
        let labels = &self.manifest.labels;
        let index = labels.iter().position(|label| label.column == column).ok_or_else(|| {
            let names: Vec<&str> = labels.iter().map(|label| label.column.as_str()).collect();
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            let similar = similar_names(column, names.iter().copied()).hint();
            let problem = format!("no such label column (there are: {there}){similar}");
            Error::invalid(&self.path, column, problem)
                .with_hint("name the columns to keep when making shards with `scgpt convert`")
        })?;
        Ok(ShardLabels { folder: self, index, categories: &labels[index].categories })
    }

    /// The kept columns of `obs` of these names, as the sources had them; those that are not there are left out. Cells
    /// have no names.
    ///
    /// # Errors
    /// If the shards are damaged.
    pub fn obs(&self, columns: &[String]) -> Result<Frame> {
        let mut obs = Frame { index: vec![String::new(); self.n_cells], ..Frame::default() };
        for label in self.manifest.labels.iter().filter(|label| columns.contains(&label.column)) {
            let labels = self.labels(&label.column)?;
            let codes: Vec<Option<usize>> =
                (0..self.n_cells).map(|cell| labels.code(cell)).collect::<Result<_>>()?;
            let of = |code: &Option<usize>| code.map(|code| label.categories[code].as_str());
            let labels = codes.iter().map(of);
            let column = match label.kind {
                LabelKind::Text => Column::Categorical {
                    codes: codes.iter().map(|code| code.map(narrow)).collect(),
                    categories: label.categories.clone(),
                    ordered: false,
                },
                LabelKind::Float => Column::Float(labels.map(|it| it?.parse().ok()).collect()),
                LabelKind::Integer => Column::Integer(labels.map(|it| it?.parse().ok()).collect()),
                LabelKind::Boolean => {
                    Column::Boolean(labels.map(|it| Some(it? == "True")).collect())
                }
            };
            obs.columns.push((label.column.clone(), column));
        }
        Ok(obs)
    }

    /// The cells for which a condition on the kept columns of `obs` is true.
    ///
    /// # Errors
    /// As for [`CellQuery::cells`]; also if there is no such cell.
    #[cfg(feature = "query")]
    pub fn choose(&self, query: &CellQuery) -> Result<ChosenCells> {
        let names = query.names();
        for name in &names {
            self.labels(name)?;
        }
        let chosen = query.among(&self.obs(&names)?).map_err(Error::in_file(&self.path))?;
        chosen.some_of(&self.path)
    }

    /// Checks that a model's vocabulary is that of the shards.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first token that differs.
    pub fn check_vocab(&self, model: &GeneVocab) -> Result<()> {
        let name = |vocab: &GeneVocab, token: u32| match vocab.name(GeneToken(token)) {
            Some(name) => format!("`{name}`"),
            None => "missing".into(),
        };
        let longest = self.vocab.len().max(model.len());
        let differing = (0..)
            .take(longest)
            .find(|&token| self.vocab.name(GeneToken(token)) != model.name(GeneToken(token)));
        match differing {
            None => Ok(()),
            Some(token) => Err(Error::invalid(
                self.path.join(&self.manifest.vocab.file),
                format!("token {token}"),
                format!(
                    "{} in the shards ({} tokens), but {} in the model ({} tokens)",
                    name(&self.vocab, token),
                    self.vocab.len(),
                    name(model, token),
                    model.len()
                ),
            )
            .with_hint(OTHER_VOCABULARY)),
        }
    }

    /// Reads every shard and compares its SHA-256 with the manifest; `progress` is told the bytes
    /// read and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first shard that was altered; [`Error::Cancelled`].
    pub fn verify(&self, mut progress: impl FnMut(u64) -> bool) -> Result<()> {
        for entry in &self.manifest.shards {
            let path = self.path.join(&entry.file);
            let found = sha256(&path, &mut progress)?;
            check_sha256(&path, entry, &found)?;
        }
        Ok(())
    }

    fn locate(&self, cell: usize) -> Result<(usize, usize)> {
        if cell >= self.n_cells {
            return Err(Error::Option(format!(
                "cell {cell} of `{}` was asked for, there are {}",
                self.path.display(),
                self.n_cells
            )));
        }
        // The first chunk begins with cell 0.
        let chunk = self.starts.partition_point(|&(start, _)| start <= cell) - 1;
        Ok((chunk, cell - self.starts[chunk].0))
    }

    /// Keeps what is mapped within bounds: pages count as memory of this process.
    fn account(&self, n_tokens: usize) {
        let n = n_tokens * (size_of::<u32>() + size_of::<f32>()) + 3 * AROUND;
        if self.touched.fetch_add(n, Ordering::Relaxed) + n > RESIDENT {
            self.touched.store(0, Ordering::Relaxed);
            self.maps.iter().for_each(|map| release(map));
        }
    }
}

/// The labels of the cells of a [`ShardFolder`] in one column of `obs`.
#[derive(Clone, Copy, Debug)]
pub struct ShardLabels<'a> {
    folder: &'a ShardFolder,
    index: usize,
    categories: &'a [String],
}

impl<'a> ShardLabels<'a> {
    /// The distinct labels of the column.
    pub fn categories(&self) -> &'a [String] {
        self.categories
    }

    /// The index of a cell's label in [`categories`](Self::categories); `None` if it is missing.
    ///
    /// # Errors
    /// If there is no such cell, or its code is none of a category.
    pub fn code(&self, cell: usize) -> Result<Option<usize>> {
        let (chunk, row) = self.folder.locate(cell)?;
        match self.folder.chunks[chunk].code(self.index, row) {
            -1 => Ok(None),
            code => usize::try_from(code)
                .ok()
                .filter(|&code| code < self.categories.len())
                .map(Some)
                .ok_or_else(|| {
                    Error::invalid(
                        &self.folder.path,
                        format!("cell {cell}"),
                        format!("label code {code}, but there are {}", self.categories.len()),
                    )
                    .with_hint(DAMAGED)
                }),
        }
    }
}

fn vocab(folder: &Path, manifest: &Manifest) -> Result<GeneVocab> {
    let entry = &manifest.vocab;
    let path = folder.join(&entry.file);
    let text = regular::read(&path).map_err(|error| Error::open(&path, error))?;
    let found = hex(&Sha256::digest(&text));
    if found != entry.sha256 {
        return Err(Error::invalid(
            &path,
            "SHA-256",
            format!("{found}, manifest says {}: the vocabulary was altered", entry.sha256),
        )
        .with_hint(DAMAGED));
    }
    GeneVocab::from_bytes(&path, &text)
}

fn check_sha256(path: &Path, entry: &ShardEntry, found: &str) -> Result<()> {
    if found == entry.sha256 {
        return Ok(());
    }
    let problem = format!("{found}, manifest says {}: the shard was altered", entry.sha256);
    Err(Error::invalid(path, "SHA-256", problem).with_hint(DAMAGED))
}

fn sha256(path: &Path, progress: &mut impl FnMut(u64) -> bool) -> Result<String> {
    let mut file = regular::open(path).map_err(|error| Error::open(path, error))?;
    let mut piece = vec![0; 1 << 20];
    let mut hash = Sha256::new();
    loop {
        let n = file.read(&mut piece).map_err(|error| Error::read(path, "shard", error))?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&piece[..n]);
        if !progress(n as u64) {
            return Err(Error::Cancelled);
        }
    }
}
