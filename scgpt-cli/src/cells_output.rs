//! Writes a copy of the input with what a command found.

use std::path::Path;

use anyhow::Result;
use scgpt_data::{
    Additions, CellSource as _, CopyReport, Layer, Observer as _, Place, Source, Watched,
    make_copy, make_export,
};
use scgpt_tasks::Error;

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
        let (place, skipped) = self.make(source, additions, bar, printer)?;
        place.publish().map_err(Error::from)?;
        Ok(skipped)
    }

    /// The same, to be published.
    pub(crate) fn make(
        &self,
        source: &mut Source,
        additions: &Additions,
        bar: &Bar,
        printer: Printer,
    ) -> Result<(Place, Vec<String>)> {
        if bar.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        let made = if let Source::AnnData(_) = source {
            bar.begin("writing", 0);
            make_copy(self.input, self.output, additions, self.force)
        } else {
            bar.begin("writing", source.summary().n_cells);
            let mut source = Watched { source, observer: bar };
            make_export(&mut source, self.layer, self.output, additions, self.force)
                .map(|place| (place, CopyReport::default()))
        };
        bar.finish();
        let (place, CopyReport { skipped }) = made.map_err(Error::from)?;
        for element in &skipped {
            printer.lacking(element);
        }
        Ok((place, skipped))
    }
}
