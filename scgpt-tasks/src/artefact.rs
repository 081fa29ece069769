//! [`ArtefactKind`]: directories that hold everything a task needs for its answers.
//!
//! An artefact is a model directory with a record beside it. The record lists the SHA-256 of every file
//! that answers need, and its own, so that a network never answers with the calibration of another:
//!
//! - It is written last, and removed first when an artefact is replaced. A run that is killed in between
//!   leaves a folder that is no artefact, not one that is half of two.
//! - It is read first, and nothing else is believed before its hash is right.
//! - Records of another format are named as such, with the version that wrote them.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use scgpt_data::make_durable;
use scgpt_model::ModelDir;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    folder_kind::FolderKind,
};

/// The weights among the files of a model directory.
const WEIGHTS: &str = "model.safetensors";

/// The vocabulary among them, which an artefact without a network has as well.
pub(crate) const VOCABULARY: &str = "vocab.json";

/// The card of a model or an artefact, for people.
pub(crate) const CARD: &str = "README.md";

/// The files of a model directory that have to belong together.
pub(crate) const MODEL_FILES: [&str; 4] = ["config.json", WEIGHTS, "preprocess.json", VOCABULARY];

/// A kind of artefact: a model directory with a record of what the model alone does not know, and
/// files of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArtefactKind {
    /// The file with the record, which makes a folder such an artefact.
    pub(crate) record: &'static str,
    /// Version of the record's format, which is written and alone is read.
    pub(crate) format: u32,
    /// The kind of folder that it is.
    pub(crate) kind: FolderKind,
    /// The command that makes such an artefact.
    pub(crate) made_by: &'static str,
}

/// A record, with what proves that the files beside it are those it was made with.
#[derive(Serialize, Deserialize)]
struct Sealed<R> {
    /// Version of the format.
    format: u32,
    /// Version of the program that wrote it.
    version: String,
    /// SHA-256 of the other files, by name.
    files: BTreeMap<String, String>,
    #[serde(flatten)]
    record: R,
    /// SHA-256 of all of this but itself; `None` in records of earlier versions.
    #[serde(default)]
    seal: Option<String>,
}

/// What the field `seal` of a record has to be.
fn seal(record: &[u8]) -> serde_json::Result<String> {
    let mut record: serde_json::Value = serde_json::from_slice(record)?;
    if let Some(members) = record.as_object_mut() {
        members.remove("seal");
    }
    Ok(format!("{:x}", Sha256::digest(record.to_string())))
}

/// An artefact whose files are found to be those it was made with.
#[derive(Debug)]
pub(crate) struct OpenArtefact<R> {
    /// What the model alone does not know.
    pub(crate) record: R,
    /// The model beside it.
    pub(crate) model: ModelDir,
    /// SHA-256 of its weights.
    pub(crate) sha256: String,
}

impl ArtefactKind {
    /// Moves `files` of the folder `built`, and its card, into `folder`, and the record last: a folder whose
    /// files do not belong together is never taken for an artefact. Of an artefact that is replaced, files
    /// that this one does not have are removed.
    ///
    /// # Errors
    /// If a file cannot be read, written or moved.
    pub(crate) fn publish<R: Serialize>(
        &self,
        record: R,
        built: &Path,
        folder: &Path,
        names: &[&str],
    ) -> Result<()> {
        let replaced = self.files_of(folder);
        let failed = |error: &dyn std::fmt::Display| invalid(folder.into(), error.to_string());
        self.seal(record, built, names)?;
        make_durable(built).map_err(|error| failed(&error))?;
        // An artefact that is replaced is none from here on, until the last file is there.
        drop(std::fs::remove_file(folder.join(self.record)));
        for name in replaced.iter().filter(|name| !names.contains(&name.as_str())) {
            drop(std::fs::remove_file(folder.join(name)));
        }
        for name in names.iter().chain(&[CARD, self.record]) {
            std::fs::rename(built.join(name), folder.join(name)).map_err(|error| failed(&error))?;
        }
        drop(std::fs::remove_dir(built));
        // The new names are on disk before what the run could go on from is removed, where that can be.
        if let Ok(folder) = std::fs::File::open(folder) {
            drop(folder.sync_all());
        }
        Ok(())
    }

