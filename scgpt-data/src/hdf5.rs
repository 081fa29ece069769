//! HDF5 files byte by byte: what is needed to append to one, and to follow its links, which the
//! library cannot do within bounds.
//!
//! ```text
//! superblock             where the root's header is, where the file ends      [`root`]
//! object header          a chain of blocks of messages                        [`group`]
//!   symbol table         old groups: a B-tree of names in a local heap        [`group`]
//!   link, link info      new groups: links here, or in dense storage          [`group`], [`dense`]
//!   attribute (info)     name, datatype, dataspace, value; or dense storage   [`attribute`]
//! ```
//!
//! Two sides use it. A reader of links ([`group::kind`]) wants to know what a name leads to, and a
//! writer ([`group::Node`]) wants the messages of a group as they are, to repeat them in a new
//! header. Values of datasets are never read here; the library has filters and types for that.
//!
//! Nothing that a file says is believed. An address must lie in the file, and every walk spends
//! from the bytes that the file has, so that structures which contain each other end in an error
//! and not in a loop. Kinds of errors tell two cases apart: `Unsupported` for what is sound and not
//! known here (the caller then takes another way), anything else for a file that is broken.
//!
//! Only files with addresses and lengths of eight bytes are known, the default of the HDF5 library.

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
///
/// The superblock of versions 0 and 1 has the root as an entry of a symbol table, behind four
/// addresses; that of versions 2 and 3 has the address alone. Its base address must be where the
/// image begins: what was written behind a block of another size has addresses that lead elsewhere.
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
