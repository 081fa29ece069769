//! [`Bar`]: an observer that draws progress, rate and remaining time on a terminal, and tells them now and then where
//! there is none, such as in the log of a cluster.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use scgpt_data::Observer;
use scgpt_train::{Event, Metric, TrainObserver};

use crate::{
    host::{Host, Progress},
    output::Printer,
    run::Run,
};

/// What goes on for longer is told of, where nothing is drawn.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether that is so.
const BEAT: Duration = Duration::from_secs(1);

/// Tells how far something is, where nothing is drawn and people want to know.
struct Voice {
    host: Arc<dyn Host>,
    speaks: bool,
    last: Mutex<Instant>,
}

impl Voice {
    fn new(printer: Printer) -> Self {
        let speaks = !printer.draws_progress() && !printer.is_quiet();
        Self { host: Run::current().host, speaks, last: Mutex::new(Instant::now()) }
    }

    /// Tells the line, if the last one was long ago.
    fn tell(&self, line: impl FnOnce() -> String) {
        if !self.speaks {
            return;
        }
        let Ok(mut last) = self.last.lock() else { return };
        if last.elapsed() >= SILENCE {
            *last = Instant::now();
            drop(last);
            self.host.tell(&line());
        }
    }
}

/// Says now and then, until it is dropped, that a stage goes on: one that counts nothing, or seldom, has no other word.
struct Beat {
    /// Closed when this is dropped, which ends the thread.
    _end: mpsc::Sender<()>,
}

impl Beat {
    /// Looks each second, or so often, whether the last word was long ago.
    fn new(voice: &Arc<Voice>, bar: &ProgressBar, every: Duration) -> Option<Self> {
        if !voice.speaks {
            return None;
        }
        let (end, ended) = mpsc::channel::<()>();
        let (voice, bar, begun) = (Arc::clone(voice), bar.clone(), Instant::now());
        let speak = move || {
            while ended.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                voice.tell(|| {
                    let since = HumanDuration(Duration::from_secs(begun.elapsed().as_secs()));
                    match bar.length().unwrap_or(0) {
                        0 => format!("{}: {since} so far", bar.prefix()),
                        _ => format!("{}: {}", bar.prefix(), how_far(&bar, "cells")),
                    }
                });
            }
        };
        // Without a thread there is silence, and the work goes on.
        thread::Builder::new().name("progress".into()).spawn(speak).ok()?;
        Some(Self { _end: end })
    }
}

/// Hands on how far a bar is.
fn hand_on(host: &dyn Host, bar: &ProgressBar, unit: &'static str) {
    let (stage, all) = (bar.prefix(), bar.length().unwrap_or(0));
    host.progress(Progress { stage: &stage, done: bar.position(), all, unit });
}

/// How far a bar is, with the unit of what it counts.
fn how_far(bar: &ProgressBar, unit: &str) -> String {
    let all = bar.length().unwrap_or(0);
    let left = HumanDuration(bar.eta());
    format!("{} of {all} {unit}, {left} left", bar.position())
}

/// A bar that is drawn on stderr, or counts unseen.
fn counting(is_drawn: bool, total: u64, template: &str) -> ProgressBar {
    let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    // The templates are constants; should one not parse, indicatif's own style serves.
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key(
        "rate",
        |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // A bar that cannot be drawn is no reason to stop.
            let _ = write!(text, "{:.1} cells/s", state.per_sec());
        },
    );
    bar.set_style(style);
    bar
}

/// Draws one bar per stage on stderr, if people are watching. What is dropped is removed, too, as when
/// an error ends a command.
pub(crate) struct Bar {
    is_drawn: bool,
    voice: Arc<Voice>,
    drawn: Mutex<ProgressBar>,
    beat: Mutex<Option<Beat>>,
}

impl Bar {
    pub(crate) fn new(printer: Printer) -> Self {
        let drawn = Mutex::new(ProgressBar::hidden());
        let voice = Arc::new(Voice::new(printer));
        Self { is_drawn: printer.draws_progress(), voice, drawn, beat: Mutex::default() }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.drawn.lock() {
            act(&mut bar);
        }
    }

    fn beats(&self, beat: Option<Beat>) {
        if let Ok(mut there) = self.beat.lock() {
            *there = beat;
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
        self.beats(None);
    }
}

impl Observer for Bar {
    fn begin(&self, stage: &str, total: usize) {
        let template = match total {
            0 => "{spinner} {prefix} {elapsed}",
            _ => "{prefix} {bar:30} {human_pos}/{human_len} cells  {rate}  {eta} left",
        };
        let bar = counting(self.is_drawn, total as u64, template);
        bar.set_prefix(stage.to_owned());
        hand_on(self.voice.host.as_ref(), &bar, "cells");
        if self.is_drawn && total == 0 {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        self.beats(Beat::new(&self.voice, &bar, BEAT));
        self.with(|old| {
            old.finish_and_clear();
            *old = bar;
        });
    }

    fn advance(&self, n: usize) {
        self.with(|bar| {
            bar.inc(n as u64);
            hand_on(self.voice.host.as_ref(), bar, "cells");
            self.voice.tell(|| {
                let rate = bar.per_sec();
                format!("{}: {}, {rate:.1} cells/s", bar.prefix(), how_far(bar, "cells"))
            });
        });
    }

    fn is_cancelled(&self) -> bool {
        self.voice.host.is_cancelled()
    }
}

/// Draws how many bytes are fetched or read, if people are watching; removed when it is dropped.
pub(crate) struct ByteBar {
    host: Arc<dyn Host>,
    bar: ProgressBar,
}

impl ByteBar {
    pub(crate) fn new(what: &str, printer: Printer) -> Self {
        let template = "{prefix} {bar:30} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
        let bar = counting(printer.draws_progress(), 0, template);
        bar.set_prefix(what.to_owned());
        Self { host: Run::current().host, bar }
    }

