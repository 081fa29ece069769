//! `matrix.mtx(.gz)`: features × cells in the Matrix Market coordinate format, in any order. Own
//! code, as crates that read it hold the whole matrix.
//!
//! ```text
//! %%MatrixMarket matrix coordinate integer general     the banner; also `real` and `pattern`
//! %metadata_json: {…}                                  comments
//! 33538 1222 2852390                                   features, cells, entries
//! 33 1 4                                               feature and cell, from 1, and the value
//! ```
//!
//! Cell Ranger writes cell by cell, other tools gene by gene, so one pass over the file hands all
//! entries to [`RowSort`], which serves them by cells in bounded memory. The pass is made when
//! cells are read first: to open a folder reads the size line and the tables beside it.
//!
//! Entries of one place add up, as they do in SciPy. What the format has and cells have not is
//! refused: symmetric matrices, complex numbers, dense arrays.

use std::{
    io::{BufRead, Read as _},
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    check::Rows,
    error::{self, Error, Result},
    rowsort::RowSort,
    tenx::{Features, Parts, tables},
};

/// Reads the header of a matrix and the tables beside it.
///
/// A matrix of cells × genes, as some tools write it, is named as that when the lengths of the
/// tables tell.
///
/// # Errors
/// [`Error::Unsupported`] for such a matrix, [`Error::Invalid`] for a header that is none or does
/// not match the tables.
pub(super) fn open(path: &Path) -> Result<Parts> {
    let mut lines = Lines::open(path)?;
    let header = Header::read(&mut lines)?;
    let (barcodes, table) = tables::read(path)?;
    if (table.len(), barcodes.len()) == (header.n_cells, header.n_features)
        && header.n_cells != header.n_features
    {
        return Err(Error::unsupported(
            path,
            format!(
                "a matrix of {} cells × {} genes, expected genes × cells",
                header.n_features, header.n_cells
            ),
            "turn it over in Python: from scipy.io import mmread, mmwrite; mmwrite(\"matrix.mtx\", mmread(\"matrix.mtx\").T)",
        ));
    }
    if (table.len(), barcodes.len()) != (header.n_features, header.n_cells) {
        return Err(Error::invalid(
            path,
            "size line",
            format!(
                "{} × {}, but the tables beside it have {} features and {} barcodes",
                header.n_features,
                header.n_cells,
                table.len(),
                barcodes.len()
            ),
        )
        .with_hint(
            "10x matrices are features × barcodes; check that the three files belong together",
        ));
    }
    Ok(Parts {
        path: path.into(),
        format: "10x mtx",
        n_stored: header.n_entries,
        dtype: header.field.clone(),
        barcodes,
        table,
        features: Box::new(Matrix { path: path.into(), sorted: None }),
    })
}

/// Bytes of a line that are read: the format allows 1024, but comments are longer.
const LONGEST_LINE: u64 = 1 << 16;

/// A matrix in a file, none of whose entries is read before it is asked for.
struct Matrix {
    path: PathBuf,
    /// Filled by one pass over the file on the first read.
    sorted: Option<RowSort>,
}

impl Features for Matrix {
    fn rows(&mut self, rows: &Range<usize>) -> Result<Rows> {
        let sorted = match &mut self.sorted {
            Some(sorted) => sorted,
            none => none.insert(sort(&self.path)?),
        };
        sorted.read(rows.clone()).map_err(|cause| Error::read(&self.path, "entries", cause))
    }
}

/// The sizes and the kind of values that stand before the entries.
struct Header {
    /// `integer`, `real` or `pattern`.
    field: String,
    n_features: usize,
    n_cells: usize,
    n_entries: u64,
}

impl Header {
    /// Reads the banner and the size line, and leaves `lines` before the first entry.
    ///
    /// # Errors
    /// If the banner names another kind of matrix, or the size line is missing, has numbers beyond
    /// 32 bits or more entries than places.
    fn read(lines: &mut Lines) -> Result<Self> {
        let banner = lines.next()?.map(|line| String::from_utf8_lossy(line).to_ascii_lowercase());
        let banner = banner.unwrap_or_default();
        let words: Vec<&str> = banner.split_whitespace().collect();
        let &[
            "%%matrixmarket",
            "matrix",
            "coordinate",
            field @ ("integer" | "real" | "pattern"),
            "general",
        ] = words.as_slice()
        else {
            return Err(lines.invalid(format!(
                "`{banner}`, expected `%%MatrixMarket matrix coordinate integer general` (or real, pattern)"
            )));
        };
        while let Some(line) = lines.next()? {
            if line.starts_with(b"%") {
                continue;
            }
            let size: Option<Vec<u64>> = words_of(line).map(whole).collect();
            let Some(&[features, cells, n_entries]) = size.as_deref() else {
                break;
            };
            let (Ok(n_features), Ok(n_cells)) = (u32::try_from(features), u32::try_from(cells))
            else {
                break;
            };
            let places = features * cells;
            if n_entries > places {
                return Err(lines.invalid(format!(
                    "{n_entries} entries, but {features} × {cells} has {places} places"
                )));
            }
            return Ok(Self {
                field: field.into(),
                n_features: n_features as usize,
                n_cells: n_cells as usize,
                n_entries,
            });
        }
        Err(lines.invalid("expected the size: features, cells, entries".into()))
    }
}

