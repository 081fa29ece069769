//! `.pt` files, whose size is checked before anything in them is believed.
//!
//! A pickle of a few bytes an instruction builds objects of hundreds, and entries of an archive
//! inflate a thousandfold, so a small file could fill the memory. A state dict is small beside its
//! tensors, and its tensors are no larger than the file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use pytorch_reader::{PickleValue, PytorchReader, Tensor};
use zip::ZipArchive;

use crate::error::{Error, Result};

/// The longest pickle that is read: names, types and shapes of 25 000 tensors.
const LONGEST_PICKLE: u64 = 4 << 20;
/// Most bytes of all tensors together, for each byte of the file; parameters that share their
/// numbers are stored once.
const EXPANSION: u64 = 4;
/// Bytes that the tensors of any file may have, however small it is.
const ALWAYS: u64 = 64 << 20;

/// The tensors of a `.pt` file by their names in it.
pub(super) fn tensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let bad = |problem: String| Error::checkpoint(path, problem);
    check_container(path)?;
    let content =
        PytorchReader::read_pickle_data(path, None).map_err(|error| bad(error.to_string()))?;
    if let Some(object) = foreign_object(&content) {
        return Err(bad(format!("it holds a Python object `{object}`, expected tensors only")));
    }
    drop(content);
    let reader = PytorchReader::new(path).map_err(|error| bad(error.to_string()))?;
    let tensors: BTreeMap<String, Tensor> = reader.into_tensors().into_iter().collect();
    let length = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.len();
    let bytes = |tensor: &Tensor| tensor.byte_len() as u64;
    let total = tensors.values().map(bytes).fold(0, u64::saturating_add);
    check_size(path, total, length)?;
    Ok(tensors)
}

/// Checks that the file is small enough once it is unpacked.
fn check_container(path: &Path) -> Result<()> {
    let read = |error: io::Error| Error::read(path, error);
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut reader = BufReader::new(file);
    let head = reader.fill_buf().map_err(read)?;
    if head.starts_with(b"PK") {
        return check_archive(path, reader, length);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err(Error::checkpoint(
            path,
            "it is a TAR archive, as PyTorch wrote before 0.1.10; save it again with torch.save(torch.load(path), path)",
        ));
    }
    // Up to five pickles, then the numbers; where an instruction is unknown, reading ends, too.
    let mut left = LONGEST_PICKLE;
    for _ in 0..5 {
        match skip_pickle(&mut reader, &mut left) {
            Ok(Skipped::Pickle) => {}
            Ok(Skipped::Nothing) => break,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(read(error)),
        }
        if left == 0 {
            break;
        }
    }
    if left == 0 {
        return Err(Error::checkpoint(path, too_long(length)));
    }
    Ok(())
}

fn check_archive(path: &Path, reader: BufReader<File>, length: u64) -> Result<()> {
    let bad = |error: zip::result::ZipError| Error::checkpoint(path, error.to_string());
    let mut archive = ZipArchive::new(reader).map_err(bad)?;
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(bad)?;
        total = total.saturating_add(entry.size());
        let is_pickle = entry.name().map_err(bad)?.ends_with("data.pkl");
        if is_pickle && entry.size() > LONGEST_PICKLE {
            return Err(Error::checkpoint(path, too_long(entry.size())));
        }
    }
    check_size(path, total, length)
}

fn too_long(bytes: u64) -> String {
    format!("its pickle, of up to {bytes} bytes, is longer than that of any state dict")
}

fn check_size(path: &Path, bytes: u64, length: u64) -> Result<()> {
    if bytes > ALWAYS.max(length.saturating_mul(EXPANSION)) {
        return Err(Error::checkpoint(
            path,
            format!("it claims {bytes} bytes of tensors, but the file has {length}"),
        ));
    }
    Ok(())
}

/// The first object that is neither a tensor nor a plain value. A state dict has none, so a file
/// that does was not made by saving a state dict: it may be an attack, and is not what it claims to
/// be.
fn foreign_object(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(name) => (name != "torch.Tensor").then_some(name),
        PickleValue::List(items) => items.iter().find_map(foreign_object),
        PickleValue::Dict(items) => items.values().find_map(foreign_object),
        _ => None,
    }
}

enum Skipped {
    /// A whole pickle.
    Pickle,
    /// An instruction that no pickle has.
    Nothing,
}

