//! [`JsonLines`]: one JSON record a line.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use scgpt_data::write_file;
use serde::Serialize;
use serde_json::{Map, Value};

use super::about;

/// An append-only log: one record a line, in the file as soon as it is appended.
///
/// A program that is killed leaves at most one half line at the end, which
/// [`resume`](Self::resume) removes.
#[derive(Debug)]
pub(super) struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens the log of a run that goes on after step `last_step`, or a new one if there is none.
    ///
    /// What the run had logged beyond that step, it will log again: records whose field `step` is
    /// larger are removed, and so is a half line at the end. Records without `step` stay.
    ///
    /// # Errors
    /// If the file cannot be read or written, or another line than the last is not a JSON object;
    /// the message names file and line.
    pub(super) fn resume(path: &Path, last_step: u64) -> io::Result<Self> {
        let open = || File::options().append(true).create(true).open(path).map_err(about(path));
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(about(path))?,
        };
        let kept = kept(&bytes, last_step).map_err(about(path))?;
        if kept != bytes {
            // The log is whole at any time.
            write_file(path, kept).map_err(io::Error::other)?;
        }
        Ok(Self { path: path.to_path_buf(), file: open()? })
    }

    /// Appends a record, which should be a struct or map; numbers that are not finite become null.
    ///
    /// # Errors
    /// If it cannot be serialised, or the file cannot be written; the message names the file.
    pub(super) fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line =
            serde_json::to_vec(record).map_err(io::Error::from).map_err(about(&self.path))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(about(&self.path))
    }
}

/// The whole lines whose step is at most `last_step`.
fn kept(bytes: &[u8], last_step: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut lines = (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')).peekable();
    while let Some((number, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        match serde_json::from_slice::<Map<String, Value>>(line) {
            Ok(record) if line.ends_with(b"\n") => {
                let step = record.get("step").and_then(Value::as_u64);
                if step.is_none_or(|step| step <= last_step) {
                    kept.extend_from_slice(line);
                }
            }
            _ if is_last => {}
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(error) => {
                let message = format!("line {number} is not a record: {error}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            // Only the last line can be without an end.
            Ok(_) => {}
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Loss {
        step: u64,
        loss: f64,
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn every_record_is_a_line_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = JsonLines::resume(&path, 0).unwrap();
        log.append(&Loss { step: 1, loss: 0.5 }).unwrap();
        log.append(&Loss { step: 2, loss: f64::NAN }).unwrap();
        assert_eq!(text(&path), "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":null}\n");
    }

    #[test]
    fn a_resumed_log_goes_on_after_its_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let before = "{\"seed\":7}\n{\"step\":1}\n{\"step\":3}\n{\"step\":2}\n{\"step\":4}\n{\"ste";
        fs::write(&path, before).unwrap();
        let mut log = JsonLines::resume(&path, 2).unwrap();
        log.append(&Loss { step: 3, loss: 1.0 }).unwrap();
        assert_eq!(
            text(&path),
            "{\"seed\":7}\n{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"loss\":1.0}\n"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_lines_are_removed_whatever_is_left_of_them() {
        let whole = "{\"step\":1}\n";
        for torn in ["", "{", "{\"step\":2}", "[1]", "\n", "\u{0}\u{0}\n", "{\"step\":2,\n"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            fs::write(&path, format!("{whole}{torn}")).unwrap();
            JsonLines::resume(&path, 9).unwrap();
            assert_eq!(text(&path), whole, "{torn:?}");
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let broken = "{\"step\":1}\nnot a record\n{\"step\":2}\n";
        fs::write(&path, broken).unwrap();
        let error = JsonLines::resume(&path, 9).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("line 2"), "{error}");
        assert_eq!(text(&path), broken);
    }

    #[test]
    fn a_log_that_is_not_there_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        JsonLines::resume(&path, 0).unwrap();
        assert_eq!(text(&path), "");
    }
}
