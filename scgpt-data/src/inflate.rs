//! Text that may be compressed, and be far larger than its file.
//!
//! Deflate makes up to a thousand bytes of one, so a file of some megabytes can fill all memory
//! before anything is known of it. Text here is read whole, as tables of names are, and is refused
//! where it is larger than any table of its size.

use std::{
    io::{BufRead, BufReader, Read as _},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::{
    error::{Error, Result},
    regular,
};

/// Bytes that any compressed text may have.
const ALWAYS: u64 = 256 << 20;
/// Bytes of text for each byte of a larger file. Tables of names and numbers reach about 10, those of a
/// few words again and again 50; what is far beyond was made to fill the memory.
const EXPANSION: u64 = 100;
/// Bytes of a field in memory, about: many short ones take more than their text.
const FIELD: u64 = 96;
/// Bytes that the fields of any compressed text may take, and for each byte of a larger file.
const FIELDS_ALWAYS: u64 = 1 << 30;
const FIELDS_EXPANSION: u64 = 400;

/// Whether a file begins like gzip.
///
/// Its name says little: a browser may decompress `features.tsv.gz` and keep the name.
pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// The text of a file without a byte-order mark, unpacked if the file begins like gzip (of one or
/// several members).
///
/// # Errors
/// If the file cannot be read or is not UTF-8 (as `utf8` says it), or the text is out of proportion to the file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let failed = |error| Error::open(path, error);
    let file = regular::open(path).map_err(failed)?;
    let stored = file.metadata().map_err(failed)?.len();
    let most = ALWAYS.max(stored.saturating_mul(EXPANSION));
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    if is_gzip(reader.fill_buf().map_err(failed)?) {
        MultiGzDecoder::new(reader).take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
        let fields = most_fields(&bytes);
        let found = if bytes.len() as u64 > most {
            format!("more than {} MB of text", most >> 20)
        } else if fields * FIELD > FIELDS_ALWAYS.max(stored.saturating_mul(FIELDS_EXPANSION)) {
            format!("{} million fields", fields / 1_000_000)
        } else {
            String::new()
        };
        if !found.is_empty() {
            let problem = format!("{found} in a file of {} kB", stored.div_ceil(1000));
            return Err(Error::invalid(path, "gzip", problem)
                .with_hint("decompress it first (gunzip), if that is what it should be"));
        }
    } else {
        reader.read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    utf8(path, bytes)
}

/// The text of a file.
///
/// # Errors
/// [`Error::Unsupported`] with the first line that is not UTF-8.
fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].split(|&byte| byte == b'\n').count();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what =
            format!("line {line} is not UTF-8, as text in Latin-1 and other old encodings is not");
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let read = if stem == name {
            format!("iconv -f LATIN1 -t UTF-8 {name}")
        } else {
            format!("gunzip -c {name} | iconv -f LATIN1 -t UTF-8")
        };
        Error::unsupported(
            path,
            what,
            format!("convert it: {read} > new.tsv, and put that in its place as {stem}"),
        )
    })
}

/// How many fields there are at most, whatever separates them.
///
/// An upper bound, from one count of the bytes: lines, and the commonest of tab, comma, semicolon
/// and blank.
fn most_fields(text: &[u8]) -> u64 {
    let mut counts = [0_u64; 256];
    for &byte in text {
        counts[usize::from(byte)] += 1;
    }
    let of = |byte: u8| counts[usize::from(byte)];
    of(b'\n') + [b'\t', b',', b';', b' '].map(of).into_iter().fold(0, u64::max)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn text_is_not_larger_than_its_file_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv.gz");
        let write = |line: &str, times: usize| {
            let mut to = GzEncoder::new(File::create(&path).unwrap(), Compression::default());
            to.write_all(line.repeat(times).as_bytes()).unwrap();
            to.finish().unwrap();
        };
        // The cell types of a large sorted table: 300 bytes of text for each of the file.
        let line = "CD4-positive, alpha-beta T cell\n";
        write(line, 2_000_000);
        assert_eq!(text(&path).unwrap().len(), 2_000_000 * line.len());
        for (line, times, expected) in [
            ("1\n", 12_000_000, "12 million fields in a file of "),
            ("aaaaaaaaaaaaaaa\n", 17 << 20, "more than 256 MB of text in a file of"),
        ] {
            write(line, times);
            let error = text(&path).err().unwrap().to_string();
            assert!(error.contains(expected) && error.ends_with(" kB"), "{error}");
        }
        std::fs::write(&path, "\u{feff}gene\n").unwrap();
        assert_eq!(text(&path).unwrap(), "gene\n");
    }
}
