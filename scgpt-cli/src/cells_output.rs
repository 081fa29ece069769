//! [`OutputArgs`]: the file that a command writes, and [`CellsOutput`], a copy of its input with what it
//! found.

mod part;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{
    Additions, CellSource, Column, CopyReport, Existing, Layer, Observer as _, Place, Source,
    Watched, make_cells_table, make_copy, make_export, make_part, make_slots,
};

pub(crate) use self::part::{Begun, OfAll, PartArgs, PartOutput, Taken, rules, which_part};
use crate::{
    effective::EFFECTIVE,
    output::{Printer, check_cells_output, check_new, companion, is_cells, is_table},
    progress::Bar,
    run::Run,
    warnings::PAGE,
};

/// What an output can be that [`OutputArgs::check_or_table`] accepts.
pub(crate) const OR_TABLE: &str = "File to write: .h5ad, or .zarr for a folder; .csv, .tsv or .parquet for a table of \
    what was found of each cell";

/// Options of every command that writes a file, most often one of cells.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// File to write: .h5ad, or .zarr for a folder
    #[arg(id = "output", long = "output", short = 'o', value_name = "FILE")]
    pub(crate) path: PathBuf,
    /// Overwrite the output
    #[arg(long)]
    pub(crate) force: bool,
}

impl OutputArgs {
    /// What happens to an output that exists.
    pub(crate) fn existing(&self) -> Existing {
        Existing::replaced_if(self.force)
    }

    /// Path of a page that is written beside the cells.
    pub(crate) fn page(&self) -> PathBuf {
        companion(&self.path, PAGE)
    }

    /// Checks, before any work is done for them, that the cells can be written, the options in force
    /// beside them, and a page if there is to be one, and that none of these is an input.
    pub(crate) fn check<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a Path> + Clone,
        page: Option<&Path>,
    ) -> Result<()> {
        check_cells_output(&self.path, inputs.clone(), self.existing())?;
        self.check_beside(inputs, page)
    }

    /// As [`check`](Self::check), where what was found of cells can be written as a table, too.
    pub(crate) fn check_or_table<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a Path> + Clone,
        page: Option<&Path>,
    ) -> Result<()> {
        if is_table(&self.path) {
            check_new(&self.path, inputs.clone(), self.existing())?;
            return self.check_beside(inputs, page);
        }
        if !is_cells(&self.path) {
            bail!(
                "`{}`: the format of the output is not known, expected a name in .h5ad or .zarr, or in .csv, .tsv or \
                 .parquet for a table, which spreadsheets open",
                self.path.display()
            );
        }
        self.check(inputs, page)
    }

    fn check_beside<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a Path> + Clone,
        page: Option<&Path>,
    ) -> Result<()> {
        check_new(&companion(&self.path, EFFECTIVE), inputs.clone(), self.existing())?;
        if let Some(page) = page {
            check_new(page, inputs, self.existing())?;
        }
        Ok(())
    }

    /// A copy of the cells in `input`, to be written. If it is of another format, its matrix is
    /// `layer`.
    pub(crate) fn copy_of<'a>(&'a self, input: &'a Path, layer: &'a Layer) -> CellsOutput<'a> {
        CellsOutput { input, output: &self.path, layer, existing: self.existing() }
    }
}

/// The file that cells came from, and the one that they, or a table of what was found of them, go to. Of cells that were chosen by a condition, the
/// output has these alone.
pub(crate) struct CellsOutput<'a> {
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
    /// The matrix that an output of another format gets as `X`.
    pub(crate) layer: &'a Layer,
    pub(crate) existing: Existing,
}

impl CellsOutput<'_> {
    /// Writes the copy; warns of elements that could not be carried over, and returns them.
    pub(crate) fn write(
        &self,
        source: &mut Source,
        additions: Additions,
        bar: &Bar,
        printer: Printer,
    ) -> Result<Vec<String>> {
        let (place, skipped) = self.make(source, additions, bar, printer)?;
        place.publish()?;
        Ok(skipped)
    }

    /// As [`write`](Self::write), but the copy is left in a [`Place`], to be published by the
    /// caller.
    pub(crate) fn make(
        &self,
        source: &mut Source,
        mut additions: Additions,
        bar: &Bar,
        printer: Printer,
    ) -> Result<(Place, Vec<String>)> {
        bar.check_cancelled()?;
        if is_table(self.output) {
            // A table has columns of cells, and nothing else.
            additions.obsp.clear();
            additions.uns.clear();
            Run::current().writes(&additions);
            bar.begin("writing", 0);
            let (obs, input) = (source.obs()?, self.input);
            let made = make_cells_table(&obs, &additions, input, self.output, self.existing);
            bar.finish();
            return Ok((made?, Vec::new()));
        }
        note_slots(source, source.joined(), &mut additions, printer)?;
        if Run::current().host.takes_slots() {
            let place = make_slots(source, &additions, self.output, self.existing)?;
            return Ok((place, Vec::new()));
        }
        let is_file = match &*source {
            Source::Annotated(cells) => matches!(cells.bare(), Source::AnnData(_)),
            source => matches!(source, Source::AnnData(_)),
        };
        let made = if is_file {
            bar.begin("writing", 0);
            make_copy(self.input, self.output, &additions, self.existing)
        } else if let Source::Chosen(cells) = source
            && matches!(cells.whole().opened(), Source::AnnData(_))
        {
            bar.begin("writing", 0);
            make_part(cells, self.output, &additions, self.existing)
        } else {
            bar.begin("writing", source.summary().n_cells);
            let mut source = Watched { source, observer: bar };
            make_export(&mut source, self.layer, self.output, &additions, self.existing)
                .map(|place| (place, CopyReport::default()))
        };
        bar.finish();
        let (place, CopyReport { skipped }) = made?;
        for element in &skipped {
            printer.lacking(element);
        }
        Ok((place, skipped))
    }
}

/// Adds the columns that a table `joined` to what is written, takes note of all of it, and says what it replaces,
/// unless the host has the cells itself.
pub(crate) fn note_slots(
    source: &dyn CellSource,
    joined: Vec<(String, Column)>,
    additions: &mut Additions,
    printer: Printer,
) -> Result<()> {
    let run = Run::current();
    if !run.host.takes_slots() {
        say_replaced(source, additions, printer)?;
    }
    additions.obs.splice(0..0, joined);
    run.writes(additions);
    Ok(())
}

/// Says what of the input a copy has anew.
fn say_replaced(source: &dyn CellSource, additions: &Additions, printer: Printer) -> Result<()> {
    let obs = source.obs()?;
    let columns = additions.obs.iter().filter(|(name, _)| obs.column(name).is_some());
    let obsm = additions.obsm.iter().map(|(name, _)| format!("obsm/{name}"));
    let obsp = additions.obsp.iter().map(|(name, _)| format!("obsp/{name}"));
    let is_there = |element: &String| source.summary().elements.contains(element);
    let replaced: Vec<String> = columns
        .map(|(name, _)| format!("obs/{name}"))
        .chain(obsm.chain(obsp).filter(is_there))
        .collect();
    if !replaced.is_empty() {
        printer.remark(&format!(
            "note: the output has new {}; those of `{}` stay there",
            replaced.join(", "),
            source.summary().path.display()
        ));
    }
    Ok(())
}
