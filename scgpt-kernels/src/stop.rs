//! [`Stop`]: work that is left in its midst; [`each`] and [`each_with`]: the loops that leave it.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use rayon::prelude::*;

/// How often it is looked whether work is cancelled.
const TICK: Duration = Duration::from_millis(50);

thread_local! {
    /// What this thread's work ends by.
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Ends work within kernels, which may take seconds and ask nobody.
///
/// ```
/// use scgpt_kernels::{Cpu, Format, Stop, exp};
///
/// let (stop, mut x) = (Stop::default(), [0.0]);
/// assert_eq!(stop.unless_asked(|| exp(Cpu::best(), Format::F32, &mut x)), Some(()));
/// stop.ask(); // any thread may
/// assert_eq!(stop.unless_asked(|| exp(Cpu::best(), Format::F32, &mut x)), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Unwinds from a kernel to [`Stop::unless_asked`]: between them is code that cannot return early, such as a
/// backward pass.
struct Left;

impl Stop {
    /// Ends the work, for good.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What `work` comes to, during which a thread of its own looks now and then whether it is cancelled, and
    /// [asks](Self::ask) then.
    pub fn asked_if<T>(
        &self,
        is_cancelled: impl Fn() -> bool + Send,
        work: impl FnOnce() -> T,
    ) -> T {
        let (working, over) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while over.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    if is_cancelled() {
                        return self.ask();
                    }
                }
            });
            let done = work();
            drop(working);
            done
        })
    }

    /// What work on this thread comes to; `None` if a kernel was left. Then numbers that it was to write are not
    /// all written.
    pub fn unless_asked<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let outer = CURRENT.replace(Some(self.clone()));
        let done = catch_unwind(AssertUnwindSafe(work));
        CURRENT.set(outer);
        match done {
            Ok(done) => Some(done),
            Err(left) if left.is::<Left>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Does tasks on all threads; if the caller's work is to [`Stop`], those that have not begun are left out, and so
/// is what the caller would do next.
pub fn each<I: ParallelIterator>(tasks: I, task: impl Fn(I::Item) + Send + Sync) {
    each_with(tasks, || (), |(), of| task(of));
}

/// As [`each`], with something that tasks of a thread share, such as a buffer.
pub fn each_with<I: ParallelIterator, S>(
    tasks: I,
    shared: impl Fn() -> S + Send + Sync,
    task: impl Fn(&mut S, I::Item) + Send + Sync,
) {
    let stop = CURRENT.with_borrow(Clone::clone);
    let is_asked = || stop.as_ref().is_some_and(Stop::is_asked);
    tasks.for_each_init(shared, |shared, of| {
        if !is_asked() {
            task(shared, of);
        }
    });
    if is_asked() {
        resume_unwind(Box::new(Left));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn tasks_that_have_not_begun_are_left_out_and_so_is_what_follows() {
        let (stop, begun) = (Stop::default(), AtomicUsize::new(0));
        let count = |_| {
            if begun.fetch_add(1, Ordering::Relaxed) == 9 {
                stop.ask();
            }
        };
        let done = stop.unless_asked(|| {
            each((0..10_000).into_par_iter(), count);
            unreachable!("the loop is left");
        });
        assert_eq!(done, None::<()>);
        let begun = begun.into_inner();
        assert!((10..5_000).contains(&begun), "{begun}");
        // Work of nobody, and of another, goes on.
        each([0, 1].into_par_iter(), |_| ());
        let other = Stop::default();
        assert_eq!(
            stop.unless_asked(|| other.unless_asked(|| each([0].into_par_iter(), |_| ()))),
            Some(Some(()))
        );
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_stays_one() {
        Stop::default().unless_asked(|| panic!("of its own"));
    }
}
