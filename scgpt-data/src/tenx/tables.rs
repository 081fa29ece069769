//! The tables beside `matrix.mtx`: `features.tsv` (or `genes.tsv`) and `barcodes.tsv`, each plain
//! or `.gz`, all with the same optional prefix.
//!
//! ```text
//! features.tsv   ENSG00000243485  MIR1302-2HG  Gene Expression     tabs between; no header
//! genes.tsv      ENSG00000243485  MIR1302-2HG                      no types: all are genes
//! barcodes.tsv   AAACCTGAGAAACCAT-1
//! ```
//!
//! Blank lines and a byte-order mark, which editors leave, are passed over.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::{
    error::{Error, Result},
    frame::{Column, Frame},
    inflate, regular,
};

/// The names a matrix may have, after its prefix.
const MATRIX: [&str; 2] = ["matrix.mtx", "matrix.mtx.gz"];

/// The one matrix in a folder.
///
/// # Errors
/// If there is none, or several: uploads of many samples into one folder differ by prefix, and one
/// has to be named.
pub(super) fn find_matrix(folder: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(|cause| Error::open(folder, cause))? {
        let name = entry.map_err(|cause| Error::open(folder, cause))?.file_name();
        if MATRIX.iter().any(|end| name.to_string_lossy().ends_with(end)) {
            found.push(name);
        }
    }
    found.sort_unstable();
    match found.as_slice() {
        [name] => Ok(folder.join(name)),
        [] => Err(Error::open(
            folder,
            "a folder, but neither zarr (`zarr.json` or `.zgroup`) nor 10x (`matrix.mtx` or `matrix.mtx.gz`)",
        )),
        several => Err(Error::open(
            folder,
            format!("it holds several matrices, give the path of one: {several:?}"),
        )),
    }
}

/// Opens a file, and unpacks it if it begins like gzip (of one or several members).
///
/// # Errors
/// If it is no file (a pipe can be read but once, and matrices are read twice) or cannot be read.
pub(super) fn open(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut reader = BufReader::with_capacity(1 << 18, regular::open(path)?);
    if inflate::is_gzip(reader.fill_buf()?) {
        return Ok(Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader))));
    }
    Ok(Box::new(reader))
}

/// Barcodes and features that belong to `matrix`; the index of the features is gene symbols.
///
/// # Errors
/// If a table is missing or not UTF-8, or a feature has no identifier.
pub(super) fn read(matrix: &Path) -> Result<(Vec<String>, Frame)> {
    let (_, barcodes) = columns(matrix, &["barcodes.tsv"], 1)?;
    let (place, features) = columns(matrix, &["features.tsv", "genes.tsv"], 3)?;
    let [ids, symbols, types] = features.try_into().unwrap_or_default();
    if ids.iter().any(Option::is_none) {
        return Err(Error::invalid(place, "column 1", "an empty line"));
    }
    let mut table = Frame {
        index_name: "gene_symbols".into(),
        // Files of one column have ids only.
        index: symbols
            .into_iter()
            .zip(&ids)
            .filter_map(|(symbol, id)| symbol.or_else(|| id.clone()))
            .collect(),
        columns: vec![("gene_ids".into(), Column::Text(ids))],
    };
    if types.iter().any(Option::is_some) {
        table.columns.push(("feature_types".into(), Column::Text(types)));
    }
    let barcodes = barcodes.into_iter().flatten().flatten().collect();
    Ok((barcodes, table))
}

/// The first `count` columns of the first table that exists; blank lines are none.
///
/// Fields that are empty, or missing at the end of a line, are `None`; further ones are left. The
/// path of the table comes first.
fn columns(
    matrix: &Path,
    names: &[&str],
    count: usize,
) -> Result<(PathBuf, Vec<Vec<Option<String>>>)> {
    let file = matrix.file_name().unwrap_or_default().to_string_lossy();
    let prefix = MATRIX.iter().find_map(|end| file.strip_suffix(end)).unwrap_or("");
    let candidates =
        names.iter().flat_map(|name| [format!("{prefix}{name}"), format!("{prefix}{name}.gz")]);
    let Some(path) = candidates.map(|name| matrix.with_file_name(name)).find(|path| path.exists())
    else {
        return Err(Error::invalid(
            matrix,
            format!("{prefix}{}", names[0]),
            "no such table beside the matrix, neither plain nor .gz",
        )
        .with_hint("a 10x folder holds matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv)"));
    };
    let text = inflate::text(&path)?;
    let mut columns = vec![Vec::new(); count];
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split('\t');
        for column in &mut columns {
            column.push(fields.next().filter(|field| !field.is_empty()).map(str::to_owned));
        }
    }
    Ok((path, columns))
}
