//! Networks from expression alone, of the same genes and cells: what any other network has to beat.

use scgpt_data::{CsrRow, Observer, Result};
use scgpt_stats::largest;

use crate::{
    baseline::{Association, GeneProfiles},
    network::{Edge, EdgeKind, GeneNetwork},
};

/// Expression of some genes (log1p) in cells that are added one after the other.
#[derive(Clone, Debug)]
pub struct ProfileBuilder {
    /// `[cells, genes]`.
    values: Vec<f32>,
    /// The number of each column's gene, if it is kept.
    of_column: Vec<Option<u32>>,
    n_genes: usize,
}

impl ProfileBuilder {
    /// Expression of no cells yet; of the `n_columns` of a matrix the genes in `columns` are kept.
    pub fn new(columns: &[usize], n_columns: usize) -> Self {
        let mut of_column = vec![None; n_columns];
        for (gene, &column) in (0..).zip(columns) {
            of_column[column] = Some(gene);
        }
        Self { values: Vec::new(), of_column, n_genes: columns.len() }
    }

    /// Adds a cell, a row of the matrix.
    ///
    /// # Panics
    /// If it has more columns than the matrix.
    pub fn push(&mut self, row: CsrRow<'_>) {
        let begin = self.values.len();
        self.values.resize(begin + self.n_genes, 0.0);
        for (&column, &value) in row.indices.iter().zip(row.values) {
            if let Some(gene) = self.of_column[column as usize] {
                self.values[begin + gene as usize] = value;
            }
        }
    }

    /// The values of all cells, gene by gene.
    pub fn into_profiles(self) -> GeneProfiles {
        let n_cells = self.values.len() / self.n_genes.max(1);
        let genes = 0..self.n_genes;
        let values =
            genes.flat_map(|gene| self.values.iter().skip(gene).step_by(self.n_genes).copied());
        let values = values.collect();
        GeneProfiles::new(self.n_genes, n_cells, values)
    }
}

/// Weights of all pairs of genes, `[sources, targets]`: from all cells, and from each of two halves
/// of them.
#[derive(Clone, Debug)]
pub struct Replicated {
    /// The weights from all cells, `[sources, targets]`.
    pub whole: Vec<f32>,
    /// The weights from each half, `[sources, targets]`.
    pub halves: [Vec<f32>; 2],
}

impl Replicated {
    /// Applies `rule` to some cells of the profiles, and to each half of them. `cells` are places in the
    /// profiles, each with whether it belongs to the second half.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn of(
        rule: Association,
        profiles: &GeneProfiles,
        cells: &[(usize, bool)],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let network = |half: Option<bool>| {
            let kept = cells.iter().filter(|cell| half.is_none_or(|half| half == cell.1));
            let places: Vec<usize> = kept.map(|&(place, _)| place).collect();
            rule.network(&profiles.of_cells(&places), seed, observer)
        };
        Ok(Self { whole: network(None)?, halves: [network(Some(false))?, network(Some(true))?] })
    }
}

/// Places of the entries of an `[n, n]` matrix, row-major, without its diagonal.
pub fn off_diagonal(n: usize) -> Vec<usize> {
    (0..n * n).filter(|place| place % (n + 1) != 0).collect()
}

/// The `n` edges with the largest absolute weights of `[sources, targets]`, and the number of each
/// among [`off_diagonal`]. If `n` is 0, these are all edges; otherwise pairs of weight 0 are no
/// edges.
pub fn strongest_edges(genes: &[String], weights: &[f32], n: usize) -> (GeneNetwork, Vec<usize>) {
    let places = off_diagonal(genes.len());
    let size: Vec<f32> = places.iter().map(|&place| weights[place].abs()).collect();
    let mut chosen = largest(&size, if n == 0 { size.len() } else { n });
    chosen.retain(|&number| n == 0 || size[number] > 0.0);
    let edge = |&number: &usize| {
        let place = places[number];
        let (source, target) = (place / genes.len(), place % genes.len());
        Edge { source, target, weight: f64::from(weights[place]) }
    };
    let edges = chosen.iter().map(edge).collect();
    (GeneNetwork::new(genes.to_vec(), edges, EdgeKind::Directed), chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_edges_are_numbered_without_the_diagonal() {
        let genes = ["A", "B", "C"].map(String::from);
        let weights = [9.0, 0.1, -0.5, 0.0, 9.0, 0.3, 0.0, 0.2, 9.0];
        let (network, numbers) = strongest_edges(&genes, &weights, 2);
        let ends: Vec<_> = network.edges().iter().map(|it| (it.source, it.target)).collect();
        assert_eq!((ends, numbers), (vec![(0, 2), (1, 2)], vec![1, 3]));
        assert!(network.edges()[0].weight < -0.49);
        assert_eq!(strongest_edges(&genes, &weights, 6).0.edges().len(), 4);
        assert_eq!(strongest_edges(&genes, &weights, 0).0.edges().len(), 6);
    }
}
