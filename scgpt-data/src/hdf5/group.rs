//! [`Node`]: a group in memory, read from an existing file without interpreting its attributes.
//!
//! ```text
//! object header, version 1           object header, version 2: "OHDR"
//!   version, count, size               version, flags, (times), (limits), size of the first block
//!   message: type 2, size 2, flags 4   message: type 1, size 2, flags 1, (order of creation 2)
//!   … continuation: address, size      … continuation: address, size
//! ```
//!
//! A header can go on in further blocks anywhere in the file, to which a message leads. What makes
//! a group of an object is one of three messages: a symbol table (old), a link or a link info
//! (new). All forms end in the same list of names and links, in the order of the file.
//!
//! A link message has version, flags, then what the flags announce: kind, order of creation,
//! character set, a length of one to eight bytes, the name, and what it leads to. The flag of
//! shared messages, 2, means that the body is a pointer to the real one; those of attributes are
//! refused, as a new header that repeated them would not be counted among their owners.

use std::{
    collections::HashSet,
    io::{self, Seek as _, SeekFrom},
};

use serde_json::{Map, Value};

use super::{
    bytes::{Bytes, broken, read_at, unsupported},
    dense,
    image::Image,
    message::{
        ATTRIBUTE, ATTRIBUTE_INFO, CONTINUATION, LAYOUT, LINK, LINK_INFO, SYMBOL_TABLE, UNDEFINED,
        soft_link,
    },
};

/// A group whose header is (re)written when the file is finished.
///
/// It stands for the group until the end of writing, so that any number of members and attributes
/// cost one new header. Bodies of messages are kept as bytes: repeated as they are, they mean the
/// same.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Attribute messages by name. Addresses inside them stay valid: the file only grows.
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
    /// Values of the attributes that were set here.
    pub(crate) values: Map<String, Value>,
    /// Members in order.
    pub(crate) links: Vec<(String, Link)>,
}

/// What a name in a group leads to.
#[derive(Debug)]
pub(crate) enum Link {
    /// An object whose header is in the file.
    Object(u64),
    /// A group that is still in memory.
    Group(Node),
    /// A link message as it is (symbolic and external links).
    Message(Vec<u8>),
}

impl Node {
    /// Links `name` to `link` instead of whatever it led to.
    ///
    /// A new name comes last; one that is there keeps its place, and what it led to stays in the
    /// file, unreferenced.
    pub(crate) fn link(&mut self, name: &str, link: Link) {
        match self.links.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = link,
            None => self.links.push((name.to_owned(), link)),
        }
    }

    /// Sets the attribute `name` to `message`.
    pub(crate) fn attribute(&mut self, name: &str, message: Vec<u8>) {
        match self.attributes.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = message,
            None => self.attributes.push((name.to_owned(), message)),
        }
    }

    /// Reads the group whose header is at `address`; `None` for any other kind of object.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for what new headers cannot take over (shared messages), other kinds for a file that is broken.
    pub(crate) fn read(file: &mut Image, address: u64) -> io::Result<Option<Self>> {
        let messages = read_messages(file, address)?;
        if !is_group(&messages) {
            return Ok(None);
        }
        let mut node = Self { links: read_links(file, &messages)?, ..Self::default() };
        for Message { kind, flags, body } in messages {
            let mut bytes = Bytes(&body);
            match kind {
                ATTRIBUTE if flags & 2 != 0 => return Err(unsupported("a shared attribute")),
                ATTRIBUTE => {
                    let name = attribute_name(bytes)?;
                    node.attributes.push((name, body));
                }
                ATTRIBUTE_INFO => {
                    for body in read_dense(file, &mut bytes, 2)? {
                        node.attributes.push((attribute_name(Bytes(&body))?, body));
                    }
                }
                _ => {}
            }
        }
        Ok(Some(node))
    }
}

