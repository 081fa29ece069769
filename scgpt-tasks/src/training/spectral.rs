//! [`CoExpression`]: gene vectors before the first step of training, such that genes that vary
//! together are similar.
//!
//! A few thousand shallow cells hardly move gene vectors that were drawn at random, so that a new
//! network tells less of the cells than their principal components do. The vectors begin with these
//! instead:
//!
//! ```text
//! value bins of whole cells ─ / standard deviation of each gene ─ singular value decomposition
//!     ─ right vectors × singular values, one row a gene ─ + noise ─ all rows as long as drawn ones
//! ```
//!
//! With values encoded weakly beside them, the mean of a cell's tokens weighted by their values is about
//! where the cell lies along the components, whatever the transformer adds.
//!
//! A network that is fine-tuned has vectors already; for genes that are new to it, those of co-expression
//! are mapped to vectors like its own.

use burn::prelude::{Device, Tensor, TensorData};
use rayon::prelude::*;
use scgpt_data::{CellTokens, Keyed, Purpose};
use scgpt_model::{Scgpt, ValueEncoder, host_values};
use scgpt_stats::{SparseCell, Subspace, dot, subsample};

use super::{TrainingCells, VALIDATION_EPOCH};
use crate::error::Result;

/// Number of passes over the cells. In the first, directions are random and deviations are found;
/// every further one turns the directions towards those of most variance.
const PASSES: usize = 3;
/// Cells that are tokenised together, and by one thread.
const BLOCK: usize = 2048;
const THREAD: usize = 64;
/// Noise, as a share of the length of a mean row: genes whose rows are short begin almost as if
/// drawn.
const NOISE: f64 = 0.1;
/// Root mean square of the numbers of a row that is drawn from ±0.1, as those of other genes are:
/// 0.1/√3.
const SPREAD: f64 = 0.057_735;
/// Factor on the weights of the norm of encoded values: a token says first of all which gene it is.
const VALUE_WEIGHT: f32 = 0.1;

/// How genes vary together over the training cells.
#[derive(Debug)]
pub(crate) struct CoExpression {
    /// How far each gene goes along the `n` directions of most variance, `[vocabulary, n]`, row-major;
    /// zeros for genes that do not vary.
    pub(super) loadings: Vec<f64>,
    pub(super) n: usize,
    /// Number of the cells that express each gene.
    pub(super) counts: Vec<usize>,
    pub(super) seed: u64,
}

impl CoExpression {
    /// Number of cells that is enough to find co-expression.
    pub(crate) const CELLS: usize = 100_000;

    /// The co-expression of the cells with these numbers, or of [`CELLS`](Self::CELLS) of them, along at
    /// most `n` directions. It depends on the cells and the seed, not on threads.
    ///
    /// Memory is four numbers for each gene token and dimension, and a block of cells.
    ///
    /// # Errors
    /// If the shards are broken.
    ///
    /// # Reference
    /// None: it draws all vectors. Randomised singular vectors as of Halko, Martinsson and Tropp 2011.
    pub(crate) fn of(cells: &TrainingCells<'_>, numbers: &[usize], n: usize) -> Result<Self> {
        let chosen = subsample(numbers.len(), Self::CELLS, cells.seed);
        let chosen: Vec<usize> = chosen.into_iter().map(|place| numbers[place]).collect();
        let n = n.min(cells.network.vocab_size);
        let mut subspace = Subspace::new(cells.network.vocab_size, n);
        let mut counts = vec![0; cells.network.vocab_size];
        for pass in 0..PASSES {
            if pass == 1 {
                subspace.standardise();
            }
            if pass > 0 {
                subspace.turn();
            }
            for block in chosen.chunks(BLOCK) {
                let bins = bins(cells, block)?;
                subspace.add(&bins);
                if pass == 0 {
                    let expressed = bins.iter().flat_map(|(genes, _)| genes);
                    expressed.for_each(|&gene| counts[gene as usize] += 1);
                }
            }
        }
        Ok(Self { loadings: subspace.loadings(n), n, counts, seed: cells.seed })
    }

