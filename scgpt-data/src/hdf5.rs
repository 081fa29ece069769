//! HDF5 files byte by byte: what is needed to append to one, and to follow its links, which the
//! library cannot do within bounds.

pub(crate) mod attribute;
pub(crate) mod bytes;
mod dense;
pub(crate) mod group;
pub(crate) mod image;
pub(crate) mod message;

use std::io;

use self::{
    bytes::{Bytes, read_at, unsupported},
    image::Image,
};

/// The address of the header of the root group.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] for a superblock that is not understood.
pub(crate) fn root(file: &mut Image) -> io::Result<u64> {
    let head = read_at(file, 0, 48)?;
    let (base, root) = match head[8] {
        version @ (0 | 1) if head[13..15] == [8, 8] => {
            let fields = read_at(file, 24 + 4 * u64::from(version), 56)?;
            (Bytes(&fields).number(8)?, Bytes(&fields[40..]).number(8)?)
        }
        2 | 3 if head[9..11] == [8, 8] => {
            (Bytes(&head[12..]).number(8)?, Bytes(&head[36..]).number(8)?)
        }
        _ => return Err(unsupported("a superblock of this version")),
    };
    if base != file.base() {
        return Err(unsupported("a file that was moved"));
    }
    Ok(root)
}
