//! Dense storage: the many links or attributes of a group of the newer format, kept in a fractal
//! heap and found by a version 2 B-tree (sections III.A.2 and III.G of the specification).
//!
//! ```text
//! B-tree "BTHD"                         fractal heap "FRHP"
//!   node size, record size, depth         length of identifiers, of offsets in them
//!   root: address, count                  blocks a row, size of the first, of the largest block
//!   inner nodes "BTIN"                    root block, and its rows if it is a table of blocks
//!   leaves "BTLF"
//!   record: hash, identifier        →     identifier: kind, offset, length   →   a message
//! ```
//!
//! A writer moves links and attributes here when there are more than a few: h5py does so with a
//! group of more than eight members in files of `libver="latest"`, so that a table with many
//! columns is of this kind. Names are not looked up by hash: all messages of a group are wanted, so
//! the whole tree is read.

use std::io::{self, Seek as _, SeekFrom};

use super::{
    bytes::{Bytes, broken, read_at, unsupported},
    image::Image,
};

/// The messages in the heap at `heap` that the tree at `tree` lists, in the order of the tree.
///
/// Each message is as it would stand in the object header.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] for compressed heaps, objects outside of the heap or inside of
/// their identifiers, and shared messages; other kinds for what is broken, which includes more
/// bytes of messages than the file has.
pub(crate) fn read(file: &mut Image, heap: u64, tree: u64) -> io::Result<Vec<Vec<u8>>> {
    let heap = Heap::read(file, heap)?;
    let mut messages = Vec::new();
    // What lies in the file once adds up to no more than the file.
    let mut left = file.seek(SeekFrom::End(0))?;
    for record in read_tree(file, tree)? {
        // Links: hash, identifier. Attributes: identifier, flags, order, hash.
        let (id, flags) = match (record.len(), heap.id) {
            (length, id) if length == 4 + id => (&record[4..], 0),
            (length, id) if length == id + 9 => (&record[..id], record[id]),
            _ => return Err(unsupported("an index of an unknown kind")),
        };
        if flags & 2 != 0 || id[0] & 0x30 != 0 {
            return Err(unsupported("a shared or very large message"));
        }
        let message = heap.object(file, &id[1..])?;
        spend(&mut left, message.len() as u64)?;
        messages.push(message);
    }
    Ok(messages)
}

/// What is needed of the header of a fractal heap to find its objects.
struct Heap {
    /// Bytes of an identifier, and of the offset and the length inside it.
    id: usize,
    offset: usize,
    length: usize,
    /// Blocks a row, size of the first row's blocks, and the largest that holds objects itself.
    ///
    /// The table of a root with `rows` rows has `width` blocks a row. Blocks of the first two rows
    /// have `first` bytes, those of each later row twice as many as the row before; one of more
    /// than `direct` bytes is a table again.
    width: u64,
    first: u64,
    direct: u64,
    root: u64,
    rows: u64,
}

impl Heap {
    /// Reads the header of a fractal heap, and refuses one whose numbers cannot be: what is
    /// computed from them below neither overflows nor runs without end.
    fn read(file: &mut Image, address: u64) -> io::Result<Self> {
        let head = read_at(file, address, 142)?;
        let number = |at: usize, width: usize| Bytes(&head[at..]).number(width);
        if !head.starts_with(b"FRHP") {
            return Err(broken("a fractal heap"));
        }
        if number(7, 2)? != 0 {
            return Err(unsupported("a compressed heap"));
        }
        let heap = Self {
            id: head[5].into(),
            offset: usize::from(head[128]).div_ceil(8),
            length: bytes_of(number(120, 8)?.min(number(10, 4)?)),
            width: number(110, 2)?,
            first: number(112, 8)?,
            direct: number(120, 8)?,
            root: number(132, 8)?,
            rows: number(140, 2)?,
        };
        let sound = (1..=1 << 16).contains(&heap.width)
            && (1..=1 << 30).contains(&heap.first)
            && heap.rows <= 32
            && heap.offset <= 8
            && heap.id > 0;
        if !sound {
            return Err(broken("a fractal heap"));
        }
        Ok(heap)
    }

    /// The bytes of the object that `id` names by offset and length in the space of the heap: from
    /// the root down, the block that covers the offset is looked up in the table of its parent.
    ///
    /// # Errors
    /// If the offset is beyond the rows there are, or a block lies outside of the file.
    fn object(&self, file: &mut Image, id: &[u8]) -> io::Result<Vec<u8>> {
        let mut id = Bytes(id);
        let (mut offset, length) = (id.number(self.offset)?, id.number(self.length)?);
        let (mut block, mut rows) = (self.root, self.rows);
        // Blocks double in size from the second row on; large ones are tables of blocks again.
        while rows > 0 {
            let (mut entry, mut size, mut row) = (0, self.first, 0);
            while offset / size >= self.width {
                offset -= size * self.width;
                entry += self.width;
                row += 1;
                if row >= rows {
                    return Err(broken("an offset in a fractal heap"));
                }
                size = self.first << (row - 1);
            }
            entry += offset / size;
            offset %= size;
            let entry = block + 13 + self.offset as u64 + 8 * entry;
            block = Bytes(&read_at(file, entry, 8)?).number(8)?;
            rows = if size > self.direct {
                u64::from((size / (self.first * self.width)).max(1).ilog2()) + 1
            } else {
                0
            };
        }
        read_at(file, block.saturating_add(offset), length)
    }
}

