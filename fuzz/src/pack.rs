//! Folders as one input: files one after the other, each behind a line `===== name`.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a line that begins a file begins with.
const MARK: &[u8] = b"===== ";

/// Writes the files of `bytes` into `folder`; names that lead out of it are passed over.
pub(crate) fn unpack(bytes: &[u8], folder: &Path) {
    let mut starts: Vec<usize> = (0..bytes.len().saturating_sub(MARK.len()))
        .filter(|&at| (at == 0 || bytes[at - 1] == b'\n') && bytes[at..].starts_with(MARK))
        .collect();
    starts.push(bytes.len() + 1);
    for pair in starts.windows(2) {
        // The line break before a mark belongs to the mark.
        let part = &bytes[pair[0] + MARK.len()..pair[1] - 1];
        let end = part.iter().position(|&byte| byte == b'\n').unwrap_or(part.len());
        let name = std::str::from_utf8(&part[..end]).ok();
        let Some(path) = name.and_then(|name| inside(folder, name)) else { continue };
        if let Some(parent) = path.parent() {
            let _ = fs::create_dir_all(parent);
        }
        let _ = fs::write(path, part.get(end + 1..).unwrap_or_default());
    }
}

/// The file of that name, if the name does not lead out of `folder`.
pub(crate) fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_plain = Path::new(name).components().all(|at| matches!(at, Component::Normal(_)));
    (is_plain && !name.is_empty()).then(|| folder.join(name))
}

/// Puts `value` in the place of a member, if there is one.
pub(crate) fn replace(parent: &mut Value, member: &str, value: impl Into<Value>) {
    if let Some(old) = parent.get_mut(member) {
        *old = value.into();
    }
}

/// Changes the JSON file at `path`, if it is one: numbers that seal other files are put right, so
/// that a change to those files is not all that is ever noticed.
pub(crate) fn mend(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read(path).unwrap_or_default();
    if let Ok(mut value) = serde_json::from_slice(&text) {
        change(&mut value);
        let _ = fs::write(path, value.to_string());
    }
}

/// SHA-256 of a file, hexadecimal; of one that is not there, that of nothing.
pub(crate) fn sha256(path: &Path) -> String {
    format!("{:x}", Sha256::digest(fs::read(path).unwrap_or_default()))
}
