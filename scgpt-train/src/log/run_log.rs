//! [`RunLog`]: the numbers of a run, as JSON lines and for TensorBoard.

use std::{io, path::Path};

use serde::Serialize;

use super::{EventFile, JsonLines};
use crate::observe::{StepRecord, ValidationRecord};

const LINES: &str = "log.jsonl";

/// Both logs of one session.
pub(crate) struct RunLog {
    lines: JsonLines,
    events: EventFile,
}

/// One line, telling what it is.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    record: &'a T,
}

impl RunLog {
    /// The logs in the folder of a run that has done `step` steps; what it logged beyond is
    /// forgotten, since it comes again. A new run begins new logs.
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
            ("training/cells_per_second", record.cells_per_second),
        ];
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
