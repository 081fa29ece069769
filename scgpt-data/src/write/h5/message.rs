//! Encoding of HDF5 metadata, from the "HDF5 File Format Specification" version 3.0, sections
//! IV.A (object headers and their messages) and III.E (global heap). Offsets and lengths have
//! eight bytes, everything is little-endian.
//!
//! Each function gives the body of one message; [`object_header`] puts bodies together. What they
//! say is what h5py and the R packages read: nothing newer than HDF5 1.8.
//!
//! ```text
//! header        "OHDR", version 2, flags, size (4), messages, checksum (4)
//! message       type (1), size of the body (2), flags (1), body
//! dataspace     version 2, rank, flags, kind (0 scalar, 1 array, 2 nothing), lengths (8 each)
//! datatype      class and version, three bytes by class, size (4), properties by class
//! layout        version 3, class 1 (contiguous), address (8), size (8)
//! attribute     version 3, flags, three lengths (2 each), character set, and the four parts:
//!               name, datatype, dataspace, value
//! ```

use crate::{
    hdf5::message::{GROUP_INFO, LINK_INFO, UNDEFINED, length16, link_head},
    write::element::Dtype,
};

/// Largest body of a message: its size field has 16 bits.
pub(super) const LARGEST: usize = u16::MAX as usize;

