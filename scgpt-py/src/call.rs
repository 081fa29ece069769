//! [`call`]: one command line, run on a thread of its own, while this one listens to the user.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use anyhow::Result;
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use scgpt_cli::{Host, Progress, Terminal};

use crate::listening::within_a_tick;

/// Messages that wait for the interpreter; more wait with the command.
const WAITING: usize = 64;

/// What a command says while it runs.
enum Said {
    Line(String),
    Progress {
        stage: String,
        done: u64,
        all: u64,
        unit: &'static str,
    },
    /// Nothing more.
    End,
}

/// A caller in Python.
struct Caller {
    said: SyncSender<Said>,
    printed: Mutex<Vec<u8>>,
    is_cancelled: AtomicBool,
    program: Vec<OsString>,
    takes_slots: bool,
}

impl Caller {
    /// Says something; when nobody listens any more, nobody needs to hear it.
    fn say(&self, said: Said) {
        drop(self.said.send(said));
    }

    fn printed(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Caller {
    fn begin(&self, _writes: bool, _is_quiet: bool) -> Result<()> {
        Ok(())
    }

    fn tell(&self, line: &str) {
        self.say(Said::Line(line.to_owned()));
    }

    fn print(&self, text: &[u8]) -> io::Result<()> {
        self.printed().write_all(text)
    }

    fn usage(&self, text: &clap::Error) {
        self.tell(&text.render().to_string());
    }

    fn progress(&self, progress: Progress<'_>) {
        let Progress { stage, done, all, unit } = progress;
        self.say(Said::Progress { stage: stage.to_owned(), done, all, unit });
    }

    fn is_watched(&self) -> bool {
        false
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    fn takes_slots(&self) -> bool {
        self.takes_slots
    }

    fn program(&self) -> io::Result<Vec<OsString>> {
        Ok(self.program.clone())
    }
}

/// Says that a command has ended, however it ends.
struct Ending(Arc<Caller>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.say(Said::End);
    }
}

/// Runs a command line. Returns its exit code and what it printed; `tell` takes its lines for people, `progress` how
/// far it is: a stage, what is done, what there is, and the unit. An exception of either, and Ctrl-C, end the command.
/// With `takes_slots` the caller has the cells itself: the output has what was found of them alone.
#[pyfunction]
pub(crate) fn call(
    py: Python<'_>,
    args: Vec<String>,
    program: Vec<OsString>,
    tell: &Bound<'_, PyAny>,
    progress: &Bound<'_, PyAny>,
    takes_slots: bool,
) -> PyResult<(u8, String)> {
    let (said, heard) = sync_channel(WAITING);
    let caller = Arc::new(Caller {
        said,
        printed: Mutex::default(),
        is_cancelled: AtomicBool::new(false),
        program,
        takes_slots,
    });
    let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
    let host = Arc::clone(&caller);
    let work = thread::Builder::new().name("scgpt".into());
    let work = work.spawn(move || {
        let ending = Ending(Arc::clone(&host));
        let code = scgpt_cli::run(&args, host);
        drop(ending);
        code
    })?;
    // The interpreter is let go while this thread waits, and nobody else looks at what is heard.
    let heard = Mutex::new(heard);
    let mut stopped = None;
    loop {
        let outcome = match py.detach(|| within_a_tick(&heard)) {
            Ok(Said::End) => break,
            _ if stopped.is_some() => Ok(()),
            Ok(Said::Line(line)) => tell.call1((line,)).map(drop),
            Ok(Said::Progress { stage, done, all, unit }) => {
                progress.call1((stage, done, all, unit)).map(drop)
            }
            Err(_) => Ok(()),
        };
        if let Err(error) = outcome.and_then(|()| py.check_signals()) {
            caller.is_cancelled.store(true, Ordering::Relaxed);
            stopped = Some(error);
        }
    }
    let code = py.detach(|| work.join()).map_err(|_| {
        PyRuntimeError::new_err("scgpt failed within; please report this, with the command")
    })?;
    match stopped {
        Some(error) => Err(error),
        None => Ok((code, String::from_utf8_lossy(&caller.printed()).into_owned())),
    }
}

/// Runs a command line as the program does, at the terminal. Returns its exit code.
#[pyfunction]
pub(crate) fn program(py: Python<'_>, args: Vec<OsString>, words: Vec<OsString>) -> u8 {
    py.detach(|| scgpt_cli::run(&args, Arc::new(Terminal { program: words })))
}
