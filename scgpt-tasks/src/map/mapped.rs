//! [`MappedFile`]: a file that is mapped into memory.

use std::{fs::File, path::Path};

use memmap2::Mmap;

use super::manifest::invalid;
use crate::error::Result;

/// The first bytes of a file, read when they are looked at.
#[derive(Debug)]
pub(super) struct MappedFile {
    /// The map of the whole file.
    map: Mmap,
    /// Number of bytes that count; what is beyond is left from an append that did not finish.
    length: usize,
}

impl MappedFile {
    /// Maps a file of at least `length` bytes; only these count.
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

    /// The bytes that count.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map[..self.length]
    }
}

/// Maps the whole file.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read. As with every map, another process that shortens the file
    // meanwhile ends this one; an index only ever grows.
    unsafe { Mmap::map(file) }
}
