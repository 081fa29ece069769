//! [`Host`]: whoever runs a command, a terminal or another program, and what passes between both.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
};

use crate::{
    interrupt,
    notes::hear_notes,
    terminal::{shown, tell},
};

/// How far something is that takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is done, such as `embedding`.
    pub stage: &'a str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is, 0 if that is not known.
    pub all: u64,
    /// What is counted: `cells`, `steps` or `bytes`.
    pub unit: &'static str,
}

/// Whoever runs a command. Its methods may be called by any thread.
pub trait Host: Send + Sync {
    /// A command begins, which writes something or not; people want to read nothing but its result and errors, or
    /// remarks, too.
    ///
    /// # Errors
    /// If the command cannot begin.
    fn begin(&self, writes: bool, is_quiet: bool) -> anyhow::Result<()>;

    /// Takes a line for people: a remark, a warning or an error.
    fn tell(&self, line: &str);

    /// Takes text that is a result itself.
    ///
    /// # Errors
    /// If it goes nowhere.
    fn print(&self, text: &[u8]) -> io::Result<()>;

    /// Takes what a command line is at fault in, or the help or version that it asks for.
    fn usage(&self, text: &clap::Error);

    /// Takes how far something is.
    fn progress(&self, progress: Progress<'_>);

    /// Whether bars may be drawn on stderr, because people are watching.
    fn is_watched(&self) -> bool;

    /// Whether the command is to stop.
    fn is_cancelled(&self) -> bool;

    /// Whether it has the cells itself, and takes what was found of them alone: a small file of names and slots in
    /// place of a copy of the cells.
    fn takes_slots(&self) -> bool;

    /// The words that a command line of this program begins with.
    ///
    /// # Errors
    /// If they are not known.
    fn program(&self) -> io::Result<Vec<OsString>>;
}

/// A terminal, or whatever stands in its place: stdout has data, stderr what is meant for people.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// The words that a command line of this program begins with; its own path, if there are none.
    pub program: Vec<OsString>,
}

impl Host for Terminal {
    fn begin(&self, writes: bool, is_quiet: bool) -> anyhow::Result<()> {
        // What writes nothing has nothing to clean up, and may end at once.
        if writes {
            interrupt::listen()?;
        }
        if !is_quiet {
            hear_notes(|note| tell(&shown(&format!("note: {note}"), "  ")));
        }
        Ok(())
    }

    fn tell(&self, line: &str) {
        tell(line);
    }

    fn print(&self, text: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text)?;
        out.flush()
    }

    fn usage(&self, text: &clap::Error) {
        drop(text.print());
    }

    // It is drawn.
    fn progress(&self, _: Progress<'_>) {}

    fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    fn is_cancelled(&self) -> bool {
        interrupt::is_interrupted()
    }

    fn takes_slots(&self) -> bool {
        false
    }

    fn program(&self) -> io::Result<Vec<OsString>> {
        if self.program.is_empty() {
            return Ok(vec![std::env::current_exe()?.into()]);
        }
        Ok(self.program.clone())
    }
}