    /// The network with these vectors, in which values count for little; genes without a vector
    /// keep theirs.
    pub(super) fn give_to(&self, mut model: Scgpt, device: &Device) -> Scgpt {
        let weight = model.genes.embedding.weight;
        let [_, width] = weight.val().dims();
        let mut table = host_values(weight.val());
        let rows = rows(&self.loadings, self.n, width, self.seed);
        for (own, row) in table.chunks_mut(width).zip(rows.chunks(width)) {
            if row.iter().any(|&x| x != 0.0) {
                own.copy_from_slice(row);
            }
        }
        let shape = [table.len() / width, width];
        let table = Tensor::<2>::from_data(TensorData::new(table, shape), device);
        model.genes.embedding.weight = weight.map(|_| table);
        if let Some(values) = &mut model.values {
            let norm = match values {
                ValueEncoder::Continuous(values) => &mut values.norm,
                ValueEncoder::Binned(values) => &mut values.norm,
            };
            norm.gamma = norm.gamma.clone().map(|gamma| gamma * VALUE_WEIGHT);
        }
        model
    }
}

/// Rows for a table of gene vectors, `[genes, width]`, made of loadings, `[genes, n]`.
fn rows(loadings: &[f64], n: usize, width: usize, seed: u64) -> Vec<f32> {
    let length = |row: &[f64]| dot(row, row).sqrt();
    let lengths: Vec<f64> = loadings.chunks(n.max(1)).map(length).collect();
    let varying = || lengths.iter().filter(|&&length| length > 0.0);
    let mean = varying().sum::<f64>() / varying().count().max(1) as f64;
    let noise = NOISE / (width as f64).sqrt();
    let wanted = SPREAD * (width as f64).sqrt();
    let mut table = vec![0.0; lengths.len() * width];
    for (gene, (row, out)) in loadings.chunks(n.max(1)).zip(table.chunks_mut(width)).enumerate() {
        if lengths[gene] > 0.0 {
            let key = Keyed::new(seed, Purpose::Initial, 1, gene as u64);
            let number =
                |i: usize| row.get(i).map_or(0.0, |x| x / mean) + noise * key.normal(2 * i as u64);
            let row: Vec<f64> = (0..width).map(number).collect();
            let scale = wanted / length(&row);
            #[allow(clippy::cast_possible_truncation, reason = "as narrow as weights")]
            out.iter_mut().zip(row).for_each(|(out, x)| *out = (x * scale) as f32);
        }
    }
    table
}

/// Value bins of cells with all their genes; only those above zero are kept.
fn bins(cells: &TrainingCells<'_>, numbers: &[usize]) -> Result<Vec<SparseCell>> {
    let sparse = |tokens: CellTokens| -> SparseCell {
        let tokens = tokens.genes.iter().zip(&tokens.values);
        tokens.filter(|(_, x)| **x > 0.0).map(|(gene, &x)| (gene.0, x)).unzip()
    };
    let some = |numbers: &[usize]| -> Result<Vec<SparseCell>> {
        Ok(cells.whole(numbers, VALIDATION_EPOCH)?.into_iter().map(sparse).collect())
    };
    let made: Result<Vec<_>> = numbers.par_chunks(THREAD).map(some).collect();
    Ok(made?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(rows: &[f32], width: usize, a: usize, b: usize) -> f32 {
        let [a, b] = [a, b].map(|gene| &rows[gene * width..(gene + 1) * width]);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn genes_that_vary_together_begin_alike_at_the_length_of_drawn_rows() {
        // Two pairs of genes along two directions, and one gene that does not vary.
        let loadings = [[3.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 2.0], [0.0, 0.0]].concat();
        let width = 16;
        let rows = rows(&loadings, 2, width, 7);
        assert!(cosine(&rows, width, 0, 1) > 0.9 && cosine(&rows, width, 2, 3) > 0.9);
        assert!(cosine(&rows, width, 0, 2).abs() < 0.4);
        for row in rows.chunks(width).take(4) {
            let square: f32 = row.iter().map(|x| x * x).sum();
            assert!((square.sqrt() - 0.057_735 * 4.0).abs() < 1e-6);
            // Directions beyond the loadings are not empty: genes are told apart there, too.
            assert!(row[2..].iter().any(|x| x.abs() > 1e-4));
        }
        assert!(rows[4 * width..].iter().all(|&x| x == 0.0));
        assert_ne!(rows, super::rows(&loadings, 2, width, 8));
    }
}
