//! [`RowSpool`]: rows of `f32` in an unnamed temporary file, so that results of any number of
//! cells need no memory.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::error::{Error, Result};

/// A matrix of `f32` on disk that grows row by row and is read back in blocks.
///
/// The file has no name: the system removes it when the spool is dropped, also after a crash.
///
/// ```
/// use scgpt_data::RowSpool;
///
/// let mut rows = RowSpool::new(2)?;
/// rows.push(&[0.5, 1.0, 2.0, 3.0])?;
/// let mut second = Vec::new();
/// rows.read_rows(1, 1, &mut second)?;
/// assert_eq!(second, [2.0, 3.0]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct RowSpool {
    /// Locked because its position is shared by all who read.
    file: Mutex<File>,
    n_columns: usize,
    n_rows: usize,
}

impl RowSpool {
    /// An empty spool of `n_columns` columns in the system's folder for temporary files.
    ///
    /// # Errors
    /// If the temporary file cannot be made.
    pub fn new(n_columns: usize) -> Result<Self> {
        Self::new_in(None, n_columns)
    }

    /// An empty spool whose file lies in `folder`, for example beside the output. With `None` it
    /// lies in the system's folder for temporary files, which may be small, or held in memory.
    ///
    /// # Errors
    /// If the temporary file cannot be made.
    pub fn new_in(folder: Option<&Path>, n_columns: usize) -> Result<Self> {
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let file = Mutex::new(file.map_err(Error::Temporary)?);
        Ok(Self { file, n_columns, n_rows: 0 })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Appends `values`: one row, or several that follow each other.
    ///
    /// # Errors
    /// If `values` is no whole number of rows, or the file cannot be written.
    pub fn push(&mut self, values: &[f32]) -> Result<()> {
        self.write_rows(self.n_rows, values)
    }

    /// Writes whole rows that begin at row `first`, in any order; rows in between that were never
    /// written are zero.
    ///
    /// # Errors
    /// If `values` is no whole number of rows, or the file cannot be written.
    pub fn write_rows(&mut self, first: usize, values: &[f32]) -> Result<()> {
        if self.n_columns == 0 || !values.len().is_multiple_of(self.n_columns) {
            return Err(Error::Option(format!(
                "{} values are no whole number of rows of {} columns",
                values.len(),
                self.n_columns
            )));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let offset = self.offset(first);
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(&bytes))
            .map_err(Error::Temporary)?;
        self.n_rows = self.n_rows.max(first + values.len() / self.n_columns);
        Ok(())
    }

    /// Reads the rows `first..first + n`, row-major, into `values`, whose former content is
    /// dropped.
    ///
    /// # Errors
    /// If there are fewer rows, or the file cannot be read.
    pub fn read_rows(&self, first: usize, n: usize, values: &mut Vec<f32>) -> Result<()> {
        let mut bytes = Vec::new();
        self.read_bytes(first, n, &mut bytes)?;
        values.clear();
        values.extend(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        Ok(())
    }

    /// Reads the rows `first..first + n` as little-endian bytes.
    pub(crate) fn read_bytes(&self, first: usize, n: usize, bytes: &mut Vec<u8>) -> Result<()> {
        if first + n > self.n_rows {
            let end = first + n;
            return Err(Error::Option(format!("rows {first}..{end} of {}", self.n_rows)));
        }
        bytes.resize(n * self.n_columns * size_of::<f32>(), 0);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset(first)))
            .and_then(|_| file.read_exact(bytes))
            .map_err(Error::Temporary)
    }

    fn offset(&self, row: usize) -> u64 {
        (row * self.n_columns * size_of::<f32>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_any_order() {
        let mut spool = RowSpool::new(3).unwrap();
        spool.push(&[0.0, 1.0, 2.0]).unwrap();
        spool.write_rows(3, &[9.0, 10.0, 11.0]).unwrap();
        spool.write_rows(1, &[3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).unwrap();
        spool.push(&[12.0, 13.0, f32::NAN]).unwrap();
        assert_eq!((spool.n_rows(), spool.n_columns()), (5, 3));
        let mut rows = Vec::new();
        spool.read_rows(2, 3, &mut rows).unwrap();
        assert_eq!(rows[..8], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0]);
        assert!(rows[8].is_nan());
    }

    #[test]
    fn half_rows_and_missing_rows_are_refused() {
        let mut spool = RowSpool::new(2).unwrap();
        assert!(spool.push(&[1.0]).is_err());
        assert!(spool.read_rows(0, 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn one_row_of_many() {
        let mut spool = RowSpool::new(512).unwrap();
        for row in 0..2000_u16 {
            spool.push(&[f32::from(row); 512]).unwrap();
        }
        let mut rows = Vec::new();
        spool.read_rows(1234, 1, &mut rows).unwrap();
        assert_eq!(rows, [1234.0; 512]);
    }
}
