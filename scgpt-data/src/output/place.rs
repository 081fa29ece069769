//! [`Place`]: the temporary sibling that becomes the output when it is complete.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    claim::{Claim, REPLACED, parent},
    durable::make_durable,
    existing::Existing,
    kind::OutputKind,
};
use crate::error::{Error, Result};

/// Checks that an output can be written to `path`, so that a command fails before it works.
///
/// # Errors
/// [`Error::Exists`] if it exists and `existing` refuses it; [`Error::Write`] if its folder is
/// missing or not writable; [`Error::Busy`] if another process is writing it.
pub fn check_output(path: &Path, existing: Existing) -> Result<()> {
    check_free(path, existing)?;
    if path.file_name().is_none() {
        return Err(Error::write(path, "the path names no file"));
    }
    Claim::new(path)?;
    Ok(())
}

/// Checks that nothing stands where an output goes, unless it may be replaced.
///
/// # Errors
/// [`Error::Exists`] if it is there and is to stay; a link is there even if it leads to nothing.
fn check_free(path: &Path, existing: Existing) -> Result<()> {
    if existing == Existing::Refuse && fs::symlink_metadata(path).is_ok() {
        return Err(Error::Exists { path: path.into() });
    }
    Ok(())
}

/// Writes `bytes` as a file, which appears whole or not at all and replaces a file that is there.
///
/// # Errors
/// [`Error::Busy`] if another process is writing it; [`Error::Write`] if it cannot be written.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let place = Place::new(path, Existing::Replace)?;
    fs::write(place.path(), bytes).map_err(|error| Error::write(path, error))?;
    place.publish()
}

/// A temporary file or folder beside an output; removed when dropped before [`Place::publish`].
///
/// It has a name of its own and belongs to one writer: a second one of the same output is refused,
/// and what a killed one left is removed by the next.
///
/// ```no_run
/// use std::{fs, path::Path};
///
/// use scgpt_data::{Error, Existing, Place};
///
/// let output = Path::new("results.txt");
/// let place = Place::new(output, Existing::Refuse)?;
/// fs::write(place.path(), "done").map_err(|error| Error::write(output, error))?;
/// place.publish()?;
/// # Ok::<_, Error>(())
/// ```
#[derive(Debug)]
pub struct Place {
    /// A folder that holds the file or folder under construction, and what it replaces. It goes
    /// before the claim does.
    scratch: tempfile::TempDir,
    claim: Claim,
    /// What a folder must be to be replaced; none if the output is a file.
    kind: Option<OutputKind>,
    existing: Existing,
}

impl Place {
    /// A place for a file.
    ///
    /// # Errors
    /// As [`check_output`]; [`Error::Protected`] if there is a folder.
    pub fn new(output: &Path, existing: Existing) -> Result<Self> {
        Self::with(output, existing, None, Claim::new)
    }

    /// A place for a folder, which replaces nothing but a folder of that `kind`.
    ///
    /// # Errors
    /// As [`check_output`]; [`Error::Protected`] if there is something else.
    pub fn folder(output: &Path, existing: Existing, kind: OutputKind) -> Result<Self> {
        Self::with(output, existing, Some(kind), Claim::new)
    }

    /// As [`folder`](Self::folder), but the folders above it are made, and removed again if it is
    /// never published.
    ///
    /// # Errors
    /// As [`folder`](Self::folder).
    pub fn deep_folder(output: &Path, existing: Existing, kind: OutputKind) -> Result<Self> {
        Self::with(output, existing, Some(kind), Claim::of_folder)
    }

    /// Claims the output and makes the folder for it; `claim` says whether folders above are made.
    fn with(
        output: &Path,
        existing: Existing,
        kind: Option<OutputKind>,
        claim: impl FnOnce(&Path) -> Result<Claim>,
    ) -> Result<Self> {
        check_free(output, existing)?;
        let claim = claim(output)?;
        let scratch = tempfile::Builder::new()
            .prefix(&claim.prefix())
            .tempdir_in(parent(claim.output()))
            .map_err(|error| Error::write(output, error))?;
        let place = Self { scratch, claim, kind, existing };
        // Now that nobody else can make it.
        place.check()?;
        Ok(place)
    }

    /// Where the output will be.
    pub fn output(&self) -> &Path {
        self.claim.output()
    }

    /// Where to build the output. It does not exist yet.
    pub fn path(&self) -> PathBuf {
        let name = self.claim.output().file_name();
        self.scratch.path().join(name.map_or(OsString::new(), OsString::from))
    }

    /// A folder for temporary files while the output is built: it lies beside the output, on the same disk, and
    /// is removed when the place is published or dropped.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Renames what was built to the output, in place of what is there. Before that it is on disk, so
    /// that no loss of power leaves an output whose parts are missing.
    ///
    /// # Errors
    /// [`Error::Exists`] or [`Error::Protected`] if somebody has put something there meanwhile that is
    /// not replaced; [`Error::Write`] if it cannot be renamed. The output is as it was then.
    pub fn publish(mut self) -> Result<()> {
        self.check()?;
        self.exchange().map_err(|error| Error::write(self.claim.output(), error))
    }

