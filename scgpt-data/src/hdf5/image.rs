//! [`Image`]: the HDF5 part of a file, behind bytes that are none of its business.
//!
//! HDF5 leaves room for a "user block" of 512 bytes or a power of two times as many, in which a
//! program may put what it likes: MuData writes a line of text there, by which `.h5mu` is known.
//! All addresses of such a file count from behind the block, but for the end of the file in the
//! superblock.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

/// What a superblock begins with.
pub(crate) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Places where HDF5 may begin after the first byte.
const FIRST_USER_BLOCK: u64 = 512;

/// A file whose positions count from where HDF5 begins in it.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    base: u64,
}

impl Image {
    /// The image that begins at byte `base`.
    ///
    /// Nothing is looked at, so the file may still be empty.
    pub(crate) fn new(file: File, base: u64) -> Self {
        Self { file, base }
    }

    /// The image in a file: at its beginning, or behind 512, 1024, 2048… bytes.
    ///
    /// `None` if there is no signature at any of these places.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn find(mut file: File) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut base = 0;
        while base + 48 <= length {
            file.seek(SeekFrom::Start(base))?;
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            if bytes == SIGNATURE {
                return Ok(Some(Self { file, base }));
            }
            base = (2 * base).max(FIRST_USER_BLOCK);
        }
        Ok(None)
    }

    /// Where it begins.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Asks the system to put what was written on the disk, and waits until it is there.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Read for Image {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl Write for Image {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Image {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let place = match place {
            SeekFrom::Start(place) => SeekFrom::Start(place + self.base),
            other => other,
        };
        self.file.seek(place).map(|place| place.saturating_sub(self.base))
    }
}
