//! Ctrl-C, a polite kill, or the warning of a scheduler asks the running task to stop; it then cleans up after itself.

#[cfg(unix)]
use std::sync::{Arc, LazyLock};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Set by SIGUSR1, by which a scheduler warns before the time of a job is over.
#[cfg(unix)]
static WARNED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Listens for SIGINT, SIGTERM, SIGHUP and SIGUSR1 from here on.
pub(crate) fn listen() -> anyhow::Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&WARNED))?;
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
    #[cfg(unix)]
    if WARNED.load(Ordering::Relaxed) {
        return true;
    }
    INTERRUPTED.load(Ordering::Relaxed)
}
