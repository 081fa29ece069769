//! [`Training`]: the folder of an artefact while it is trained, by one process at a time.
//!
//! Until everything is written, a file in it tells which outputs beside it are the run's own. With
//! it a run can go on, whenever it was ended. At the end this file is removed first, then
//! checkpoints and cells.

mod begin;

use std::{
    fs, io,
    path::{Path, PathBuf, absolute},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result, bail};
use scgpt_data::{Advice, Claim, Error, Existing, Place, Setting, check_apart, folder_entries};
use scgpt_tasks::{TRAINING, UNFINISHED, clear_training};
use scgpt_train::has_checkpoint;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use self::begin::{Begin, BeginArgs};
use crate::{
    output::{Printer, write_text},
    progress::{Bar, TrainBar},
    workers,
};

/// Name of the file with the settings in force, and the line with which it begins.
const SETTINGS: &str = "config.toml";
const HEADER: &str = "# scgpt ";

/// A training that has its folder to itself.
#[derive(Debug)]
pub(crate) struct Training {
    /// The folder of the artefact.
    output: PathBuf,
    begin: Begin,
    /// The claim of the folder, held until the end; a worker that follows the first writes nothing.
    claim: Option<Claim>,
}

/// Outputs beside its artefact that a run which goes on may replace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    /// Files and folders, each with its looks when the run made it or was told to replace it. One
    /// that looks different now belongs to somebody else.
    own: Vec<(PathBuf, String)>,
}

/// The settings of the run in a folder, if they were written.
pub(crate) fn saved_settings(output: &Path) -> Option<PathBuf> {
    Some(output.join(TRAINING).join(SETTINGS)).filter(|path| path.exists())
}

impl Training {
    /// Claims the folder of an artefact: it must have room for a new run, or hold a run to go on
    /// with. Nothing is written yet.
    ///
    /// A folder is used again only if it `is_artefact` of the same kind, or a training was begun in it.
    pub(crate) fn claim<'a>(
        output: &Path,
        begin: Begin,
        is_artefact: fn(&Path) -> bool,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self> {
        check_apart(output, inputs)?;
        // All have read the settings of a run that goes on, which may be written anew.
        workers::current().meet()?;
        if !workers::current().is_first() {
            return Ok(Self { output: output.into(), begin, claim: None });
        }
        let claim = Some(Claim::of_folder(output)?);
        let training = Self { output: output.into(), begin, claim };
        let is_begun = training.ledger_path().exists();
        let others = folder_entries(output).filter(|path| !path.ends_with(TRAINING)).count();
        let shown = output.display();
        match begin {
            Begin::Resume if is_begun => {}
            Begin::Resume if is_artefact(output) => {
                // Ended while it removed what is of no further use.
                if is_ours(&output.join(TRAINING).join(SETTINGS)) {
                    clear_training(output);
                }
                bail!(
                    "`{shown}` has no unfinished run to resume: it is finished; pass --force to begin anew, or choose another -o"
                )
            }
            Begin::Resume => {
                bail!("`{shown}` has no unfinished run to resume: leave --resume out to begin one")
            }
            Begin::New if is_begun || others > 0 => bail!(
                "`{shown}` exists; pass --resume to go on with an unfinished run, --force to begin anew, or choose another -o"
            ),
            Begin::Anew if others > 0 && !is_begun && !is_artefact(output) => {
                let problem = "it is no artefact of this command, and no run was begun in it";
                return Err(Error::protected(output, problem).into());
            }
            Begin::New | Begin::Anew => {}
        }
        let folder = output.join(TRAINING);
        if !is_begun && folder_entries(&folder).next().is_some() && !is_ours(&folder.join(SETTINGS))
        {
            return Err(Error::protected(&folder, "no run was begun in it").into());
        }
        Ok(training)
    }

    /// Whether the run goes on where an earlier one ended.
    pub(crate) fn resumes(&self) -> bool {
        self.begin == Begin::Resume
    }

    /// What happens to an output that exists: it is replaced if that was asked for, or the run wrote it
    /// before it was ended.
    ///
    /// # Errors
    /// If the output appeared after the run that goes on was ended.
    pub(crate) fn existing(&self, path: &Path) -> Result<Existing> {
        if self.begin != Begin::Resume || fs::symlink_metadata(path).is_err() {
            return Ok(Existing::replaced_if(self.begin != Begin::New));
        }
        if self.ledger().own.contains(&entry(path)?) {
            return Ok(Existing::Replace);
        }
        let problem =
            format!("`{}` is not what the run to resume has written there", path.display());
        let remedy =
            Advice::from("move it away and go on, or begin anew by ") + Setting("overwrite");
        Err(scgpt_data::Error::unsuited(problem, remedy).into())
    }

    /// Checks an output, of which `check` learns what happens to it if it exists. A worker that follows the first
    /// leaves it alone: to look whether it can be written is to claim it for a moment.
    ///
    /// # Errors
    /// Those of `check`, and of [`existing`](Self::existing).
    pub(crate) fn check(
        &self,
        path: &Path,
        check: impl FnOnce(Existing) -> Result<()>,
    ) -> Result<()> {
        if self.claim.is_none() { Ok(()) } else { check(self.existing(path)?) }
    }