    /// Opens an artefact, once its files are found to be those it was made with.
    ///
    /// # Errors
    /// If a file is missing, was changed or is no file of a model, or the format is of another version.
    pub(crate) fn open<R: DeserializeOwned>(&self, folder: &Path) -> Result<OpenArtefact<R>> {
        let (record, hashes) = self.open_record(folder)?;
        self.open_model(folder, record, hashes)
    }

    /// Writes a record into `folder`, beside the `files` that belong to it.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub(crate) fn seal<R: Serialize>(
        &self,
        record: R,
        folder: &Path,
        files: &[&str],
    ) -> Result<()> {
        let hashed = files.iter().map(|name| Ok(((*name).to_owned(), hash(&folder.join(name))?)));
        let files: BTreeMap<String, String> = hashed.collect::<Result<_>>()?;
        let version = env!("CARGO_PKG_VERSION").into();
        let mut sealed = Sealed { format: self.format, version, files, record, seal: None };
        let failed = |error: &dyn std::fmt::Display| invalid(folder.into(), error.to_string());
        let text = serde_json::to_vec(&sealed).map_err(|error| failed(&error))?;
        sealed.seal = Some(seal(&text).map_err(|error| failed(&error))?);
        let text = serde_json::to_string_pretty(&sealed).map_err(|error| failed(&error))?;
        std::fs::write(folder.join(self.record), text).map_err(|error| failed(&error))
    }

    /// As [`open`](Self::open), for an artefact that need not have a network: its record, and the SHA-256 of
    /// every file.
    pub(crate) fn open_record<R: DeserializeOwned>(
        &self,
        folder: &Path,
    ) -> Result<(R, BTreeMap<String, String>)> {
        let Sealed { record, files, .. } = self.read(folder)?;
        Ok((record, files))
    }

    /// Opens the network beside a record.
    pub(crate) fn open_model<R>(
        &self,
        folder: &Path,
        record: R,
        mut hashes: BTreeMap<String, String>,
    ) -> Result<OpenArtefact<R>> {
        if let Some(missing) = MODEL_FILES.iter().find(|name| !hashes.contains_key(**name)) {
            let problem = format!("it does not list `{missing}`");
            return Err(invalid(folder.join(self.record), problem));
        }
        let sha256 = hashes.remove(WEIGHTS).unwrap_or_default();
        Ok(OpenArtefact { record, model: ModelDir::open(folder)?, sha256 })
    }

    /// Names of the files of an artefact that is to be replaced; none if there is none.
    fn files_of(&self, folder: &Path) -> Vec<String> {
        let sealed = std::fs::read(folder.join(self.record))
            .ok()
            .and_then(|text| serde_json::from_slice::<Sealed<serde_json::Value>>(&text).ok());
        let names = sealed.into_iter().flat_map(|sealed| sealed.files.into_keys());
        names.filter(|name| Path::new(name).file_name() == Some(name.as_ref())).collect()
    }

    /// Reads the record of an artefact, and compares its files with it.
    fn read<R: DeserializeOwned>(&self, folder: &Path) -> Result<Sealed<R>> {
        /// Read first: a record of another format need not have the same fields.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let path = folder.join(self.record);
        let text = std::fs::read(&path).map_err(|error| {
            if let Some(error) = self.kind.instead(folder) {
                return error;
            }
            if !folder.exists() {
                let problem = format!("`{}`: no such folder", folder.display());
                return Error::unsuited(problem, self.kind.made());
            }
            let what = if folder.is_dir() {
                format!("no such file: the folder is no artefact of `{}`", self.made_by)
            } else {
                error.to_string()
            };
            invalid(path.clone(), what)
        })?;
        let broken = |error: serde_json::Error| invalid(path.clone(), error.to_string());
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if head.format != self.format {
            let Head { format, version } = head;
            return Err(Error::Incompatible {
                path,
                problem: format!(
                    "format {format} (written by scgpt {version}), but this version reads format {}",
                    self.format
                ),
                remedy: format!("make it anew with `{}`, or use scgpt {version}", self.made_by)
                    .into(),
            });
        }
        let sealed: Sealed<R> = serde_json::from_slice(&text).map_err(broken)?;
        if let Some(expected) = &sealed.seal
            && seal(&text).map_err(broken)? != *expected
        {
            let problem = "it was changed since the artefact was made (its seal differs)";
            return Err(invalid(path, problem.into()));
        }
        for (name, expected) in &sealed.files {
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(invalid(path, format!("`{name}` is no plain file name")));
            }
            let path = folder.join(name);
            if hash(&path)? != *expected {
                return Err(invalid(
                    path,
                    "it was changed since the artefact was made (its SHA-256 differs)".into(),
                ));
            }
        }
        Ok(sealed)
    }

    /// Whether a folder holds such an artefact, as far as its record tells.
    pub(crate) fn is_at(&self, folder: &Path) -> bool {
        folder.join(self.record).exists()
    }

    /// By which program a network was trained, in words for its card.
    pub(crate) fn trained(&self) -> String {
        format!("Trained by `{}` (version {})", self.made_by, env!("CARGO_PKG_VERSION"))
    }

    /// Checks that the network beside a record has as many of something, such as classes, as the
    /// record names.
    ///
    /// # Errors
    /// [`Error::Artefact`] if it has not.
    pub(crate) fn check_number(
        &self,
        folder: &Path,
        what: &str,
        [named, has]: [usize; 2],
    ) -> Result<()> {
        if named == has {
            return Ok(());
        }
        let problem = format!("it names {named} {what}, but the network has {has}");
        Err(self.mismatch(folder, problem))
    }

    /// The error for a record that does not fit the model beside it.
    pub(crate) fn mismatch(&self, folder: &Path, problem: String) -> Error {
        invalid(folder.join(self.record), problem)
    }
}

