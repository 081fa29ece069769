//! [`Heap`]: texts of variable length in global heap collections.
//!
//! An element of an array of text is a reference: length (4 bytes), address of a collection (8),
//! index of the object in it (4). Texts go into the collection that is open until it is full; its
//! room in the file is taken when it is begun, so that references are known at once, and its bytes
//! follow when it is done.
//!
//! A collection of 16 KiB has room for some hundred barcodes. Indices have two bytes, which no
//! collection of this size can exceed: an object takes 24 bytes at least.

use std::io;

use super::Appender;

/// Size of a collection, unless one text is larger.
const COLLECTION: usize = 16 << 10;

/// Bytes of a reference to a text.
pub(super) const REFERENCE: usize = 16;

/// The collection that takes the next texts.
#[derive(Debug, Default)]
pub(super) struct Heap {
    /// Where its place in the file begins.
    address: u64,
    /// Size of that place.
    size: usize,
    /// Objects in it so far, with the head of the collection.
    bytes: Vec<u8>,
    /// Number of objects.
    objects: u16,
}

impl Heap {
    /// Stores `texts`, and returns their references, sixteen bytes each.
    ///
    /// # Errors
    /// If a text has 4 GiB, or the file cannot be written.
    pub(super) fn insert_all<'a>(
        &mut self,
        out: &mut Appender,
        texts: impl Iterator<Item = &'a str>,
    ) -> io::Result<Vec<u8>> {
        let mut references = Vec::new();
        for text in texts {
            let (address, index) = self.insert(out, text.as_bytes())?;
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            references.extend_from_slice(&length.to_le_bytes());
            references.extend_from_slice(&address.to_le_bytes());
            references.extend_from_slice(&u32::from(index).to_le_bytes());
        }
        Ok(references)
    }

    /// Stores one text, and returns the address of its collection and its index there; an empty
    /// text is stored nowhere.
    fn insert(&mut self, out: &mut Appender, text: &[u8]) -> io::Result<(u64, u16)> {
        if text.is_empty() {
            return Ok((0, 0));
        }
        let padded = text.len().next_multiple_of(8);
        // The object's own head, and that of the free space behind the last object.
        if self.bytes.len() + 16 + padded + 16 > self.size {
            self.flush(out)?;
            self.size = COLLECTION.max(16 + 16 + padded + 16);
            out.align()?;
            self.address = out.append(&vec![0; self.size])?;
            self.bytes = b"GCOL\x01\0\0\0".to_vec();
            self.bytes.extend_from_slice(&(self.size as u64).to_le_bytes());
            self.objects = 0;
        }
        self.objects += 1;
        self.bytes.extend_from_slice(&self.objects.to_le_bytes());
        self.bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
        self.bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text);
        self.bytes.resize(self.bytes.len() + padded - text.len(), 0);
        Ok((self.address, self.objects))
    }

    /// Writes the collection to its place.
    ///
    /// Called when a text does not fit, and once at the end. Whatever comes next begins a new
    /// collection.
    pub(super) fn flush(&mut self, out: &mut Appender) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        // Object 0 is the free space, its own head included.
        let free = self.size - self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&(free as u64).to_le_bytes());
        out.patch(self.address, &self.bytes)?;
        *self = Self::default();
        Ok(())
    }
}
