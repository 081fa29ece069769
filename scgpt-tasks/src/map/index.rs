//! [`ReferenceIndex`]: labelled cells, among which neighbours are found.
//!
//! A folder of plain files: a manifest, a file of label codes `[cells, columns]`, and a file of
//! vectors for each time that cells were added. Adding appends to the codes and writes a further
//! file of vectors; the manifest comes last, by renaming, and says how much of every file counts.
//! Whatever a killed run leaves is therefore beyond what counts, and the next one writes over it.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use scgpt_data::{Advice, Claim, Existing, Observer, OutputKind, Place, RowSpool, Setting, narrow};
use scgpt_eval::Labels;
use scgpt_stats::{Neighbours, subsample};

use super::{
    Found,
    blocks::{check_rows, each_block, nearest_first},
    check::{MISSING, check_labels, check_manifest},
    lists::{Lists, write_centres, write_segment},
    manifest::{IndexLabels, IndexManifest, MadeBy, Search, Segment, invalid},
    mapped::MappedFile,
};
use crate::{
    artefact::hash,
    error::{Error, Result},
    folder_kind::INDEX,
};

/// Reference cells that queries are compared with at a time.
const BLOCK: usize = 32_768;
/// Number of reference cells whose neighbours tell how near known cells are.
const SAMPLE: usize = 1000;
/// Number of neighbours whose mean distance is the strangeness of a cell.
pub(super) const STRANGENESS_NEIGHBOURS: usize = 10;
/// The files beside the manifest.
const LABELS: &str = "labels.u32";
const CENTRES: &str = "centres.f32";

/// Reference cells to be put into an index: see the [example of the module](super).
#[derive(Debug)]
pub struct ReferenceCells<'a> {
    /// Embeddings of unit length, `[n, d]`.
    pub rows: &'a RowSpool,
    /// Labels of the cells, by the names of their columns of `obs`.
    pub labels: &'a [(String, Labels)],
    /// Colours of labels, as `#rrggbb`, by their names.
    pub colours: Vec<(String, String)>,
    /// Where the cells came from, such as the path of a file.
    pub source: String,
    /// What made the embeddings.
    pub made_by: MadeBy,
    /// Number of genes of the model that the cells have, if a model embedded them.
    pub genes: Option<usize>,
}

/// An index on disk, opened as memory: it takes milliseconds, whatever its size. The module has an
/// [example](super).
///
/// For 33 million cells of width 512 an exact index has 2052 bytes a cell (68 GB), an approximate
/// one 520 (17 GB): 512 numbers of one byte, 4 for the number of the cell, 4 for the code of its
/// label. That is space on disk. Memory holds the 4096 centres (8 MB) and what queries touch, 16
/// lists or 67 MB each, which the system may drop again. For an index below 1 GB, 30 bytes are left
/// for a cell: 22 numbers beside the same 8, 33 · 10⁶ · 30 = 0.99 GB, from embeddings reduced to 22
/// principal components (`obsm`). That is good enough for labels, but not for neighbours: among
/// simulated cells that differ in 24 directions and a little in all 512, 22 components find 0.40 of
/// the ten nearest, 64 (2.4 GB) 0.88 and 128 (4.5 GB) 0.96. (The index of the reference, of 16
/// bytes for each of its 41 million cells, makes the same bargain.)
#[derive(Debug)]
pub struct ReferenceIndex {
    /// Path of the folder, for messages.
    folder: PathBuf,
    /// The manifest, checked against the files when the index was opened.
    manifest: IndexManifest,
    /// Codes of labels, `[n, columns]`, little-endian; [`MISSING`] for a cell without label.
    labels: MappedFile,
    vectors: Vectors,
}

/// The embeddings on disk, in the form in which they are searched.
#[derive(Debug)]
enum Vectors {
    /// Whole vectors, `[n, d]` in each file, f32, little-endian.
    Flat(Vec<MappedFile>),
    /// Vectors of one byte a number, in lists around centres.
    Lists(Lists),
}

impl ReferenceIndex {
    /// How an index is recognised on disk, so that it alone is replaced by another.
    pub const FOLDER: OutputKind = OutputKind {
        name: "an index of `scgpt map index`",
        is_one: |folder| folder.join(INDEX).is_file(),
        holds: |entry| {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            let is_segment = |begin: &str, end: &str| {
                let number = name.strip_prefix(begin).and_then(|name| name.strip_suffix(end));
                number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
            };
            [INDEX, LABELS, CENTRES].contains(&name.as_ref())
                || is_segment("vectors-", ".f32")
                || is_segment("lists-", ".i8")
        },
    };