/// What an object header describes.
///
/// A dataset is known by its layout message, before anything else: it may have attributes, never
/// links.
pub(crate) enum Kind {
    /// Names and what they lead to.
    Group(Vec<(String, Target)>),
    /// An array, of which nothing more is read here.
    Dataset,
    /// A named datatype, or whatever else has a header.
    Other,
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The object whose header is there.
    Object(u64),
    /// Another path of the file, from the root if it begins with `/`, else from the group.
    Soft(String),
    /// A path in another file.
    External { file: String, path: String },
    /// A link of a kind that some program registered for itself.
    Unknown,
}

/// What the object whose header is at `address` is, and its links if it is a group.
///
/// # Errors
/// As [`Node::read`], except that attributes are not looked at.
pub(crate) fn kind(file: &mut Image, address: u64) -> io::Result<Kind> {
    let messages = read_messages(file, address)?;
    if messages.iter().any(|message| message.kind == LAYOUT) {
        return Ok(Kind::Dataset);
    }
    if !is_group(&messages) {
        return Ok(Kind::Other);
    }
    let links = read_links(file, &messages)?.into_iter().map(|(name, link)| {
        Ok((
            name,
            match link {
                Link::Object(address) => Target::Object(address),
                Link::Message(body) => read_target(Bytes(&body))?,
                Link::Group(_) => Target::Unknown,
            },
        ))
    });
    Ok(Kind::Group(links.collect::<io::Result<_>>()?))
}

/// Whether one of the messages is of those that only groups have.
fn is_group(messages: &[Message]) -> bool {
    messages.iter().any(|message| [SYMBOL_TABLE, LINK_INFO, LINK].contains(&message.kind))
}

/// The links of a group in all forms.
///
/// A group has one form or the other; links in the header and in dense storage exclude each other
/// in what HDF5 writes, and are added up here if a file has both.
fn read_links(file: &mut Image, messages: &[Message]) -> io::Result<Vec<(String, Link)>> {
    let mut links = Vec::new();
    for Message { kind, body, .. } in messages {
        let mut bytes = Bytes(body);
        match *kind {
            LINK => links.push(read_link(bytes, body)?),
            LINK_INFO => {
                for body in read_dense(file, &mut bytes, 8)? {
                    links.push(read_link(Bytes(&body), &body)?);
                }
            }
            SYMBOL_TABLE => {
                let (tree, heap) = (bytes.number(8)?, bytes.number(8)?);
                let names = read_local_heap(file, heap)?;
                read_symbol_tree(file, tree, &names, &mut links, &mut HashSet::new())?;
            }
            _ => {}
        }
    }
    Ok(links)
}

/// The messages of dense storage that an information message points to; `counter` bytes of it are a
/// number that may be there.
///
/// An information message has version, flags, the number if flag 1 is set, and the addresses of
/// heap and tree. A heap at the undefined address means that everything is in the header.
pub(crate) fn read_dense(
    file: &mut Image,
    bytes: &mut Bytes<'_>,
    counter: usize,
) -> io::Result<Vec<Vec<u8>>> {
    let flags = bytes.take(2)?[1];
    bytes.take(if flags & 1 == 0 { 0 } else { counter })?;
    let (heap, tree) = (bytes.number(8)?, bytes.number(8)?);
    if heap == UNDEFINED { Ok(Vec::new()) } else { dense::read(file, heap, tree) }
}

/// One message of an object header.
pub(crate) struct Message {
    /// Its type, one of the numbers in [`super::message`] or another.
    pub(crate) kind: u8,
    /// 2 is that of a shared message, whose body is a pointer.
    pub(crate) flags: u8,
    pub(crate) body: Vec<u8>,
}

