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
//! With values encoded weakly beside them, and a transformer that adds little at first, the mean of a cell's tokens
//! weighted by their values is about where the cell lies along the components.
//!
//! A network that is fine-tuned has vectors already; for genes that are new to it, those of co-expression
//! are mapped to vectors like its own.

mod modalities;

use burn::prelude::{Device, Tensor, TensorData};
use rayon::prelude::*;
use scgpt_data::{CellTokens, Keyed, Observer, Purpose};
use scgpt_model::{Scgpt, ValueEncoder, host_values};
use scgpt_stats::{SparseCell, Subspace, dot, subsample};

pub(crate) use self::modalities::{Link, OneSpace};
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
/// How often vectors are moved to be centred.
const MOVES: usize = 5;
/// Root mean square of the numbers of a row that is drawn from ±0.1, as those of other genes are:
/// 0.1/√3.
const SPREAD: f64 = 0.057_735;
/// Factor on the weights of the norm of encoded values: a token says first of all which gene it is.
const VALUE_WEIGHT: f32 = 0.1;
/// Factor on what drawn layers add to the states of tokens: cells begin where their genes put them, nearly.
const QUIET: f32 = 0.1;

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
    /// Genes with their shares of the values of a mean cell, by modality: the vectors of each are centred,
    /// so that cells lie over each other whatever they were measured in. Empty if there is one modality.
    pub(super) centred: Vec<Vec<(usize, f64)>>,
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
    /// If the shards are broken;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// None: it draws all vectors. Randomised singular vectors as of Halko, Martinsson and Tropp 2011.
    pub(crate) fn of(
        cells: &TrainingCells<'_>,
        numbers: &[usize],
        n: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = n.min(cells.network.vocab_size);
        let numbers = sample(cells, numbers);
        let (subspace, counts) = subspace(cells, &numbers, n, |block| block, observer)?;
        let loadings = subspace.loadings(n, observer)?;
        Ok(Self { loadings, n, counts, seed: cells.seed, centred: Vec::new() })
    }

    /// The network with these vectors, in which values and the layers of the transformer count for little;
    /// genes without a vector keep theirs.
    pub(super) fn give_to(&self, mut model: Scgpt, device: &Device) -> Scgpt {
        let weight = model.genes.embedding.weight;
        let [_, width] = weight.val().dims();
        let mut table = host_values(weight.val());
        let mut rows = rows(&self.loadings, self.n, width, self.seed);
        for shares in &self.centred {
            centre(&mut rows, width, shares);
        }
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
        for block in &mut model.encoder.blocks {
            for update in [&mut block.attention.out, &mut block.linear2] {
                update.weight = update.weight.clone().map(|weight| weight * QUIET);
                update.bias = update.bias.take().map(|bias| bias.map(|bias| bias * QUIET));
            }
        }
        model
    }
}

/// The cells that co-expression is found from: those with these numbers, or a sample of them.
fn sample(cells: &TrainingCells<'_>, numbers: &[usize]) -> Vec<usize> {
    let chosen = subsample(numbers.len(), CoExpression::CELLS, cells.seed);
    chosen.into_iter().map(|place| numbers[place]).collect()
}

/// The directions of most variance of what `of` leaves of the cells with these numbers, in the last pass, and
/// how many of these cells express each gene.
fn subspace(
    cells: &TrainingCells<'_>,
    numbers: &[usize],
    n: usize,
    of: impl Fn(Vec<SparseCell>) -> Vec<SparseCell>,
    observer: &dyn Observer,
) -> Result<(Subspace, Vec<usize>)> {
    let mut subspace = Subspace::new(cells.network.vocab_size, n, observer)?;
    let mut counts = vec![0; cells.network.vocab_size];
    for pass in 0..PASSES {
        if pass == 1 {
            subspace.standardise();
        }
        if pass > 0 {
            subspace.turn(observer)?;
        }
        for block in numbers.chunks(BLOCK) {
            observer.check_cancelled()?;
            let bins = of(bins(cells, block)?);
            subspace.add(&bins);
            if pass == 0 {
                let expressed = bins.iter().flat_map(|(genes, _)| genes);
                expressed.for_each(|&gene| counts[gene as usize] += 1);
            }
        }
    }
    Ok((subspace, counts))
}

