//! Mean and variance of every gene, gathered block by block.

use crate::csr::CsrRow;

/// Number, sum, mean and sum of squared deviations of the non-zero values of a gene (Welford), from
/// which those of all values follow without loss.
///
/// The sum is kept beside the mean because it is exact for counts: genes with as many counts must
/// tie to the bit where means are compared.
#[derive(Clone, Copy, Debug, Default)]
struct NonZero {
    n: f64,
    sum: f64,
    mean: f64,
    squares: f64,
}

/// Moments of every gene over some cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    n_cells: f64,
    genes: Vec<NonZero>,
}

impl Moments {
    pub(super) fn add(&mut self, row: CsrRow<'_>) {
        self.n_cells += 1.0;
        self.resize(row.indices.last().map_or(0, |&last| last as usize + 1));
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            if value != 0.0 {
                let gene = &mut self.genes[gene as usize];
                let value = f64::from(value);
                gene.n += 1.0;
                gene.sum += value;
                let difference = value - gene.mean;
                gene.mean += difference / gene.n;
                gene.squares += difference * (value - gene.mean);
            }
        }
    }

    /// Makes room for `n_genes` genes, if there is less.
    pub(super) fn resize(&mut self, n_genes: usize) {
        if self.genes.len() < n_genes {
            self.genes.resize(n_genes, NonZero::default());
        }
    }

    pub(super) fn n_genes(&self) -> usize {
        self.genes.len()
    }

    pub(super) fn n_cells(&self) -> f64 {
        self.n_cells
    }

    /// Whether any cell has a value for the gene.
    pub(super) fn is_expressed(&self, gene: usize) -> bool {
        self.genes[gene].n > 0.0
    }

    /// Mean and variance (over n − 1; over n for a single cell) of every gene.
    pub(super) fn mean_and_variance(&self) -> Vec<(f64, f64)> {
        let n = self.n_cells.max(1.0);
        self.genes
            .iter()
            .map(|gene| {
                let zeros = self.n_cells - gene.n;
                let squares = gene.squares + gene.mean * gene.mean * gene.n * zeros / n;
                (gene.sum / n, squares / (n - 1.0).max(1.0))
            })
            .collect()
    }

    /// Takes in the cells of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.n_cells += other.n_cells;
        for (a, b) in self.genes.iter_mut().zip(&other.genes) {
            let n = a.n + b.n;
            if b.n > 0.0 {
                let difference = b.mean - a.mean;
                a.squares += b.squares + difference * difference * a.n * b.n / n;
                a.mean += difference * b.n / n;
                a.n = n;
                a.sum += b.sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;
    use crate::csr::Csr;

    #[test]
    fn moments_count_the_zeros_and_merge() {
        // Gene 0: 1, 0, 3, 0. Gene 1: 2 everywhere.
        let indptr = vec![0, 2, 3, 5, 6];
        let values = vec![1.0, 2.0, 2.0, 3.0, 2.0, 2.0];
        let block = Csr::new(2, indptr, vec![0, 1, 1, 0, 1, 1], values).unwrap();
        let gather = |cells: std::ops::Range<usize>| {
            let mut moments = Moments::default();
            cells.for_each(|cell| moments.add(block.row(cell)));
            moments
        };
        let mut halves = gather(0..1);
        halves.merge(&gather(1..4));
        for moments in [gather(0..4), halves] {
            assert_eq!(moments.mean_and_variance(), [(1.0, 2.0), (2.0, 0.0)]);
        }
        let mut silent = Moments::default();
        silent.resize(1);
        assert!(!silent.is_expressed(0));
    }
}
