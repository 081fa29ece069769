//! [`export`]: any [`CellSource`] as a new AnnData file, and [`export_mudata`]: several as MuData.
//!
//! ```text
//! MuData, an .h5mu file or .zarr folder
//!   obs, var               all cells; all features, side by side in the order of modalities
//!   mod/NAME               AnnData of the cells that were measured in it
//!   obsmap/NAME            for each cell of all: its row in the modality from 1, or 0
//!   varmap/NAME            for each feature of all: its place in the modality from 1, or 0
//! ```

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Read, Seek, Write},
    path::Path,
};

use serde_json::json;

use super::{
    Additions, anndata,
    element::{Dtype, Sink, array},
};
use crate::{
    anndata::store::join,
    cell_source::{CellSource, ReadBlocks as _},
    container::Container,
    error::{Error, Result},
    frame::Frame,
    narrow::narrow,
    output::{Existing, Place, check_apart},
    summary::Layer,
};

/// Cells that are read at a time.
///
/// A block of them is what memory holds of the matrix.
const CELLS: usize = 512;
/// Indices that are written at a time.
const INDICES: usize = 1 << 18;

/// Writes the matrix `layer` of `source` as `X` of a new file, in compressed sparse rows, with
/// `obs`, `var` and `additions`.
///
/// The matrix streams through: values go to the output as they come, gene indices by way of an
/// unnamed file beside it, and one number a cell stays in memory.
///
/// # Errors
/// [`Error::Exists`] if `output` exists and `existing` refuses it, [`Error::Protected`] if it is no
/// place to write to, whatever `source` fails with,
/// and [`Error::Write`] if the output cannot be written. After an error nothing of the output is
/// left behind.
pub fn export(
    source: &mut dyn CellSource,
    layer: &Layer,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<()> {
    make_export(source, layer, output, additions, existing)?.publish()
}

/// As [`export`], but for the last step: the file or folder lies in a [`Place`], to be published by
/// the caller.
///
/// # Errors
/// As [`export`].
pub fn make_export(
    source: &mut dyn CellSource,
    layer: &Layer,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<Place> {
    let place = made_from(output, std::iter::once(source.summary().path.as_path()), existing)?;
    let failed = |error| Error::write(output, error);
    let spool = tempfile::tempfile_in(place.scratch()).map_err(failed)?;
    let mut sink = Container::named(output).create(&place, output)?;
    write(source, layer, sink.as_mut(), spool, ("", additions))?;
    sink.finish()?;
    drop(sink);
    Ok(place)
}

/// Writes cells measured in several modalities as MuData: the `X` of each of `modalities`, a name
/// and the cells that were measured in it, and `obs` of all cells, which are known by their names.
///
/// # Errors
/// As [`export`]; also if a cell of a modality is not in `obs`.
pub fn export_mudata(
    obs: &Frame,
    modalities: &mut [(&str, &mut dyn CellSource)],
    output: &Path,
    existing: Existing,
) -> Result<()> {
    let inputs = modalities.iter().map(|(_, source)| source.summary().path.as_path());
    let place = made_from(output, inputs, existing)?;
    let mut sink = Container::named(output).create(&place, output)?;
    write_mudata(obs, modalities, sink.as_mut(), (&place, output))?;
    sink.finish()?;
    drop(sink);
    place.publish()
}

/// The place where an output is made. A file may lie in a folder of cells, such as that of 10x; a
/// folder may not.
///
/// # Errors
/// [`Error::Protected`] if the output and an input are the same or lie in each other,
/// [`Error::Exists`] if there is one that stays.
fn made_from<'a>(
    output: &Path,
    inputs: impl Iterator<Item = &'a Path>,
    existing: Existing,
) -> Result<Place> {
    let container = Container::named(output);
    check_apart(output, inputs.filter(|input| container == Container::Zarr || !input.is_dir()))?;
    container.place(output, existing)
}

/// Features keep their names, even those that two modalities share: `var` says by `varmap` whose
/// they are.
fn write_mudata(
    obs: &Frame,
    modalities: &mut [(&str, &mut dyn CellSource)],
    sink: &mut dyn Sink,
    (place, output): (&Place, &Path),
) -> Result<()> {
    for (name, value) in &anndata::encoding("MuData", "0.1.0") {
        sink.set_attr("", name, value)?;
    }
    sink.set_attr("", "axis", &json!(0))?;
    for name in ["obsm", "obsp", "uns", "varm", "varp", "obsmap", "varmap", "mod"] {
        sink.group(name, &anndata::dict())?;
    }
    let names: Vec<&str> = modalities.iter().map(|(name, _)| *name).collect();
    sink.set_attr("mod", "mod-order", &json!(names))?;
    anndata::frame(sink, "obs", obs)?;
    let cells: HashMap<&str, usize> = obs.index.iter().map(String::as_str).zip(0..).collect();
    let mut features: Vec<String> = Vec::new();
    let mut counts = Vec::new();
    for (name, source) in modalities.iter_mut() {
        let spool = tempfile::tempfile_in(place.scratch());
        let spool = spool.map_err(|error| Error::write(output, error))?;
        let group = format!("mod/{name}");
        write(*source, &Layer::X, sink, spool, (&group, &Additions::default()))?;
        let mut rows = vec![0_i64; obs.len()];
        for (row, cell) in (1..).zip(source.obs()?.index) {
            let place = cells.get(cell.as_str()).ok_or_else(|| {
                Error::invalid(output, format!("{group}/obs"), format!("`{cell}` is not in obs"))
            })?;
            rows[*place] = row;
        }
        integers(sink, &format!("obsmap/{name}"), &rows)?;
        let var = source.var(&Layer::X)?;
        counts.push(var.len());
        features.extend(var.index);
    }
    let mut first = 0;
    for (name, count) in names.iter().zip(counts) {
        let places: Vec<i64> = (0..features.len())
            .map(|feature| {
                let here = (first..first + count).contains(&feature);
                i64::from(if here { narrow(feature - first + 1) } else { 0 })
            })
            .collect();
        integers(sink, &format!("varmap/{name}"), &places)?;
        first += count;
    }
    let var = Frame { index_name: "_index".into(), index: features, columns: Vec::new() };
    anndata::frame(sink, "var", &var)
}

/// Writes an array of `int64`.
pub(super) fn integers(sink: &mut dyn Sink, path: &str, values: &[i64]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    array(sink, path, Dtype::I64, &[values.len() as u64], &bytes, &anndata::dense())
}

/// Writes AnnData into `group`, the root if empty.
fn write(
    source: &mut dyn CellSource,
    layer: &Layer,
    sink: &mut dyn Sink,
    spool: File,
    (group, additions): (&str, &Additions),
) -> Result<()> {
    let (obs, var) = (source.obs()?, source.var(layer)?);
    additions.check(obs.len(), var.len())?;
    let root = anndata::encoding("anndata", "0.1.0");
    if group.is_empty() {
        for (name, value) in &root {
            sink.set_attr("", name, value)?;
        }
    } else {
        sink.group(group, &root)?;
    }
    for name in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        sink.group(&join(group, name), &anndata::dict())?;
    }
    anndata::frame(sink, &join(group, "obs"), &obs)?;
    anndata::frame(sink, &join(group, "var"), &var)?;
    matrix(source, layer, sink, spool, (&join(group, "X"), var.len()))?;
    additions.write(sink)?;
    note_choice(source, sink, &join(group, "uns"))
}