/// Rows for a table of gene vectors, `[genes, width]`, made of loadings, `[genes, n]`.
fn rows(loadings: &[f64], n: usize, width: usize, seed: u64) -> Vec<f32> {
    let lengths: Vec<f64> = loadings.chunks(n.max(1)).map(length).collect();
    let varying = || lengths.iter().filter(|&&length| length > 0.0);
    let mean = varying().sum::<f64>() / varying().count().max(1) as f64;
    let noise = NOISE / (width as f64).sqrt();
    let mut table = vec![0.0; lengths.len() * width];
    for (gene, (row, out)) in loadings.chunks(n.max(1)).zip(table.chunks_mut(width)).enumerate() {
        if lengths[gene] > 0.0 {
            let key = Keyed::new(seed, Purpose::Initial, 1, gene as u64);
            let number =
                |i: usize| row.get(i).map_or(0.0, |x| x / mean) + noise * key.normal(2 * i as u64);
            let row: Vec<f64> = (0..width).map(number).collect();
            put(out, &row);
        }
    }
    table
}

/// Moves the rows of some genes, at the length they have, such that the mean of a cell's states, which its
/// values weigh, is about zero over the cells. `shares` are the genes and how much of the values of a mean cell is
/// of each.
///
/// States are rows after their norm, which undoes a part of every move: hence several.
fn centre(rows: &mut [f32], width: usize, shares: &[(usize, f64)]) {
    let state = |row: &[f32]| -> Vec<f64> {
        let mean = row.iter().copied().map(f64::from).sum::<f64>() / width as f64;
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x) - mean).collect();
        let deviation = length(&row) / (width as f64).sqrt();
        row.iter().map(|x| if deviation > 0.0 { x / deviation } else { 0.0 }).collect()
    };
    for _ in 0..MOVES {
        let mut mean = vec![0.0; width];
        for &(gene, share) in shares {
            let state = state(&rows[gene * width..(gene + 1) * width]);
            mean.iter_mut().zip(state).for_each(|(mean, x)| *mean += share * x);
        }
        for &(gene, _) in shares {
            let row = &mut rows[gene * width..(gene + 1) * width];
            if row.iter().any(|&x| x != 0.0) {
                let moved: Vec<f64> =
                    state(row).iter().zip(&mean).map(|(x, mean)| x - mean).collect();
                put(row, &moved);
            }
        }
    }
}

/// Puts a row into a table at the length of drawn ones.
fn put(out: &mut [f32], row: &[f64]) {
    let scale = SPREAD * (row.len() as f64).sqrt() / length(row);
    #[allow(clippy::cast_possible_truncation, reason = "as narrow as weights")]
    out.iter_mut().zip(row).for_each(|(out, x)| *out = (x * scale) as f32);
}

fn length(row: &[f64]) -> f64 {
    dot(row, row).sqrt()
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

    #[test]
    fn centred_vectors_put_the_mean_cell_at_zero_and_keep_what_tells_genes_apart() {
        // Two genes of one modality that point elsewhere, on top of what all have.
        let width = 8;
        let mut rows: Vec<f32> = vec![0.0; 3 * width];
        for (gene, row) in rows.chunks_mut(width).enumerate().take(2) {
            let tilt = |i: usize| if i % 2 == gene { 0.5 } else { -0.5 };
            let wide: Vec<f64> =
                (0..width).map(|i| if i < 4 { 2.0 } else { -2.0 } + tilt(i)).collect();
            put(row, &wide);
        }
        let apart = |rows: &[f32]| cosine(rows, width, 0, 1);
        assert!(apart(&rows) > 0.8);
        centre(&mut rows, width, &[(0, 0.5), (1, 0.5), (2, 0.0)]);
        assert!(apart(&rows) < -0.9, "{}", apart(&rows));
        let mean = |i: usize| f32::midpoint(rows[i], rows[width + i]);
        assert!((0..width).all(|i| mean(i).abs() < 0.01), "{rows:?}");
        // A gene without a vector has none afterwards.
        assert!(rows[2 * width..].iter().all(|&x| x == 0.0));
    }
}
