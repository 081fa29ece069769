//! [`CellEncoder`]: fast cell embeddings, exactly those of the network unless less is asked for.

mod packed;

use std::sync::OnceLock;

use burn::prelude::*;
use scgpt_kernels::{Cpu, Format, InstructionSet};

use self::packed::{Input, PackedEncoder, serves};
use crate::{
    attention::{AttentionMask, Sight},
    config::{CellPooling, PaddedStates, ScgptConfig},
    error::Result,
    host::host_values,
    input::ModelInput,
    precision::InferencePrecision,
    scgpt::Scgpt,
};

/// A batch of cells on the host, as the network borrows it: row-major `[b, t]`, padded on the right.
///
/// Whoever lays cells out owns the buffers, such as the `TokenBatch` of `scgpt-data`, which this crate
/// does not know; nothing is copied before the tensors are made.
///
/// ```
/// use scgpt_model::TokenBatchView;
///
/// // Two cells; the second has one gene, so its last token is padding.
/// let genes = vec![0, 7, 12, 0, 7, 1];
/// let values = vec![-2.0, 3.0, 50.0, -2.0, 8.0, -2.0];
/// let batch = TokenBatchView { n_tokens: 3, genes: &genes, values: &values, lengths: &[3, 2], domain: 0 };
/// assert_eq!(batch.genes.len(), batch.lengths.len() * batch.n_tokens);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokenBatchView<'a> {
    /// Number of tokens per cell, padding included.
    pub n_tokens: usize,
    /// Gene tokens, `<cls>` first, `[b, t]`.
    pub genes: &'a [i32],
    /// Values, parallel to `genes`, `[b, t]`.
    pub values: &'a [f32],
    /// Tokens of each cell that are not padding, `[b]`.
    pub lengths: &'a [usize],
    /// The batch label of all cells, for domain-specific batch norm.
    pub domain: usize,
}

/// Tokens that the last block computes, of which `<cls>` is the first. One would be enough, but
/// products with few rows sum in another order, and a cell's embedding must not depend on the size
/// of its batch.
const LEADING: usize = 16;

/// A network prepared for inference.
///
/// It takes two short cuts against [`Scgpt::encode`], both exact: the vectors of whole-numbered values
/// (value bins) are computed once and looked up; and with `<cls>` pooling the last block computes the
/// leading tokens alone.
///
/// On the CPU in f32, the blocks of a network whose norms stand after the sums are one operator, whose
/// weights are packed when the first cells come. It looks tokens up by itself, and padding is not
/// computed then.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_model::{CellEncoder, ScgptConfig, TokenBatchView};
///
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let encoder = CellEncoder::new(shape.init(&Device::flex())?, &shape);
///
/// // Two cells; the second has one gene, so its last token is padding.
/// let batch = TokenBatchView {
///     n_tokens: 3,
///     genes: &[0, 7, 12, 0, 7, 1],
///     values: &[-2.0, 3.0, 50.0, -2.0, 8.0, -2.0],
///     lengths: &[3, 2],
///     domain: 0,
/// };
/// assert_eq!(encoder.embed(batch).len(), 2 * encoder.d_model());
/// # Ok::<(), scgpt_model::Error>(())
/// ```
#[derive(Debug)]
pub struct CellEncoder {
    model: Scgpt,
    values: Option<ValueTable>,
    config: ScgptConfig,
    device: Device,
    precision: InferencePrecision,
    cpu: Cpu,
    packed: OnceLock<PackedEncoder>,
}

/// Vectors of the whole numbers `first, first + 1, …`.
#[derive(Debug)]
struct ValueTable {
    first: i32,
    /// `[n, d]`.
    rows: Tensor<2>,
}

impl CellEncoder {
    /// Prepares `model`, which must have been initialised from `config`.
    pub fn new(model: Scgpt, config: &ScgptConfig) -> Self {
        let model = model.merged();
        let device = model.genes.embedding.weight.val().device();
        let values = model.values.as_ref().map(|encoder| ValueTable::new(encoder, config, &device));
        Self {
            model,
            values,
            config: config.clone(),
            device,
            precision: InferencePrecision::Exact,
            cpu: Cpu::best(),
            packed: OnceLock::new(),
        }
    }

