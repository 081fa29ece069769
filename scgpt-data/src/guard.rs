//! Calls into storage libraries, some of which panic on damaged files.
//!
//! A library that indexes by what a file says stops the whole program when the file lies. Here that
//! becomes an error like any other, and the caller adds file and place. Calls are kept small, so
//! that a panic of own code, which is a bug, is still seen as one.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
};

use crate::error;

thread_local! {
    /// Whether this thread is within [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    /// How many calls there were on this thread.
    static CALL: Cell<u64> = const { Cell::new(0) };
}

/// The number of the present call, of this thread.
///
/// For those who count what one call may do, see `BoundedSource` of HDF5.
pub(crate) fn current_call() -> u64 {
    CALL.get()
}

/// Calls into a storage library; a panic there becomes an error.
///
/// # Errors
/// Those of the call, or that the file is damaged.
pub(crate) fn guarded<T, E: Into<error::Source>>(
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, error::Source> {
    let was_guarded = IS_GUARDED.replace(true);
    CALL.set(CALL.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(was_guarded);
    match outcome {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err("the file is damaged: its structures contradict each other".into()),
    }
}

/// Marks a thread on which nothing but guarded calls run: a panic there reaches who waits for it.
#[cfg(feature = "cloud")]
pub(crate) fn guard_thread() {
    IS_GUARDED.set(true);
}

/// Keeps panics that this crate turns into errors from being printed; all others are, as before.
///
/// For programs: it replaces the process-wide panic hook by one that asks the present one.
pub fn silence_guarded_panics() {
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        if !IS_GUARDED.get() {
            hook(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        let outcome = guarded(|| -> Result<(), String> { panic!("contradiction") });
        assert!(outcome.unwrap_err().to_string().contains("damaged"));
        assert!(guarded(|| Ok::<_, String>(1)).is_ok_and(|one| one == 1));
    }
}
