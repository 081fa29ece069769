//! [`Bar`]: an observer that draws progress, rate and remaining time on a terminal.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use scgpt_data::Observer;
use scgpt_train::{Event, Metric, TrainObserver};

use crate::{interrupt, output::Printer};

/// Draws one bar per stage on stderr, if people are watching. What is dropped is removed, too, as when
/// an error ends a command.
#[derive(Debug)]
pub(crate) struct Bar {
    is_drawn: bool,
    bar: Mutex<ProgressBar>,
}

impl Bar {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { is_drawn: printer.draws_progress(), bar: Mutex::new(ProgressBar::hidden()) }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
    }
}

impl Observer for Bar {
    fn begin(&self, stage: &str, total: usize) {
        let bar = if self.is_drawn {
            ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let template = match total {
            0 => "{spinner} {msg} {elapsed}",
            _ => "{msg} {bar:30} {human_pos}/{human_len} cells  {rate}  {eta} left",
        };
        // The templates are constants; should one not parse, indicatif's own style serves.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // A bar that cannot be drawn is no reason to stop.
                let _ = write!(text, "{:.1} cells/s", state.per_sec());
            });
        bar.set_style(style);
        bar.set_message(stage.to_owned());
        if self.is_drawn && total == 0 {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        self.with(|old| {
            old.finish_and_clear();
            *old = bar;
        });
    }

    fn advance(&self, n: usize) {
        self.with(|bar| bar.inc(n as u64));
    }

    fn is_cancelled(&self) -> bool {
        interrupt::is_interrupted()
    }
}

/// Draws what is fetched, if people are watching; removed when it is dropped.
#[cfg(feature = "cloud")]
#[derive(Debug)]
pub(crate) struct ByteBar(ProgressBar);

#[cfg(feature = "cloud")]
impl ByteBar {
    pub(crate) fn new(what: &str, printer: Printer) -> Self {
        let bar = if printer.draws_progress() {
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        Self(bar)
    }

    /// Draws how many bytes there are, and says whether to go on.
    pub(crate) fn told(&self, done: u64, all: u64) -> bool {
        self.0.set_length(all);
        self.0.set_position(done);
        !interrupt::is_interrupted()
    }
}

#[cfg(feature = "cloud")]
impl Drop for ByteBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Draws optimiser steps with their losses, and tells what else happens; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TrainBar {
    printer: Printer,
    bar: ProgressBar,
    /// Whether it was told that training will be too short.
    is_told: AtomicBool,
}

impl TrainBar {
    pub(crate) fn new(printer: Printer) -> Self {
        let bar = if printer.draws_progress() {
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template(
            "training {bar:30} {human_pos}/{human_len} steps  {msg}  {eta} left",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { printer, bar, is_told: AtomicBool::new(false) }
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
        interrupt::is_interrupted()
    }
}
