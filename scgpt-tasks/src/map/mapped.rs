//! [`MappedFile`]: a file as memory.

use std::{fs::File, path::Path};

use memmap2::Mmap;

use super::manifest::invalid;
use crate::error::Result;

/// The first bytes of a file, read when they are looked at.
#[derive(Debug)]
pub(super) struct MappedFile {
    /// All of the file.
    map: Mmap,
    /// Bytes that count; what is beyond is of an append that did not finish.
    length: usize,
}

impl MappedFile {
    /// Maps a file that has at least `length` bytes, of which no more count.
    ///
    /// # Errors
    /// If it cannot be opened, is no regular file, or is shorter.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self> {
        let map = scgpt_data::open_file(path).and_then(|file| map(&file));
        let map = map.map_err(|error| invalid(path, error.to_string()))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if map.len() < length {
            let problem = format!("{} bytes, expected {length}: it was cut short", map.len());
            return Err(invalid(path, problem));
        }
        Ok(Self { map, length })
    }

    /// What counts.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map[..self.length]
    }
}

/// The file as memory.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read. As with every map, another process that shortens the file
    // meanwhile ends this one; an index only ever grows.
    unsafe { Mmap::map(file) }
}
