//! [`TrainingProfile`]: what an artefact keeps of the conditions it was trained on.

use std::path::Path;

use scgpt_data::{CellSource as _, Column, Frame, Layer, RowSpool, Source, SpooledCells};
use scgpt_eval::perturbation::{CONTROL, Condition};

use super::files::{CELL_TYPE, CONDITION, invalid, numbered, own_column, places, read_placed};
use crate::error::Result;

/// Column of `obs` with the number of cells that a profile is the mean of.
const N_CELLS: &str = "n_cells";

/// A condition that was trained on, and its mean expression.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainingProfile {
    /// The cell type, a place in `PerturbRecord::cell_types`.
    pub cell_type: usize,
    /// The condition.
    pub condition: Condition,
    /// Number of cells it is the mean of.
    pub cells: usize,
    /// Mean logarithm of each gene over these cells, `[g]`.
    pub mean: Vec<f64>,
}

/// Mean expression of conditions as a file.
pub(super) fn profiles_source(
    genes: &[String],
    cell_types: &[String],
    profiles: &[TrainingProfile],
) -> Result<SpooledCells> {
    let mut rows = RowSpool::new(genes.len())?;
    for profile in profiles {
        #[allow(clippy::cast_possible_truncation, reason = "stored as narrow as expression is")]
        rows.push(&profile.mean.iter().map(|&x| x as f32).collect::<Vec<f32>>())?;
    }
    let of = |text: &dyn Fn(&TrainingProfile) -> String| {
        Column::categorical(&profiles.iter().map(text).collect::<Vec<_>>())
    };
    let cells = profiles.iter().map(|profile| i64::try_from(profile.cells).ok()).collect();
    let columns = vec![
        (CONDITION.into(), of(&|profile| profile.condition.to_string())),
        (CELL_TYPE.into(), of(&|profile| cell_types[profile.cell_type].clone())),
        (N_CELLS.into(), Column::Integer(cells)),
    ];
    Ok(SpooledCells::new(
        numbered("profile", profiles.len(), columns),
        Frame::of_names(genes),
        rows,
    ))
}

/// Reads what [`profiles_source`] wrote.
///
/// # Errors
/// If the file cannot be read, a profile lacks its condition, cell type or size, or a cell type has no profile of
/// its controls.
pub(super) fn read_profiles(
    path: &Path,
    genes: &[String],
    cell_types: &[String],
) -> Result<Vec<TrainingProfile>> {
    let mut source = Source::open(path)?;
    let obs = source.obs()?;
    let n = source.summary().n_cells;
    let place = places(&mut source, genes, &Layer::X, path)?;
    let labels = |name: &str| own_column(&obs, name, path).map(Column::labels);
    let (conditions, types) = (labels(CONDITION)?, labels(CELL_TYPE)?);
    let Column::Integer(cells) = own_column(&obs, N_CELLS, path)? else {
        return Err(invalid(path, format!("column `{N_CELLS}` of `obs` holds no whole numbers")));
    };
    let g = genes.len();
    let rows = read_placed(&mut source, &Layer::X, None, (0..n).collect(), &place, g)?;
    let mut profiles = Vec::with_capacity(n);
    for (number, row) in rows.chunks(g).enumerate() {
        let mean = row.iter().copied().map(f64::from).collect();
        let gap =
            || invalid(path, format!("profile {number} lacks its condition, cell type or size"));
        // A single cell type may be without a name.
        let cell_type = types[number].clone().unwrap_or_default();
        let known = cell_types.iter().position(|other| *other == cell_type);
        profiles.push(TrainingProfile {
            cell_type: known.ok_or_else(|| {
                invalid(path, format!("cell type `{cell_type}` is not one of the artefact's"))
            })?,
            condition: Condition::parse(
                conditions[number].as_deref().ok_or_else(gap)?,
                "+",
                CONTROL,
            )?,
            cells: cells[number].and_then(|n| usize::try_from(n).ok()).ok_or_else(gap)?,
            mean,
        });
    }
    let has_control = |cell_type: &usize| {
        profiles.iter().any(|it| it.cell_type == *cell_type && it.condition.is_control())
    };
    match (0..cell_types.len()).find(|cell_type| !has_control(cell_type)) {
        Some(lacking) => Err(invalid(
            path,
            format!("cell type `{}` has no profile of its controls", cell_types[lacking]),
        )),
        None => Ok(profiles),
    }
}
