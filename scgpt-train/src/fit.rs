//! [`fit`]: the training loop.

use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Instant,
};

use burn::prelude::*;
use scgpt_data::{Keyed, Purpose, Setting, similar_names};
use scgpt_model::{Adapters, Scgpt, ScgptConfig, Stop, recomputes};

use crate::{
    checkpoint::{Best, Checkpoints, State},
    config::TrainConfig,
    error::{Error, Result},
    freeze::freeze,
    log::RunLog,
    lora::{adapt, hold_base},
    metric::Metric,
    optimizer::Optimizer,
    precision::{LossScale, Precision},
    reading::{Share, read},
    rehearsal::Rehearsing,
    run_options::RunOptions,
    schedule::Progress,
    share::{check_alike, check_precision, check_settings, share},
    step::{self, Group},
    task::Task,
    train_observer::{Event, StepRecord, TrainObserver, ValidationRecord},
};

/// Batches that may wait for the device.
const WAITING: usize = 2;

/// The result of a finished run.
#[derive(Debug)]
pub struct Outcome {
    /// The best network by validation, without gradients; adapters are in its weights. Workers other than the first
    /// have that of the last step.
    pub model: Scgpt,
    /// Its adapters, if [`TrainConfig::lora`] asked for them.
    pub adapters: Option<Adapters>,
    /// Optimiser steps done.
    pub steps: u64,
    /// The best validation.
    pub best: Option<Best>,
    /// Whether training stopped before its end because nothing improved any more.
    pub stopped_early: bool,
    /// The settings in force, see [`TrainConfig::in_force`].
    pub training: TrainConfig,
}

/// Trains `model`, a network of the configuration `network`, on `task`.
///
/// If `watch` asks it to stop, it saves its state and returns [`Error::Interrupted`]. A run that is
/// killed continues from its last checkpoint when it is resumed. Either way the weights are those
/// of a run without interruption, bit for bit on the CPU.
///
/// # Errors
/// If the configuration is invalid, cells cannot be read, a file cannot be written, a loss is
/// not a number, or a worker is gone.
pub fn fit<T: Task>(
    task: &T,
    model: Scgpt,
    network: &ScgptConfig,
    config: &TrainConfig,
    run: &RunOptions<'_>,
    device: &Device,
    watch: &dyn TrainObserver,
) -> Result<Outcome> {
    config.validate(network)?;
    if task.batches_per_epoch() == 0 {
        return Err(Error::Data("there are no cells to train on".into()));
    }
    let computed = config.precision.on(device);
    let computed = computed.map_err(|it| Error::Config(vec![Setting("precision").wrong(it)]))?;
    let can_recompute = recomputes(network, device) && config.precision != Precision::F16;
    if run.recompute == Some(true) && !can_recompute {
        let problem = "is for the CPU in f32, bf16 or bf16x3, and for networks whose norms stand after the sums: \
                       what dropout drops is not known again elsewhere";
        return Err(Error::Config(vec![Setting("recompute").wrong(problem)]));
    }
    let workers = run.workers;
    if workers.size() > 1 {
        shareable(config, workers.size())?;
        check_settings(workers, &run.settings)?;
        check_precision(workers, computed)?;
    }
    let checkpoints = Checkpoints::new(run.folder, run.settings.clone(), run.keep)
        .with_adapters(config.lora)
        .of_workers(workers.size());
    let optimizer = Optimizer::new(&config.optimizer);
    let begun = if run.resume && workers.is_first() {
        checkpoints.latest(network, optimizer, device, watch)?
    } else {
        let state = State {
            step: 0,
            epoch: 0,
            index: 0,
            best: None,
            stale: 0,
            loss_scale: LossScale::new(config.precision),
            is_unvalidated: false,
        };
        // Parameters not yet drawn are drawn now, from the seed of the run.
        device.seed(Keyed::new(config.seed, Purpose::Initial, 0, 0).bits(0));
        model.draw();
        let model = match config.lora {
            Some(lora) => adapt(model, lora, config.seed),
            None => model,
        };
        (state, model.train(), optimizer)
    };
    let (state, model, optimizer) = share(workers, begun, device)?;
    let model = freeze(model, &config.freeze);
    let model = match config.lora {
        Some(lora) => hold_base(model, lora),
        None => model,
    };
    let recomputes = can_recompute && run.recompute.unwrap_or(config.lora.is_some());
    let model = if recomputes { model.recomputing() } else { model };
    let config = &config.in_force(task.batches_per_epoch());
    let total_steps = config.total_steps(task.batches_per_epoch());
    if !run.resume && workers.is_first() {
        // What another run logged here is not this one's past.
        drop(std::fs::remove_file(run.folder.join("log.jsonl")));
    }
    let log = workers.is_first().then(|| RunLog::open(run.folder, state.step)).transpose();
    let log = log.map_err(|error| Error::file("write", run.folder, error))?;
    let mut session = Session {
        log,
        task,
        network,
        config,
        run,
        checkpoints,
        device,
        watch,
        stop: Stop::default(),
        total_steps,
        saved: run.resume.then(|| state.clone()),
        state,
        model: Some(model),
        optimizer,
        steps_taken: 0,
        steps_used: 0,
        recomputes,
        rehearsing: None,
    };
    if workers.size() > 1 {
        // They end together, between steps.
        return session.run();
    }
    session.stop.clone().asked_if(|| watch.is_cancelled(), || session.run())
}

