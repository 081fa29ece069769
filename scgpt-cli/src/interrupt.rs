//! Ctrl-C, or a polite kill, asks the running task to stop; it then cleans up after itself.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Listens for SIGINT, SIGTERM and SIGHUP from here on.
pub(crate) fn listen() -> anyhow::Result<()> {
    Ok(ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?)
}

/// Asks the program to stop once its standard input ends: that is a pipe of the program that started it, which ends
/// with that one, however it ends.
pub(crate) fn with_input() {
    thread::spawn(|| {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        INTERRUPTED.store(true, Ordering::Relaxed);
    });
}

/// Whether the program was asked to stop.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