    /// Opens an index. Its numbers, labels and lists are checked, which takes a second for an
    /// atlas; vectors are checked when they are looked at.
    ///
    /// # Errors
    /// If a file is missing, cut short, of another version or of another index, or contradicts the
    /// others.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = IndexManifest::read(folder)?;
        check_manifest(&folder.join(INDEX), &manifest)?;
        let index = Self::with(folder, manifest)?;
        let codes = index.labels.bytes().as_chunks::<4>().0;
        check_labels(&folder.join(LABELS), &index.manifest, codes)?;
        if let Vectors::Lists(lists) = &index.vectors {
            lists.check(folder, &index.manifest)?;
        }
        Ok(index)
    }

    /// Maps the files that `manifest` names; their lengths are checked, not what they hold.
    fn with(folder: &Path, manifest: IndexManifest) -> Result<Self> {
        let n_labels = (manifest.n_cells as u64)
            .saturating_mul(manifest.labels.len() as u64)
            .saturating_mul(size_of::<u32>() as u64);
        let labels = MappedFile::open(&folder.join(LABELS), n_labels)?;
        let IndexManifest { width, n_lists, ref segments, .. } = manifest;
        let vectors = match manifest.search {
            Search::Exact => {
                let map = |part: &Segment| MappedFile::open(&folder.join(&part.file), part.n_bytes);
                Vectors::Flat(segments.iter().map(map).collect::<Result<_>>()?)
            }
            Search::Approximate => {
                Vectors::Lists(Lists::open(folder, CENTRES, width, n_lists, segments)?)
            }
        };
        Ok(Self { folder: folder.into(), manifest, labels, vectors })
    }

    /// Makes an index of the `cells` in a folder that does not exist yet, whole or not at all.
    ///
    /// # Errors
    /// If the folder exists, there are no cells, an embedding is not finite, or a file cannot be
    /// written; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn create(
        folder: &Path,
        cells: &ReferenceCells<'_>,
        search: Search,
        observer: &dyn Observer,
    ) -> Result<Self> {
        Self::create_in(
            Place::folder(folder, Existing::Refuse, Self::FOLDER)?,
            cells,
            search,
            observer,
        )
    }

    /// As [`create`](Self::create), in a place that was claimed earlier, such as before cells were
    /// embedded. The place decides whether an older index is replaced.
    ///
    /// # Errors
    /// If the place is taken, there are no cells, an embedding is not finite, or a file cannot be
    /// written; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn create_in(
        place: Place,
        cells: &ReferenceCells<'_>,
        search: Search,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (folder, built) = (place.output().to_path_buf(), place.path());
        fs::create_dir(&built).map_err(|error| invalid(&folder, error.to_string()))?;
        let mut manifest =
            IndexManifest::new(cells.rows.n_columns(), search, cells.made_by.clone());
        manifest.labels = cells
            .labels
            .iter()
            .map(|(column, _)| IndexLabels {
                column: column.clone(),
                names: Vec::new(),
                counts: Vec::new(),
            })
            .collect();
        extend(&built, manifest, cells, observer)?;
        place.publish()?;
        Self::open(&folder)
    }

    /// Adds cells to an index. Interrupted or killed, it leaves the index as it was.
    ///
    /// # Errors
    /// If the cells were embedded in another way or have other label columns, and as
    /// [`create`](Self::create).
    pub fn append(
        folder: &Path,
        cells: &ReferenceCells<'_>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        // One at a time, and each adds to what the one before has left.
        let _claim = Claim::new(folder)?;
        let old = Self::open(folder)?.manifest;
        old.check_made_by(&cells.made_by, folder)?;
        let [there, new]: [Vec<&str>; 2] = [
            old.labels.iter().map(|labels| labels.column.as_str()).collect(),
            cells.labels.iter().map(|(column, _)| column.as_str()).collect(),
        ];
        if there != new {
            return Err(Error::Incompatible {
                path: folder.into(),
                problem: format!(
                    "it has the label columns {}, so cells with {} cannot be added",
                    there.join(", "),
                    new.join(", ")
                ),
                remedy: Advice::from("give ") + Setting("labels") + format!(" {}", there.join(",")),
            });
        }
        extend(folder, old, cells, observer)?;
        Self::open(folder)
    }

    /// The manifest: cells, labels, sources, and what made the embeddings.
    pub fn manifest(&self) -> &IndexManifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, by which the index is known as long as no cells are added.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn hash(&self) -> Result<String> {
        hash(&self.folder.join(INDEX))
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Length of the files of vectors and labels together, in bytes.
    pub fn n_bytes(&self) -> u64 {
        let segments = self.manifest.segments.iter().map(|segment| segment.n_bytes);
        segments.sum::<u64>() + self.labels.bytes().len() as u64
    }

    /// The label of a cell in a column, as a place in the names of the column's labels; `None` if
    /// it has none.
    ///
    /// # Panics
    /// If there is no such cell or column.
    pub fn label(&self, cell: usize, column: usize) -> Option<u32> {
        let place = cell * self.manifest.labels.len() + column;
        let codes = self.labels.bytes().as_chunks::<4>().0;
        Some(u32::from_le_bytes(codes[place])).filter(|&code| code != MISSING)
    }

    /// Checks that a cell can have `k` neighbours.
    ///
    /// # Errors
    /// If `k` is 0 or larger than the index.
    pub fn check_k(&self, k: usize) -> Result<()> {
        let n_cells = self.manifest.n_cells;
        if (1..=n_cells).contains(&k) {
            return Ok(());
        }
        let path = self.folder.display();
        let problem = format!("is {k}, expected 1 up to the {n_cells} cells of `{path}`");
        Err(Setting("k").wrong(problem).into())
    }

    /// The `k` nearest reference cells of each query, `[m, width]` of unit length, nearest first;
    /// of equally near ones those that were added first.
    ///
    /// An exact search takes `m · n · width` multiplications, over blocks of cells in memory maps.
    /// An approximate one compares with the cells of a few lists: some neighbours are missed, and
    /// distances are those of vectors of one byte a number.
    ///
    /// # Errors
    /// If `k` is 0 or larger than the index, the width differs, a query is not finite, or a
    /// reference cell is not;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn search(
        &self,
        queries: &[f32],
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Found>>> {
        let width = self.manifest.width;
        self.check_k(k)?;
        check_rows(queries, width, 0)?;
        let parts = match &self.vectors {
            Vectors::Lists(lists) => return lists.search(queries, k, observer),
            Vectors::Flat(parts) => parts,
        };
        let mut found = vec![Vec::new(); queries.len() / width];
        let mut first = 0;
        let mut block = Vec::new();
        for (part, segment) in parts.iter().zip(&self.manifest.segments) {
            for numbers in part.bytes().as_chunks::<4>().0.chunks(BLOCK * width) {
                block.clear();
                block.extend(numbers.iter().map(|x| f32::from_le_bytes(*x)));
                if let Some(at) = block.iter().position(|x| !x.is_finite()) {
                    let problem =
                        format!("the embedding of cell {} has {}", first + at / width, block[at]);
                    return Err(invalid(&self.folder.join(&segment.file), problem));
                }
                let nearest = Neighbours::among(queries, &block, width, k, observer)?;
                for (found, nearest) in found.iter_mut().zip(nearest.cells()) {
                    let here =
                        |&(distance, cell): &(f64, usize)| Found { cell: first + cell, distance };
                    found.extend(nearest.iter().map(here));
                    nearest_first(found, k);
                }
                first += numbers.len() / width;
            }
        }
        Ok(found)
    }

    /// For a sample of the cells, their mean distances to their nearest neighbours, ascending; a
    /// cell is no neighbour of itself. The sample depends on the number of cells alone.
    fn sampled_strangeness(&self, observer: &dyn Observer) -> Result<Vec<f32>> {
        let n_cells = self.manifest.n_cells;
        let k = (STRANGENESS_NEIGHBOURS + 1).min(n_cells);
        let (cells, queries) = self.at(&subsample(n_cells, SAMPLE, 0));
        let mut distances = Vec::with_capacity(cells.len());
        for (cell, found) in cells.iter().zip(self.search(&queries, k, observer)?) {
            let others: Vec<Found> = found.into_iter().filter(|one| one.cell != *cell).collect();
            distances.push(strangeness(&others));
        }
        distances.sort_by(f32::total_cmp);
        Ok(distances)
    }

    /// Numbers and embeddings of the cells at some places, counted over all files of vectors. In a
    /// flat file a place is the number; in lists it is not.
    fn at(&self, places: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let parts = match &self.vectors {
            Vectors::Lists(lists) => return lists.at(places),
            Vectors::Flat(parts) => parts,
        };
        let width = self.manifest.width;
        let mut rows = Vec::with_capacity(places.len() * width);
        for &place in places {
            let mut place = place;
            for (part, segment) in parts.iter().zip(&self.manifest.segments) {
                if place < segment.n_cells {
                    let numbers = part.bytes().as_chunks::<4>().0;
                    let row = &numbers[place * width..(place + 1) * width];
                    rows.extend(row.iter().map(|x| f32::from_le_bytes(*x)));
                    break;
                }
                place -= segment.n_cells;
            }
        }
        (places.to_vec(), rows)
    }

    /// How far known cells are from their neighbours: the mean distance below which a share `known`
    /// of the reference cells lies; infinite if the sample is too small to tell.
    ///
    /// The rank is that of split conformal prediction, `⌈(n + 1) · known⌉`, so that of further
    /// cells of the same kind at least that share lies below, whatever the distribution.
    pub fn known_distance(&self, known: f64) -> f64 {
        let sample = &self.manifest.strangeness;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let rank = ((sample.len() + 1) as f64 * known).ceil() as usize;
        sample.get(rank.max(1) - 1).map_or(f64::INFINITY, |&distance| f64::from(distance))
    }
}

