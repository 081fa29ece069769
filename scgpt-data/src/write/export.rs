//! [`export`]: any [`CellSource`] as a new AnnData file.

use std::{
    fs::File,
    io::{BufWriter, Read, Seek, Write},
    path::Path,
};

use serde_json::json;

use super::{
    Additions, Container, anndata,
    element::{Dtype, Sink, array},
    place::{Place, check_output},
};
use crate::{
    error::{Error, Result},
    source::{CellSource, Layer},
};

/// Cells that are read at a time.
const CELLS: usize = 512;

/// Writes the matrix `layer` of `source` as `X` of a new file, in compressed sparse rows, with
/// `obs`, `var` and `additions`.
///
/// The matrix streams through: values go to the output as they come, gene indices by way of an
/// unnamed file beside it, and one number a cell stays in memory.
///
/// # Errors
/// [`Error::Exists`] if `output` exists and `overwrite` is not set, whatever `source` fails with,
/// and [`Error::Write`] if the output cannot be written. After an error nothing of the output is
/// left behind.
pub fn export(
    source: &mut dyn CellSource,
    layer: &Layer,
    output: &Path,
    additions: &Additions,
    overwrite: bool,
) -> Result<()> {
    check_output(output, overwrite)?;
    let place = Place::new(output)?;
    let failed = |error| Error::write(output, error);
    let spool = tempfile::tempfile_in(place.folder()).map_err(failed)?;
    let mut sink = Container::named(output).create(&place, output)?;
    write(source, layer, sink.as_mut(), spool, additions)?;
    sink.finish()?;
    drop(sink);
    place.publish()
}

fn write(
    source: &mut dyn CellSource,
    layer: &Layer,
    sink: &mut dyn Sink,
    spool: File,
    additions: &Additions,
) -> Result<()> {
    let (obs, var) = (source.obs()?, source.var(layer)?);
    additions.check(obs.len(), var.len())?;
    let root = anndata::encoding("anndata", "0.1.0");
    for (name, value) in &root {
        sink.set_attr("", name, value)?;
    }
    for name in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        sink.group(name, &anndata::dict())?;
    }
    anndata::frame(sink, "obs", &obs)?;
    anndata::frame(sink, "var", &var)?;
    matrix(source, layer, sink, spool, var.len())?;
    additions.write(sink)
}

fn matrix(
    source: &mut dyn CellSource,
    layer: &Layer,
    sink: &mut dyn Sink,
    spool: File,
    n_genes: usize,
) -> Result<()> {
    let n_cells = source.summary().n_cells;
    let mut attrs = anndata::encoding("csr_matrix", "0.1.0");
    attrs.insert("shape".into(), json!([n_cells, n_genes]));
    sink.group("X", &attrs)?;

    let failed = |error| Error::write("X/indices", error);
    let mut spool = BufWriter::with_capacity(1 << 20, spool);
    let mut ends = vec![0_u64];
    let mut stored = 0_u64;
    sink.begin("X/data", Dtype::F32, &[u64::MAX], &anndata::dense())?;
    let mut bytes = Vec::new();
    for first in (0..n_cells).step_by(CELLS) {
        let block = source.read(layer, first..n_cells.min(first + CELLS))?;
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
    sink.begin("X/indices", Dtype::I32, &[stored], &anndata::dense())?;
    bytes.resize(1 << 20, 0);
    loop {
        match spool.read(&mut bytes).map_err(failed)? {
            0 => break,
            n => sink.push(&bytes[..n])?,
        }
    }
    sink.end()?;
    let bytes: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
    let shape = [ends.len() as u64];
    array(sink, "X/indptr", Dtype::I64, &shape, &bytes, &anndata::dense())
}
