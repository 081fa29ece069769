//! The folder of a study, and what can be read from it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use scgpt_data::{Claim, folder_entries, write_file};
use scgpt_eval::study::{RunResult, StudyOutline, StudyReport};

use super::record::{RunRecord, json};
use crate::error::{Error, Result};

/// What was planned, and the folders of targets and runs.
pub(super) const STUDY: &str = "study.json";
pub(super) const TARGETS: &str = "targets";
pub(super) const RUNS: &str = "runs";

/// Checks that a folder is there for a study: it is new, empty, or that of one.
///
/// # Errors
/// If something else is in it, or it cannot be written to.
pub fn claim_study(folder: &Path) -> Result<()> {
    // Looked at once, as other processes may be making it: it is that of a study as soon as there is anything.
    let entries: Vec<_> = folder_entries(folder).collect();
    let is_own = |entry: &PathBuf| {
        (entry.ends_with(STUDY) && entry.is_file()) || (entry.ends_with(TARGETS) && entry.is_dir())
    };
    if !entries.is_empty() && !entries.iter().any(is_own) {
        let problem = "it is no folder of `scgpt study run`";
        return Err(scgpt_data::Error::protected(folder, problem).into());
    }
    // Several processes may share it: it is asked whether there is room, and not held.
    shared(Claim::of_folder(&folder.join(STUDY)).map(drop))
}

/// What is written in a folder that several processes share is the same for all of them: one that is just being
/// written needs no other writer.
fn shared(written: scgpt_data::Result<()>) -> Result<()> {
    match written {
        Err(scgpt_data::Error::Busy { .. }) => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a document of a study that all its processes write alike, unless it is there.
///
/// # Errors
/// If it cannot be written.
pub fn write_shared(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    shared(write_file(path, text))
}

pub(super) fn write_outline(folder: &Path, outline: &StudyOutline) -> Result<()> {
    write_shared(&folder.join(STUDY), &json(outline)?)
}

/// Judges what is there of a study; runs that are not done are missing.
///
/// # Errors
/// If it is no folder of a study.
pub fn read_study(folder: &Path) -> Result<StudyReport> {
    let path = folder.join(STUDY);
    let invalid = |problem: String| Error::Artefact { path: path.clone(), problem };
    let text = fs::read(&path)
        .map_err(|_| invalid("not there: expected a folder of `scgpt study run`".into()))?;
    let outline: StudyOutline =
        serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    let result = |name: &String| -> Option<RunResult> {
        Some(RunRecord::read(&folder.join(RUNS).join(name))?.result)
    };
    let results = outline.runs.iter().filter_map(|run| result(&run.name)).collect();
    Ok(StudyReport::new(outline, results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_which_another_process_begins_is_that_of_a_study() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("study");
        let other = Claim::of_folder(&folder.join(STUDY)).unwrap();
        claim_study(&folder).unwrap();
        drop(other);
        fs::create_dir_all(folder.join(TARGETS)).unwrap();
        fs::write(folder.join("notes.txt"), "kept").unwrap();
        claim_study(&folder).unwrap();
        fs::remove_dir(folder.join(TARGETS)).unwrap();
        let is_refused = || {
            let error = claim_study(&folder).unwrap_err().to_string();
            assert!(error.contains("it is no folder of `scgpt study run`"), "{error}");
        };
        is_refused();
        fs::write(folder.join(TARGETS), "a list of somebody's").unwrap();
        is_refused();
    }
}
