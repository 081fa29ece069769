//! Checks of an index: whether its manifest agrees with itself and with its files.
//!
//! An index comes from elsewhere like any other file: numbers that do not agree are refused when it
//! is opened, with a message that names what is wrong, so that nothing later reads beyond a file or
//! gives a cell a label that does not exist.

use std::{collections::HashSet, path::Path};

use super::manifest::{IndexManifest, Search, invalid};
use crate::error::Result;

/// The code of a cell without a label.
pub(super) const MISSING: u32 = u32::MAX;

/// Largest width of embeddings.
const WIDEST: usize = 1 << 20;

/// Bytes of the numbers and vectors of a segment, and of its offsets if it has lists; `None` if no
/// file can be as large.
pub(super) fn segment_bytes(n: usize, n_lists: usize, width: usize, search: Search) -> Option<u64> {
    let (n, n_lists, width) = (n as u64, n_lists as u64, width as u64);
    match search {
        Search::Exact => n.checked_mul(width)?.checked_mul(4),
        Search::Approximate => {
            let offsets = n_lists.checked_add(1)?.checked_mul(8)?;
            n.checked_mul(width.checked_add(4)?)?.checked_add(offsets)
        }
    }
}

/// Checks that the numbers of a manifest agree, and that names are unique and stay in the folder.
///
/// # Errors
/// The first thing that does not hold; `path` is that of the manifest.
pub(super) fn check_manifest(path: &Path, manifest: &IndexManifest) -> Result<()> {
    let IndexManifest { width, n_cells, search, labels, sources, strangeness, segments, .. } =
        manifest;
    let wrong = |problem: String| Err(invalid(path, problem));
    if !(1..=WIDEST).contains(width) {
        return wrong(format!("`width` is {width}, expected 1 to {WIDEST}"));
    }
    if *n_cells == 0 {
        return wrong("`n_cells` is 0: an index has cells".into());
    }
    let has_lists = *search == Search::Approximate;
    if has_lists == (manifest.n_lists == 0) {
        return wrong(format!("`n_lists` is {} of a {search:?} index", manifest.n_lists));
    }
    for (what, numbers) in [
        ("segments", segments.iter().map(|segment| segment.n_cells).collect::<Vec<_>>()),
        ("sources", sources.iter().map(|(_, n)| *n).collect()),
    ] {
        let sum = numbers.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n));
        if sum != Some(*n_cells) {
            return wrong(format!("`{what}` have other cells than the {n_cells} of the index"));
        }
    }
    let mut files = HashSet::new();
    for segment in segments {
        let file = &segment.file;
        if Path::new(file).file_name() != Some(file.as_ref()) || !files.insert(file) {
            return wrong(format!("the segment `{file}` is no name of a file of its own"));
        }
        let expected = segment_bytes(segment.n_cells, manifest.n_lists, *width, *search);
        if expected != Some(segment.n_bytes) {
            let n = segment.n_cells;
            return wrong(format!("`{file}` of {n} cells has {} bytes", segment.n_bytes));
        }
    }
    let mut columns = HashSet::new();
    for column in labels {
        let name = &column.column;
        if !columns.insert(name) {
            return wrong(format!("two label columns are called `{name}`"));
        }
        if column.names.len() != column.counts.len() {
            let (n, counts) = (column.names.len(), column.counts.len());
            return wrong(format!("{n} labels of `{name}`, but {counts} counts"));
        }
        let mut names = HashSet::new();
        if let Some(twice) = column.names.iter().find(|label| !names.insert(*label)) {
            return wrong(format!("the label `{twice}` of `{name}` is listed twice"));
        }
    }
    let is_distance = |x: &f32| x.is_finite() && *x >= 0.0;
    if !strangeness.iter().all(is_distance) || !strangeness.is_sorted() {
        return wrong("`strangeness` is no ascending list of distances".into());
    }
    Ok(())
}

/// Checks that the codes, `[cells, columns]`, stand for labels, and are as many as the manifest
/// counts.
///
/// # Errors
/// The first cell or column for which that does not hold; `path` is that of the codes.
pub(super) fn check_labels(path: &Path, manifest: &IndexManifest, codes: &[[u8; 4]]) -> Result<()> {
    let columns = &manifest.labels;
    let mut counts: Vec<Vec<u64>> =
        columns.iter().map(|column| vec![0; column.names.len()]).collect();
    for (cell, row) in codes.chunks_exact(columns.len().max(1)).enumerate() {
        for ((code, column), counts) in row.iter().zip(columns).zip(&mut counts) {
            let code = u32::from_le_bytes(*code);
            if code == MISSING {
                continue;
            }
            let Some(count) = counts.get_mut(code as usize) else {
                return Err(invalid(
                    path,
                    format!(
                        "cell {cell} has the label {code} of `{}`, which has {}",
                        column.column,
                        column.names.len()
                    ),
                ));
            };
            *count += 1;
        }
    }
    for (column, counts) in columns.iter().zip(counts) {
        if counts != column.counts {
            let problem = format!("the cells of the labels of `{}` are other ones", column.column);
            return Err(invalid(path, problem));
        }
    }
    Ok(())
}