/// Writes a file of an artefact that is JSON, too large for its record.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_part<P: Serialize>(path: &Path, part: &P) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| invalid(path.into(), error.to_string());
    let text = serde_json::to_string(part).map_err(|error| failed(&error))?;
    std::fs::write(path, text).map_err(|error| failed(&error))
}

/// Reads what [`write_part`] wrote. The record has proved that it is unchanged.
///
/// # Errors
/// If it cannot be read or has another shape.
pub(crate) fn read_part<P: DeserializeOwned>(path: &Path) -> Result<P> {
    let failed = |error: &dyn std::fmt::Display| invalid(path.into(), error.to_string());
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}

/// SHA-256 of a file, hexadecimal.
pub(crate) fn hash(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let copied = scgpt_data::open_file(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
    copied.map_err(|error| invalid(path.into(), error.to_string()))?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// The error for a file that cannot be what it should be.
fn invalid(path: PathBuf, problem: String) -> Error {
    Error::Artefact { path, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: ArtefactKind =
        ArtefactKind { record: "it.json", format: 1, kind: FolderKind::Other, made_by: "a test" };

    #[test]
    fn a_changed_record_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        std::fs::create_dir(&built).unwrap();
        for name in MODEL_FILES.iter().chain(&["README.md"]) {
            std::fs::write(built.join(name), name).unwrap();
        }
        // Numbers that are spelled in more than one way.
        let record = BTreeMap::from([("share", 0.1 + 0.2), ("rate", 1e-7), ("whole", 3.0)]);
        KIND.publish(&record, &built, folder.path(), &MODEL_FILES).unwrap();
        let read = || KIND.read::<BTreeMap<String, serde_json::Value>>(folder.path());
        let sealed = read().unwrap();
        assert_eq!(sealed.record["share"], 0.1 + 0.2);
        assert_eq!(sealed.files[WEIGHTS], hash(&folder.path().join(WEIGHTS)).unwrap());
        let path = folder.path().join(KIND.record);
        let text = std::fs::read_to_string(&path).unwrap();
        for (old, new) in [("3.0", "4.0"), ("config.json", "confih.json"), ("e-7", "e-8")] {
            std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
            let problem = read().err().unwrap().to_string();
            assert!(problem.contains("it.json"), "{old}: {problem}");
        }
        // Earlier versions wrote no seal.
        let mut old: serde_json::Value = serde_json::from_str(&text).unwrap();
        old.as_object_mut().unwrap().remove("seal");
        std::fs::write(&path, old.to_string()).unwrap();
        read().unwrap();
        old["files"] = serde_json::json!({ "../escape": "0" });
        std::fs::write(&path, old.to_string()).unwrap();
        assert!(read().is_err());
    }
}
