//! [`RunLog`]: the numbers of a run, as JSON lines and for TensorBoard; and [`RunHistory`], which
//! reads the lines back.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{event_file::EventFile, json_lines::JsonLines};
use crate::{
    error::{Error, Result},
    train_observer::{StepRecord, ValidationRecord},
};

const LINES: &str = "log.jsonl";

/// Both logs of one session.
pub(crate) struct RunLog {
    lines: JsonLines,
    events: EventFile,
}

/// One line, with a field that tells its kind.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    record: &'a T,
}

/// What a run has logged, in all its sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunHistory {
    /// Optimiser steps. If there are many, only every second, fourth, … is kept.
    pub steps: Vec<StepRecord>,
    /// Validations.
    pub validations: Vec<ValidationRecord>,
}

/// A line that is read back.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Read {
    Step(StepRecord),
    Validation(ValidationRecord),
}

impl RunHistory {
    /// Most steps that are kept.
    const MOST: usize = 2000;

    /// Reads the log in the folder of a run.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not one of its records.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(LINES);
        Self::read_lines(&path).map_err(|error| Error::file("read", &path, error))
    }

    fn read_lines(path: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        let (mut stride, mut seen) = (1, 0_usize);
        let file = File::open(path)?;
        for line in BufReader::new(file).lines() {
            match serde_json::from_str(&line?)? {
                Read::Validation(record) => history.validations.push(record),
                Read::Step(record) => {
                    let record = StepRecord { cells_per_second: None, ..record };
                    if seen.is_multiple_of(stride) {
                        history.steps.push(record);
                    }
                    seen += 1;
                    if history.steps.len() == Self::MOST {
                        stride *= 2;
                        let mut keep = false;
                        history.steps.retain(|_| {
                            keep = !keep;
                            keep
                        });
                    }
                }
            }
        }
        Ok(history)
    }
}

impl RunLog {
    /// Opens the logs in the folder of a run that has done `step` steps. What was logged beyond
    /// that step is removed, since it comes again. A new run begins new logs.
    pub(crate) fn open(folder: &Path, step: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lines = JsonLines::resume(&folder.join(LINES), step)?;
        let events = EventFile::create(folder, if step == 0 { 0 } else { step + 1 })?;
        Ok(Self { lines, events })
    }

    pub(crate) fn step(&mut self, record: &StepRecord) -> io::Result<()> {
        self.lines.append(&Line { kind: "step", record })?;
        let losses: Vec<(String, f64)> = record
            .terms
            .iter()
            .map(|(term, loss)| (format!("loss/{}", term.name()), *loss))
            .collect();
        let mut values = vec![
            ("loss/total", record.loss),
            ("training/learning_rate", record.lr),
            ("training/gradient_norm", record.gradient_norm),
        ];
        values.extend(record.cells_per_second.map(|speed| ("training/cells_per_second", speed)));
        values.extend(losses.iter().map(|(tag, loss)| (tag.as_str(), *loss)));
        self.events.scalars(record.step, &values)
    }

    pub(crate) fn validation(&mut self, record: &ValidationRecord) -> io::Result<()> {
        self.lines.append(&Line { kind: "validation", record })?;
        let metrics: Vec<(String, f64)> = record
            .metrics
            .iter()
            .map(|metric| (format!("validation/{}", metric.name), metric.value))
            .collect();
        let values: Vec<(&str, f64)> =
            metrics.iter().map(|(tag, value)| (tag.as_str(), *value)).collect();
        self.events.scalars(record.step, &values)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::{metric::Metric, term::Term};

    #[test]
    fn a_long_run_is_read_back_thinned_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = RunLog::open(folder.path(), 0).unwrap();
        let n = 4500;
        for step in 1..=n {
            log.step(&StepRecord {
                step,
                epoch: 0,
                loss: f64::INFINITY,
                terms: vec![(Term::Gep, 2.0), (Term::Gepc, f64::INFINITY)],
                gradient_norm: f64::NAN,
                lr: 0.1,
                cells: 8,
                cells_per_second: None,
            })
            .unwrap();
        }
        let validation = ValidationRecord {
            step: n,
            epoch: 1,
            metrics: vec![Metric::loss("gep", 3.0)],
            is_best: true,
        };
        log.validation(&validation).unwrap();
        let history = RunHistory::read(folder.path()).unwrap();
        assert_eq!(history.validations, [validation]);
        let steps: Vec<u64> = history.steps.iter().map(|record| record.step).collect();
        assert!((1000..2000).contains(&steps.len()), "{}", steps.len());
        assert!(steps.windows(2).all(|pair| pair[1] - pair[0] == 4), "evenly");
        let StepRecord { loss, terms, gradient_norm, .. } = &history.steps[0];
        assert_eq!(terms[0], (Term::Gep, 2.0));
        assert!([*loss, terms[1].1, *gradient_norm].iter().all(|number| number.is_nan()));
    }
}
