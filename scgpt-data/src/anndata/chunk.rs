//! [`spooled`]: arrays in chunks too large to be kept, decoded once.
//!
//! A chunk is decoded as a whole, and some writers make one of a whole array: without a place to keep
//! it, every window that is read decodes it again.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use crate::{
    anndata::store::{Array, Dtype},
    error::{Error, Result},
};

/// Bytes of a decoded chunk beyond which the storage libraries do not keep it.
const KEPT_BYTES: u64 = 16 << 20;

/// Most bytes of the rows of one chunk, whole along the other axes; an array with more is not
/// spooled.
const BAND_BYTES: u64 = 1 << 30;

/// `array`, or one that decodes each of its large chunks once.
pub(crate) fn spooled(array: Box<dyn Array>) -> Box<dyn Array> {
    spooled_beyond(array, KEPT_BYTES)
}

/// As [`spooled`], for chunks of more than `kept` bytes.
fn spooled_beyond(array: Box<dyn Array>, kept: u64) -> Box<dyn Array> {
    let is_fixed = array.dtype().is_numeric() || matches!(array.dtype(), Dtype::Complex(_));
    match array.chunk() {
        Some((rows, bytes)) if bytes > kept && is_fixed && rows > 0 && array.len() > 0 => {
            // A chunk may be longer than its array.
            let rows = rows.min(array.len());
            let width: u64 = array.shape().iter().skip(1).map(|&length| length as u64).product();
            // No element takes more than sixteen bytes.
            let band = (rows as u64).saturating_mul(width).saturating_mul(16);
            if array.shape().len() > 1 && band > BAND_BYTES {
                return array;
            }
            Box::new(Spooled { array, rows, band: RefCell::default() })
        }
        _ => array,
    }
}

struct Spooled {
    array: Box<dyn Array>,
    /// Length of a chunk along the first axis.
    rows: usize,
    band: RefCell<Option<Band>>,
}

/// The rows of one chunk, whole along the other axes, decoded into an unnamed file.
struct Band {
    index: usize,
    file: File,
    row_bytes: u64,
}

impl Spooled {
    /// Appends those of `rows` that are in the chunk `index` to `bytes`.
    fn read(&self, index: usize, rows: &Range<usize>, bytes: &mut Vec<u8>) -> Result<()> {
        let failed = |cause| self.array.failed(cause);
        let whole = index * self.rows..self.array.len().min((index + 1) * self.rows);
        let mut held = self.band.borrow_mut();
        let band = match held.take().filter(|band| band.index == index) {
            Some(band) => band,
            None => {
                Band::of(index, whole.len(), &self.array.raw(whole.clone())?).map_err(failed)?
            }
        };
        let band = held.insert(band);
        let rows = rows.start.max(whole.start)..rows.end.min(whole.end);
        band.read(rows.start - whole.start, rows.len(), bytes).map_err(failed)
    }
}

impl Band {
    fn of(index: usize, rows: usize, bytes: &[u8]) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        Ok(Self { index, file, row_bytes: (bytes.len() / rows.max(1)) as u64 })
    }

    fn read(&mut self, first: usize, rows: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(first as u64 * self.row_bytes))?;
        let size = rows as u64 * self.row_bytes;
        let read = (&mut self.file).take(size).read_to_end(bytes)?;
        if read as u64 == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Array for Spooled {
    fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    fn dtype(&self) -> &Dtype {
        self.array.dtype()
    }

    fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        if rows.is_empty() || rows == (0..self.len()) {
            return self.array.raw(rows);
        }
        let mut bytes = Vec::new();
        for index in rows.start / self.rows..=(rows.end - 1) / self.rows {
            self.read(index, &rows, &mut bytes)?;
        }
        Ok(bytes)
    }

    fn texts(&self) -> Result<Vec<String>> {
        self.array.texts()
    }

    fn text_width(&self) -> Option<usize> {
        self.array.text_width()
    }

    fn referenced(&self, references: &[&[u8]]) -> Result<Vec<String>> {
        self.array.referenced(references)
    }

    fn chunk(&self) -> Option<(usize, u64)> {
        self.array.chunk()
    }

    fn not_numbers(&self) -> Error {
        self.array.not_numbers()
    }

    fn failed(&self, cause: io::Error) -> Error {
        self.array.failed(cause)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static DECODED: Cell<usize> = const { Cell::new(0) };
    }

    /// Ten rows of two bytes in chunks of so many rows.
    struct Counted(Dtype, usize);

    impl Array for Counted {
        fn shape(&self) -> &[usize] {
            &[10, 2]
        }

        fn dtype(&self) -> &Dtype {
            &self.0
        }

        fn raw(&self, rows: Range<usize>) -> Result<Vec<u8>> {
            DECODED.set(DECODED.get() + 1);
            Ok(rows.flat_map(|row| [row.to_le_bytes()[0], 7]).collect())
        }

        fn texts(&self) -> Result<Vec<String>> {
            Err(self.not_numbers())
        }

        fn text_width(&self) -> Option<usize> {
            None
        }

        fn referenced(&self, _: &[&[u8]]) -> Result<Vec<String>> {
            Err(self.not_numbers())
        }

        fn chunk(&self) -> Option<(usize, u64)> {
            Some((self.1, 8))
        }

        fn not_numbers(&self) -> Error {
            Error::invalid("counted", "X", "numbers")
        }

        fn failed(&self, cause: io::Error) -> Error {
            Error::read("counted", "X", cause)
        }
    }

    #[test]
    fn large_chunks_are_decoded_once() {
        // The last chunk is cut short, or the only one is longer than the array.
        for (rows, chunks) in [(4, 3), (100, 1)] {
            DECODED.set(0);
            let array = spooled_beyond(Box::new(Counted(Dtype::named("uint8"), rows)), 7);
            for window in 0..9 {
                let expected = [window, 7, window + 1, 7];
                let row = usize::from(window);
                assert_eq!(array.raw(row..row + 2).unwrap(), expected);
            }
            assert_eq!(DECODED.get(), chunks);
            assert_eq!(array.raw(2..10).unwrap()[..4], [2, 7, 3, 7]);
            assert!(array.raw(3..3).unwrap().is_empty());
        }
    }
}
