//! [`RowSort`]: entries that arrive gene by gene, or in any order, served cell by cell.
//!
//! Cells are divided into buckets of about [`BUCKET_ENTRIES`] entries each. Arriving entries are
//! appended to their bucket; when more than [`HELD_ENTRIES`] wait in memory they move to an unnamed
//! temporary file, page by page. To serve cells, their bucket alone is read back and sorted by
//! counting. One pass over the input therefore suffices, and memory stays bounded whatever its size.
//!
//! ```text
//! push(cell, gene, value)  →  bucket of the cell, in memory
//!   4 Mi entries wait      →  each bucket's become a page of the temporary file
//! read(cells)              →  pages and waiting entries of one bucket  →  counting sort  →  rows
//! ```
//!
//! [`HELD_ENTRIES`] of twelve bytes are about 50 MB; a bucket that is read back takes some 12 MB
//! more, and its rows 8 MB. A single bucket is never written out, as it would come back whole.
//! Reading cells in order reads every page once. Counting needs no more than the entries and one
//! number a cell, and keeps the order of arrival, so a result does not depend on when pages were
//! written.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use crate::check::Rows;

/// Aim for the entries of one bucket.
const BUCKET_ENTRIES: u64 = 1 << 20;
/// Entries that wait in memory before they are written out.
const HELD_ENTRIES: usize = 4 << 20;
/// Bytes of an entry in the file.
const ENTRY_BYTES: usize = 12;

/// Sorts entries (cell, gene, value) by cell on disk. See the module documentation.
pub(crate) struct RowSort {
    n_rows: usize,
    /// Cells of a bucket, the same for all but the last.
    rows_per_bucket: usize,
    buckets: Vec<Bucket>,
    /// Entries in memory, of all buckets.
    held: usize,
    /// The temporary file, once there is one, and its length.
    spill: Option<File>,
    spilled: u64,
    /// The bucket sorted last, with its rows.
    sorted: Option<(usize, Rows)>,
}

/// The entries of neighbouring cells.
#[derive(Default)]
struct Bucket {
    /// What has come since the last page.
    held: Vec<Entry>,
    /// Byte ranges of the file, in order of arrival.
    pages: Vec<(u64, usize)>,
}

/// One value of the matrix; `row` is the cell, `column` the gene.
#[derive(Clone, Copy)]
struct Entry {
    row: u32,
    column: u32,
    value: f32,
}

impl RowSort {
    /// An empty sorter for `n_rows` cells and about `expected` entries.
    pub(crate) fn new(n_rows: usize, expected: u64) -> Self {
        Self::with_bucket(n_rows, expected, BUCKET_ENTRIES)
    }

    /// Buckets are as many as the expected entries need, at most 65536, and at least one. If more
    /// entries come than were expected, buckets grow and nothing else happens.
    fn with_bucket(n_rows: usize, expected: u64, bucket_entries: u64) -> Self {
        let buckets = expected.div_ceil(bucket_entries).clamp(1, 1 << 16);
        let rows_per_bucket = n_rows.div_ceil(usize::try_from(buckets).unwrap_or(1)).max(1);
        let mut list = Vec::new();
        list.resize_with(n_rows.div_ceil(rows_per_bucket).max(1), Bucket::default);
        Self {
            n_rows,
            rows_per_bucket,
            buckets: list,
            held: 0,
            spill: None,
            spilled: 0,
            sorted: None,
        }
    }

    /// Adds one entry; `row` must be below the number of cells.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    ///
    /// # Panics
    /// May panic, here or when its bucket is read, if it is not.
    pub(crate) fn push(&mut self, row: u32, column: u32, value: f32) -> io::Result<()> {
        let bucket = row as usize / self.rows_per_bucket;
        self.buckets[bucket].held.push(Entry { row, column, value });
        self.held += 1;
        if self.held >= HELD_ENTRIES && self.buckets.len() > 1 {
            self.write_out()?;
        }
        Ok(())
    }