/// All messages of an object header, version 1 or 2, with its continuations.
///
/// Messages that continue the header are followed and left out of the result. Unused ones (type 0)
/// and others that nobody asks for stay in, as they are told apart by type alone.
///
/// # Errors
/// If the address leads to no header, or if the blocks together are larger than the file, which
/// happens when a block continues in itself.
pub(crate) fn read_messages(file: &mut Image, address: u64) -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    let head = read_at(file, address, 16)?;
    let version2 = head.starts_with(b"OHDR");
    let mut tracked = false;
    let mut blocks = if version2 {
        let flags = head[5];
        tracked = flags & 4 != 0;
        let skip = u64::from(flags & 0x20 != 0) * 16 + u64::from(flags & 0x10 != 0) * 4;
        let width = 1_usize << (flags & 3);
        let size = Bytes(&read_at(file, address + 6 + skip, width as u64)?).number(width)?;
        vec![(address + 6 + skip + width as u64, size)]
    } else if head[0] == 1 {
        vec![(address + 16, Bytes(&head[8..]).number(4)?)]
    } else {
        return Err(broken("an object header"));
    };
    let mut next = 0;
    let mut left = file.seek(SeekFrom::End(0))?;
    while let Some(&(at, size)) = blocks.get(next) {
        next += 1;
        // Blocks that lie in the file once add up to no more than the file.
        left = left
            .checked_sub(size.max(1))
            .ok_or_else(|| broken("a chain of object header blocks"))?;
        let block = read_at(file, at, size)?;
        let mut bytes = Bytes(&block);
        let prefix = if version2 { 4 + 2 * usize::from(tracked) } else { 8 };
        while bytes.0.len() >= prefix {
            let (kind, size, flags);
            if version2 {
                kind = bytes.number(1)?;
                size = bytes.number(2)?;
                flags = bytes.take(prefix - 3)?[0];
            } else {
                kind = bytes.number(2)?;
                size = bytes.number(2)?;
                flags = bytes.take(4)?[0];
            }
            let body = bytes.take(usize::try_from(size).map_err(io::Error::other)?)?;
            let kind = u8::try_from(kind).map_err(io::Error::other)?;
            if kind == CONTINUATION {
                let mut target = Bytes(body);
                let (at, size) = (target.number(8)?, target.number(8)?);
                // A version 2 block has a signature before and a checksum behind its messages.
                blocks.push(if version2 { (at + 4, size.saturating_sub(8)) } else { (at, size) });
            } else {
                let body = body.to_vec();
                messages.push(Message { kind, flags, body });
            }
        }
    }
    Ok(messages)
}

/// The name inside an attribute message.
///
/// It ends at its first zero, which its length counts.
fn attribute_name(mut bytes: Bytes<'_>) -> io::Result<String> {
    let version = bytes.take(2)?[0];
    let length = usize::try_from(bytes.number(2)?).map_err(io::Error::other)?;
    bytes.take(if version == 3 { 5 } else { 4 })?;
    let name = bytes.take(length)?;
    text(name.split(|byte| *byte == 0).next().unwrap_or(name))
}

/// A link message.
///
/// A hard link becomes an address, which is valid wherever its new header is written; any other
/// stays the message it was.
fn read_link(mut bytes: Bytes<'_>, body: &[u8]) -> io::Result<(String, Link)> {
    let (name, kind) = read_link_head(&mut bytes)?;
    let link =
        if kind == HARD { Link::Object(bytes.number(8)?) } else { Link::Message(body.to_vec()) };
    Ok((name, link))
}

/// Kinds of links.
const HARD: u8 = 0;
const SOFT: u8 = 1;
const EXTERNAL: u8 = 64;

/// Name and kind of a link; what it leads to is left in `bytes`.
fn read_link_head(bytes: &mut Bytes<'_>) -> io::Result<(String, u8)> {
    let flags = bytes.take(2)?[1];
    let kind = if flags & 8 == 0 { HARD } else { bytes.take(1)?[0] };
    bytes.take(usize::from(flags & 4 != 0) * 8 + usize::from(flags & 16 != 0))?;
    let length = bytes.number(1 << (flags & 3))?;
    let name = text(bytes.take(usize::try_from(length).map_err(io::Error::other)?)?)?;
    Ok((name, kind))
}

