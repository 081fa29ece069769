//! [`TableWriter`]: a table that is written block by block, so that memory holds one block.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

#[cfg(feature = "parquet")]
use super::columnar;
use super::{delimited, values::Values};
use crate::{
    error::{self, Error, Result},
    output::{Existing, Place},
};

/// A table under construction.
pub(crate) struct TableWriter {
    output: PathBuf,
    place: Place,
    names: Vec<String>,
    format: Format,
}

enum Format {
    Delimited(csv::Writer<File>),
    #[cfg(feature = "parquet")]
    Columnar(columnar::Writer),
}

impl TableWriter {
    /// Begins a table at `path` with these columns, of the kinds of the values of `block`, which is written by
    /// [`push`](Self::push) as all others. A name in `.parquet` makes it parquet, one in `.tsv` or `.txt`
    /// tab-separated, any other comma-separated text.
    pub(crate) fn create(
        path: &Path,
        existing: Existing,
        names: Vec<String>,
        block: &[Values<'_>],
    ) -> Result<Self> {
        let place = Place::new(path, existing)?;
        let failed = |error: error::Source| Error::write(path, error);
        let file = File::create_new(place.path()).map_err(|error| failed(error.into()))?;
        let delimited = |separator, file| {
            let to = delimited::begin(&names, separator, file);
            to.map(Format::Delimited).map_err(|error| failed(error.into()))
        };
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            #[cfg(feature = "parquet")]
            Some("parquet") => {
                Format::Columnar(columnar::Writer::new(&names, block, file).map_err(failed)?)
            }
            #[cfg(not(feature = "parquet"))]
            Some("parquet") => return Err(Error::left_out(path, "a parquet table", "parquet")),
            Some("tsv" | "txt") => delimited(b'\t', file)?,
            _ => delimited(b',', file)?,
        };
        Ok(Self { output: path.into(), place, names, format })
    }

    /// Writes further rows.
    pub(crate) fn push(&mut self, block: &[Values<'_>]) -> Result<()> {
        let rows = block.first().map_or(0, Values::len);
        if let Some((name, values)) =
            self.names.iter().zip(block).find(|(_, values)| values.len() != rows)
        {
            return Err(Error::Option(format!(
                "column `{name}` has {} rows, but the first one {rows}",
                values.len()
            )));
        }
        let written = match &mut self.format {
            Format::Delimited(to) => delimited::push(to, block, rows).map_err(error::Source::from),
            #[cfg(feature = "parquet")]
            Format::Columnar(to) => to.push(block),
        };
        written.map_err(|error| Error::write(&self.output, error))
    }

    /// Completes the table, which lies in a [`Place`], to be published by the caller.
    pub(crate) fn finish(self) -> Result<Place> {
        let ended = match self.format {
            Format::Delimited(to) => delimited::end(to).map_err(error::Source::from),
            #[cfg(feature = "parquet")]
            Format::Columnar(to) => to.finish(),
        };
        ended.map_err(|error| Error::write(&self.output, error))?;
        Ok(self.place)
    }
}
