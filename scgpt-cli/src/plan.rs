//! `--plan`: a training is rehearsed, and what it will need is told.
//!
//! The rehearsal is the training itself, up to a few steps, a validation and a checkpoint, in a folder beside
//! the output of which nothing stays. A worker that follows the first trains in such a folder, too.

mod memory;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use scgpt_tasks::{NetworkConfig, TRAINING};
use scgpt_train::{Event, Rehearsal, TrainConfig, TrainObserver};
use serde::Serialize;
use tempfile::TempDir;

use self::memory::{Machine, Process};
use crate::{
    output::Printer,
    progress::{Bar, TrainBar},
    workers::{self, Room},
};

/// The rank of adapters that are suggested.
const RANK: usize = 8;
/// Bytes of a number that learns, beside the number itself: its gradient and two moments.
const LEARNING_BYTES: usize = 3 * size_of::<f32>();

/// A training that is to be planned, or to be followed, and the folder of which nothing stays.
#[derive(Debug)]
pub(crate) enum Plan {
    Rehearsed(TempDir),
    /// By a worker, where its own machine has temporary files.
    Followed(Room),
}

/// What decides how much memory a training needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    network: &'a NetworkConfig,
    training: &'a TrainConfig,
    is_fine_tuned: bool,
    batch_size: usize,
}

/// What a training will need.
#[derive(Debug, Serialize)]
struct Needs {
    #[serde(flatten)]
    rehearsal: Rehearsal,
    /// Seconds of the training, without preparation and judgement.
    seconds: f64,
    memory: MemoryNeeds,
    /// What would need less.
    less: Vec<Less>,
}

/// Bytes; what the operating system does not tell is `None`.
#[derive(Clone, Copy, Debug, Serialize)]
struct MemoryNeeds {
    weights: usize,
    gradients: usize,
    moments: usize,
    /// States of a batch that are kept for gradients, and all else that comes with steps.
    batch: Option<usize>,
    /// The most that was in use.
    peak: Option<usize>,
    machine: Option<Machine>,
}

/// Options with which the training would need less memory.
#[derive(Debug, Serialize)]
struct Less {
    by: String,
    /// About as many bytes at the peak.
    peak: usize,
}

impl<'a> Load<'a> {
    /// Of a training with these settings, of the weights of `model` if there is one.
    pub(crate) fn new(
        model: Option<&Path>,
        batch_size: usize,
        (network, training): (&'a NetworkConfig, &'a TrainConfig),
    ) -> Self {
        Self { network, training, is_fine_tuned: model.is_some(), batch_size }
    }
}

impl Plan {
    /// The rehearsal of the training whose output that would be, if it `is_asked` for, or the part of a worker that
    /// follows, and where the training writes.
    pub(crate) fn asked(is_asked: bool, output: &Path) -> Result<(Option<Self>, PathBuf)> {
        let (plan, place) = if !workers::current().is_first() {
            (Room::new().map(Self::Followed), std::env::temp_dir())
        } else if is_asked {
            let place = output.ancestors().skip(1).find(|folder| folder.is_dir());
            let place = place.unwrap_or_else(|| Path::new("."));
            let folder = tempfile::Builder::new().prefix(".scgpt-plan-").tempdir_in(place);
            (folder.map(Self::Rehearsed), place.into())
        } else {
            return Ok((None, output.into()));
        };
        let made = plan.and_then(|plan| {
            let output = plan.output();
            std::fs::create_dir_all(output.join(TRAINING))?;
            Ok((Some(plan), output))
        });
        made.with_context(|| format!("cannot write into `{}`", place.display()))
    }

    /// The output of the training.
    fn output(&self) -> PathBuf {
        let folder = match self {
            Self::Rehearsed(folder) => folder.path(),
            Self::Followed(room) => room.path(),
        };
        folder.join("output")
    }

    /// Rehearses the training, and prints what it will need; or follows it to its end.
    pub(crate) fn run<T>(
        self,
        load: Load<'_>,
        printer: Printer,
        train: impl FnOnce(&dyn TrainObserver, &Bar) -> Result<T, scgpt_tasks::Error>,
    ) -> Result<()> {
        let follows = matches!(self, Self::Followed(_));
        let (steps, cells) = (TrainBar::new(printer), Bar::new(printer));
        let watch = Watch { bar: &steps, seen: Mutex::default() };
        let ended = train(&watch, &cells).map(drop);
        drop(self);
        steps.finish();
        cells.finish();
        if follows {
            return match ended {
                Err(scgpt_tasks::Error::Followed) => Ok(()),
                ended => Ok(ended?),
            };
        }
        let Seen { before, at_the_end } =
            watch.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some((rehearsal, process)) = at_the_end else {
            ended?;
            bail!("there was no step to plan by");
        };
        let needs = Needs::of(rehearsal, before, process, load);
        printer.result(&needs, &needs.rows(load))
    }
}