/// One pass over all entries.
///
/// # Errors
/// [`Error::Invalid`] with the line that is no entry, lies outside of the matrix, or is one too many;
/// also if the file ends early.
fn sort(path: &Path) -> Result<RowSort> {
    let mut lines = Lines::open(path)?;
    let header = Header::read(&mut lines)?;
    let mut sorted = RowSort::new(header.n_cells, header.n_entries);
    let is_pattern = header.field == "pattern";
    let mut n_entries = 0;
    let mut of_cells = vec![0_usize; header.n_cells];
    while let Some(line) = lines.next()? {
        let Some((feature, cell, value)) = entry(line, is_pattern) else {
            return Err(lines.invalid("expected a feature, a cell and a value".into()));
        };
        if feature > header.n_features as u64 || cell > header.n_cells as u64 {
            return Err(lines.invalid(format!(
                "entry ({feature}, {cell}) outside {} × {}",
                header.n_features, header.n_cells
            )));
        }
        #[expect(clippy::cast_possible_truncation, reason = "both are at most u32::MAX")]
        let (row, column) = ((cell - 1) as u32, (feature - 1) as u32);
        // Entries of one place add up, but a cell with more entries than places is damaged.
        of_cells[row as usize] += 1;
        if of_cells[row as usize] > header.n_features {
            let n = header.n_features;
            return Err(
                lines.invalid(format!("cell {cell} has more entries than the {n} features"))
            );
        }
        if n_entries == header.n_entries {
            return Err(lines.invalid(format!("more entries than the {n_entries} of the header")));
        }
        sorted.push(row, column, value).map_err(|cause| Error::read(path, "entries", cause))?;
        n_entries += 1;
    }
    if n_entries != header.n_entries {
        return Err(lines.invalid(format!(
            "the file ends after {n_entries} entries, its header says {}",
            header.n_entries
        )));
    }
    Ok(sorted)
}

/// Lines that are not blank, counted.
struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    /// Number of the line read last, counted from 1, for messages.
    number: u64,
}

impl Lines {
    /// The lines of a file that may be gzipped.
    ///
    /// # Errors
    /// If the file is not there or cannot be read.
    fn open(path: &Path) -> Result<Self> {
        let reader = tables::open(path).map_err(|cause| Error::open(path, cause))?;
        Ok(Self { path: path.into(), reader, line: Vec::new(), number: 0 })
    }

    /// The next line without blanks around it; `None` at the end.
    ///
    /// # Errors
    /// If the line is longer than [`LONGEST_LINE`], as binary files have them, or the gzip stream
    /// is damaged.
    fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut self.line);
            if self.line.len() as u64 == LONGEST_LINE && self.line.last() != Some(&b'\n') {
                return Err(self.invalid(format!("longer than {LONGEST_LINE} bytes")));
            }
            match read.map_err(|cause| self.fault(cause.into()))? {
                0 => return Ok(None),
                _ if self.line.trim_ascii().is_empty() => {}
                _ => return Ok(Some(self.line.trim_ascii())),
            }
        }
    }

    /// The error that says a line cannot be read.
    fn fault(&self, cause: error::Source) -> Error {
        Error::read(&self.path, format!("line {}", self.number), cause)
    }

    /// The error that says a line is not what it should be.
    fn invalid(&self, problem: String) -> Error {
        Error::invalid(&self.path, format!("line {}", self.number), problem)
            .with_hint("the file is damaged or incomplete; copy it again")
    }
}

/// Feature and cell, counted from 1, and value; 1 in a pattern.
fn entry(line: &[u8], is_pattern: bool) -> Option<(u64, u64, f32)> {
    let mut words = words_of(line);
    let feature = words.next().and_then(whole).filter(|&feature| feature > 0)?;
    let cell = words.next().and_then(whole).filter(|&cell| cell > 0)?;
    let value = if is_pattern { 1.0 } else { number(words.next()?)? };
    Some((feature, cell, value))
}

/// The words of a line, between which there are blanks or tabs.
fn words_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A whole number without sign.
fn whole(word: &[u8]) -> Option<u64> {
    word.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A value, whole or with a fraction; `None` for what is no number.
fn number(word: &[u8]) -> Option<f32> {
    // Counts are by far the most frequent.
    whole(word).map(|number| number as f32).or_else(|| std::str::from_utf8(word).ok()?.parse().ok())
}
