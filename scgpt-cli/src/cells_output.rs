//! Writes a copy of the input with what a command found.

use std::path::Path;

use anyhow::Result;
use scgpt_data::{Additions, CellSource as _, CopyReport, Layer, Source, export, save_copy};
use scgpt_tasks::{Error, Observer as _, Watched};

use crate::{output::Printer, progress::Bar};

/// The file that cells came from, and the one they go to.
pub(crate) struct CellsOutput<'a> {
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
    /// The matrix that an output of another format gets as `X`.
    pub(crate) layer: &'a Layer,
    pub(crate) force: bool,
}

impl CellsOutput<'_> {
    /// Writes the copy; warns of elements that could not be carried over, and returns them.
    pub(crate) fn write(
        &self,
        source: &mut Source,
        additions: &Additions,
        bar: &Bar,
        printer: Printer,
    ) -> Result<Vec<String>> {
        if bar.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        let written = if let Source::AnnData(_) = source {
            bar.begin("writing", 0);
            save_copy(self.input, self.output, additions, self.force)
        } else {
            bar.begin("writing", source.summary().n_cells);
            let mut source = Watched { source, observer: bar };
            export(&mut source, self.layer, self.output, additions, self.force)
                .map(|()| CopyReport::default())
        };
        bar.finish();
        let skipped = written.map_err(Error::from)?.skipped;
        for element in &skipped {
            printer.lacking(element);
        }
        Ok(skipped)
    }
}
