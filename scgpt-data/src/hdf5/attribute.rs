//! [`text_size`]: how large the texts of attributes are, known before any is read.
//!
//! ```text
//! attribute message
//!   version, flags             one byte each; flags of versions 2 and 3 tell of a shared type
//!   lengths                    of name, datatype and dataspace, two bytes each
//!   character set              one byte, in version 3 alone
//!   name, datatype, dataspace  in version 1 each filled up to eight bytes
//!   value                      texts of any length: 16 bytes each, which begin with a length
//! ```
//!
//! The library makes a string of every reference at once. A few kilobytes of references to one
//! large text would thus become gigabytes, so the sum is held against the size of the file first.

use std::io;

use super::{
    bytes::Bytes,
    group::{Message, read_dense, read_messages},
    image::Image,
    message::{ATTRIBUTE, ATTRIBUTE_INFO},
};

/// The class of data of any length, whose elements are references into the heap.
const ANY_LENGTH: u8 = 9;
/// Bytes of such a reference, which begins with the length.
const REFERENCE: usize = 16;

/// Bytes of all that the attributes of the object at `address` refer to. Many references to one text
/// count as many texts, as they become that when they are read.
///
/// The sum is an upper bound that saturates, and reads the attributes alone, never a text.
///
/// # Errors
/// If the header or its dense storage is broken, or of a kind that is not known here; then only the
/// library can tell.
pub(crate) fn text_size(file: &mut Image, address: u64) -> io::Result<u64> {
    let mut size = 0_u64;
    for Message { kind, flags, body } in read_messages(file, address)? {
        match kind {
            // Shared attributes are elsewhere, as are theirs.
            ATTRIBUTE if flags & 2 == 0 => size = size.saturating_add(referred(&body)?),
            ATTRIBUTE_INFO => {
                for body in read_dense(file, &mut Bytes(&body), 2)? {
                    size = size.saturating_add(referred(&body)?);
                }
            }
            _ => {}
        }
    }
    Ok(size)
}

/// Bytes that the value of one attribute refers to.
///
/// Values of fixed size refer to nothing and count 0, as do those whose type is shared and so
/// stands elsewhere. For lists of any length the length counts elements, hence the size of the
/// element type, which the datatype has at its byte 12.
fn referred(body: &[u8]) -> io::Result<u64> {
    let mut bytes = Bytes(body);
    let head = bytes.take(2)?;
    let (version, is_shared) = (head[0], head[1] != 0);
    let mut lengths = [0; 3];
    for length in &mut lengths {
        *length = usize::try_from(bytes.number(2)?).map_err(io::Error::other)?;
    }
    bytes.take(usize::from(version == 3))?;
    // The first version fills every part up to eight bytes.
    let part = |length: usize| if version == 1 { length.next_multiple_of(8) } else { length };
    let [name, datatype, space] = lengths.map(part);
    bytes.take(name)?;
    let datatype = bytes.take(datatype)?;
    bytes.take(space)?;
    if is_shared || datatype.len() < 16 || datatype[0] & 0xf != ANY_LENGTH {
        return Ok(0);
    }
    let is_text = datatype[1] & 0xf == 1;
    let element = if is_text { 1 } else { Bytes(&datatype[12..]).number(4)? };
    let references = bytes.0.chunks_exact(REFERENCE);
    let length = |reference: &[u8]| Bytes(reference).number(4);
    references
        .map(length)
        .try_fold(0, |size: u64, length| Ok(size.saturating_add(length?.saturating_mul(element))))
}
