//! [`watched`]: work during which an observer is asked whether it should go on.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use scgpt_model::Stop;

use crate::train_observer::TrainObserver;

/// How often it is asked.
const TICK: Duration = Duration::from_millis(50);

/// Asks on a thread of its own, and hands the answer on to `stop`.
pub(crate) fn watched<T>(watch: &dyn TrainObserver, stop: &Stop, work: impl FnOnce() -> T) -> T {
    let (working, over) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while over.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if watch.is_cancelled() {
                    return stop.ask();
                }
            }
        });
        let done = work();
        drop(working);
        done
    })
}
