//! [`questions`]: how often work asks whether to go on, and that it ends where it is told to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use scgpt_data::{Error, Observer, Result};

/// Says that enough was done once it was asked that often.
struct Patience {
    asked: AtomicUsize,
    most: usize,
}

impl Observer for Patience {
    fn is_cancelled(&self) -> bool {
        self.asked.fetch_add(1, Relaxed) >= self.most
    }
}

/// The number of questions that `work` asks. Told at the first of them, half way and at the last to end, it ends, and
/// no thread asks more than once again.
pub(crate) fn questions<T>(work: impl Fn(&dyn Observer) -> Result<T>) -> usize {
    let until = |most: usize| {
        let patience = Patience { asked: AtomicUsize::new(0), most };
        let ended = work(&patience);
        (ended, patience.asked.into_inner())
    };
    let (ended, all) = until(usize::MAX);
    assert!(ended.is_ok() && all > 0, "asked {all} times");
    for most in [0, all / 2, all - 1] {
        let (ended, asked) = until(most);
        assert!(matches!(ended, Err(Error::Cancelled)), "told at question {most} of {all}");
        let further = asked - most - 1;
        assert!(further < rayon::current_num_threads(), "asked {further} times again");
    }
    all
}