/// A version 2 object header of `messages`.
///
/// Bodies are at most [`LARGEST`] bytes; whoever calls has checked it.
pub(super) fn object_header(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let size: usize = messages.iter().map(|(_, body)| 4 + body.len()).sum();
    // Flags 2: the size of the one chunk is stored in four bytes.
    let mut bytes = b"OHDR\x02\x02".to_vec();
    bytes.extend_from_slice(&narrow(size).to_le_bytes());
    for (kind, body) in messages {
        bytes.push(*kind);
        bytes.extend_from_slice(&length16(body.len()));
        bytes.push(0);
        bytes.extend_from_slice(body);
    }
    let checksum = lookup3(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The messages every compact group begins with.
///
/// A link info without heap and tree says that all links are in the header; the group info sets no
/// limits.
pub(super) fn group_messages() -> Vec<(u8, Vec<u8>)> {
    let mut link_info = vec![0, 0];
    link_info.extend_from_slice(&[0xff; 16]);
    vec![(LINK_INFO, link_info), (GROUP_INFO, vec![0, 0])]
}

/// A hard link.
pub(super) fn hard_link(name: &str, address: u64) -> Vec<u8> {
    let mut body = link_head(name, None);
    body.extend_from_slice(&address.to_le_bytes());
    body
}

/// A dataspace; an empty `shape` is a scalar.
pub(super) fn dataspace(shape: &[u64]) -> Vec<u8> {
    let rank = shape.len().to_le_bytes()[0];
    let mut body = vec![2, rank, 0, u8::from(rank > 0)];
    body.extend(shape.iter().flat_map(|length| length.to_le_bytes()));
    body
}

/// The dataspace of "no value".
pub(super) fn null_dataspace() -> Vec<u8> {
    vec![2, 0, 0, 2]
}

/// The datatype h5py gives `dtype`.
///
/// Truth values are an enumeration of `FALSE` and `TRUE`, complex numbers records of `r` and `i`:
/// h5py takes exactly these for what they stand for.
pub(super) fn datatype(dtype: Dtype) -> Vec<u8> {
    let size = dtype.size().to_le_bytes()[0];
    match dtype {
        Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => fixed_point(size, 0),
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => fixed_point(size, 0x08),
        Dtype::F16 => vec![0x11, 0x20, 15, 0, 2, 0, 0, 0, 0, 0, 16, 0, 10, 5, 0, 10, 15, 0, 0, 0],
        Dtype::F32 => vec![0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0],
        Dtype::F64 => {
            vec![0x11, 0x20, 63, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0]
        }
        Dtype::C64 | Dtype::C128 => {
            let part = if dtype == Dtype::C64 { Dtype::F32 } else { Dtype::F64 };
            let parts = ["r", "i"].map(|name| (name, part.size(), datatype(part)));
            compound(&parts)
        }
        Dtype::Bytes(width) => {
            // Filled up with zeros, in no character set but ASCII.
            let mut body = vec![0x13, 1, 0, 0];
            body.extend_from_slice(&narrow(width).to_le_bytes());
            body
        }
        Dtype::Bool => {
            // An enumeration of two members over int8.
            let mut body = vec![0x18, 2, 0, 0, 1, 0, 0, 0];
            body.extend_from_slice(&fixed_point(1, 0x08));
            body.extend_from_slice(b"FALSE\0\0\0TRUE\0\0\0\0\0\x01");
            body
        }
    }
}

/// Records of fields with name, size and datatype, one behind the other.
///
/// Fields touch, without room for alignment, as NumPy packs them. Names end in a zero and are
/// filled up to eight bytes, which version 1 of the datatype asks for.
pub(super) fn compound(fields: &[(&str, usize, Vec<u8>)]) -> Vec<u8> {
    let [low, high] = length16(fields.len());
    let size: usize = fields.iter().map(|(_, size, _)| size).sum();
    let mut body = vec![0x16, low, high, 0];
    body.extend_from_slice(&narrow(size).to_le_bytes());
    let mut offset = 0;
    for (name, size, kind) in fields {
        let mut name = [name.as_bytes(), &[0]].concat();
        name.resize(name.len().next_multiple_of(8), 0);
        body.extend_from_slice(&name);
        body.extend_from_slice(&narrow(offset).to_le_bytes());
        // No dimensions, and what would be said of them.
        body.extend_from_slice(&[0; 28]);
        body.extend_from_slice(kind);
        offset += size;
    }
    body
}

/// Little-endian integers of `size` bytes; `sign` is 8 for signed ones and else 0.
fn fixed_point(size: u8, sign: u8) -> Vec<u8> {
    vec![0x10, sign, 0, 0, size, 0, 0, 0, 0, 0, size * 8, 0]
}

/// Text of variable length in UTF-8.
pub(super) fn string_datatype() -> Vec<u8> {
    let mut body = vec![0x19, 1, 1, 0, 16, 0, 0, 0];
    body.extend_from_slice(&fixed_point(1, 0));
    body
}

/// "Allocate late, fill if set", with the default fill value.
pub(super) fn fill_value() -> Vec<u8> {
    vec![3, 0x0a]
}

/// One run of `size` bytes at `address`.
///
/// An array without bytes has no address.
pub(super) fn contiguous_layout(address: u64, size: u64) -> Vec<u8> {
    let mut body = vec![3, 1];
    let address = if size == 0 { UNDEFINED } else { address };
    body.extend_from_slice(&address.to_le_bytes());
    body.extend_from_slice(&size.to_le_bytes());
    body
}

/// A version 3 attribute.
///
/// The name is UTF-8 and ends in a zero; `data` are the bytes of the value, row-major.
pub(super) fn attribute(name: &str, datatype: &[u8], dataspace: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 0];
    for length in [name.len() + 1, datatype.len(), dataspace.len()] {
        body.extend_from_slice(&length16(length));
    }
    body.push(1);
    body.extend_from_slice(name.as_bytes());
    body.push(0);
    body.extend_from_slice(datatype);
    body.extend_from_slice(dataspace);
    body.extend_from_slice(data);
    body
}

/// Bob Jenkins' lookup3 hash (`hashlittle` with initial value 0), the checksum of HDF5 metadata.
///
/// Readers of new headers refuse those whose checksum is another. Blocks of twelve bytes are mixed
/// into three words; bytes that are missing in the last are zeros.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(narrow(bytes.len()));
    let [mut a, mut b, mut c] = [start; 3];
    let Some(last) = bytes.len().checked_sub(1).map(|last| last / 12) else {
        return c;
    };
    for (position, block) in bytes.chunks(12).enumerate() {
        let mut words = [0_u8; 12];
        words[..block.len()].copy_from_slice(block);
        let word = |at: usize| {
            u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]])
        };
        a = a.wrapping_add(word(0));
        b = b.wrapping_add(word(4));
        c = c.wrapping_add(word(8));
        if position < last {
            for turn in [4, 6, 8, 16, 19, 4] {
                a = a.wrapping_sub(c) ^ c.rotate_left(turn);
                c = c.wrapping_add(b);
                [a, b, c] = [b, c, a];
            }
        } else {
            for turn in [14, 11, 25, 16, 4, 14, 24] {
                c = (c ^ b).wrapping_sub(b.rotate_left(turn));
                [a, b, c] = [b, c, a];
            }
            // Seven turns leave the hash one place further.
            c = b;
        }
    }
    c
}

/// A length that HDF5 keeps in 32 bits; metadata of 4 GiB is never built.
fn narrow(length: usize) -> u32 {
    crate::narrow(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the author's `lookup3.c` (driver 5).
    #[test]
    fn hash_agrees_with_its_author() {
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