/// All records of a version 2 B-tree.
///
/// The widths of counts inside a node are stored nowhere: each is as wide as the largest count that
/// fits below, which follows from the sizes of node and record, level by level from the leaves.
fn read_tree(file: &mut Image, address: u64) -> io::Result<Vec<Vec<u8>>> {
    let head = read_at(file, address, 38)?;
    let number = |at: usize, width: usize| Bytes(&head[at..]).number(width);
    let (node, record, depth) = (number(6, 4)?, number(10, 2)?, number(12, 2)?);
    if !head.starts_with(b"BTHD") || record == 0 || node < 32 + record || depth > 16 {
        return Err(broken("a B-tree"));
    }
    // Width of a count of records below a node, by the depth of that node; none for leaves.
    let leaf = (node - 10) / record;
    let (mut widths, mut below) = (vec![0], leaf);
    for _ in 0..depth {
        let pointer = 8 + bytes_of(leaf) as u64 + widths.last().copied().unwrap_or(0) as u64;
        let most = node.saturating_sub(10 + pointer) / (record + pointer);
        below = below.saturating_mul(most + 1).saturating_add(most);
        widths.push(bytes_of(below));
    }
    let tree = Tree {
        record: usize::try_from(record).map_err(io::Error::other)?,
        count: bytes_of(leaf),
        widths,
        node,
    };
    let mut found = Found { records: Vec::new(), left: file.seek(SeekFrom::End(0))? };
    let depth = usize::try_from(depth).map_err(io::Error::other)?;
    tree.collect(file, number(16, 8)?, number(24, 2)?, depth, &mut found)?;
    Ok(found.records)
}

/// Takes `size` bytes from those that are `left` to be read.
fn spend(left: &mut u64, size: u64) -> io::Result<()> {
    *left = left.checked_sub(size).ok_or_else(|| broken("a structure that contains itself"))?;
    Ok(())
}

/// The records of a tree so far, and how many bytes of nodes the file can still have.
struct Found {
    records: Vec<Vec<u8>>,
    left: u64,
}

/// What is the same in all nodes of a tree.
struct Tree {
    /// Bytes of a record.
    record: usize,
    /// Bytes of the number of records in a child.
    count: usize,
    /// Bytes of the number of records below a child, by the depth of the child; leaves have none.
    widths: Vec<usize>,
    /// Bytes of a node, whatever is in use of it.
    node: u64,
}

impl Tree {
    /// Adds the `count` records of the node at `address` and those below it to `found`. They come
    /// node by node, an inner node before its children: order is of no use to whoever reads all.
    fn collect(
        &self,
        file: &mut Image,
        address: u64,
        count: u64,
        depth: usize,
        found: &mut Found,
    ) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        spend(&mut found.left, self.node)?;
        let node = read_at(file, address, self.node)?;
        let mut bytes = Bytes(&node);
        let expected: &[u8] = if depth == 0 { b"BTLF" } else { b"BTIN" };
        if &bytes.take(6)?[..4] != expected {
            return Err(broken("a B-tree"));
        }
        for _ in 0..count {
            found.records.push(bytes.take(self.record)?.to_vec());
        }
        for _ in 0..if depth == 0 { 0 } else { count + 1 } {
            let (child, count) = (bytes.number(8)?, bytes.number(self.count)?);
            bytes.take(self.widths[depth - 1])?;
            self.collect(file, child, count, depth - 1, found)?;
        }
        Ok(())
    }
}

/// Bytes that hold any number up to `most`.
fn bytes_of(most: u64) -> usize {
    most.max(1).ilog2() as usize / 8 + 1
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A tree of seventeen levels, all of them the same node, has more leaves than any file.
    #[test]
    fn trees_that_contain_themselves_are_refused_at_once() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = b"BTHD\0\x05".to_vec();
        for (number, width) in [(512_u64, 4), (11, 2), (16, 2), (0, 2), (64, 8), (10, 2), (0, 8)] {
            bytes.extend_from_slice(&number.to_le_bytes()[..width]);
        }
        bytes.resize(64, 0);
        bytes.extend_from_slice(b"BTIN\0\x05");
        bytes.resize(64 + 6 + 110, 0);
        let child = [&64_u64.to_le_bytes()[..], &[10, 0, 0, 0, 0, 0, 0, 0]].concat();
        bytes.extend(child.iter().cycle().take(300));
        bytes.resize(4096, 0);
        fs::write(path.path(), &bytes).unwrap();
        let mut file = Image::new(fs::File::open(path.path()).unwrap(), 0);
        let error = read_tree(&mut file, 0).unwrap_err();
        assert!(error.to_string().contains("contains itself"), "{error}");
    }
}