    /// The same, but cells are computed in that precision where there is a faster way to do so; without
    /// this they are computed exactly.
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        let model = self.model.computing_in(precision.format());
        Self { model, precision, packed: OnceLock::new(), ..self }
    }

    /// The same with those instructions instead of the best.
    #[must_use]
    pub fn with_cpu(self, cpu: Cpu) -> Self {
        Self { cpu, packed: OnceLock::new(), ..self }
    }

    /// The precision in which cells are computed: the one that was asked for, or the exact one where
    /// device or processor have no faster one.
    pub fn precision(&self) -> InferencePrecision {
        if !self.is_packed() {
            return self.precision.on(&self.device);
        }
        let is_faster = self.cpu.computes_in(self.precision.format()) != Format::F32;
        if is_faster { self.precision } else { InferencePrecision::Exact }
    }

    /// Width of an embedding, `d`.
    pub fn d_model(&self) -> usize {
        self.config.d_model
    }

    /// Whether memory does not grow with the cells of a batch, as each is computed by itself: then
    /// threads hardly wait for each other if a batch has many.
    pub fn takes_cells_singly(&self) -> bool {
        self.is_packed() && self.config.cell_pooling == CellPooling::Cls
    }

    /// The network that was prepared.
    pub fn model(&self) -> &Scgpt {
        &self.model
    }

    /// Cell embeddings, row-major `[b, d]`, not normalised.
    ///
    /// # Panics
    /// If the buffers differ in length, a gene token is not of the vocabulary, or the network has no
    /// such domain.
    ///
    /// # Reference
    /// `tasks/cell_emb.py`, `get_batch_cell_embeddings`, before its final scaling. Differs: none.
    pub fn embed(&self, batch: TokenBatchView) -> Vec<f32> {
        let mask = self.mask(batch);
        let is_cls = self.config.cell_pooling == CellPooling::Cls;
        let leaves_padding_out = self.config.padded_states == PaddedStates::Excluded;
        let cell = if self.is_packed() && is_cls {
            return self.used_states(batch, Some(1));
        } else if self.is_packed() && leaves_padding_out {
            let [b, t, d] = [batch.lengths.len(), batch.n_tokens, self.d_model()];
            let states = TensorData::new(self.packed_states(batch), [b, t, d]);
            self.model.pool(Tensor::from_data(states, &self.device), &self.input(batch, mask))
        } else if is_cls {
            let n = LEADING.min(batch.n_tokens);
            let sight = self.sight(batch, &mask);
            let leading = self.model.encoder.forward_leading(self.tokens(batch), &sight, n);
            leading.narrow(1, 0, 1).squeeze_dim(1)
        } else {
            self.model.cell(&self.input(batch, mask))
        };
        host_values(cell)
    }

    /// `q kᵀ` of every head of layer `layer` (counted from 0), row-major `[b, h, t, t]`: rows are
    /// queries, columns are keys. Memory is that of the result and one layer.
    ///
    /// # Errors
    /// If there is no such layer.
    ///
    /// # Panics
    /// As [`embed`](Self::embed).
    pub fn attention_scores(&self, batch: TokenBatchView, layer: usize) -> Result<Vec<f32>> {
        let mask = self.mask(batch);
        let sight = self.sight(batch, &mask);
        let scores = self.model.attention_scores_of(self.tokens(batch), &sight, layer)?;
        Ok(host_values(scores))
    }

    /// Vectors of gene tokens before they meet a value, row-major `[n, d]`.
    ///
    /// # Panics
    /// If a gene token is not of the vocabulary.
    ///
    /// # Reference
    /// `model.encoder(ids)`: the embedding after its layer norm. Differs: none.
    pub fn gene_vectors(&self, genes: &[i32]) -> Vec<f32> {
        let ids = Tensor::from_data(TensorData::new(genes.to_vec(), [genes.len()]), &self.device);
        host_values(self.model.genes.vectors(ids))
    }

    /// States of all tokens after the last block, row-major `[b, t, d]`; those of padding mean
    /// nothing.
    ///
    /// # Panics
    /// As [`embed`](Self::embed).
    pub fn states(&self, batch: TokenBatchView) -> Vec<f32> {
        let mask = self.mask(batch);
        if self.is_packed() {
            return self.packed_states(batch);
        }
        let hidden = self.model.encoder.forward(self.tokens(batch), &self.sight(batch, &mask));
        host_values(hidden)
    }

    /// Logits of the classes for cell embeddings, row-major; `None` if the network has no class head.
    ///
    /// # Shapes
    /// - cells: `[b, d]`
    /// - output: `[b, y]`
    ///
    /// # Panics
    /// If the embeddings are not rows of the network's width.
    pub fn classify(&self, cells: &[f32]) -> Option<Vec<f32>> {
        let head = self.model.class.as_ref()?;
        let d = self.d_model();
        assert!(cells.len().is_multiple_of(d), "cells are [b, d]");
        let n = cells.len() / d;
        let mut padded = cells.to_vec();
        padded.resize(n.max(LEADING) * d, 0.0);
        let shape = [n.max(LEADING), d];
        let logits = head.forward(Tensor::from_data(TensorData::new(padded, shape), &self.device));
        let width = logits.dims()[1];
        let mut logits = host_values(logits);
        logits.truncate(n * width);
        Some(logits)
    }

    /// Whether the blocks are computed by one operator. In portable code it is slower than burn.
    fn is_packed(&self) -> bool {
        self.cpu.set() != InstructionSet::Portable
            && serves(&self.config, &self.model.genes.embedding.weight.val())
    }

    /// The states of all tokens, `[b, t, d]`, those of padding zero.
    fn packed_states(&self, batch: TokenBatchView) -> Vec<f32> {
        let (t, d) = (batch.n_tokens, self.d_model());
        let used = self.used_states(batch, None);
        let mut rest = used.as_slice();
        let mut states = Vec::with_capacity(batch.lengths.len() * t * d);
        for (cell, &length) in batch.lengths.iter().enumerate() {
            let (own, others) = rest.split_at(length * d);
            states.extend_from_slice(own);
            states.resize((cell + 1) * t * d, 0.0);
            rest = others;
        }
        states
    }

    /// The states of all tokens but padding, `[Σ lengths, d]`; those of the first `queries` of each
    /// cell alone, or of all with `None`.
    fn used_states(&self, batch: TokenBatchView, queries: Option<usize>) -> Vec<f32> {
        let used = |row: usize| row * batch.n_tokens..row * batch.n_tokens + batch.lengths[row];
        let rows = 0..batch.lengths.len();
        let genes: Vec<i32> =
            rows.clone().flat_map(|row| &batch.genes[used(row)]).copied().collect();
        let values: Vec<f32> = rows.flat_map(|row| &batch.values[used(row)]).copied().collect();
        let packed = self.packed.get_or_init(|| {
            let values = self.values.as_ref().map(|table| table.rows.clone());
            PackedEncoder::new(&self.model, values, &self.config, self.precision, self.cpu)
        });
        let looked_up = self.values.as_ref().filter(|_| self.model.input_norm.is_none());
        let input = if let Some(indices) = looked_up.and_then(|table| table.indices(&values)) {
            let row = |(gene, value): (&i32, i32)| [gene.cast_unsigned(), value.cast_unsigned()];
            Input::Rows(genes.iter().zip(indices).map(row).collect())
        } else {
            let n_tokens = genes.len();
            let (genes, values, lengths) = (&*genes, &*values, &[n_tokens][..]);
            let one = TokenBatchView { n_tokens, genes, values, lengths, domain: batch.domain };
            Input::States(host_values(self.tokens(one)))
        };
        packed.forward(&input, batch.lengths, queries)
    }

    /// The attention mask of `batch`, after its buffers were checked.
    fn mask(&self, batch: TokenBatchView) -> AttentionMask {
        let (b, t) = (batch.lengths.len(), batch.n_tokens);
        assert_eq!(
            [batch.genes.len(), batch.values.len()],
            [b * t; 2],
            "genes and values are [b, t]"
        );
        let vocab_size = self.config.vocab_size;
        assert!(
            batch
                .genes
                .iter()
                .all(|&gene| usize::try_from(gene).is_ok_and(|gene| gene < vocab_size)),
            "gene token out of range"
        );
        AttentionMask::padding(batch.lengths.to_vec(), t)
    }

    /// Who of the tokens sees whom.
    fn sight<'a>(&self, batch: TokenBatchView, mask: &'a AttentionMask) -> Sight<'a> {
        let genes = self.gene_ids(batch).reshape([batch.lengths.len(), batch.n_tokens]);
        self.model.sight(&genes, mask)
    }

    /// The input of the network without short cuts.
    fn input(&self, batch: TokenBatchView, mask: AttentionMask) -> ModelInput {
        let shape = [batch.lengths.len(), batch.n_tokens];
        let genes = self.gene_ids(batch).reshape(shape);
        let mut input = ModelInput::new(genes, self.value_tensor(batch), mask);
        input.conditions.domain = batch.domain;
        input
    }

    /// The encoder's input, `[b, t, d]`.
    fn tokens(&self, batch: TokenBatchView) -> Tensor<3> {
        let (b, t) = (batch.lengths.len(), batch.n_tokens);
        let genes = self.model.genes.vectors(self.gene_ids(batch)); // [b t, d]
        let tokens = match (&self.values, &self.model.values) {
            (Some(table), Some(encoder)) => match table.indices(batch.values) {
                Some(indices) => {
                    let indices = Tensor::<1, Int>::from_data(
                        TensorData::new(indices, [b * t]),
                        &self.device,
                    );
                    genes + table.rows.clone().select(0, indices)
                }
                None => {
                    genes
                        + encoder.forward(self.value_tensor(batch)).reshape([b * t, self.d_model()])
                }
            },
            _ => genes * self.value_tensor(batch).reshape([b * t, 1]),
        };
        let tokens = tokens.reshape([b, t, self.d_model()]);
        match &self.model.input_norm {
            Some(norm) => norm.forward(tokens, &[], batch.domain),
            None => tokens,
        }
    }

    fn gene_ids(&self, batch: TokenBatchView) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(batch.genes.to_vec(), [batch.genes.len()]), &self.device)
    }

    fn value_tensor(&self, batch: TokenBatchView) -> Tensor<2> {
        let shape = [batch.lengths.len(), batch.n_tokens];
        Tensor::from_data(TensorData::new(batch.values.to_vec(), shape), &self.device)
    }
}

