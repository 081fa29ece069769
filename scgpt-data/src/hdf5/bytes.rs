//! [`Bytes`]: metadata of an HDF5 file, taken piece by piece.

use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};

use super::image::Image;

/// Bytes that are taken from the front.
///
/// A copy remembers a place: what is taken from the copy is still there in the original.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `length` bytes, which are then behind.
    ///
    /// # Errors
    /// If fewer are left, as of a file that was cut off.
    pub(crate) fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length).ok_or_else(|| broken("metadata"))?;
        self.0 = rest;
        Ok(front)
    }

    /// A little-endian number of `width` bytes, at most eight.
    ///
    /// # Panics
    /// If `width` is more than eight. Widths that a file gives are bounded by whoever reads them.
    pub(crate) fn number(&mut self, width: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(bytes))
    }
}

/// `size` bytes at `address`, which must lie in the file.
///
/// The length is checked before room is made, so a size that is claimed costs no more than the
/// file.
pub(crate) fn read_at(file: &mut Image, address: u64, size: u64) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    if address.checked_add(size).is_none_or(|end| end > length) {
        return Err(broken("an address"));
    }
    file.seek(SeekFrom::Start(address))?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// An error for what is sound, but not known here; callers go by its kind and take another way.
pub(crate) fn unsupported(what: &str) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, format!("{what} cannot be extended"))
}

/// An error for what contradicts itself or leads out of the file.
pub(crate) fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what} is broken"))
}
