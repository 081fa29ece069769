//! [`GeneProjection`]: principal components of some cells, as places for further ones.

use scgpt_data::{CellSource, Layer, LoggedCells, Observer, Result, unscaled};
use scgpt_stats::Principal;
use serde::{Deserialize, Serialize};

use super::variable_expression::VariableExpression;

/// Principal components of the genes that vary most in some cells, by which any cells have a place among these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GeneProjection {
    /// Columns of the genes in the matrix of these cells, ascending.
    columns: Vec<usize>,
    /// The mean of each gene over them, as a logarithm.
    means: Vec<f64>,
    principal: Principal,
}

impl GeneProjection {
    /// The components of genes in these columns, which have these means.
    pub(super) fn new(columns: Vec<usize>, means: Vec<f64>, principal: Principal) -> Self {
        Self { columns, means, principal }
    }

    /// Columns of the genes in the matrix that the components are of, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Number of components.
    pub fn width(&self) -> usize {
        self.principal.n()
    }

    /// Places of the cells of `source`, `[n, width]`, row-major, normalised and logged as those that the components
    /// are of. `columns` has the column of each gene in `source`; a gene that is not measured there is at the mean.
    ///
    /// # Errors
    /// If the source cannot be read or has negative values;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is not one entry a gene.
    pub fn project(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        columns: &[Option<usize>],
        observer: &dyn Observer,
    ) -> Result<Vec<f32>> {
        assert_eq!(columns.len(), self.columns.len(), "one column a gene");
        let (n, n_columns) = source.summary().shape(layer)?;
        let cells = LoggedCells::new(layer, unscaled(source, layer)?);
        let expression = VariableExpression::placed(columns, n_columns, cells);
        let at_mean = |(column, &mean): (&Option<usize>, &f64)| {
            if column.is_some() { 0.0 } else { mean }
        };
        let lacking: Vec<f64> = columns.iter().zip(&self.means).map(at_mean).collect();
        let begin = self.principal.shifted(&lacking);
        let mut rows = Vec::with_capacity(n * self.width());
        expression.each(source, "projecting cells", observer, &mut |cells| {
            for (genes, values) in &cells {
                rows.extend(self.principal.project_from(begin.clone(), genes, values));
            }
        })?;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{GeneSubset, Silent};

    use crate::{
        baseline::{BaselineOptions, SpaceMethod, integration_baselines},
        cell_space::CellSpace,
        simulate::{SimulateOptions, Simulation},
    };

    use super::*;

    #[test]
    fn cells_have_the_places_that_they_had_and_absent_genes_move_none_far() {
        let simulated = SimulateOptions { cells: 200, genes: 120, types: 3, batches: 2, seed: 2 };
        let mut source = Simulation::new(&simulated, None).unwrap();
        let batches: Vec<usize> = (0..200).map(|cell| source.truth(cell).1).collect();
        let mut options = BaselineOptions::default();
        (options.n_genes, options.n_components) = (60, 8);
        let found = integration_baselines(&mut source, &batches, &options, 0, &Silent).unwrap();
        let pca = found.iter().find(|it| it.method == SpaceMethod::Pca).unwrap();
        let (Some(projection), CellSpace::Rows { rows, width }) = (&pca.projection, &pca.space)
        else {
            panic!("components are kept");
        };
        assert_eq!((projection.width(), *width), (8, 8));
        let own: Vec<Option<usize>> = projection.columns().iter().copied().map(Some).collect();
        let again = projection.project(&mut source, &Layer::X, &own, &Silent).unwrap();
        assert!(again.iter().zip(rows.iter()).all(|(a, b)| (a - b).abs() < 1e-4));
        // A panel with every second of the genes, in another order of columns.
        let kept: Vec<usize> = projection.columns().iter().copied().step_by(2).collect();
        let mut panel = GeneSubset::new(&mut source, &Layer::X, kept.clone()).unwrap();
        let place = |column: &usize| kept.iter().position(|it| it == column);
        let some: Vec<Option<usize>> = projection.columns().iter().map(place).collect();
        let fewer = projection.project(&mut panel, &Layer::X, &some, &Silent).unwrap();
        let first =
            |rows: &[f32]| rows.iter().step_by(8).map(|&x| f64::from(x)).collect::<Vec<_>>();
        assert!(scgpt_stats::pearson(&first(&fewer), &first(rows)).abs() > 0.7);
    }
}
