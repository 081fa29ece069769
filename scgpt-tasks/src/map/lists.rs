//! [`Lists`]: finds approximate neighbours in the nearest lists only, among vectors of one byte a
//! number.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
};

use rayon::prelude::*;
use scgpt_data::{Observer, RowSpool};
use scgpt_stats::{KMeans, Neighbours, k_means, subsample, unit_rows};

use super::{
    Found,
    blocks::{each_block, nearest_first},
    check::segment_bytes,
    manifest::{IndexManifest, Search, Segment, invalid},
    mapped::MappedFile,
};
use crate::error::{Error, Result};

/// Number of lists that a query looks into.
const PROBES: usize = 16;
/// Most lists of an index.
const MOST_LISTS: usize = 4096;
/// Number of cells per list from which its centre is found.
const CELLS_OF_CENTRE: usize = 64;
/// Rounds in which centres move to the means of their cells.
const ROUNDS: usize = 8;

/// Centres, and around each the cells to which it is the nearest: an inverted file (Jégou, Douze
/// and Schmid 2011) whose vectors are scaled so that their largest number is 127.
///
/// A query is compared with all centres, up to 4096, and with the cells of the nearest 16 lists.
/// There are as many lists as the root of the number of cells that they were made of, so up to 16
/// million cells both parts grow with that root alone.
///
/// The result depends on neither threads nor the processor. It was chosen over a graph of
/// neighbours by measurement, on a million simulated cells of width 512 and two cores: the graph
/// (usearch, HNSW, 16 links, 128 candidates) took 550 s to build and found 0.88 of the true
/// neighbours.
#[derive(Debug)]
pub(super) struct Lists {
    width: usize,
    /// The centres, `[lists, width]`, in memory.
    centres: Vec<f32>,
    /// The cells, a file for each time that some were added; every file has all lists.
    segments: Vec<ListFile>,
}

/// The cells that were added at once: `lists + 1` offsets (u64), the numbers of the cells (u32) and
/// their vectors, list after list.
#[derive(Debug)]
struct ListFile {
    file: MappedFile,
    /// Number of cells in it.
    n: usize,
}

impl Lists {
    /// Maps the files and reads the centres; what the lists hold is checked by
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// If a file is missing or too short, of another number of lists or width, or a centre is not
    /// finite.
    pub(super) fn open(
        folder: &Path,
        centres: &str,
        width: usize,
        n_lists: usize,
        segments: &[Segment],
    ) -> Result<Self> {
        let path = folder.join(centres);
        let n_bytes = segment_bytes(n_lists, 0, width, Search::Exact).unwrap_or(u64::MAX);
        let bytes = MappedFile::open(&path, n_bytes)?;
        let numbers = bytes.bytes().as_chunks::<4>().0;
        let centres: Vec<f32> = numbers.iter().map(|x| f32::from_le_bytes(*x)).collect();
        if !centres.iter().all(|x| x.is_finite()) {
            return Err(invalid(&path, "a centre is not finite".into()));
        }
        let segments = segments
            .iter()
            .map(|segment| {
                let path = folder.join(&segment.file);
                let file = MappedFile::open(&path, segment.n_bytes)?;
                let expected = segment_bytes(segment.n_cells, n_lists, width, Search::Approximate);
                if expected != Some(segment.n_bytes) {
                    let problem = "it belongs to another index".to_owned();
                    return Err(invalid(&path, problem));
                }
                Ok(ListFile { file, n: segment.n_cells })
            })
            .collect::<Result<_>>()?;
        Ok(Self { width, centres, segments })
    }

    /// Checks that the lists of every file ascend to its number of cells, and hold each of them
    /// once.
    pub(super) fn check(&self, folder: &Path, manifest: &IndexManifest) -> Result<()> {
        let n_lists = self.n_lists();
        let mut is_taken = vec![false; manifest.n_cells];
        let mut first = 0;
        for (list_file, segment) in self.segments.iter().zip(&manifest.segments) {
            let wrong = |problem: String| Err(invalid(&folder.join(&segment.file), problem));
            let (offsets, rest) = list_file.file.bytes().split_at((n_lists + 1) * 8);
            let offsets: Vec<u64> =
                offsets.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
            let n = segment.n_cells;
            if offsets[0] != 0 || offsets[n_lists] != n as u64 || !offsets.is_sorted() {
                return wrong(format!("its lists do not rise from 0 to its {n} cells"));
            }
            for number in rest[..n * 4].as_chunks::<4>().0 {
                let cell = u32::from_le_bytes(*number) as usize;
                let is_here = (first..first + n).contains(&cell);
                if !is_here || std::mem::replace(&mut is_taken[cell], true) {
                    let last = first + n - 1;
                    return wrong(format!(
                        "it lists cell {cell}, expected each of {first} to {last} once"
                    ));
                }
            }
            first += n;
        }
        Ok(())
    }

