//! [`Run`]: one run of the program. A process may have several, one a thread.

use std::{
    cell::RefCell,
    ffi::OsString,
    sync::{Arc, Mutex, PoisonError},
};

use scgpt_data::Additions;

use crate::{
    envelope::Envelope,
    host::{Host, Terminal},
};

/// A command line, and whoever asked for it.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) host: Arc<dyn Host>,
    /// The command line with the name of the program.
    pub(crate) args: Arc<[OsString]>,
    pub(crate) envelope: Arc<Envelope>,
    /// Elements that the output has beyond its input.
    slots: Arc<Mutex<Vec<String>>>,
}

/// The run of this thread, until this is dropped.
pub(crate) struct Begun;

thread_local! {
    static CURRENT: RefCell<Option<Run>> = const { RefCell::new(None) };
}

impl Run {
    /// Begins a run on this thread.
    pub(crate) fn begin(args: &[OsString], envelope: Envelope, host: Arc<dyn Host>) -> Begun {
        let envelope = Arc::new(envelope);
        CURRENT.replace(Some(Self { host, args: args.into(), envelope, slots: Arc::default() }));
        Begun
    }

    /// From here on, the run of this thread speaks to the host that `of` makes of its own.
    pub(crate) fn speak_by(of: impl FnOnce(Arc<dyn Host>) -> Arc<dyn Host>) {
        CURRENT.with_borrow_mut(|current| {
            if let Some(run) = current {
                run.host = of(Arc::clone(&run.host));
            }
        });
    }

    /// The run of this thread. One that knows of none speaks to the terminal.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Clone::clone).unwrap_or_else(|| Self {
            host: Arc::new(Terminal::default()),
            args: [].into(),
            envelope: Arc::default(),
            slots: Arc::default(),
        })
    }

    /// Takes note of what is written beside cells, in place of what was written before.
    pub(crate) fn writes(&self, additions: &Additions) {
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = additions.slots();
    }

    /// Elements that the output has beyond its input.
    pub(crate) fn slots(&self) -> Vec<String> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

/// Tells people a line.
pub(crate) fn tell(line: &str) {
    Run::current().host.tell(line);
}

/// Whether the run of this thread is to stop.
pub(crate) fn is_cancelled() -> bool {
    Run::current().host.is_cancelled()
}
