//! [`Heap`]: texts in the global heap of an HDF5 file, from the references that stand for them.
//!
//! The HDF5 library resolves references of whole arrays of text and assumes UTF-8; those in fields
//! of records, and texts in other character sets, are read here (section III.E of the "HDF5 File
//! Format Specification" version 3.0).
//!
//! ```text
//! reference    length of the text (4), address of a collection (8), index of the object in it (4)
//! collection   "GCOL", version (1), unused (3), its size (8), objects …
//! object       index (2), references to it (2), unused (4), its size (8), bytes, filled up to eight
//! ```
//!
//! Of a collection the places of its objects are kept, not their bytes: texts of one array mostly
//! lie in few collections, each of which is walked once.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use crate::{anndata::store::text_of, error};

/// Bytes of a reference: length, address of the collection, index of the object in it.
pub(super) const REFERENCE: usize = 16;

/// Bytes of the head of a collection, and of an object in it.
const HEAD: usize = 16;

/// The global heap of a file whose addresses have eight bytes.
pub(super) struct Heap {
    file: File,
    /// Bytes of the file.
    length: u64,
    /// Bytes before the HDF5 part of it, from which addresses count.
    base: u64,
    collections: HashMap<u64, Collection>,
}

/// Where the objects of a collection are, and their sizes.
type Collection = HashMap<u32, (u64, u64)>;

impl Heap {
    /// The heap of the file at `path`, whose addresses count from `base`.
    pub(super) fn open(path: &Path, base: u64) -> Result<Self, error::Source> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, base, collections: HashMap::new() })
    }

    /// The text that `reference` stands for.
    ///
    /// Bytes that are not UTF-8 are read as [`text_of`] reads them.
    ///
    /// # Errors
    /// If the reference leads out of the file, to no collection, or to an object shorter than the
    /// text.
    pub(super) fn text(&mut self, reference: &[u8]) -> Result<String, error::Source> {
        let broken = || error::Source::from("a reference to text leads nowhere");
        let reference: &[u8; REFERENCE] = reference.try_into().map_err(|_| broken())?;
        let size = u64::from(number32(&reference[..4]));
        let (address, index) = (number64(&reference[4..12]), number32(&reference[12..]));
        if size == 0 {
            return Ok(String::new());
        }
        let objects = match self.collections.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let at = self.base.checked_add(address).ok_or_else(broken)?;
                new.insert(collection(&mut self.file, at, self.length)?)
            }
        };
        let &(at, room) = objects.get(&index).ok_or_else(broken)?;
        if size > room {
            return Err(broken());
        }
        self.file.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; usize::try_from(size)?];
        self.file.read_exact(&mut bytes)?;
        Ok(text_of(&bytes))
    }
}

/// Bytes of the text that a reference stands for.
///
/// 0 if there are fewer bytes than a length has.
pub(super) fn length(reference: &[u8]) -> u64 {
    reference.get(..4).map_or(0, |length| number32(length).into())
}

/// The objects of the collection at `start`, all of which lie in a file of `length` bytes.
///
/// # Errors
/// If it has no signature, does not lie in the file, or one of its objects does not end in it.
fn collection(file: &mut File, start: u64, length: u64) -> Result<Collection, error::Source> {
    let broken = || error::Source::from("a collection of texts is broken");
    let mut head = [0; HEAD];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut head)?;
    let size = number64(&head[8..]);
    let end = start.checked_add(size).filter(|&end| end <= length).ok_or_else(broken)?;
    if !head.starts_with(b"GCOL") || size < HEAD as u64 {
        return Err(broken());
    }
    let mut bytes = vec![0; usize::try_from(size - HEAD as u64)?];
    file.read_exact(&mut bytes)?;
    let mut objects = HashMap::new();
    let mut at = start + HEAD as u64;
    while let Some(object) = usize::try_from(at - start - HEAD as u64)
        .ok()
        .and_then(|offset| bytes.get(offset..offset.checked_add(HEAD)?))
    {
        let (index, size) = (u16::from_le_bytes([object[0], object[1]]), number64(&object[8..]));
        // Object 0 is the free space behind the last one.
        if index == 0 {
            break;
        }
        let next =
            size.checked_next_multiple_of(8).and_then(|size| (at + HEAD as u64).checked_add(size));
        let next = next.filter(|&next| next <= end).ok_or_else(broken)?;
        objects.insert(u32::from(index), (at + HEAD as u64, size));
        at = next;
    }
    Ok(objects)
}

/// A little-endian number of four bytes.
fn number32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// A little-endian number of eight bytes.
fn number64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
