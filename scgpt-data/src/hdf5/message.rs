//! Messages of object headers ("HDF5 File Format Specification" version 3.0, section IV.A): their
//! numbers, and links.
//!
//! ```text
//! link message
//!   version 1, flags           flag 0x08: a kind follows; 0x10: a character set; low two: width
//!   kind                       one byte: 0 hard, 1 soft, 64 external
//!   character set              one byte: 1 is UTF-8
//!   length, name               the length in one, two, four or eight bytes
//!   hard: address              of the object's header
//!   soft: length, path         the length in two bytes
//! ```

/// The "undefined address".
///
/// It stands where nothing was allocated: for an array without elements, a heap that is not needed.
pub(crate) const UNDEFINED: u64 = u64::MAX;

// Message types.
pub(crate) const DATASPACE: u8 = 0x01;
pub(crate) const LINK_INFO: u8 = 0x02;
pub(crate) const DATATYPE: u8 = 0x03;
pub(crate) const FILL_VALUE: u8 = 0x05;
pub(crate) const LINK: u8 = 0x06;
pub(crate) const LAYOUT: u8 = 0x08;
pub(crate) const GROUP_INFO: u8 = 0x0a;
pub(crate) const ATTRIBUTE: u8 = 0x0c;
pub(crate) const CONTINUATION: u8 = 0x10;
pub(crate) const SYMBOL_TABLE: u8 = 0x11;
pub(crate) const ATTRIBUTE_INFO: u8 = 0x15;

/// A symbolic link.
///
/// A link message with `target`, a path of the same file that need not exist.
pub(crate) fn soft_link(name: &str, target: &str) -> Vec<u8> {
    let mut body = link_head(name, Some(1));
    body.extend_from_slice(&length16(target.len()));
    body.extend_from_slice(target.as_bytes());
    body
}

/// Version, flags, type, UTF-8 character set, length of the name in two bytes, name.
///
/// What all links begin with; a hard one has no `kind`.
pub(crate) fn link_head(name: &str, kind: Option<u8>) -> Vec<u8> {
    let mut body = vec![1, 0b1_0001];
    if let Some(kind) = kind {
        body[1] |= 0b1000;
        body.push(kind);
    }
    body.push(1);
    body.extend_from_slice(&length16(name.len()));
    body.extend_from_slice(name.as_bytes());
    body
}

/// A length that HDF5 keeps in 16 bits; whoever writes checks it where a body can be larger.
///
/// Saturates at 65535, the limit against which bodies are checked before they are written.
pub(crate) fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}
