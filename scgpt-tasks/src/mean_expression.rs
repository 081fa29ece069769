//! [`MeanExpression`]: what one would guess for a gene without looking at the cell.
//!
//! A network that does not beat it has learned which genes are high, and nothing of the cells.

use scgpt_data::{CellTokens, GeneToken};

/// The mean value bin of every gene over the cells that express it.
#[derive(Clone, Debug)]
pub(crate) struct MeanExpression {
    sums: Vec<f64>,
    counts: Vec<u32>,
    total: f64,
    n: f64,
}

impl MeanExpression {
    /// Means over no cells yet, for a vocabulary of that size.
    pub(crate) fn new(vocab_size: usize) -> Self {
        Self { sums: vec![0.0; vocab_size], counts: vec![0; vocab_size], total: 0.0, n: 0.0 }
    }

    /// Adds the genes of a cell; its first `skip` tokens are no genes.
    pub(crate) fn add(&mut self, cell: &CellTokens, skip: usize) {
        for (gene, &value) in cell.genes.iter().zip(&cell.values).skip(skip) {
            self.sums[gene.0 as usize] += f64::from(value);
            self.counts[gene.0 as usize] += 1;
            self.total += f64::from(value);
            self.n += 1.0;
        }
    }

    /// The mean of a gene without one cell, whose value is `own` if it was added.
    pub(crate) fn without(&self, gene: GeneToken, own: Option<f32>) -> f64 {
        let index = gene.0 as usize;
        match own.map(f64::from) {
            Some(own) if self.counts[index] > 1 => {
                (self.sums[index] - own) / f64::from(self.counts[index] - 1)
            }
            Some(own) => (self.total - own) / (self.n - 1.0).max(1.0),
            None => self.of(gene),
        }
    }

    /// The mean of a gene; for a gene never seen, the mean of all genes.
    pub(crate) fn of(&self, gene: GeneToken) -> f64 {
        let gene = gene.0 as usize;
        match self.counts[gene] {
            0 => self.total / self.n.max(1.0),
            n => self.sums[gene] / f64::from(n),
        }
    }
}