/// Goes to the end of a pickle without executing it, and subtracts its length from `left`; stops
/// when nothing is left.
fn skip_pickle(reader: &mut impl BufRead, left: &mut u64) -> io::Result<Skipped> {
    while *left > 0 {
        let [instruction] = bytes(reader)?;
        let (fixed, length_bytes, lines) = match instruction {
            b'.' => {
                *left -= 1;
                return Ok(Skipped::Pickle);
            }
            b'I' | b'L' | b'F' | b'V' | b'g' | b'p' | b'P' | b'S' => (0, 0, 1),
            b'c' | b'i' => (0, 0, 2),
            b'K' | b'h' | b'q' | 0x80 | 0x82 => (1, 0, 0),
            b'M' | 0x83 => (2, 0, 0),
            b'J' | b'j' | b'r' | 0x84 => (4, 0, 0),
            b'G' | 0x95 => (8, 0, 0),
            b'U' | b'C' | 0x8a | 0x8c => (0, 1, 0),
            b'T' | b'X' | b'B' | 0x8b => (0, 4, 0),
            0x8d | 0x8e | 0x96 => (0, 8, 0),
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'R'
            | b'b'
            | b'd'
            | b'l'
            | b't'
            | b's'
            | b'a'
            | b')'
            | b']'
            | b'}'
            | b'e'
            | b'u'
            | b'Q'
            | b'o'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x94
            | 0x97
            | 0x98 => (0, 0, 0),
            _ => return Ok(Skipped::Nothing),
        };
        let argument = match length_bytes {
            1 => u64::from(bytes::<1>(reader)?[0]),
            4 => u64::from(u32::from_le_bytes(bytes(reader)?)),
            8 => u64::from_le_bytes(bytes(reader)?),
            _ => fixed,
        };
        *left = left.saturating_sub(1 + length_bytes);
        skip(reader, argument.min(*left))?;
        *left = left.saturating_sub(argument);
        for _ in 0..lines {
            let line = reader.by_ref().take(*left).skip_until(b'\n')?;
            *left = left.saturating_sub(line as u64);
        }
    }
    Ok(Skipped::Nothing)
}

fn bytes<const N: usize>(reader: &mut impl BufRead) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(reader: &mut impl BufRead, n: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.by_ref().take(n), &mut io::sink())?;
    if skipped < n { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// The refusal of a file of those bytes.
    fn refusal(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt");
        fs::write(&path, bytes).unwrap();
        tensors(&path).unwrap_err().to_string()
    }

    fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = io::Cursor::new(Vec::new());
        let mut zip = ZipWriter::new(&mut bytes);
        for (name, content) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        bytes.into_inner()
    }

    /// A state dict of one tensor of `n` numbers in one, by a stride of 0.
    fn expanded(n: i32) -> Vec<u8> {
        let mut pickle =
            b"\x80\x02}(X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage\
            ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0J"
                .to_vec();
        pickle.extend(n.to_le_bytes());
        pickle.extend(b"\x85K\0\x85\x89ccollections\nOrderedDict\n)RtRu.");
        zipped(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])])
    }

    #[test]
    fn small_files_stay_small() {
        let objects = vec![b'}'; 5 << 20];
        let too_long = "longer than that of any state dict";
        assert!(refusal(&objects).contains(too_long));
        let mut legacy =
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
        legacy.extend(&objects);
        assert!(refusal(&legacy).contains(too_long));
        assert!(refusal(&zipped(&[("a/data.pkl", &objects)])).contains(too_long));
        let storage = vec![0; 80 << 20];
        let refused = refusal(&zipped(&[("a/data.pkl", b"}."), ("a/data/0", &storage)]));
        assert!(refused.contains("bytes of tensors"), "{refused}");
        assert!(refusal(&expanded(1 << 28)).contains("bytes of tensors"));
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(refusal(&tar).contains("torch.save(torch.load"));
    }

    #[test]
    fn pickles_are_skipped_to_their_end() {
        let folder = scgpt_fixtures::repository().join("checkpoint_variants");
        let file = File::open(folder.join("legacy_wqkv.pt")).unwrap();
        let mut reader = BufReader::new(file);
        let mut left = LONGEST_PICKLE;
        for _ in 0..5 {
            assert!(matches!(skip_pickle(&mut reader, &mut left), Ok(Skipped::Pickle)));
        }
        assert!(left > LONGEST_PICKLE - 10_000, "{left}");
        let few = tensors(&folder.join("legacy_wqkv.pt")).unwrap();
        assert!(few.contains_key("encoder.embedding.weight"));
    }
}
