//! [`InputBatch`]: cells on the host, laid out to become the input of a network.

use burn::{prelude::*, tensor::TensorData};
use scgpt_data::{CellTokens, ConditionToken, GeneToken};
use scgpt_model::{AttentionMask, Conditions, ModelInput};

/// Cells side by side, row-major `[b, t]`: known tokens, then unknown ones, then padding.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_data::{CellTokens, GeneToken};
/// use scgpt_train::InputBatch;
///
/// let cell = |genes: &[u32]| -> CellTokens {
///     genes.iter().map(|&gene| (GeneToken(gene), 1.0)).collect()
/// };
/// let (known, unknown) = ([cell(&[0, 7]), cell(&[0, 7, 12])], cell(&[]));
/// let batch = InputBatch::new(known.iter().map(|known| [known, &unknown]), GeneToken(1), -2.0);
/// assert_eq!([batch.n_cells(), batch.n_tokens()], [2, 3]);
/// assert_eq!(batch.to_device(&Device::flex()).genes.dims(), [2, 3]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputBatch {
    n_tokens: usize,
    pub(crate) genes: Vec<i32>,
    pub(crate) values: Vec<f32>,
    pub(crate) known: Vec<usize>,
    /// Number of tokens of each cell that are not padding.
    used: Vec<usize>,
    /// Perturbation flag of each token, if known tokens have conditions; 0 for all others.
    pub(crate) perturbations: Option<Vec<i32>>,
    /// Modality token of each token.
    pub(crate) modalities: Option<Vec<i32>>,
    /// Batch label of each cell, `[b]`, for condition tokens and DAR.
    pub batches: Option<Vec<i32>>,
    /// The batch label of all cells, for domain-specific batch norm.
    pub domain: usize,
}

impl InputBatch {
    /// Lays out cells, each given by its known and its unknown tokens, padded to the longest with
    /// `pad` and `pad_value`. The values of unknown tokens are not seen.
    pub fn new<'c>(
        cells: impl Iterator<Item = [&'c CellTokens; 2]> + Clone,
        pad: GeneToken,
        pad_value: f32,
    ) -> Self {
        let used: Vec<usize> =
            cells.clone().map(|[known, unknown]| known.len() + unknown.len()).collect();
        let n_tokens = used.iter().copied().max().unwrap_or(0);
        let size = used.len() * n_tokens;
        let has_flags = cells.clone().any(|[known, _]| known.conditions.is_some());
        let mut batch = Self {
            n_tokens,
            genes: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
            known: cells.clone().map(|[known, _]| known.len()).collect(),
            perturbations: has_flags.then(|| vec![0; size]),
            used,
            ..Self::default()
        };
        for (row, of_cell) in cells.enumerate() {
            let [known, unknown] = of_cell;
            let first = row * n_tokens;
            let end = first + n_tokens;
            let genes = known.genes.iter().chain(&unknown.genes);
            batch.genes.extend(genes.map(|gene| gene.0.cast_signed()));
            batch.genes.resize(end, pad.0.cast_signed());
            batch.values.extend(&known.values);
            batch.values.resize(end, pad_value);
            if let Some(flags) = &mut batch.perturbations {
                let conditions =
                    of_cell.into_iter().flat_map(|tokens| tokens.conditions.iter().flatten());
                for (flag, condition) in flags[first..end].iter_mut().zip(conditions) {
                    *flag = condition.0.cast_signed();
                }
            }
        }
        batch
    }

    /// Takes the conditions of the tokens as modality tokens, not as perturbation flags; `pad` is
    /// that of padding.
    #[must_use]
    pub fn with_modalities(mut self, pad: ConditionToken) -> Self {
        let mut modalities = self.perturbations.take();
        if let Some(modalities) = &mut modalities {
            for (row, &used) in modalities.chunks_mut(self.n_tokens.max(1)).zip(&self.used) {
                row[used..].fill(pad.0.cast_signed());
            }
        }
        Self { modalities, ..self }
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.used.len()
    }

    /// Number of tokens per cell, padding included.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Makes the tensors on `device`.
    pub fn to_device(&self, device: &Device) -> ModelInput {
        let shape = [self.n_cells(), self.n_tokens];
        let conditions = |of: &Option<Vec<i32>>| -> Option<Tensor<2, Int>> {
            Some(Tensor::from_data(TensorData::new(of.as_ref()?.clone(), shape), device))
        };
        ModelInput {
            genes: Tensor::from_data(TensorData::new(self.genes.clone(), shape), device),
            values: Some(Tensor::from_data(TensorData::new(self.values.clone(), shape), device)),
            mask: AttentionMask::generative(self.known.clone(), self.used.clone(), self.n_tokens),
            conditions: Conditions {
                batches: self.labels(device),
                perturbations: conditions(&self.perturbations),
                modalities: conditions(&self.modalities),
                domain: self.domain,
                ..Conditions::default()
            },
        }
    }

    /// Batch labels as a tensor, if there are any.
    pub(crate) fn labels(&self, device: &Device) -> Option<Tensor<1, Int>> {
        let labels = self.batches.as_ref()?.clone();
        let n = labels.len();
        Some(Tensor::from_data(TensorData::new(labels, [n]), device))
    }
}
