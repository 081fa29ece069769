//! Text that may be compressed, and be far larger than its file.

use std::{
    io::{BufRead, BufReader, Read as _},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::{
    error::{Error, Result},
    regular,
    tenx::utf8,
};

/// Bytes that any compressed text may have.
const ALWAYS: u64 = 16 << 20;
/// Bytes of text for each byte of a larger file. Tables of names and numbers reach about 10; what
/// is far beyond was made to fill the memory.
const EXPANSION: u64 = 32;

/// Whether a file begins like gzip.
pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// The text of a file, through gzip (of one or several members) if it begins like it, without a
/// byte-order mark.
///
/// # Errors
/// If the file cannot be read or is not UTF-8 (as `utf8` says it), or the text is out of proportion to the file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let failed = |error| Error::open(path, error);
    let file = regular::open(path).map_err(failed)?;
    let most = ALWAYS.max(file.metadata().map_err(failed)?.len().saturating_mul(EXPANSION));
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    if is_gzip(reader.fill_buf().map_err(failed)?) {
        MultiGzDecoder::new(reader).take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > most {
            let problem = format!(
                "more than {} MB of text in a file of {} MB",
                most >> 20,
                (most / EXPANSION) >> 20
            );
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

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn text_is_not_larger_than_its_file_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv.gz");
        let write = |length: usize| {
            let mut to = GzEncoder::new(File::create(&path).unwrap(), Compression::best());
            to.write_all(&vec![b'\n'; length]).unwrap();
            to.finish().unwrap();
        };
        write(1 << 20);
        assert_eq!(text(&path).unwrap().len(), 1 << 20);
        write(20 << 20);
        let error = text(&path).unwrap_err();
        assert!(error.to_string().contains("more than 16 MB of text"), "{error}");
        std::fs::write(&path, "\u{feff}gene\n").unwrap();
        assert_eq!(text(&path).unwrap(), "gene\n");
    }
}
