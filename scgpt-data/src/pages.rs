//! Pages of a parquet file: what they claim to hold, checked before room is made for it.
//!
//! The library believes the length that a page gives for its unpacked bytes, and repeats a value as
//! often as a few bytes say.
//!
//! ```text
//! footer            rows of each group, where the chunk of each column lies         values in sum
//! column chunk      page, page, …
//!   page header     kind (1), unpacked length (2), packed length (3), …             each page
//! ```
//!
//! A header is a structure of Thrift's compact protocol: fields of a number and a type, up to a
//! zero. Only the two lengths matter, so all else is passed over by its type, whatever later
//! versions of the format add.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use parquet::file::metadata::ParquetMetaData;

use crate::{
    error::{Error, Result},
    guard::guarded,
};

/// Bytes that any page may unpack to.
const ALWAYS: u64 = 64 << 20;
/// Values that any file may have in all columns.
const VALUES: u64 = 1 << 24;
/// How many times larger than packed a larger page may be, and values for each byte of a larger file.
const EXPANSION: u64 = 32;
/// Bytes in which the header of a page is looked for; it may have the least and the greatest value.
const HEADERS: [u64; 2] = [512, 1 << 16];
/// Structures within each other in a header; there are three.
const DEEPEST: u8 = 8;

/// Checks the number of rows of a file, and the size of every page.
///
/// # Errors
/// [`Error::Invalid`] naming what is out of proportion.
///
/// It reads headers alone, which takes one seek a page. Pages that lie within each other would make
/// that many times the file; each header takes at least eight bytes of it, so there is a most.
pub(crate) fn check(path: &Path, metadata: &ParquetMetaData) -> Result<()> {
    let invalid = |place: &str, problem: String| {
        Error::invalid(path, place, problem).with_hint("the file is damaged; copy it again")
    };
    let failed = |error: std::io::Error| Error::open(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let groups = metadata.row_groups().iter();
    let values = groups
        .map(|group| group.num_rows().unsigned_abs().saturating_mul(group.num_columns() as u64));
    let values = values.fold(0, u64::saturating_add);
    if values > VALUES.max(length.saturating_mul(EXPANSION)) {
        return Err(invalid("footer", format!("claims {values} values in {length} bytes")));
    }
    // Headers that do not overlap; each has at least eight bytes.
    let mut left = length / 8;
    let mut header = Vec::new();
    for column in
        metadata.row_groups().iter().flat_map(parquet::file::metadata::RowGroupMetaData::columns)
    {
        let name = column.column_path().string();
        let range = guarded(|| Ok::<_, Error>(column.byte_range()));
        let (mut at, size) = range.map_err(|error| Error::read(path, &name, error))?;
        let end = at.saturating_add(size).min(length);
        while at < end {
            let page = HEADERS.iter().find_map(|&most| {
                header.clear();
                file.seek(SeekFrom::Start(at)).ok()?;
                file.by_ref().take(most).read_to_end(&mut header).ok()?;
                Header { bytes: &header, at: 0 }.page()
            });
            // Whatever is wrong with it, the library says.
            let Some(Page { header, packed, unpacked }) = page else { break };
            if unpacked > ALWAYS.max(packed.saturating_mul(EXPANSION)) {
                let problem = format!("a page of {packed} bytes claims to unpack to {unpacked}");
                return Err(invalid(&name, problem));
            }
            at = at.saturating_add(header + packed);
            left = left
                .checked_sub(1)
                .ok_or_else(|| invalid(&name, "its pages lie within each other".into()))?;
        }
    }
    Ok(())
}

/// What the header of a page says of it, in bytes.
#[derive(Debug, PartialEq)]
struct Page {
    /// Length of the header.
    header: u64,
    packed: u64,
    unpacked: u64,
}

/// The header of a page, in the compact protocol of Thrift.
struct Header<'a> {
    bytes: &'a [u8],
    /// Bytes that are read already.
    at: usize,
}

impl Header<'_> {
    /// Lengths of the page; none if this is no whole header.
    fn page(mut self) -> Option<Page> {
        let (mut unpacked, mut packed) = (None, None);
        self.fields(0, &mut |id, value| match id {
            2 => unpacked = u64::try_from(value).ok(),
            3 => packed = u64::try_from(value).ok(),
            _ => {}
        })?;
        Some(Page { header: self.at as u64, packed: packed?, unpacked: unpacked? })
    }

    /// The next byte.
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Goes past `n` bytes; none if there are fewer.
    fn skip(&mut self, n: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(n).ok()?)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose lowest bit is its sign.
    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Goes through a structure; `number` is told the whole numbers that are its own.
    ///
    /// Fields of structures within it are passed over. `None` if the bytes end before.
    fn fields(&mut self, depth: u8, number: &mut dyn FnMut(i64, i64)) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id =
                if head >> 4 == 0 { self.signed()? } else { id.wrapping_add(i64::from(head >> 4)) };
            match head & 0xf {
                1 | 2 => {}
                4..=6 => number(id, self.signed()?),
                kind => self.value(kind, depth)?,
            }
        }
    }

    /// Goes past a value.
    ///
    /// Kinds: truth values (1, 2), a byte (3), numbers (4 to 6), a real number (7), bytes or text
    /// (8), lists and sets (9, 10), a structure (12). Maps (11) are in no page header, and are
    /// refused with all others.
    fn value(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth == DEEPEST {
            return None;
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let n = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                (0..n).try_for_each(|_| self.value(head & 0xf, depth + 1))
            }
            12 => self.fields(depth + 1, &mut |_, _| {}),
            _ => None,
        }
    }
}

#[cfg(test)]
#[cfg(feature = "parquet")]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;
    use crate::{Column, Existing, Table};

    /// A written table, its metadata and the place of its first page.
    fn written(path: &Path, column: Column) -> (ParquetMetaData, u64) {
        let table = Table { columns: vec![("x".into(), column)] };
        table.write(path, Existing::Replace).unwrap();
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let metadata = reader.metadata().clone();
        let (begin, _) = metadata.row_group(0).column(0).byte_range();
        (metadata, begin)
    }

    #[test]
    fn pages_cannot_claim_what_they_like() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let (metadata, begin) = written(&path, Column::Integer((0..500).map(Some).collect()));
        check(&path, &metadata).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let first = usize::try_from(begin).unwrap();
        // Type, then the unpacked length: field 1 and 2, 32-bit numbers.
        assert_eq!((bytes[first], bytes[first + 2]), (0x15, 0x15));
        let page = Header { bytes: &bytes[first..], at: 0 }.page().unwrap();
        assert!(page.packed > 0 && page.unpacked >= 4000, "{page:?}");
        let last = (first + 3..bytes.len()).find(|&at| bytes[at] < 0x80).unwrap();
        bytes.splice(first + 3..=last, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        std::fs::write(&path, &bytes).unwrap();
        let error = check(&path, &metadata).unwrap_err().to_string();
        assert!(error.contains("claims to unpack to"), "{error}");
    }

    #[test]
    fn values_take_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let (metadata, _) = written(&path, Column::Boolean(vec![Some(true); 17 << 20]));
        let error = check(&path, &metadata).unwrap_err().to_string();
        assert!(error.contains("claims 17825792 values"), "{error}");
    }
}
