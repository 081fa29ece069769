//! [`EventFile`]: scalars for TensorBoard.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crc32c::crc32c;

use super::about;

/// How names of event files begin; TensorBoard reads no others.
const PREFIX: &str = "events.out.tfevents.";
/// What the first event of a file says about the format of the others.
const VERSION: &str = "brain.Event:2";

/// Numbers of the fields that are written, and of the one status, in TensorFlow's `event.proto`
/// and `summary.proto`.
mod field {
    pub(super) const WALL_TIME: u64 = 1;
    pub(super) const STEP: u64 = 2;
    pub(super) const FILE_VERSION: u64 = 3;
    pub(super) const SUMMARY: u64 = 5;
    pub(super) const SESSION_LOG: u64 = 7;
    pub(super) const SUMMARY_VALUE: u64 = 1;
    pub(super) const VALUE_TAG: u64 = 1;
    pub(super) const VALUE_SIMPLE: u64 = 2;
    pub(super) const SESSION_STATUS: u64 = 1;
    pub(super) const STATUS_START: u64 = 1;
}

/// A file of scalars that TensorBoard draws as curves.
///
/// Each session of a run writes a file of its own. It begins with a mark that makes TensorBoard
/// forget what earlier files of the folder say about its first step and all later ones, so that the
/// curves of a run that was interrupted and resumed have no values twice.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a new file in `folder`, which is created if need be, for a session whose first step
    /// is `first_step`: 0 for a new run, one after the checkpoint's for one that is resumed.
    ///
    /// # Errors
    /// If the folder or the file cannot be written; the message names it.
    pub(super) fn create(folder: &Path, first_step: u64) -> io::Result<Self> {
        fs::create_dir_all(folder).map_err(about(folder))?;
        // Files are read in the order of their names: this one has to be the last, even if it is
        // begun within the same second as another or the clock was set back.
        let last = last_second(folder).map_err(about(folder))?;
        let mut second = last.map_or(0, |last| last.saturating_add(1)).max(now().as_secs());
        let (path, file) = loop {
            let path = folder.join(format!("{PREFIX}{second:010}.scgpt.{}", std::process::id()));
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => second += 1,
                opened => break (path.clone(), opened.map_err(about(&path))?),
            }
        };
        let mut events = Self { path, file };
        let mut version = Message::default();
        version.bytes(field::FILE_VERSION, VERSION.as_bytes());
        let mut status = Message::default();
        status.integer(field::SESSION_STATUS, field::STATUS_START);
        let mut start = Message::default();
        start.integer(field::STEP, first_step);
        start.bytes(field::SESSION_LOG, &status.0);
        events.write(&[version, start])?;
        Ok(events)
    }

    /// Writes values of one step, each under its tag, such as `loss/gep`; tags with the same text
    /// before the slash are shown together.
    ///
    /// What was written is in the file when this returns.
    ///
    /// # Errors
    /// If the file cannot be written; the message names it.
    pub(super) fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let mut summary = Message::default();
        for &(tag, value) in values {
            let mut scalar = Message::default();
            scalar.bytes(field::VALUE_TAG, tag.as_bytes());
            #[allow(clippy::cast_possible_truncation, reason = "the format has single precision")]
            scalar.single(field::VALUE_SIMPLE, value as f32);
            summary.bytes(field::SUMMARY_VALUE, &scalar.0);
        }
        let mut event = Message::default();
        event.integer(field::STEP, step);
        event.bytes(field::SUMMARY, &summary.0);
        self.write(&[event])
    }

    /// Writes events with the present time, as records, all at once.
    fn write(&mut self, events: &[Message]) -> io::Result<()> {
        let mut records = Vec::new();
        for event in events {
            let mut timed = Message::default();
            timed.double(field::WALL_TIME, now().as_secs_f64());
            timed.0.extend_from_slice(&event.0);
            record(&timed.0, &mut records);
        }
        self.file.write_all(&records).map_err(about(&self.path))
    }
}

/// The time since 1970, or 0 before it.
fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The latest second in the names of event files.
fn last_second(folder: &Path) -> io::Result<Option<u64>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let second = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next());
        last = last.max(second.and_then(|second| second.parse().ok()));
    }
    Ok(last)
}

/// Appends one record of a TFRecord file: its length and content, each with a check sum.
fn record(content: &[u8], out: &mut Vec<u8>) {
    let length = (content.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&check_sum(&length).to_le_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(&check_sum(content).to_le_bytes());
}

/// CRC-32C, masked as check sums inside data that is itself checked should be.
fn check_sum(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A message of protocol buffers: fields with their numbers, one after the other.
#[derive(Clone, Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn single(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Seven bits a byte, the low ones first; the eighth says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents of all records, their check sums compared.
    fn records(path: &Path) -> Vec<Vec<u8>> {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let end = 12 + usize::try_from(length).unwrap();
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!((sum(8), sum(end)), (check_sum(&rest[..8]), check_sum(&rest[12..end])));
            records.push(rest[12..end].to_vec());
            rest = &rest[end + 4..];
        }
        records
    }

    #[test]
    fn check_sums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the check value of the catalogue of CRC algorithms.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn numbers_are_written_as_protocol_buffers_do() {
        let mut message = Message::default();
        message.integer(1, 150);
        message.bytes(2, b"testing");
        assert_eq!(message.0, b"\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn a_session_begins_with_version_and_first_step() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(&folder.path().join("new"), 300).unwrap();
        events.scalars(301, &[("loss/gep", 0.5), ("lr", 1e-4)]).unwrap();
        let records = records(&events.path);
        // The first nine bytes of each are the time.
        assert!(records.iter().all(|record| record[0] == 0x09));
        assert_eq!(&records[0][9..], b"\x1a\x0dbrain.Event:2");
        assert_eq!(records[1][9..], [0x10, 0xac, 0x02, 0x3a, 0x02, 0x08, 0x01]);
        let mut expected = vec![0x10, 0xad, 0x02, 0x2a, 28, 0x0a, 15, 0x0a, 8];
        expected.extend_from_slice(b"loss/gep\x15");
        expected.extend_from_slice(&0.5_f32.to_le_bytes());
        expected.extend_from_slice(b"\x0a\x09\x0a\x02lr\x15");
        expected.extend_from_slice(&1e-4_f32.to_le_bytes());
        assert_eq!(records[2][9..], expected);
    }

    #[test]
    fn every_session_has_a_later_file() {
        let folder = tempfile::tempdir().unwrap();
        let future = format!("{PREFIX}9000000000.elsewhere.7");
        let first = EventFile::create(folder.path(), 0).unwrap();
        let second = EventFile::create(folder.path(), 10).unwrap();
        fs::write(folder.path().join(&future), "").unwrap();
        let third = EventFile::create(folder.path(), 20).unwrap();
        let paths = [&first.path, &second.path, &folder.path().join(future), &third.path];
        assert!(paths.is_sorted() && first.path != second.path);
    }

    #[test]
    fn errors_name_the_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = EventFile::create(&file.path().join("below"), 0).unwrap_err();
        assert!(error.to_string().contains("below"), "{error}");
    }
}
