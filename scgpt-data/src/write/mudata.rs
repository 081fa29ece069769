//! [`make_mudata_part`]: chosen cells of MuData, with all that the file has of them, as a new one.
//!
//! ```text
//! obs, obsm     the rows of the chosen cells
//! mod/NAME      a part as of a file of its own, in the order of its cells
//! obsmap/NAME   for each chosen cell its row in that part from 1, or 0
//! obsp          left out, as in any part
//! anything else as it is: what is of features does not change
//! ```

use std::{collections::HashMap, path::Path};

use super::{Additions, CopyReport, anndata, beneath::Beneath, export::integers, part::write};
use crate::{
    anndata::{
        AnnData, frame,
        store::{Dtype, Node, Store, Within, join},
    },
    cell_source::CellSource as _,
    container::Container,
    error::{Error, Result},
    output::{Existing, Place, check_apart},
    source::Source,
    subset::{CellSubset, ChosenCells},
};

const MODALITIES: &str = "mod";

/// Writes the chosen cells of the MuData at `input` to `output`, with `additions` that have one row a chosen cell;
/// to be published by the caller. What cannot be carried over is left out and reported.
///
/// # Errors
/// As [`save_copy`](super::save_copy); also if modalities do not say which cells theirs are.
///
/// # Panics
/// If there is no such cell.
pub fn make_mudata_part(
    input: &Path,
    chosen: &ChosenCells,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<(Place, CopyReport)> {
    check_apart(output, [input])?;
    let place = Container::named(output).place(output, existing)?;
    let open = || Container::of(input)?.open(input);
    let root = open()?;
    root.check()?;
    let n_features = frame::len(root.as_ref(), "var")?.unwrap_or(0);
    additions.check(chosen.cells.len(), n_features)?;
    let mut report = CopyReport::default();
    let skipped = &mut report.skipped;
    let mut sink = Container::named(output).create(&place, output)?;
    // The root is AnnData without a matrix.
    let all = Source::AnnData(AnnData::open(open()?)?);
    let names = all.obs()?.index;
    let mut cells = CellSubset::chosen(all, chosen.clone());
    write(&mut cells, root.as_ref(), sink.as_mut(), (&place, output), skipped)?;
    sink.remove("layers")?;
    for group in ["obsmap", "varmap", MODALITIES] {
        sink.group(group, &anndata::dict())?;
    }
    for (name, value) in root.attributes(MODALITIES)? {
        sink.set_attr(MODALITIES, &name, &value)?;
    }
    for name in root.children(MODALITIES)? {
        let group = join(MODALITIES, &name);
        let within = Within::new(open()?, &group);
        let source = AnnData::open(Box::new(Within::new(open()?, &group)))?;
        let of_all = rows(root.as_ref(), &name, &names, &source.obs()?.index)?;
        let mut rows: Vec<(usize, usize)> = (0..chosen.cells.len())
            .filter_map(|place| Some((of_all[chosen.cells[place]]?, place)))
            .collect();
        rows.sort_unstable();
        let mut places = vec![0; chosen.cells.len()];
        for (number, (_, place)) in (1..).zip(&rows) {
            places[*place] = number;
        }
        integers(sink.as_mut(), &join("obsmap", &name), &places)?;
        sink.group(&group, &anndata::encoding("anndata", "0.1.0"))?;
        let rows = rows.into_iter().map(|(row, _)| row).collect();
        let mut cells = CellSubset::new(Source::AnnData(source), rows);
        let mut beneath = Beneath::new(sink.as_mut(), &group);
        let mut left = Vec::new();
        write(&mut cells, &within, &mut beneath, (&place, output), &mut left)?;
        skipped.extend(left.iter().map(|element| join(&group, element)));
    }
    additions.write(sink.as_mut())?;
    sink.finish()?;
    drop(sink);
    Ok((place, report))
}

/// For each cell of all its row in a modality, if it has one: by `obsmap`, else by the names of cells.
fn rows(
    root: &dyn Store,
    modality: &str,
    all: &[String],
    cells: &[String],
) -> Result<Vec<Option<usize>>> {
    let place = join("obsmap", modality);
    if let Some(Node::Array(array)) = root.node(&place)?
        && matches!(array.dtype(), Dtype::Integer(_))
    {
        let wrong = |problem: String| {
            Error::invalid(root.path(), &place, problem).with_hint(
                "let mdata.update() match cells and modalities, and save the file again in Python",
            )
        };
        let rows = array.integers(0..array.len())?;
        if rows.len() != all.len() {
            return Err(wrong(format!("{} rows, but there are {} cells", rows.len(), all.len())));
        }
        let mut is_taken = vec![false; cells.len()];
        let row = |row: i64| match usize::try_from(row) {
            Ok(0) => Ok(None),
            Ok(row) if row <= cells.len() && !std::mem::replace(&mut is_taken[row - 1], true) => {
                Ok(Some(row - 1))
            }
            _ => Err(wrong(format!("row {row} is not there, or of two cells"))),
        };
        return rows.into_iter().map(row).collect();
    }
    let rows: HashMap<&str, usize> = cells.iter().map(String::as_str).zip(0..).collect();
    if rows.len() < cells.len() {
        let group = join(MODALITIES, modality);
        return Err(Error::invalid(root.path(), join(&group, "obs"), "two cells have one name"));
    }
    Ok(all.iter().map(|name| rows.get(name.as_str()).copied()).collect())
}