/// A run in progress.
struct Session<'a, T> {
    task: &'a T,
    network: &'a ScgptConfig,
    config: &'a TrainConfig,
    run: &'a RunOptions<'a>,
    checkpoints: Checkpoints,
    device: &'a Device,
    watch: &'a dyn TrainObserver,
    /// Ends a step or a validation in its midst.
    stop: Stop,
    /// Of the first worker.
    log: Option<RunLog>,
    total_steps: u64,
    state: State,
    /// The state in the newest checkpoint.
    saved: Option<State>,
    /// The network; absent only inside the optimiser's step, which takes it and gives it back.
    model: Option<Scgpt>,
    optimizer: Optimizer,
    /// Steps of this session, and how many of them changed the network.
    steps_taken: u64,
    steps_used: u64,
    recomputes: bool,
    rehearsing: Option<Rehearsing>,
}

impl<T: Task> Session<'_, T> {
    fn run(&mut self) -> Result<Outcome> {
        let total_steps = self.total_steps;
        self.watch.event(&Event::Begin { step: self.state.step, total_steps });
        if !self.run.resume {
            self.before()?;
        } else if self.state.is_unvalidated {
            self.validate()?;
            self.save()?;
        }
        let mut stopped_early = self.is_stale();
        if self.state.step < self.total_steps && !stopped_early {
            let (sender, receiver) = sync_channel(WAITING);
            let (task, first) = (self.task, (self.state.epoch, self.state.index));
            let epochs = self.config.epochs;
            let share = Share::of(self.run.workers, self.config.accumulate);
            // When the loop ends it drops the receiver, and the reader stops at its next batch.
            stopped_early = thread::scope(|scope| {
                scope.spawn(move || read(task, share, first, epochs, &sender));
                self.steps(receiver, share)
            })?;
        }
        let (step, total) = (self.state.step, self.total_steps);
        if step < total && !stopped_early {
            return Err(Error::Data(format!(
                "there were batches for {step} of {total} steps only"
            )));
        }
        // A run that goes on has moved the network before.
        if step > 0 && self.steps_taken == step && self.steps_used == 0 {
            let n = self.steps_taken;
            let problem = format!(
                "is {}: none of {n} steps could be used, as gradients overflow in it; take another",
                self.config.precision
            );
            return Err(Error::Config(vec![Setting("precision").wrong(problem)]));
        }
        self.finish(stopped_early)
    }

    /// Looks at the network before the first step. Where it is a candidate, it is validated and saved,
    /// so that it can be the result.
    fn before(&mut self) -> Result<()> {
        match self.config.select_by.as_deref() {
            by if self.task.begins_fitted() || by.is_some_and(Metric::tells_of_start) => {
                self.validate()?;
                self.save()
            }
            None | Some(Metric::LOSS) => Ok(()),
            // A metric that does not exist is found now, not after hours.
            Some(_) => {
                let metrics = self.metrics()?;
                self.selecting(&metrics).map(|_| ())
            }
        }
    }

    /// Trains to the end, and returns whether training stopped early.
    fn steps(&mut self, batches: Receiver<Result<T::Batch>>, share: Share) -> Result<bool> {
        let per_epoch = self.task.batches_per_epoch();
        let mut batches = batches.into_iter();
        self.rehearsing = self.run.rehearse.then(Rehearsing::begin);
        loop {
            let size = share.accumulate.min(per_epoch.saturating_sub(self.state.index));
            let own = batches.by_ref().take(share.of_step(size)).collect::<Result<Vec<_>>>()?;
            if own.len() < share.of_step(size) {
                return Ok(false);
            }
            let cells =
                self.step(&Group { own, size: usize::try_from(size).unwrap_or(usize::MAX) })?;
            self.state.index += size;
            let ends_epoch = self.state.index == per_epoch;
            let is_rehearsed = self.rehearsing.as_mut().is_some_and(|it| it.step(cells));
            if ends_epoch {
                (self.state.epoch, self.state.index) = (self.state.epoch + 1, 0);
            }
            let is_last = self.state.step == self.total_steps;
            let validates = match self.config.validate_every {
                Some(every) => self.state.step.is_multiple_of(every) || is_last,
                None => ends_epoch || is_last,
            };
            if validates || is_rehearsed {
                self.validate()?;
                self.rehearsing.iter_mut().for_each(Rehearsing::validated);
            }
            let is_due = self
                .run
                .checkpoint_every
                .is_some_and(|every| self.state.step.is_multiple_of(every));
            let is_cancelled = self.run.workers.any(self.watch.is_cancelled())?;
            if validates || is_due || is_cancelled || is_rehearsed {
                self.save()?;
                self.rehearsing.iter_mut().for_each(Rehearsing::saved);
            }
            if is_rehearsed || is_last {
                self.rehearsed();
            }
            if (is_cancelled || is_rehearsed) && !is_last {
                return Err(self.interrupted());
            }
            if is_last || self.is_stale() {
                return Ok(!is_last);
            }
        }
    }

    /// One optimiser step on a group of batches; returns the number of their cells.
    fn step(&mut self, group: &Group<T::Batch>) -> Result<usize> {
        let begin = Instant::now();
        let progress = Progress {
            step: self.state.step,
            epoch: self.state.epoch,
            total_steps: self.total_steps,
        };
        let key = Keyed::new(self.config.seed, Purpose::Dropout, progress.step, 0);
        let workers = self.run.workers;
        let compute = || {
            step::compute(
                self.task,
                self.model(),
                (group, workers),
                progress,
                (self.config.precision, self.state.loss_scale.scale, self.config.gather_cells),
                &|index| self.device.seed(key.bits(index)),
                self.device,
            )
        };
        let Some(computed) = self.stop.unless_asked(compute) else {
            step::forget(self.model());
            self.save()?;
            return Err(self.interrupted());
        };
        let (mut computed, cells) = computed?;
        let model = self.taken();
        let numbers = computed.read(self.config.clip_norm, workers, self.device)?;
        let is_finite = numbers.problems().is_empty();
        if is_finite {
            self.state.loss_scale.rise(self.config.precision);
        } else if !self.state.loss_scale.halve(self.config.precision) {
            return Err(Error::Diverged {
                step: self.state.step + 1,
                terms: numbers.problems(),
                last_good: self.checkpoints.steps().last().map(|&step| self.checkpoints.path(step)),
            });
        }
        let lr = self.config.optimizer.lr * self.config.schedule.factor(progress);
        let model =
            if is_finite { self.optimizer.step(lr, model, &computed.gradients) } else { model };
        self.model = Some(model);
        self.state.step += 1;
        self.steps_taken += 1;
        self.steps_used += u64::from(is_finite);
        let record = StepRecord {
            step: self.state.step,
            epoch: self.state.epoch,
            loss: numbers.loss,
            terms: numbers.terms,
            gradient_norm: numbers.norm,
            lr,
            cells,
            cells_per_second: Some(cells as f64 / begin.elapsed().as_secs_f64()),
        };
        let logged = self.log.as_mut().map_or(Ok(()), |log| log.step(&record));
        logged.map_err(|error| Error::file("write", self.run.folder, error))?;
        self.watch.event(&Event::Step(&record));
        Ok(cells)
    }

    /// What the first worker finds of the network.
    fn metrics(&self) -> Result<Vec<Metric>> {
        let metrics = || self.task.validate(&self.model().valid(), self.device);
        self.run.workers.first_says(|| match self.stop.unless_asked(metrics) {
            None | Some(Err(Error::Cells(scgpt_data::Error::Cancelled))) => Err(self.interrupted()),
            Some(metrics) => metrics,
        })
    }

    fn validate(&mut self) -> Result<()> {
        self.state.is_unvalidated = true;
        let metrics = self.metrics();
        if let Err(Error::Interrupted(_)) = metrics {
            self.save()?;
        }
        let metrics = metrics?;
        self.state.is_unvalidated = false;
        let mut is_best = false;
        if let Some(selecting) = self.selecting(&metrics)? {
            is_best = match &self.state.best {
                Some(best) => selecting.surpasses(&best.metric),
                None => selecting.value.is_finite(),
            };
            if is_best {
                let best = Best { step: self.state.step, metric: selecting.clone() };
                (self.state.best, self.state.stale) = (Some(best), 0);
            } else {
                self.state.stale += 1;
            }
        }
        let record =
            ValidationRecord { step: self.state.step, epoch: self.state.epoch, metrics, is_best };
        let logged = self.log.as_mut().map_or(Ok(()), |log| log.validation(&record));
        logged.map_err(|error| Error::file("write", self.run.folder, error))?;
        self.watch.event(&Event::Validation(&record));
        Ok(())
    }

    /// The metric that selects the best network; `None` if the task validates nothing.
    fn selecting<'m>(&self, metrics: &'m [Metric]) -> Result<Option<&'m Metric>> {
        let name = self.config.select_by.as_deref().unwrap_or(Metric::LOSS);
        if name == Metric::LOSS {
            return Ok(metrics.first());
        }
        let found = metrics.iter().find(|metric| metric.name == name);
        if found.is_none() && !metrics.is_empty() {
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            let hint = similar_names(name, names.iter().copied()).hint();
            let problem = format!("is `{name}`, but the metrics are {}{hint}", names.join(", "));
            return Err(Error::Config(vec![Setting("select_by").wrong(problem)]));
        }
        Ok(found)
    }

    /// Tells what a rehearsal was for, if it is one.
    fn rehearsed(&mut self) {
        if let Some(rehearsing) = self.rehearsing.take() {
            let steps = [self.task.batches_per_epoch(), self.total_steps];
            let every = self.run.checkpoint_every;
            let rehearsal =
                rehearsing.end((self.model(), self.recomputes), self.config, steps, every);
            self.watch.event(&Event::Rehearsed(&rehearsal));
        }
    }

    fn is_stale(&self) -> bool {
        self.config.patience.is_some_and(|patience| self.state.stale >= patience)
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted(self.run.folder.into())
    }

    /// Saves the state, once all workers are found to have the same network; none goes on before it is saved.
    fn save(&mut self) -> Result<()> {
        if self.saved.as_ref() == Some(&self.state) {
            return Ok(());
        }
        self.saved = Some(self.state.clone());
        let workers = self.run.workers;
        // `valid` gathers running statistics first.
        let model = self.model().valid();
        check_alike(workers, &model)?;
        workers.first_says(|| {
            let path = self.checkpoints.save(&self.state, &model, &self.optimizer)?;
            self.watch.event(&Event::Checkpoint { path: &path });
            Ok(())
        })
    }

    #[expect(clippy::expect_used, reason = "it is absent within a step only, which gives it back")]
    fn model(&self) -> &Scgpt {
        self.model.as_ref().expect("the network between steps")
    }

    #[expect(clippy::expect_used, reason = "it is absent within a step only, which gives it back")]
    fn taken(&mut self) -> Scgpt {
        self.model.take().expect("the network between steps")
    }

    /// Ends the run with the best network or, without validations, the last.
    fn finish(&mut self, stopped_early: bool) -> Result<Outcome> {
        let last = self.taken().valid();
        let best = self.state.best.clone();
        let best_step = best.as_ref().map_or(self.state.step, |best| best.step);
        let model = if best_step == self.state.step || !self.run.workers.is_first() {
            last
        } else {
            self.checkpoints.model(best_step, self.network, self.device)?
        };
        let (steps, training) = (self.state.step, self.config.clone());
        let (adapters, model) = (model.adapters(), model.merged());
        Ok(Outcome { model, adapters, steps, best, stopped_early, training })
    }
}

/// Checks that so many workers can share a training.
fn shareable(config: &TrainConfig, workers: usize) -> Result<()> {
    let mut problems = Vec::new();
    if config.accumulate < workers as u64 {
        let problem = format!(
            "is {}: {workers} workers learn from at least one batch each",
            config.accumulate
        );
        problems.push(Setting("accumulate").wrong(problem));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Config(problems)) }
}
