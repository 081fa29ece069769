//! Runs that are stopped in the midst of a step, or of a validation.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use burn::prelude::*;
use scgpt_model::Scgpt;
use scgpt_train::{
    Error, LossTerms, Metric, Progress, Result, Task, TrainConfig, TrainObserver, Unwatched,
};

use crate::numbers::{Cells, Numbers, Start, alone, config, train, weights};

/// Where a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// Before the forward pass of a batch of the session.
    Forward(usize),
    /// Before its backward pass.
    Backward(usize),
    /// In a validation of the session.
    Validation(usize),
}

impl At {
    /// Steps that were done by then: two batches each, a validation every three steps.
    fn steps_before(self) -> u64 {
        match self {
            Self::Forward(batch) | Self::Backward(batch) => batch as u64 / 2,
            Self::Validation(number) => 3 * (number as u64 + 1),
        }
    }
}

/// Steps that were done by the newest checkpoint, and whether the validation after them was not.
fn state(run: &Path) -> (u64, bool) {
    let folders = std::fs::read_dir(run.join("checkpoints")).unwrap();
    let newest = folders.map(|folder| folder.unwrap().path()).max().unwrap();
    let state = std::fs::read_to_string(newest.join("state.json")).unwrap();
    let state = &serde_json::from_str::<serde_json::Value>(&state).unwrap()["state"];
    (state["step"].as_u64().unwrap(), state["is_unvalidated"].as_bool().unwrap())
}

/// [`Numbers`], stopped at a place and a while before anything is computed there.
struct Stopped {
    numbers: Numbers,
    at: At,
    passes: [AtomicUsize; 2],
    is_over: AtomicBool,
    /// What was computed after that.
    since: Mutex<Vec<At>>,
}

impl Stopped {
    fn new(at: At) -> Self {
        let numbers = Numbers::new(22, 4); // 6 batches, the last one smaller
        let passes = [const { AtomicUsize::new(0) }; 2];
        Self { numbers, at, passes, is_over: AtomicBool::new(false), since: Mutex::default() }
    }

    fn passes(&self, at: At) {
        if self.is_over.load(Relaxed) {
            self.since.lock().unwrap().push(at);
        }
        if at == self.at {
            self.is_over.store(true, Relaxed);
            // Until it is heard of.
            thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Task for Stopped {
    type Batch = Cells;

    fn batches_per_epoch(&self) -> u64 {
        self.numbers.batches_per_epoch()
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<Cells> {
        self.numbers.batch(epoch, index)
    }

    fn losses(&self, model: &Scgpt, of: &Cells, now: Progress, device: &Device) -> LossTerms {
        let batch = self.passes[0].fetch_add(1, Relaxed);
        self.passes(At::Forward(batch));
        let losses = self.numbers.losses(model, of, now, device);
        self.passes(At::Backward(batch));
        losses
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        self.passes(At::Validation(self.passes[1].fetch_add(1, Relaxed)));
        self.numbers.validate(model, device)
    }
}

impl TrainObserver for Stopped {
    fn is_cancelled(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

#[test]
fn what_is_left_in_its_midst_is_done_again_bit_for_bit() {
    let _alone = alone();
    let config = TrainConfig { accumulate: 2, patience: Some(2), ..config() };
    let whole = tempfile::tempdir().unwrap();
    let task = Numbers::new(22, 4);
    let expected = train(&task, &config, whole.path(), Start::Anew, &Unwatched).unwrap();
    let places = [0, 3, 7, 10].map(|batch| [At::Forward(batch), At::Backward(batch)]);
    for at in places.into_iter().flatten().chain([0, 1].map(At::Validation)) {
        let folder = tempfile::tempdir().unwrap();
        let task = Stopped::new(at);
        let error = train(&task, &config, folder.path(), Start::Anew, &task).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)), "{at:?}: {error}");
        assert_eq!(*task.since.lock().unwrap(), [], "{at:?}");
        assert_eq!(
            state(folder.path()),
            (at.steps_before(), matches!(at, At::Validation(_))),
            "{at:?}"
        );
        let resumed = train(&task.numbers, &config, folder.path(), Start::Resumed, &Unwatched);
        let resumed = resumed.unwrap();
        assert_eq!((resumed.steps, &resumed.best), (expected.steps, &expected.best), "{at:?}");
        let [found, expected] = [(&resumed, &folder), (&expected, &whole)]
            .map(|(run, folder)| weights(&run.model, folder.path()));
        assert!(found == expected, "{at:?}");
        let log = |folder: &tempfile::TempDir| -> Vec<(u64, bool)> {
            let text = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
            let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
            let kind = |line: serde_json::Value| {
                (line["step"].as_u64().unwrap(), line.get("metrics").is_some())
            };
            lines.map(|line| kind(line.unwrap())).collect()
        };
        assert_eq!(log(&folder), log(&whole), "{at:?}");
    }
}