/// Watches the rehearsal.
struct Watch<'a> {
    bar: &'a TrainBar,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The process before the first step.
    before: Process,
    at_the_end: Option<(Rehearsal, Process)>,
}

impl TrainObserver for Watch<'_> {
    fn event(&self, event: &Event<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begin { .. } => seen.before = Process::now(),
            Event::Rehearsed(rehearsal) => seen.at_the_end = Some((**rehearsal, Process::now())),
            _ => {}
        }
        self.bar.event(event);
    }

    fn is_cancelled(&self) -> bool {
        self.bar.is_cancelled()
    }
}

impl Needs {
    fn of(rehearsal: Rehearsal, before: Process, at_the_end: Process, load: Load<'_>) -> Self {
        let learning = rehearsal.learning * size_of::<f32>();
        let (gradients, moments) = (learning, 2 * learning);
        let batch = at_the_end.peak.zip(before.resident);
        let batch = batch.map(|(peak, before)| peak.saturating_sub(before + gradients + moments));
        let memory = MemoryNeeds {
            weights: rehearsal.parameters * size_of::<f32>(),
            gradients,
            moments,
            batch,
            peak: at_the_end.peak,
            machine: Machine::now(),
        };
        let less = memory.less(&rehearsal, load);
        Self { seconds: rehearsal.seconds(), rehearsal, memory, less }
    }

    fn rows(&self, load: Load<'_>) -> Vec<(&'static str, String)> {
        let Self { rehearsal, memory, .. } = self;
        let learning = 100.0 * rehearsal.learning as f64 / rehearsal.parameters.max(1) as f64;
        let mut rows = vec![
            (
                "parameters",
                format!(
                    "{}, of which {} learn ({learning:.1} %)",
                    rehearsal.parameters, rehearsal.learning
                ),
            ),
            ("weights", megabytes(memory.weights)),
            ("gradients", megabytes(memory.gradients)),
            ("moments", megabytes(memory.moments)),
        ];
        let batch = |bytes| format!("{}, of {} cells", megabytes(bytes), load.batch_size);
        rows.extend(memory.batch.map(|bytes| ("batch", batch(bytes))));
        if let Some(peak) = memory.peak {
            let machine = memory.machine.map(|machine| {
                let [all, available] = [machine.all, machine.available].map(megabytes);
                format!("; this machine has {all}, of which {available} are free now")
            });
            let line = format!("{} at the peak{}", megabytes(peak), machine.unwrap_or_default());
            rows.push(("memory", line));
        }
        let less =
            self.less.iter().map(|less| format!("{}: about {}", less.by, megabytes(less.peak)));
        rows.push(("less memory", less.collect::<Vec<_>>().join("\n")));
        rows.push(("speed", format!("{:.1} cells/s", rehearsal.cells_per_second)));
        rows.push((
            "time",
            format!(
                "{} for {} steps and {} validations, before cells are judged",
                duration(self.seconds),
                rehearsal.steps,
                rehearsal.validations
            ),
        ));
        rows.retain(|(_, value)| !value.is_empty());
        rows
    }
}

impl MemoryNeeds {
    /// What would need less, by what the parts of the memory are made of.
    fn less(&self, rehearsal: &Rehearsal, load: Load<'_>) -> Vec<Less> {
        let (Some(peak), Some(batch)) = (self.peak, self.batch) else { return Vec::new() };
        let &NetworkConfig { n_layers: layers, d_model: d, d_ff: f, .. } = load.network;
        // A block keeps its input, queries, keys and values, context, two normalised sums and the input and
        // the inner states of the feed-forward network; computed again, its input and those of one other.
        let kept = 8 * d + f;
        let again = batch.saturating_mul(layers * d + kept) / (layers * kept).max(1);
        let recomputed = batch.saturating_sub(again);
        let adapters = layers * RANK * (8 * d + 2 * f);
        let adapted = LEARNING_BYTES * rehearsal.adaptable.saturating_sub(adapters);
        let is_whole = load.training.lora.is_none() && load.is_fine_tuned;
        let recomputed = if rehearsal.recomputes { 0 } else { recomputed };
        let mut less = Vec::new();
        if !rehearsal.recomputes {
            less.push(("--recompute".to_owned(), recomputed));
        }
        if is_whole {
            less.push((format!("--lora {RANK}"), recomputed + adapted));
        }
        if load.batch_size > 1 {
            let accumulate = 2 * load.training.accumulate;
            let half = format!(
                "--batch-size {} with training.accumulate = {accumulate}",
                load.batch_size.div_ceil(2)
            );
            less.push((half, batch / 2));
        }
        let of = |(by, saved): (String, usize)| Less { by, peak: peak.saturating_sub(saved) };
        // What a batch needs may be hidden in what the process had before.
        less.into_iter().map(of).filter(|less| less.peak < peak).collect()
    }
}

fn megabytes(bytes: usize) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes < 10.0 => format!("{megabytes:.1} MB"),
        megabytes => format!("{megabytes:.0} MB"),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        _ if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