/// Mean distance to the nearest ten cells, or to as many as there are.
#[allow(clippy::cast_possible_truncation, reason = "stored as f32")]
pub(super) fn strangeness(found: &[Found]) -> f32 {
    let n = found.len().min(STRANGENESS_NEIGHBOURS);
    (found[..n].iter().map(|one| one.distance).sum::<f64>() / n.max(1) as f64) as f32
}

/// Adds `cells` to the files of an index, the manifest last, which makes them count.
fn extend(
    folder: &Path,
    mut manifest: IndexManifest,
    cells: &ReferenceCells<'_>,
    observer: &dyn Observer,
) -> Result<()> {
    let n = cells.rows.n_rows();
    if n == 0 {
        return Err(Error::option("there are no cells to index"));
    }
    write_labels(folder, &mut manifest, cells)?;
    observer.begin("indexing", n);
    let first = manifest.n_cells;
    manifest.n_cells += n;
    manifest.sources.push((cells.source.clone(), n));
    manifest.genes = manifest.genes.max(cells.genes);
    for (label, colour) in &cells.colours {
        manifest.colours.entry(label.clone()).or_insert_with(|| colour.clone());
    }
    let number = manifest.segments.len();
    let (file, path) = {
        let file = match manifest.search {
            Search::Exact => format!("vectors-{number}.f32"),
            Search::Approximate => format!("lists-{number}.i8"),
        };
        (file.clone(), folder.join(file))
    };
    match manifest.search {
        Search::Exact => {
            let mut file = writer(&path, 0)?;
            each_block(cells.rows, observer, |_, rows| {
                let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
                observer.advance(rows.len() / manifest.width);
                file.write_all(&bytes).map_err(|error| invalid(&path, error.to_string()))
            })?;
            finish(file, &path)?;
        }
        Search::Approximate => {
            let centres = folder.join(CENTRES);
            if first == 0 {
                manifest.n_lists = write_centres(&centres, cells.rows, observer)?;
                observer.begin("indexing", n);
            }
            write_segment(&path, &centres, cells.rows, first, observer)?;
        }
    }
    let written = fs::metadata(&path).map_err(|error| invalid(&path, error.to_string()))?;
    manifest.segments.push(Segment { file, n_cells: n, n_bytes: written.len() });
    let mut index = ReferenceIndex::with(folder, manifest)?;
    index.manifest.strangeness = index.sampled_strangeness(observer)?;
    index.manifest.write(folder)
}