    /// Checks that what is at the output may be replaced.
    fn check(&self) -> Result<()> {
        let output = self.claim.output();
        check_free(output, self.existing)?;
        match self.kind {
            Some(kind) => kind.check(output),
            None if output.is_dir() => {
                Err(Error::protected(output, "it is a folder, and a file is to be written"))
            }
            None => Ok(()),
        }
    }

    /// Puts what was built in place of the output. A file is replaced by one rename. Of folders the
    /// names are exchanged where the system can, and the old one then goes with the scratch folder;
    /// elsewhere it is put aside first, and there is a moment without any, for which [`Claim`]
    /// brings it back.
    fn exchange(&mut self) -> io::Result<()> {
        let (built, output) = (self.path(), self.claim.output());
        make_durable(&built)?;
        if self.kind.is_some() && output.exists() {
            // A folder is not replaced by a rename.
            if !swapped(&built, output) {
                let aside = self.scratch.path().join(REPLACED);
                let old = aside.join(output.file_name().unwrap_or_default());
                fs::create_dir(aside)?;
                fs::rename(output, &old)?;
                if let Err(error) = fs::rename(&built, output) {
                    if fs::rename(&old, output).is_err() {
                        // The next writer brings it back.
                        self.scratch.disable_cleanup(true);
                        let kept =
                            format!("{error}; the old output is kept as `{}`", old.display());
                        return Err(io::Error::new(error.kind(), kept));
                    }
                    return Err(error);
                }
            }
        } else {
            fs::rename(&built, output)?;
        }
        // Makes the rename itself durable; not every file system can.
        if let Ok(folder) = fs::File::open(parent(output)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Exchanges two names in one step, where the system and the file system can.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn swapped(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn swapped(_: &Path, _: &Path) -> bool {
    false
}

/// Checks that an output is none of the inputs, holds none and lies in none, however their paths
/// are spelled.
///
/// # Errors
/// [`Error::Protected`] if it does.
pub fn check_apart<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    // What does not exist yet lies in what does. Another process may make it meanwhile: it is asked once.
    let real = output.ancestors().enumerate().find_map(|(above, path)| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Some((fs::canonicalize(path).ok()?, above == 0))
    });
    let Some((real, exists)) = real else { return Ok(()) };
    for input in inputs {
        // One that cannot be found is said when it is opened.
        let Ok(found) = fs::canonicalize(input) else { continue };
        let relation = if exists && is_same(&found, &real) {
            "is"
        } else if exists && found.ancestors().any(|path| is_same(path, &real)) {
            "holds"
        } else if found.is_dir() && real.ancestors().any(|path| is_same(path, &found)) {
            "lies in"
        } else {
            continue;
        };
        let problem = format!("it {relation} the input `{}`", input.display());
        return Err(Error::protected(output, problem));
    }
    Ok(())
}

/// Whether two paths lead to the same file; names may differ in case, or go through other mounts.
#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::metadata(path).map(|of| (of.dev(), of.ino())).ok();
    one == other || id(one).is_some_and(|one| Some(one) == id(other))
}

#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::durable::tests::KEPT;

    const KIND: OutputKind = OutputKind {
        name: "a box",
        is_one: |folder| folder.join("lid").exists(),
        holds: |entry| entry.file_name().is_some_and(|name| name == "lid" || name == "thing"),
    };

    fn fill(place: &Place, thing: &str) {
        fs::create_dir(place.path()).unwrap();
        fs::write(place.path().join("lid"), "").unwrap();
        fs::write(place.path().join("thing"), thing).unwrap();
    }

    #[test]
    fn a_folder_of_the_kind_is_replaced_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        for thing in ["old", "new"] {
            let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
            fill(&place, thing);
            place.publish().unwrap();
            assert_eq!(fs::read_to_string(output.join("thing")).unwrap(), thing);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = Place::folder(&output, Existing::Refuse, KIND).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
    }

