//! [`listening`]: work of the caller's own thread that Ctrl-C ends, and [`apart`]: work that goes on without it.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
};
use scgpt_data::Observer;

/// How often it is looked whether the user wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// Asks the interpreter now and then whether the user wants to stop. It hears signals on its main thread alone, so it is
/// to be asked on the thread that called.
pub(crate) struct Listening(Mutex<Heard>);

struct Heard {
    asked: Instant,
    exception: Option<PyErr>,
}

impl Observer for Listening {
    fn is_cancelled(&self) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.exception.is_none() && heard.asked.elapsed() >= TICK {
            heard.exception = Python::attach(|py| py.check_signals().err());
            heard.asked = Instant::now();
        }
        heard.exception.is_some()
    }
}

/// Works while the interpreter does something else; what is wrong is a `ValueError`, and what the user ended the exception
/// that ended it.
pub(crate) fn listening<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Listening) -> Result<T> + Send,
) -> PyResult<T> {
    let heard = Heard { asked: Instant::now(), exception: None };
    let listening = Listening(Mutex::new(heard));
    let done = py.detach(|| work(&listening));
    let heard = listening.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    match heard.exception {
        Some(exception) => Err(exception),
        None => done.map_err(told),
    }
}

/// As [`listening`], for work that asks nobody: it is left to its thread, and what becomes of it is dropped there.
pub(crate) fn apart<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let (done, outcome) = sync_channel(1);
    // Nobody may wait for it any more.
    let work = move || drop(done.send(work()));
    drop(thread::Builder::new().name("scgpt".into()).spawn(work)?);
    // Nobody else looks at what comes of it.
    let outcome = Mutex::new(outcome);
    loop {
        match py.detach(|| within_a_tick(&outcome)) {
            Ok(outcome) => return outcome.map_err(told),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("scgpt failed within; please report this"));
            }
        }
    }
}

/// What a thread sends, if it sends something soon.
pub(crate) fn within_a_tick<T>(sent: &Mutex<Receiver<T>>) -> Result<T, RecvTimeoutError> {
    sent.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(TICK)
}

/// What is wrong, with its causes.
pub(crate) fn told(error: anyhow::Error) -> PyErr {
    let said = scgpt_cli::causes(&error, ToString::to_string);
    PyValueError::new_err(said.join("\ncaused by: "))
}