    /// Number of lists, empty ones included.
    fn n_lists(&self) -> usize {
        self.centres.len() / self.width
    }

    /// The `k` nearest of each query, `[m, width]`, among the cells of the lists with the nearest
    /// centres; of all lists if these have too few.
    pub(super) fn search(
        &self,
        queries: &[f32],
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Found>>> {
        let mut found = self.probe(queries, k, PROBES, observer)?;
        let few: Vec<usize> = (0..found.len()).filter(|&query| found[query].len() < k).collect();
        if !few.is_empty() {
            let row = |&query: &usize| &queries[query * self.width..(query + 1) * self.width];
            let again: Vec<f32> = few.iter().flat_map(row).copied().collect();
            let all = self.probe(&again, k, self.n_lists(), observer)?;
            for (query, all) in few.iter().zip(all) {
                found[*query] = all;
            }
        }
        Ok(found)
    }

    /// At most `k` nearest of each query, among the cells of `probes` lists. The search goes list
    /// by list, not query by query, so that each list is read once for all queries that look into
    /// it.
    fn probe(
        &self,
        queries: &[f32],
        k: usize,
        probes: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Found>>> {
        let mut of_list = vec![Vec::new(); self.n_lists()];
        let nearest = Neighbours::among(queries, &self.centres, self.width, probes, observer)?;
        for (query, lists) in nearest.cells().enumerate() {
            for &(_, list) in lists {
                of_list[list].push(query);
            }
        }
        let in_list = |(list, asked): (usize, &Vec<usize>)| -> Result<Vec<(usize, Found)>> {
            if asked.is_empty() {
                return Ok(Vec::new());
            }
            let row = |&query: &usize| &queries[query * self.width..(query + 1) * self.width];
            let queries: Vec<f32> = asked.iter().flat_map(row).copied().collect();
            let (cells, rows) = self.list(list);
            let nearest = Neighbours::among(&queries, &rows, self.width, k, observer)?;
            let of_query = |(query, near): (&usize, &[(f64, usize)])| {
                let found = |&(distance, place): &(f64, usize)| {
                    (*query, Found { cell: cells[place], distance })
                };
                near.iter().map(found).collect::<Vec<_>>()
            };
            Ok(asked.iter().zip(nearest.cells()).flat_map(of_query).collect())
        };
        let all = of_list.par_iter().enumerate().map(in_list);
        let all: Vec<Vec<(usize, Found)>> = all.collect::<Result<_>>()?;
        let mut found = vec![Vec::new(); queries.len() / self.width];
        for (query, one) in all.into_iter().flatten() {
            found[query].push(one);
        }
        for found in &mut found {
            nearest_first(found, k);
        }
        Ok(found)
    }

    /// Numbers and unit vectors of the cells of a list.
    fn list(&self, list: usize) -> (Vec<usize>, Vec<f32>) {
        let (mut cells, mut rows) = (Vec::new(), Vec::new());
        for segment in &self.segments {
            let places = segment.offset(list)..segment.offset(list + 1);
            for place in places {
                let (cell, row) = segment.cell(place, self.n_lists(), self.width);
                cells.push(cell);
                rows.extend(row);
            }
        }
        (cells, unit_rows(&rows, self.width))
    }

    /// Numbers and unit vectors of the cells at some places, counted over all files in the order of
    /// their lists.
    pub(super) fn at(&self, places: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let (mut cells, mut rows) = (Vec::new(), Vec::new());
        for &place in places {
            let mut place = place;
            for segment in &self.segments {
                if place < segment.n {
                    let (cell, row) = segment.cell(place, self.n_lists(), self.width);
                    cells.push(cell);
                    rows.extend(row);
                    break;
                }
                place -= segment.n;
            }
        }
        (cells, unit_rows(&rows, self.width))
    }
}

impl ListFile {
    /// Where a list begins among the cells of the file; for the number after the last list, where
    /// that one ends.
    fn offset(&self, list: usize) -> usize {
        let offsets = self.file.bytes().as_chunks::<8>().0;
        usize::try_from(u64::from_le_bytes(offsets[list])).unwrap_or(usize::MAX).min(self.n)
    }

    /// The number of the cell at a place, and its vector, not yet of unit length.
    fn cell(
        &self,
        place: usize,
        n_lists: usize,
        width: usize,
    ) -> (usize, impl Iterator<Item = f32>) {
        let numbers = &self.file.bytes()[(n_lists + 1) * 8..];
        let (numbers, vectors) = numbers.split_at(self.n * 4);
        let cell = u32::from_le_bytes(numbers.as_chunks::<4>().0[place]) as usize;
        let vector = vectors[place * width..(place + 1) * width].iter();
        (cell, vector.map(|&x| f32::from(x.cast_signed())))
    }
}

/// Bytes of a file of `n` cells: offsets, numbers, vectors.
fn bytes_of(n: usize, n_lists: usize, width: usize) -> u64 {
    ((n_lists + 1) * 8 + n * (4 + width)) as u64
}

/// Finds centres for the cells, writes them, and returns how many there are.
///
/// They are found by rounds of k-means on a keyed sample, beginning at cells of it; a centre
/// without cells stays. Cells that are added later go into the lists of these centres, so an index
/// should begin with cells like those to come.
///
/// # Errors
/// If the embeddings cannot be read or the file cannot be written;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
pub(super) fn write_centres(
    path: &Path,
    rows: &RowSpool,
    observer: &dyn Observer,
) -> Result<usize> {
    let (n, width) = (rows.n_rows(), rows.n_columns());
    let n_lists = n.isqrt().clamp(1, MOST_LISTS);
    let chosen = subsample(n, n_lists * CELLS_OF_CENTRE, 1);
    let mut sample = Vec::with_capacity(chosen.len() * width);
    let mut row = Vec::new();
    for cell in chosen {
        rows.read_rows(cell, 1, &mut row)?;
        sample.extend_from_slice(&row);
    }
    observer.begin("finding centres", 0);
    let options = KMeans { k: n_lists, rounds: ROUNDS, seed: 2 };
    let centres = k_means(&sample, width, &options, observer)?;
    let bytes: Vec<u8> = centres.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(path, bytes).map_err(|error| invalid(path, error.to_string()))?;
    Ok(n_lists)
}

/// Writes the cells of `rows`, numbered from `first`, in the lists of `centres`. Embeddings are
/// read twice, to find the list of each and to write it there, so memory holds a place for each
/// cell, not its vector.
///
/// # Errors
/// If a file cannot be read or written, there are more cells than a number of four bytes can tell
/// apart, or the observer cancels.
pub(super) fn write_segment(
    path: &Path,
    centres: &Path,
    rows: &RowSpool,
    first: usize,
    observer: &dyn Observer,
) -> Result<()> {
    let (n, width) = (rows.n_rows(), rows.n_columns());
    let failed = |error: std::io::Error| invalid(path, error.to_string());
    let bytes = std::fs::read(centres).map_err(|error| invalid(centres, error.to_string()))?;
    let numbers = bytes.as_chunks::<4>().0;
    let centres: Vec<f32> = numbers.iter().map(|x| f32::from_le_bytes(*x)).collect();
    let n_lists = centres.len() / width;
    let mut list_of = Vec::with_capacity(n);
    each_block(rows, observer, |_, block| {
        let nearest = Neighbours::among(block, &centres, width, 1, observer)?;
        list_of.extend(nearest.cells().map(|near| near[0].1));
        observer.advance(nearest.cells().len());
        Ok(())
    })?;
    let mut offsets = vec![0_u64; n_lists + 1];
    for &list in &list_of {
        offsets[list + 1] += 1;
    }
    for list in 0..n_lists {
        offsets[list + 1] += offsets[list];
    }
    let mut next: Vec<u64> = offsets[..n_lists].to_vec();
    let places: Vec<u64> = list_of
        .iter()
        .map(|&list| {
            next[list] += 1;
            next[list] - 1
        })
        .collect();

    let mut file = File::create(path).map_err(failed)?;
    file.set_len(bytes_of(n, n_lists, width)).map_err(failed)?;
    let mut head: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let mut numbers = vec![0_u32; n];
    for (cell, &place) in places.iter().enumerate() {
        let number = u32::try_from(first + cell)
            .map_err(|_| Error::option("an index holds at most 2³² cells"))?;
        numbers[usize::try_from(place).unwrap_or(usize::MAX)] = number;
    }
    head.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    file.write_all(&head).map_err(failed)?;
    each_block(rows, observer, |at, block| {
        for (row, &place) in block.chunks_exact(width).zip(&places[at..]) {
            let offset = head.len() as u64 + place * width as u64;
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            file.write_all(&quantised(row)).map_err(failed)?;
        }
        Ok(())
    })?;
    file.sync_all().map_err(failed)
}

/// A vector scaled so that its largest number is 127, as bytes; only its direction counts.
#[allow(clippy::cast_possible_truncation, reason = "numbers up to 127")]
fn quantised(row: &[f32]) -> Vec<u8> {
    let most = row.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    row.iter().map(|x| ((x / most * 127.0).round() as i8).cast_unsigned()).collect()
}