/// Writes into `uns` by which condition cells were chosen, if they were.
pub(super) fn note_choice(source: &dyn CellSource, sink: &mut dyn Sink, uns: &str) -> Result<()> {
    match &source.summary().chosen {
        Some(choice) => anndata::json(sink, &format!("{uns}/scgpt_where"), &json!(choice)),
        None => Ok(()),
    }
}

/// Compressed sparse rows are three arrays, which HDF5 and zarr take one after the other: `data`
/// goes out as it is read, `indices` wait in `spool` and follow, four bytes a value, and `indptr`
/// is last.
///
/// # Errors
/// What the source or the output fails with; no array is open then.
pub(super) fn matrix(
    source: &mut dyn CellSource,
    layer: &Layer,
    sink: &mut dyn Sink,
    spool: File,
    (place, n_genes): (&str, usize),
) -> Result<()> {
    let n_cells = source.summary().n_cells;
    anndata::rows_of(sink, place, [n_cells, n_genes])?;

    let failed = |error| Error::write(join(place, "indices"), error);
    let mut spool = BufWriter::with_capacity(1 << 20, spool);
    let mut ends = vec![0_u64];
    let mut stored = 0_u64;
    sink.begin(&join(place, "data"), Dtype::F32, &[u64::MAX], &anndata::dense())?;
    let mut bytes = Vec::new();
    for block in source.blocks(layer, CELLS) {
        let (_, block) = match block {
            Ok(block) => block,
            Err(error) => {
                sink.end()?;
                return Err(error);
            }
        };
        bytes.clear();
        bytes.extend(block.values().iter().flat_map(|value| value.to_le_bytes()));
        sink.push(&bytes)?;
        bytes.clear();
        bytes.extend(block.indices().iter().flat_map(|index| index.to_le_bytes()));
        spool.write_all(&bytes).map_err(failed)?;
        ends.extend(block.indptr()[1..].iter().map(|end| stored + *end as u64));
        stored += block.n_stored() as u64;
    }
    sink.end()?;

    let mut spool = spool.into_inner().map_err(|error| failed(error.into()))?;
    spool.rewind().map_err(failed)?;
    let dtype = anndata::index_type(stored);
    sink.begin(&join(place, "indices"), dtype, &[stored], &anndata::dense())?;
    for begin in (0..stored).step_by(INDICES) {
        bytes.resize(
            usize::try_from(stored - begin).map_or(INDICES, |left| left.min(INDICES)) * 4,
            0,
        );
        spool.read_exact(&mut bytes).map_err(failed)?;
        if dtype == Dtype::I32 {
            sink.push(&bytes)?;
        } else {
            let indices = bytes.as_chunks().0.iter().map(|&index| u32::from_le_bytes(index).into());
            sink.push(&anndata::index_bytes(dtype, indices))?;
        }
    }
    sink.end()?;
    anndata::ends(sink, place, &ends)
}
