//! [`JsonLines`]: a scBank table with one JSON object a line.
//!
//! To open it is one pass over the file that notes where lines begin, 8 bytes a cell in memory;
//! cells are then read and parsed where they are asked for. Empty lines are no cells.

use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Lists, REMEDY, Rows, uneven};
use crate::error::{Error, Result};

/// The table, and where its lines begin.
pub(super) struct JsonLines {
    path: PathBuf,
    file: BufReader<File>,
    begins: Vec<u64>,
}

#[derive(Deserialize)]
struct Cell {
    genes: Vec<i64>,
    expressions: Vec<f32>,
}

impl JsonLines {
    /// Finds the lines of the table at `path`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = crate::regular::open(path).map_err(|error| Error::open(path, error))?;
        let mut table = Self { path: path.into(), file: BufReader::new(file), begins: Vec::new() };
        let (mut line, mut begin) = (Vec::new(), 0);
        loop {
            line.clear();
            let n = table.file.read_until(b'\n', &mut line);
            let n = n.map_err(|error| Error::read(path, "lines", error))?;
            if n == 0 {
                return Ok(table);
            }
            if !line.trim_ascii().is_empty() {
                table.begins.push(begin);
            }
            begin += n as u64;
        }
    }
}

impl Rows for JsonLines {
    fn n_cells(&self) -> usize {
        self.begins.len()
    }

    fn n_stored(&self) -> u64 {
        // Counting them would mean parsing the whole table.
        0
    }

    fn dtype(&self) -> &'static str {
        "float32"
    }

    fn read(&mut self, rows: &Range<usize>) -> Result<Lists> {
        let mut lists = Lists::default();
        let mut line = Vec::new();
        for cell in rows.clone() {
            line.clear();
            let begin = SeekFrom::Start(self.begins[cell]);
            let read = self.file.seek(begin).and_then(|_| self.file.read_until(b'\n', &mut line));
            let place = || format!("cell {cell}");
            read.map_err(|error| Error::read(&self.path, place(), error))?;
            let found: Cell = serde_json::from_slice(&line).map_err(|error| {
                Error::invalid(&self.path, place(), error.to_string()).with_hint(REMEDY)
            })?;
            if found.genes.len() != found.expressions.len() {
                return Err(uneven(&self.path, cell, found.genes.len(), found.expressions.len()));
            }
            lists.genes.extend(found.genes);
            lists.expressions.extend(found.expressions);
            lists.ends.push(lists.genes.len());
        }
        Ok(lists)
    }
}