    #[test]
    fn what_is_published_is_on_disk_before() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::folder(&folder.path().join("out"), Existing::Refuse, KIND).unwrap();
        fill(&place, "new");
        let built = place.path();
        KEPT.take();
        place.publish().unwrap();
        let mut kept = KEPT.take();
        kept.sort();
        assert_eq!(kept, [built.clone(), built.join("lid"), built.join("thing")]);
        write_file(&folder.path().join("file"), "data").unwrap();
        assert_eq!(KEPT.take().len(), 1);
    }

    #[test]
    fn nothing_else_is_ever_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        fs::create_dir(&output).unwrap();
        fs::write(output.join("thesis.tex"), "years").unwrap();
        let refused = |what: &str| {
            for error in [
                Place::folder(&output, Existing::Replace, KIND).err(),
                write_file(&output, "").err(),
            ] {
                let error = error.unwrap();
                assert!(matches!(error, Error::Protected { .. }), "{error}");
                assert!(error.hint().is_some());
            }
            let error = Place::folder(&output, Existing::Replace, KIND).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        refused("is not a box");
        fs::write(output.join("lid"), "").unwrap();
        refused("`thesis.tex`");
        fs::remove_file(output.join("thesis.tex")).unwrap();
        let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
        fill(&place, "new");
        // Put there while the output was made.
        fs::write(output.join("thesis.tex"), "years").unwrap();
        assert!(place.publish().unwrap_err().to_string().contains("`thesis.tex`"));
        assert_eq!(fs::read_to_string(output.join("thesis.tex")).unwrap(), "years");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let file = folder.path().join("file");
        fs::write(&file, "data").unwrap();
        let error = Place::folder(&file, Existing::Replace, KIND).unwrap_err().to_string();
        assert!(error.contains("is a file"), "{error}");
    }

    #[test]
    fn what_cannot_be_renamed_leaves_the_old_output() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("here")).unwrap();
        let output = at("here/out");
        let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
        fill(&place, "old");
        place.publish().unwrap();
        // Somebody has removed what was built: the old output comes back from where it was put aside.
        let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
        let error = place.publish().unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
        assert!(error.to_string().contains("here/out"), "{error}");
        assert_eq!(fs::read_to_string(output.join("thing")).unwrap(), "old");
        assert_eq!(fs::read_dir(at("here")).unwrap().count(), 1);
        // The folder it lies in was moved.
        let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
        fill(&place, "new");
        fs::rename(at("here"), at("there")).unwrap();
        let error = place.publish().unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
        assert_eq!(fs::read_to_string(at("there/out/thing")).unwrap(), "old");
        assert!(!at("here").exists());
    }

    #[test]
    fn what_became_something_else_meanwhile_stays() {
        let home = tempfile::tempdir().unwrap();
        let output = home.path().join("out");
        let refused = |place: Place| {
            let error = place.publish().unwrap_err();
            assert!(matches!(error, Error::Protected { .. }), "{error}");
        };
        let place = Place::folder(&output, Existing::Replace, KIND).unwrap();
        fill(&place, "new");
        fs::write(&output, "data").unwrap();
        refused(place);
        assert_eq!(fs::read_to_string(&output).unwrap(), "data");
        let place = Place::new(&output, Existing::Replace).unwrap();
        fs::write(place.path(), "new").unwrap();
        fs::remove_file(&output).unwrap();
        fs::create_dir(&output).unwrap();
        fs::write(output.join("thesis.tex"), "years").unwrap();
        refused(place);
        assert_eq!(fs::read_to_string(output.join("thesis.tex")).unwrap(), "years");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        // One that was not to be replaced.
        let other = home.path().join("other");
        let place = Place::new(&other, Existing::Refuse).unwrap();
        fs::write(place.path(), "new").unwrap();
        fs::write(&other, "data").unwrap();
        assert!(matches!(place.publish().unwrap_err(), Error::Exists { .. }));
        assert_eq!(fs::read_to_string(&other).unwrap(), "data");
    }

    #[test]
    fn folders_above_a_deep_folder_are_made_and_do_not_stay_empty() {
        let home = tempfile::tempdir().unwrap();
        let output = home.path().join("a/b/out");
        assert!(Place::folder(&output, Existing::Refuse, KIND).is_err());
        drop(Place::deep_folder(&output, Existing::Refuse, KIND).unwrap());
        assert!(!home.path().join("a").exists());
        let place = Place::deep_folder(&output, Existing::Refuse, KIND).unwrap();
        fill(&place, "new");
        place.publish().unwrap();
        assert!(output.join("thing").exists());
    }

    #[cfg(unix)]
    #[test]
    fn inputs_are_recognised_however_they_are_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b/c")).unwrap();
        std::os::unix::fs::symlink(at("a/b"), at("link")).unwrap();
        for (output, relation) in [
            ("a/b", "is the input"),
            ("a/x/../b", "is the input"),
            ("link", "is the input"),
            ("a", "holds the input"),
            ("link/..", "holds the input"),
            ("a/b/c", "lies in the input"),
            ("a/b/new", "lies in the input"),
            ("link/c/new/deep", "lies in the input"),
        ] {
            fs::create_dir_all(at("a/x")).unwrap();
            for input in ["a/b", "link", "a/b/c/.."] {
                let error = check_apart(&at(output), [at(input).as_path()]).unwrap_err();
                assert!(error.to_string().contains(relation), "{output} {input}: {error}");
            }
        }
        for output in ["a/x", "new", "a/bc", "b"] {
            check_apart(&at(output), [at("a/b").as_path(), &at("none")]).unwrap();
        }
    }
}
