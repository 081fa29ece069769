//! Messages of object headers ("HDF5 File Format Specification" version 3.0, section IV.A): their
//! numbers, and links.

/// The "undefined address".
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
pub(crate) fn soft_link(name: &str, target: &str) -> Vec<u8> {
    let mut body = link_head(name, Some(1));
    body.extend_from_slice(&length16(target.len()));
    body.extend_from_slice(target.as_bytes());
    body
}

/// Version, flags, type, UTF-8 character set, length of the name in two bytes, name.
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
pub(crate) fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}
