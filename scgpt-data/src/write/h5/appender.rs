//! [`Appender`]: the growing end of an HDF5 file.
//!
//! Everything is written once, from front to back, but for two patches: the collection of texts
//! that is full, into the room that was left for it, and the superblock. Addresses count from the
//! beginning of the HDF5 image, as in all of the file.

use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

use super::message::{LARGEST, group_messages, hard_link, object_header};
use crate::hdf5::{
    group::{Link, Node},
    image::Image,
    message::{ATTRIBUTE, LINK},
};

/// The end of the file.
#[derive(Debug)]
pub(super) struct Appender {
    /// It writes at `end`, except within `patch`.
    pub(super) file: BufWriter<Image>,
    /// The address behind the last byte.
    pub(super) end: u64,
}

impl Appender {
    /// Appends `bytes`, and returns their address.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let address = self.end;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(address)
    }

    /// Overwrites bytes before the end.
    pub(super) fn patch(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(address))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        Ok(())
    }

    /// Appends zeros up to a multiple of eight, and makes the end the place to write at.
    pub(super) fn align(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let gap = (self.end.wrapping_neg() % 8) as usize;
        self.append(&[0; 8][..gap])?;
        Ok(())
    }

    /// Appends the header of an object, and returns its address.
    ///
    /// # Errors
    /// If a message is too large for its length field, as one with a name of 64 KiB would be.
    pub(super) fn header(&mut self, messages: &[(u8, Vec<u8>)]) -> io::Result<u64> {
        if messages.iter().any(|(_, body)| body.len() > LARGEST) {
            return Err(io::Error::other("a name is longer than the 64 KiB that HDF5 allows"));
        }
        self.align()?;
        self.append(&object_header(messages))
    }

    /// Writes the headers of `node` and of the groups below it, and returns its address.
    ///
    /// Groups below come first, since a link needs the address of what it leads to. The new header
    /// is compact: all links and attributes are messages in it, however many they are.
    pub(super) fn group(&mut self, node: Node) -> io::Result<u64> {
        let mut messages = group_messages();
        for (name, link) in node.links {
            let link = match link {
                Link::Message(body) => body,
                Link::Object(address) => hard_link(&name, address),
                Link::Group(group) => hard_link(&name, self.group(group)?),
            };
            messages.push((LINK, link));
        }
        let attributes = node.attributes.into_iter();
        messages.extend(attributes.map(|(_, message)| (ATTRIBUTE, message)));
        self.header(&messages)
    }
}