/// What the link of a whole link message leads to.
///
/// Soft and external links have a length of two bytes and a value. A soft one is a path, from whose
/// end zeros are taken.
fn read_target(mut bytes: Bytes<'_>) -> io::Result<Target> {
    let (_, kind) = read_link_head(&mut bytes)?;
    if kind == HARD {
        return Ok(Target::Object(bytes.number(8)?));
    }
    let length = usize::try_from(bytes.number(2)?).map_err(io::Error::other)?;
    let value = bytes.take(length)?;
    match kind {
        SOFT => Ok(Target::Soft(text(value)?.trim_end_matches('\0').to_owned())),
        EXTERNAL => {
            // One byte of version and flags, and two texts that end in a zero.
            let mut parts = value.get(1..).unwrap_or_default().split(|byte| *byte == 0);
            let mut part = || text(parts.next().unwrap_or_default());
            Ok(Target::External { file: part()?, path: part()? })
        }
        _ => Ok(Target::Unknown),
    }
}

/// The names of a version 1 group.
///
/// They stand one behind the other, each ended by a zero; entries of the symbol table give the
/// offset of theirs.
fn read_local_heap(file: &mut Image, address: u64) -> io::Result<Vec<u8>> {
    let head = read_at(file, address, 32)?;
    if !head.starts_with(b"HEAP") {
        return Err(broken("a local heap"));
    }
    let (size, data) = (Bytes(&head[8..]).number(8)?, Bytes(&head[24..]).number(8)?);
    read_at(file, data, size)
}

/// The members of a version 1 group, below the node of its B-tree (or symbol table) at `address`.
///
/// Links are added in the order of the tree, which is that of names. Soft links are entries without
/// an object, and become link messages of the newer format.
///
/// # Errors
/// If a node comes twice or its level is not below that of its parent, so that neither circles nor
/// chains without end are walked.
fn read_symbol_tree(
    file: &mut Image,
    address: u64,
    names: &[u8],
    links: &mut Vec<(String, Link)>,
    seen: &mut HashSet<u64>,
) -> io::Result<()> {
    let head = read_at(file, address, 8)?;
    let entries = Bytes(&head[6..]).number(2)?;
    // A tree of 32 levels has more leaves than any file has bytes.
    if !seen.insert(address) || head[5] > 32 {
        return Err(broken("a B-tree"));
    }
    if head.starts_with(b"TREE") {
        // Keys and children alternate behind level, count and the two siblings.
        let children = read_at(file, address + 24, entries * 16)?;
        for child in children.as_chunks::<16>().0 {
            let child = Bytes(&child[8..]).number(8)?;
            // Levels fall by one, so that a circle cannot be deep either.
            let level = read_at(file, child, 6)?;
            if level.starts_with(b"TREE") && level[5] >= head[5] {
                return Err(broken("a B-tree"));
            }
            read_symbol_tree(file, child, names, links, seen)?;
        }
        return Ok(());
    }
    if !head.starts_with(b"SNOD") {
        return Err(broken("a symbol table"));
    }
    for entry in read_at(file, address + 8, entries * 40)?.as_chunks::<40>().0 {
        let mut entry = Bytes(entry);
        let name = heap_text(names, entry.number(8)?)?;
        let object = entry.number(8)?;
        let cache = entry.number(4)?;
        entry.take(4)?;
        let link = if cache == 2 {
            Link::Message(soft_link(&name, &heap_text(names, entry.number(4)?)?))
        } else {
            Link::Object(object)
        };
        links.push((name, link));
    }
    Ok(())
}

/// The text at `offset` in a local heap, up to its zero.
fn heap_text(heap: &[u8], offset: u64) -> io::Result<String> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| heap.get(offset..)?.split(|byte| *byte == 0).next())
        .ok_or_else(|| broken("a name"))
        .and_then(text)
}

/// A name or a path.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] if it is not UTF-8, as which all names are written.
fn text(bytes: &[u8]) -> io::Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| unsupported("a name that is not UTF-8"))
}