    /// Entries of cells `rows`, cell by cell, in order of arrival within a cell.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    ///
    /// Cells beyond the last are none. Several entries of one place stay several; the gate of all
    /// formats adds them up.
    pub(crate) fn read(&mut self, rows: Range<usize>) -> io::Result<Rows> {
        let (mut indptr, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        let end = rows.end.min(self.n_rows);
        let mut row = rows.start;
        while row < end {
            let bucket = row / self.rows_per_bucket;
            let first = bucket * self.rows_per_bucket;
            let stop = end.min(first + self.rows_per_bucket);
            let (offsets, bucket_columns, bucket_values) = self.sorted_bucket(bucket)?;
            let entries = offsets[row - first]..offsets[stop - first];
            let base = columns.len();
            columns.extend_from_slice(&bucket_columns[entries.clone()]);
            values.extend_from_slice(&bucket_values[entries.clone()]);
            indptr.extend(
                offsets[row - first + 1..=stop - first]
                    .iter()
                    .map(|end| base + end - entries.start),
            );
            row = stop;
        }
        Ok((indptr, columns, values))
    }

    /// Moves all waiting entries to the end of the temporary file, one page for each bucket that
    /// has some.
    fn write_out(&mut self) -> io::Result<()> {
        let file = match &mut self.spill {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.seek(SeekFrom::Start(self.spilled))?;
        let mut bytes = Vec::new();
        for bucket in self.buckets.iter_mut().filter(|bucket| !bucket.held.is_empty()) {
            bytes.clear();
            for entry in bucket.held.drain(..) {
                bytes.extend_from_slice(&entry.row.to_le_bytes());
                bytes.extend_from_slice(&entry.column.to_le_bytes());
                bytes.extend_from_slice(&entry.value.to_le_bytes());
            }
            bucket.held = Vec::new();
            file.write_all(&bytes)?;
            bucket.pages.push((self.spilled, bytes.len()));
            self.spilled += bytes.len() as u64;
        }
        self.held = 0;
        Ok(())
    }

    /// The rows of a bucket. It is kept until another is asked for, as windows of cells come one
    /// after the other.
    fn sorted_bucket(&mut self, bucket: usize) -> io::Result<&Rows> {
        if self.sorted.as_ref().is_none_or(|(held, _)| *held != bucket) {
            self.sorted = None;
            let entries = self.entries(bucket)?;
            let first = bucket * self.rows_per_bucket;
            let n_rows = self.rows_per_bucket.min(self.n_rows - first);
            self.sorted = Some((bucket, sort(&entries, first, n_rows)));
        }
        self.sorted
            .as_ref()
            .map(|(_, rows)| rows)
            .ok_or_else(|| io::Error::other("no bucket was sorted"))
    }

    /// The entries of a bucket in order of arrival: those of the file, then those in memory.
    fn entries(&mut self, bucket: usize) -> io::Result<Vec<Entry>> {
        let Bucket { held, pages } = &self.buckets[bucket];
        let stored: usize = pages.iter().map(|(_, length)| length / ENTRY_BYTES).sum();
        let mut entries = Vec::with_capacity(stored + held.len());
        if let Some(file) = &mut self.spill {
            let mut bytes = Vec::new();
            for &(begin, length) in pages {
                bytes.resize(length, 0);
                file.seek(SeekFrom::Start(begin))?;
                file.read_exact(&mut bytes)?;
                entries.extend(bytes.chunks_exact(ENTRY_BYTES).map(|entry| {
                    let word = |at: usize| {
                        u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
                    };
                    Entry { row: word(0), column: word(4), value: f32::from_bits(word(8)) }
                }));
            }
        }
        entries.extend_from_slice(held);
        Ok(entries)
    }
}

/// Stable counting sort of `entries` by row.
///
/// `first` is the number of the first of `n_rows` cells, all of which the entries belong to.
fn sort(entries: &[Entry], first: usize, n_rows: usize) -> Rows {
    let mut offsets = vec![0; n_rows + 1];
    for entry in entries {
        offsets[entry.row as usize - first + 1] += 1;
    }
    for row in 0..n_rows {
        offsets[row + 1] += offsets[row];
    }
    let mut next = offsets.clone();
    let mut columns = vec![0; entries.len()];
    let mut values = vec![0.0; entries.len()];
    for entry in entries {
        let at = &mut next[entry.row as usize - first];
        columns[*at] = entry.column;
        values[*at] = entry.value;
        *at += 1;
    }
    (offsets, columns, values)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "a handful of small whole numbers"
    )]

    use super::*;

    #[test]
    fn rows_come_back_whatever_the_buckets() {
        let mut sorters = [1, 3, 1000].map(|bucket| RowSort::with_bucket(7, 30, bucket));
        for (step, sorter) in sorters.iter_mut().enumerate() {
            for column in 0..5 {
                for row in (0..7).rev().filter(|row| (row + column) % 2 == 0) {
                    sorter.push(row, column, (10 * row + column) as f32).unwrap();
                }
                if step < 2 {
                    sorter.write_out().unwrap();
                }
            }
        }
        for sorter in &mut sorters {
            for rows in [0..7, 2..3, 3..6, 6..7, 4..4] {
                let (indptr, columns, values) = sorter.read(rows.clone()).unwrap();
                assert_eq!(indptr.len(), rows.len() + 1);
                for (at, row) in rows.enumerate() {
                    let entries = indptr[at]..indptr[at + 1];
                    let expected: Vec<u32> =
                        (0..5).filter(|column| (row as u32 + column).is_multiple_of(2)).collect();
                    assert_eq!(columns[entries.clone()], expected);
                    assert!(
                        values[entries]
                            .iter()
                            .zip(expected)
                            .all(|(&value, column)| value == (10 * row as u32 + column) as f32)
                    );
                }
            }
        }
    }
}