    /// Renames an output into its place, and notes it, so that a run which goes on knows it for its
    /// own.
    pub(crate) fn publish(&self, place: Place) -> Result<()> {
        let mut ledger = self.ledger();
        ledger.own.push((name(place.output())?, looks(&place.path())?));
        self.save(&ledger)?;
        Ok(place.publish()?)
    }

    /// Begins a run, or goes on with one: makes the folder, writes down the settings, and notes
    /// which `outputs` beside the artefact the run was told to replace.
    pub(crate) fn begin<'a>(
        &self,
        settings: &impl Serialize,
        command: &str,
        outputs: impl IntoIterator<Item = &'a Path>,
        printer: Printer,
    ) -> Result<()> {
        let goes_on = self.resumes() && has_checkpoint(&self.folder());
        let header = format!("{HEADER}{command}, version {}\n", env!("CARGO_PKG_VERSION"));
        let settings = header + &toml::to_string(settings)?;
        if self.resumes() && !goes_on {
            printer.remark("note: the run was ended before its first checkpoint, and begins anew");
        }
        self.write(outputs, (!goes_on).then_some(&settings)).inspect_err(|_| self.give_up())
    }

    /// Trains what was begun, and draws the progress. If it fails before there is anything to go on
    /// from, nothing of it stays.
    pub(crate) fn run<T>(
        &self,
        printer: Printer,
        train: impl FnOnce(&TrainBar, &Bar) -> Result<T, scgpt_tasks::Error>,
    ) -> Result<T> {
        let (steps, cells) = (TrainBar::new(printer), Bar::new(printer));
        let trained = train(&steps, &cells);
        steps.finish();
        cells.finish();
        Ok(trained.inspect_err(|_| self.give_up())?)
    }

    fn write<'a>(
        &self,
        outputs: impl IntoIterator<Item = &'a Path>,
        settings: Option<&String>,
    ) -> Result<()> {
        let folder = self.folder();
        let is_there = |path: &&Path| fs::symlink_metadata(path).is_ok();
        let replaced =
            outputs.into_iter().filter(|path| self.begin == Begin::Anew && is_there(path));
        let replaced = replaced.map(entry).collect::<Result<Vec<_>>>()?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))?;
        if settings.is_some() {
            self.empty()?;
        }
        let mut ledger = if self.resumes() { self.ledger() } else { Ledger::default() };
        ledger.own.extend(replaced);
        self.save(&ledger)?;
        match settings {
            Some(settings) => Ok(write_text(&folder.join(SETTINGS), settings)?),
            None => Ok(()),
        }
    }

    /// Removes what an earlier run left, except the ledger; what a user keeps there stays.
    fn empty(&self) -> Result<()> {
        clear_training(&self.output);
        for path in folder_entries(&self.folder()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "log.jsonl" || name == SETTINGS || name.starts_with("events.out.tfevents.") {
                fs::remove_file(&path)
                    .with_context(|| format!("cannot remove `{}`", path.display()))?;
            }
        }
        Ok(())
    }

    /// Removes what [`begin`](Self::begin) made of a run that ended before there was anything to go on
    /// from.
    pub(crate) fn give_up(&self) {
        let folder = self.folder();
        if !has_checkpoint(&folder) && self.empty().is_ok() {
            drop(fs::remove_file(self.ledger_path()));
            // Refused, and rightly, if there is anything else in them.
            drop(fs::remove_dir(&folder));
            drop(fs::remove_dir(&self.output));
        }
    }

    /// Ends a run whose outputs are all written: what it could have gone on from is removed.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.ledger_path();
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
        clear_training(&self.output);
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.output.join(TRAINING)
    }

    fn ledger_path(&self) -> PathBuf {
        self.output.join(UNFINISHED)
    }

    fn save(&self, ledger: &Ledger) -> Result<()> {
        Ok(write_text(&self.ledger_path(), &serde_json::to_string_pretty(ledger)?)?)
    }

    /// The ledger. One that cannot be read names nothing that may be replaced.
    fn ledger(&self) -> Ledger {
        let text = fs::read(self.ledger_path()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// An output as the ledger knows it.
fn entry(path: &Path) -> Result<(PathBuf, String)> {
    Ok((name(path)?, looks(path)?))
}

/// The path of an output, the same however it is spelled.
fn name(path: &Path) -> Result<PathBuf> {
    let path = absolute(path)?;
    let real = match (path.is_dir(), path.parent(), path.file_name()) {
        // The file itself may be a link, which is replaced.
        (false, Some(folder), Some(name)) => fs::canonicalize(folder).map(|it| it.join(name)),
        _ => fs::canonicalize(&path),
    };
    real.with_context(|| format!("cannot read `{}`", path.display()))
}

/// What tells a file or folder from another one: sizes and times of change of all its files. A
/// rename changes neither.
fn looks(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    look(path, &mut hash).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

fn look(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        hash.update(metadata.len().to_le_bytes());
        hash.update(changed.as_nanos().to_le_bytes());
        return Ok(());
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        look(&path, hash)?;
    }
    Ok(())
}

/// Whether settings were written by this program.
pub(crate) fn is_ours(settings: &Path) -> bool {
    fs::read_to_string(settings).is_ok_and(|text| text.starts_with(HEADER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PrintArgs;

    fn claim(output: &Path, begin: Begin) -> Result<Training> {
        Training::claim(output, begin, |folder| folder.join("record.json").exists(), [])
    }

    fn quiet() -> Printer {
        Printer::new(PrintArgs { json: false, quiet: true })
    }

    fn message(result: Result<Training>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_run_can_go_on_until_all_is_written() {
        let place = tempfile::tempdir().unwrap();
        let (output, cells) = (place.path().join("out"), place.path().join("cells.h5ad"));
        assert!(message(claim(&output, Begin::Resume)).contains("no unfinished run"));
        let training = claim(&output, Begin::New).unwrap();
        assert!(message(claim(&output, Begin::Anew)).contains("another scgpt"));
        training.begin(&"", "test", [cells.as_path()], quiet()).unwrap_err();
        assert!(!output.exists());
        let settings = std::collections::BTreeMap::from([("epochs", 3)]);
        training.begin(&settings, "test", [cells.as_path()], quiet()).unwrap();
        drop(training);
        assert!(message(claim(&output, Begin::New)).contains("--resume"));
        let training = claim(&output, Begin::Resume).unwrap();
        // Nothing was written there when the run was ended.
        fs::write(&cells, "mine").unwrap();
        let error = training.existing(&cells).unwrap_err().to_string();
        assert!(error.contains("is not what the run to resume has written"), "{error}");
        fs::remove_file(&cells).unwrap();
        let place = Place::new(&cells, training.existing(&cells).unwrap()).unwrap();
        fs::write(place.path(), "ours").unwrap();
        training.publish(place).unwrap();
        drop(training);
        let training = claim(&output, Begin::Resume).unwrap();
        assert_eq!(training.existing(&cells).unwrap(), Existing::Replace);
        assert_eq!(
            training.existing(&output.join("../cells.h5ad")).unwrap(),
            Existing::Replace,
            "spelled otherwise"
        );
        fs::write(&cells, "ours, and edited").unwrap();
        training.existing(&cells).unwrap_err();
        fs::write(output.join("record.json"), "").unwrap();
        training.finish().unwrap();
        // Killed before all was removed that is of no further use.
        fs::create_dir(output.join("training/cells")).unwrap();
        assert!(message(claim(&output, Begin::Resume)).contains("it is finished"));
        assert!(!output.join("training/cells").exists());
        assert!(saved_settings(&output).is_some());
        claim(&output, Begin::Anew).unwrap();
    }

    #[test]
    fn what_a_run_was_told_to_replace_it_replaces_when_it_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let (output, net) = (place.path().join("out"), place.path().join("net"));
        fs::create_dir_all(net.join("baselines")).unwrap();
        fs::write(net.join("baselines/trees.csv"), "old").unwrap();
        let training = claim(&output, Begin::Anew).unwrap();
        let settings = std::collections::BTreeMap::from([("epochs", 3)]);
        training.begin(&settings, "test", [net.as_path()], quiet()).unwrap();
        assert_eq!(training.existing(&net).unwrap(), Existing::Replace);
        drop(training);
        let training = claim(&output, Begin::Resume).unwrap();
        assert_eq!(training.existing(&net).unwrap(), Existing::Replace);
        training.begin(&settings, "test", [net.as_path()], quiet()).unwrap();
        assert_eq!(training.existing(&net).unwrap(), Existing::Replace, "begun again");
        fs::write(net.join("baselines/trees.csv"), "mine").unwrap();
        training.existing(&net).unwrap_err();
        fs::remove_dir_all(&net).unwrap();
        assert_eq!(training.existing(&net).unwrap(), Existing::Replace);
        // Nothing is kept of an earlier run.
        drop(training);
        let training = claim(&output, Begin::Anew).unwrap();
        training.begin(&settings, "test", [net.as_path()], quiet()).unwrap();
        assert!(training.ledger().own.is_empty());
    }

    #[test]
    fn what_a_user_keeps_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let output = place.path().join("out");
        fs::create_dir_all(output.join(TRAINING)).unwrap();
        fs::write(output.join("training/videos.txt"), "").unwrap();
        for begin in [Begin::New, Begin::Anew] {
            assert!(message(claim(&output, begin)).contains("no run was begun in it"));
        }
        fs::remove_file(output.join("training/videos.txt")).unwrap();
        fs::write(output.join("README.md"), "mine").unwrap();
        assert!(message(claim(&output, Begin::New)).contains("exists"));
        assert!(message(claim(&output, Begin::Anew)).contains("no artefact"));
        fs::write(output.join("record.json"), "").unwrap();
        let training = claim(&output, Begin::Anew).unwrap();
        fs::write(output.join("training/notes.txt"), "").unwrap();
        training.give_up();
        assert!(output.join("README.md").exists() && output.join("training/notes.txt").exists());
    }
}