    /// Draws how many bytes there are, and says whether to go on.
    pub(crate) fn told(&self, done: u64, all: u64) -> bool {
        self.bar.set_length(all);
        self.bar.set_position(done);
        hand_on(self.host.as_ref(), &self.bar, "bytes");
        !self.host.is_cancelled()
    }
}

impl Drop for ByteBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Draws optimiser steps with their losses, and tells what else happens; removed when it is dropped.
pub(crate) struct TrainBar {
    printer: Printer,
    voice: Voice,
    bar: ProgressBar,
    /// Whether it was told that training will be too short.
    is_told: AtomicBool,
}

impl TrainBar {
    pub(crate) fn new(printer: Printer) -> Self {
        let template = "{prefix} {bar:30} {human_pos}/{human_len} steps  {msg}  {eta} left";
        let bar = counting(printer.draws_progress(), 0, template).with_prefix("training");
        Self { printer, voice: Voice::new(printer), bar, is_told: AtomicBool::new(false) }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn remark(&self, remark: &str) {
        self.bar.suspend(|| self.printer.remark(remark));
    }
}

impl TrainObserver for TrainBar {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begin { step, total_steps } => {
                if *step > 0 {
                    self.remark(&format!("going on after step {step} of {total_steps}"));
                }
                self.bar.set_length(*total_steps);
                self.bar.set_position(*step);
                self.bar.reset_eta();
            }
            Event::Undertrained { advice } => {
                // Once, not again for every repeat.
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    self.remark(&format!("warning: {advice}"));
                }
            }
            Event::Damaged { problem, .. } => {
                self.remark(&format!("warning: {problem}; trying the checkpoint before"));
            }
            Event::Step(record) => {
                let terms: Vec<String> = record
                    .terms
                    .iter()
                    .map(|(term, loss)| format!("{} {loss:.2}", term.name()))
                    .collect();
                self.bar.set_message(format!(
                    "{}  {:.0} cells/s",
                    terms.join("  "),
                    record.cells_per_second.unwrap_or(0.0)
                ));
                self.bar.set_position(record.step);
                hand_on(self.voice.host.as_ref(), &self.bar, "steps");
                self.voice.tell(|| {
                    let far = how_far(&self.bar, "steps");
                    format!("training: {far}, {}", self.bar.message())
                });
            }
            Event::Validation(record) => {
                let is_shown = |(place, metric): &(usize, &Metric)| {
                    *place < 3 || Metric::tells_of_start(&metric.name)
                };
                let metrics = record.metrics.iter().enumerate().filter(is_shown);
                let metrics: Vec<String> = metrics
                    .map(|(_, metric)| format!("{} {:.2}", metric.name, metric.value))
                    .collect();
                let best = if record.is_best { "  (best so far)" } else { "" };
                self.remark(&format!("step {}: {}{best}", record.step, metrics.join("  ")));
            }
            Event::Checkpoint { .. } | Event::Rehearsed(_) => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        self.voice.host.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PrintArgs;

    #[test]
    fn where_nothing_is_drawn_it_is_told_now_and_then_unless_people_want_quiet() {
        let voice = |quiet| Voice::new(Printer::new(PrintArgs { json: false, quiet }));
        let spoken = |voice: &Voice| {
            let mut is_told = false;
            voice.tell(|| {
                is_told = true;
                String::new()
            });
            is_told
        };
        let loud = Voice { speaks: true, ..voice(false) };
        assert!(!spoken(&loud), "it has only begun");
        let long_ago = Instant::now().checked_sub(2 * SILENCE);
        // A machine may have started a moment ago.
        let Some(long_ago) = long_ago else { return };
        *loud.last.lock().unwrap() = long_ago;
        assert!(spoken(&loud) && !spoken(&loud));
        // A stage that counts nothing is told of, too.
        *loud.last.lock().unwrap() = long_ago;
        let loud = Arc::new(loud);
        let bar = counting(false, 0, "");
        let beat = Beat::new(&loud, &bar, Duration::from_millis(1));
        let end = Instant::now() + Duration::from_secs(20);
        while loud.last.lock().unwrap().elapsed() >= SILENCE && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        drop(beat);
        assert!(loud.last.lock().unwrap().elapsed() < SILENCE);
        assert!(Beat::new(&Arc::new(voice(true)), &bar, BEAT).is_none());
        let quiet = voice(true);
        *quiet.last.lock().unwrap() = long_ago;
        assert!(!spoken(&quiet));
        let bar = Bar::new(Printer::new(PrintArgs { json: false, quiet: false }));
        bar.begin("embedding", 40);
        bar.advance(10);
        bar.with(|bar| assert!(how_far(bar, "cells").starts_with("10 of 40 cells, ")));
    }
}
