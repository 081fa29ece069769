//! [`Prompts`]: which genes of a cell are known and which are asked for.

use std::collections::HashSet;

use burn::{
    prelude::Device,
    tensor::{Int, Tensor, TensorData},
};
use scgpt_data::{CellTokens, Collator, GeneToken, GeneVocab, Keyed, Purpose, buckets, split};
use scgpt_model::{AttentionMask, ModelInput, Prompt, Scgpt, ScgptConfig, host_values};

use super::Ask;

/// Turns cells into prompts: what is asked decides which tokens are known, unknown, or left out.
///
/// - [`Ask::Hidden`]: a keyed share of the cell's own genes is unknown, so every answer has a truth.
/// - [`Ask::Genes`]: the listed genes are unknown in every cell, and never known; the others shrink
///   until both fit.
/// - [`Ask::Cells`]: nothing but `<cls>` is known, whose place the cell embedding takes.
pub(super) struct Prompts<'a> {
    ask: &'a Ask,
    genes: &'a [GeneToken],
    listed: HashSet<GeneToken>,
    seed: u64,
    max_length: usize,
}

impl<'a> Prompts<'a> {
    /// Prompts of at most `max_length` tokens, which ask for `genes` if all cells are asked for the
    /// same.
    pub(super) fn new(ask: &'a Ask, genes: &'a [GeneToken], seed: u64, max_length: usize) -> Self {
        Self { ask, genes, listed: genes.iter().copied().collect(), seed, max_length }
    }

    /// The part of a cell that the means of genes may know: everything but what is hidden from the
    /// network.
    pub(super) fn known_to_baseline(&self, cell: &CellTokens) -> CellTokens {
        match self.ask {
            Ask::Hidden(share) => self.split(cell, *share)[0].clone(),
            Ask::Genes(_) | Ask::Cells { .. } => cell.clone(),
        }
    }

    /// The prompt of a cell, and the true values of the genes it asks for, where they are known: a
    /// listed gene that the cell does not express has none.
    pub(super) fn make(
        &self,
        cell: &CellTokens,
        embedding: Option<Vec<f32>>,
    ) -> (Prompt, Vec<Option<f32>>) {
        let (known, unknown, truth) = match self.ask {
            Ask::Hidden(share) => {
                let [known, unknown] = self.split(cell, *share);
                let truth = unknown.values.iter().copied().map(Some).collect();
                (known, unknown.genes, truth)
            }
            Ask::Genes(_) => {
                let mut known = without(cell, |gene| self.listed.contains(&gene));
                let key = self.key(cell);
                let room = self.max_length - self.genes.len();
                known.shorten(room, 1, |gene| key.bits(u64::from(gene.0)));
                (known, self.genes.to_vec(), self.truth(cell))
            }
            Ask::Cells { .. } => {
                let mut only_cls = cell.clone();
                only_cls.shorten(1, 1, |_| 0);
                (only_cls, self.genes.to_vec(), self.truth(cell))
            }
        };
        let index = |gene: &GeneToken| gene.0.cast_signed();
        let prompt = Prompt {
            genes: known.genes.iter().map(index).collect(),
            values: known.values,
            cell: embedding,
            unknown: unknown.iter().map(index).collect(),
            key: cell.content(),
        };
        (prompt, truth)
    }

    /// The value of each listed gene in a cell; `None` if the cell does not express it.
    fn truth(&self, cell: &CellTokens) -> Vec<Option<f32>> {
        let value = |gene| {
            let position = cell.genes.iter().position(|&other| other == gene)?;
            Some(cell.values[position])
        };
        self.genes.iter().map(|&gene| value(gene)).collect()
    }

    /// The known and the unknown tokens of a cell, a share of which is hidden.
    fn split(&self, cell: &CellTokens, share: f64) -> [CellTokens; 2] {
        let key = self.key(cell);
        split(cell, share, 1, self.max_length, |gene| key.bits(u64::from(gene.0)))
    }

    /// The key of a cell's random choices, made of what it expresses, so that its place in the file
    /// does not matter.
    fn key(&self, cell: &CellTokens) -> Keyed {
        Keyed::new(self.seed, Purpose::Split, 0, cell.content())
    }
}

/// A cell without some of its genes.
fn without(cell: &CellTokens, leaves: impl Fn(GeneToken) -> bool) -> CellTokens {
    let all = cell.genes.iter().copied().zip(cell.values.iter().copied());
    all.filter(|&(gene, _)| !leaves(gene)).collect()
}

/// Cell embeddings as the network makes them, `[n, d]`, not scaled to unit length, in the order of
/// `cells`.
pub(super) fn encode(
    model: &Scgpt,
    config: &ScgptConfig,
    vocab: &GeneVocab,
    cells: &[CellTokens],
    batch_size: usize,
    device: &Device,
) -> Vec<f32> {
    let d = config.d_model;
    let collator = Collator::new(vocab, config.pad_value);
    let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
    let mut embeddings = vec![0.0; cells.len() * d];
    for bucket in buckets(&lengths, batch_size) {
        let batch = collator.collate(bucket.iter().map(|&cell| (cell, &cells[cell])));
        let shape = [batch.n_cells, batch.n_tokens];
        let genes = Tensor::<2, Int>::from_data(TensorData::new(batch.genes, shape), device);
        let values = Tensor::<2>::from_data(TensorData::new(batch.values, shape), device);
        let mask = AttentionMask::padding(batch.lengths, batch.n_tokens);
        let found = model.encode(&ModelInput::new(genes, values, mask)).cell;
        let found: Vec<f32> = host_values(found);
        for (&cell, row) in bucket.iter().zip(found.chunks(d)) {
            embeddings[cell * d..(cell + 1) * d].copy_from_slice(row);
        }
    }
    embeddings
}

/// Scales embeddings of a file, which are of unit length, to the length that the network's own have
/// on average: that of a vector with the scale and shift of its last norm.
pub(super) fn scaled(mut rows: Vec<f32>, width: usize, model: &Scgpt) -> Vec<f32> {
    let length = typical_length(model);
    for row in rows.chunks_mut(width) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        let scale = if norm > 0.0 { length / norm } else { 0.0 };
        for value in row {
            *value *= scale;
        }
    }
    rows
}

/// The length of a cell embedding, on average: the last operation of the network is a norm.
fn typical_length(model: &Scgpt) -> f32 {
    let Some(block) = model.encoder.blocks.last() else { return 1.0 };
    let squares = |parameter: Tensor<1>| parameter.square().sum().into_scalar::<f32>();
    let shift = block.norm2.beta.as_ref().map_or(0.0, |beta| squares(beta.val()));
    (squares(block.norm2.gamma.val()) + shift).sqrt()
}