/// Appends the codes of the labels, and new labels to the manifest: labels are numbered in the
/// order in which they were first met, so the codes of older cells stay.
fn write_labels(
    folder: &Path,
    manifest: &mut IndexManifest,
    cells: &ReferenceCells<'_>,
) -> Result<()> {
    let mut codes = Vec::with_capacity(cells.labels.len());
    for (known, (_, labels)) in manifest.labels.iter_mut().zip(cells.labels) {
        let mut of_class = Vec::with_capacity(labels.classes.len());
        for (class, count) in labels.classes.iter().zip(labels.counts()) {
            let place = known.names.iter().position(|name| name == class).unwrap_or_else(|| {
                known.names.push(class.clone());
                known.counts.push(0);
                known.names.len() - 1
            });
            known.counts[place] += count as u64;
            of_class.push(narrow(place));
        }
        let code = |code: &Option<u32>| code.map_or(MISSING, |code| of_class[code as usize]);
        codes.push(labels.codes.iter().map(code).collect::<Vec<_>>());
    }
    let path = folder.join(LABELS);
    let mut file = writer(&path, (manifest.n_cells * codes.len() * size_of::<u32>()) as u64)?;
    for cell in 0..cells.rows.n_rows() {
        for column in &codes {
            file.write_all(&column[cell].to_le_bytes())
                .map_err(|error| invalid(&path, error.to_string()))?;
        }
    }
    finish(file, &path)
}

/// Opens a file to be written from `offset` on; what is beyond is left from an append that did not
/// finish.
fn writer(path: &Path, offset: u64) -> Result<BufWriter<File>> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(offset)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    };
    Ok(BufWriter::new(open().map_err(|error| invalid(path, error.to_string()))?))
}

/// Closes a file once it is on the disk, before a manifest names it.
fn finish(file: BufWriter<File>, path: &Path) -> Result<()> {
    let file = file.into_inner().map_err(|error| invalid(path, error.to_string()))?;
    file.sync_all().map_err(|error| invalid(path, error.to_string()))
}
