//! Files of profiles: control cells, mean profiles and predicted cells, which have the genes of an artefact and say
//! in `obs` what each row is of.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use scgpt_data::{CellSource, CellSubset, Column, Frame, Layer, LogScale};
use scgpt_eval::perturbation::{gene_column, gene_names};

use crate::error::{Error, Result};

/// Columns of the `obs` of these files.
pub(super) const CELL_TYPE: &str = "cell_type";
pub(super) const CONDITION: &str = "condition";

/// A table of `n` rows, named by numbers, with these columns.
pub(super) fn numbered(name: &str, n: usize, columns: Vec<(String, Column)>) -> Frame {
    let index = (1..=n).map(|number| format!("{name}_{number}")).collect();
    Frame { index_name: "_index".into(), index, columns }
}

/// Reads some cells, `[n, g]`, brought to another scale if there is one; each column goes where
/// `place` says.
pub(super) fn read_placed(
    source: &mut dyn CellSource,
    layer: &Layer,
    scale: Option<&LogScale>,
    cells: Vec<usize>,
    place: &[Option<usize>],
    g: usize,
) -> Result<Vec<f32>> {
    let n = cells.len();
    let mut block = CellSubset::new(source, cells).read(layer, 0..n)?;
    if let Some(scale) = scale {
        scale.apply(&mut block);
    }
    let mut values = vec![0.0; n * g];
    for (cell, row) in values.chunks_mut(g).zip(block.rows()) {
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            if let Some(place) = place[gene as usize] {
                cell[place] = value;
            }
        }
    }
    Ok(values)
}

/// A column that every file of an artefact has.
pub(super) fn own_column<'o>(obs: &'o Frame, name: &str, path: &Path) -> Result<&'o Column> {
    obs.column(name).ok_or_else(|| invalid(path, format!("`obs` lacks the column `{name}`")))
}

/// For every column of a file that has all `genes`, its place among them.
pub(super) fn places(
    source: &mut dyn CellSource,
    genes: &[String],
    layer: &Layer,
    path: &Path,
) -> Result<Vec<Option<usize>>> {
    let var = source.var(layer)?;
    let wanted: BTreeMap<&str, usize> = genes.iter().map(String::as_str).zip(0..).collect();
    let column = gene_column(&var, &wanted.keys().copied().collect());
    let names = gene_names(&var, &column);
    let mut found = vec![false; genes.len()];
    let place = |name: &Option<String>| {
        let place = *wanted.get(name.as_deref()?)?;
        // Of genes with the same name the first is taken.
        (!std::mem::replace(&mut found[place], true)).then_some(place)
    };
    let places: Vec<Option<usize>> = names.iter().map(place).collect();
    let missing: Vec<&str> = genes
        .iter()
        .zip(&found)
        .filter(|(_, found)| !**found)
        .map(|(gene, _)| gene.as_str())
        .collect();
    if !missing.is_empty() {
        let examples: Vec<&str> = missing.iter().take(5).copied().collect();
        return Err(Error::option(format!(
            "`{}` lacks {} of the {} genes that the artefact was trained on, such as {}: the panels differ; expected cells with all of them, by the same names",
            path.display(),
            missing.len(),
            genes.len(),
            examples.join(", ")
        )));
    }
    Ok(places)
}

/// The error for a file of an artefact that cannot be believed.
pub(super) fn invalid(path: &Path, problem: String) -> Error {
    Error::Artefact { path: PathBuf::from(path), problem }
}