impl ValueTable {
    fn new(encoder: &crate::embed::ValueEncoder, config: &ScgptConfig, device: &Device) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "special values are small")]
        let [first, special] = [
            config.pad_value.min(config.mask_value).min(0.0).floor() as i32,
            config.pad_value.max(config.mask_value).ceil() as i32,
        ];
        let last = special.max(i32::from(config.value_bins()) - 1);
        let first =
            if matches!(encoder, crate::embed::ValueEncoder::Binned(_)) { 0 } else { first };
        let grid: Vec<f32> = (first..=last).map(|value| value as f32).collect();
        let n = grid.len();
        let rows = encoder.forward(Tensor::from_data(TensorData::new(grid, [1, n]), device));
        Self { first, rows: rows.squeeze_dim(0) }
    }

    /// Rows of `values`, if all of them are in the table.
    fn indices(&self, values: &[f32]) -> Option<Vec<i32>> {
        let n_rows = self.rows.dims()[0] as f32;
        let row = |&value: &f32| {
            let row = value - self.first as f32;
            #[allow(clippy::cast_possible_truncation, reason = "a whole number of the table")]
            (row.fract() == 0.0 && (0.0..n_rows).contains(&row)).then_some(row as i32)
        };
        values.iter().map(row).collect()
    }
}
