//! [`Children`]: runs as programs of their own, several at a time.
//!
//! A run that ends, however it does, gives back its memory, leaves the others alone and has its own log. A child stops,
//! with its state saved, once the pipe to its input ends: that is when this program asks it to, or is gone itself.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::run::{Run, is_cancelled};

/// Log of a run in its folder.
pub(super) const LOG: &str = "log.txt";
/// How often it is looked whether a run has ended.
const TICK: Duration = Duration::from_millis(50);
/// Bytes at the end of a log in which the reason of a failure is looked for.
const END: u64 = 4096;

/// Programs that run.
pub(super) struct Children {
    /// What all of them are asked for, without the name of a run.
    args: Vec<OsString>,
    jobs: usize,
    running: Vec<Running>,
}

/// A program that runs.
struct Running {
    /// The place of the run in the list of runs.
    run: usize,
    log: PathBuf,
    /// Length of the log when the program began: what is before is of others.
    before: u64,
    child: Child,
}

/// How a run ended.
pub(super) struct Ended {
    /// The place of the run in the list of runs.
    pub(super) run: usize,
    /// Why it failed, if it did.
    pub(super) problem: Option<String>,
}

impl Children {
    pub(super) fn new(args: Vec<OsString>, jobs: usize) -> Self {
        Self { args, jobs, running: Vec::new() }
    }

    /// Whether another one may begin.
    pub(super) fn has_room(&self) -> bool {
        self.running.len() < self.jobs
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins a run, whose log goes into its folder.
    pub(super) fn begin(&mut self, run: usize, name: &str, folder: &Path) -> Result<()> {
        let failed = || format!("cannot write to `{}`", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let path = folder.join(LOG);
        let log = File::options().append(true).create(true).open(&path).with_context(failed)?;
        let before = log.metadata().with_context(failed)?.len();
        let words = Run::current().host.program().context("cannot find this program")?;
        let (program, first) = words.split_first().context("cannot find this program")?;
        let child = Command::new(program)
            .args(first)
            .args(&self.args)
            .args(["--only", name, "--with-input"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start a run")?;
        self.running.push(Running { run, log: path, before, child });
        Ok(())
    }

    /// Waits for the next one to end. If this program is asked to stop, so are all of them.
    pub(super) fn next(&mut self) -> Result<Ended> {
        loop {
            if is_cancelled() {
                for running in &mut self.running {
                    drop(running.child.stdin.take());
                }
            }
            for place in 0..self.running.len() {
                let child = &mut self.running[place].child;
                let status = child.try_wait().context("cannot wait for a run")?;
                if let Some(status) = status {
                    let Running { run, log, before, .. } = self.running.remove(place);
                    let problem = (!status.success()).then(|| reason(&log, before));
                    return Ok(Ended { run, problem });
                }
            }
            sleep(TICK);
        }
    }
}

/// The last error in a log behind its first bytes.
fn reason(log: &Path, before: u64) -> String {
    let mut end = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(before.max(length.saturating_sub(END))))?;
        file.read_to_end(&mut end)
    });
    let text = String::from_utf8_lossy(&end);
    let lines = text.lines().collect::<Vec<_>>();
    let error = lines.iter().rposition(|line| line.starts_with("error: "));
    let (Ok(_), Some(error)) = (read, error) else { return "it ended without a word".to_owned() };
    let causes = lines[error + 1..].iter().map_while(|line| line.strip_prefix("  caused by: "));
    let all = [lines[error].trim_start_matches("error: ")].into_iter().chain(causes);
    all.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_this_program_said_last() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join(LOG);
        let before = "error: interrupted\n";
        let after =
            "error: first\nnote: x\nerror: last\n  caused by: this\n  caused by: that\nhint: y\n";
        fs::write(&log, format!("{before}{after}")).unwrap();
        assert_eq!(reason(&log, before.len() as u64), "last: this: that");
        assert_eq!(reason(&log, (before.len() + after.len()) as u64), "it ended without a word");
    }
}
