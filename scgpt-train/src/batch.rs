//! [`TrainBatch`]: where host tokens become tensors to learn from.

use burn::{prelude::*, tensor::TensorData};
use scgpt_data::{CellTokens, ConditionToken, GeneToken};
use scgpt_model::{AttentionMask, Conditions, ModelInput};

use crate::{objective::Targets, task::Batch};

/// Cells side by side, row-major `[b, t]`: known tokens, then unknown ones, then padding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainBatch {
    n_tokens: usize,
    genes: Vec<i32>,
    /// What the network sees.
    values: Vec<f32>,
    /// What it should say.
    truth: Vec<f32>,
    is_target: Vec<f32>,
    known: Vec<usize>,
    used: Vec<usize>,
    /// Perturbation flag of each token, if known tokens have conditions; 0 for all others.
    perturbations: Option<Vec<i32>>,
    /// Modality token of each token.
    modalities: Option<Vec<i32>>,
    /// Class of each cell.
    pub classes: Option<Vec<i32>>,
    /// How much the class of each cell counts; equally if none.
    pub class_weights: Option<Vec<f32>>,
    /// Batch label of each cell, for condition tokens and DAR.
    pub batches: Option<Vec<i32>>,
    /// The batch label of all cells, for domain-specific batch norm.
    pub domain: usize,
}

/// One cell on its way into a batch.
#[derive(Clone, Debug)]
pub struct TrainCell {
    /// Tokens whose values are seen, `<cls>` first; of those, values hidden by a mask have the
    /// mask's value here.
    pub known: CellTokens,
    /// True values of the known tokens where they are to be predicted.
    pub hidden: Vec<(usize, f32)>,
    /// Tokens whose values are to be generated.
    pub unknown: CellTokens,
}

impl TrainBatch {
    /// Lays `cells` out, padded to the longest with `pad` and `pad_value`.
    pub fn new(cells: &[TrainCell], pad: GeneToken, pad_value: f32) -> Self {
        let length = |cell: &TrainCell| cell.known.len() + cell.unknown.len();
        let n_tokens = cells.iter().map(length).max().unwrap_or(0);
        let size = cells.len() * n_tokens;
        let mut batch = Self {
            n_tokens,
            genes: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
            truth: vec![0.0; size],
            is_target: vec![0.0; size],
            known: cells.iter().map(|cell| cell.known.len()).collect(),
            perturbations: cells
                .iter()
                .any(|cell| cell.known.conditions.is_some())
                .then(|| vec![0; size]),
            used: cells.iter().map(length).collect(),
            ..Self::default()
        };
        for (row, cell) in cells.iter().enumerate() {
            let first = row * n_tokens;
            let end = first + n_tokens;
            let genes = cell.known.genes.iter().chain(&cell.unknown.genes);
            batch.genes.extend(genes.map(|gene| gene.0.cast_signed()));
            batch.genes.resize(end, pad.0.cast_signed());
            batch.values.extend(&cell.known.values);
            batch.values.resize(end, pad_value);
            if let Some(flags) = &mut batch.perturbations {
                let of_cell = [&cell.known, &cell.unknown];
                let of_cell =
                    of_cell.into_iter().flat_map(|tokens| tokens.conditions.iter().flatten());
                for (flag, condition) in flags[first..end].iter_mut().zip(of_cell) {
                    *flag = condition.0.cast_signed();
                }
            }
            for &(position, value) in &cell.hidden {
                batch.truth[first + position] = value;
                batch.is_target[first + position] = 1.0;
            }
            let unknown = first + cell.known.len();
            for (position, &value) in (unknown..).zip(&cell.unknown.values) {
                batch.truth[position] = value;
                batch.is_target[position] = 1.0;
            }
        }
        batch
    }

    /// Takes the conditions of the tokens for modalities, not for perturbation flags; that of
    /// padding is `pad`.
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

    /// The gene, the true value, and the cell of every value to predict, with its position in the
    /// row-major `[b, t]`.
    pub fn targets(&self) -> impl Iterator<Item = (usize, i32, f32)> {
        (0..self.genes.len())
            .filter(|&position| self.is_target[position] > 0.0)
            .map(|position| (position, self.genes[position], self.truth[position]))
    }

    /// Tokens per cell, padding included.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// The tensors on `device`.
    pub fn to_device(&self, device: &Device) -> (ModelInput, Targets) {
        let shape = [self.n_cells(), self.n_tokens];
        let floats = |data: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
        };
        let labels = |labels: &Option<Vec<i32>>| -> Option<Tensor<1, Int>> {
            let labels = labels.as_ref()?;
            let n = labels.len();
            Some(Tensor::from_data(TensorData::new(labels.clone(), [n]), device))
        };
        let batches = labels(&self.batches);
        let conditions = |of: &Option<Vec<i32>>| -> Option<Tensor<2, Int>> {
            Some(Tensor::from_data(TensorData::new(of.as_ref()?.clone(), shape), device))
        };
        let input = ModelInput {
            genes: Tensor::from_data(TensorData::new(self.genes.clone(), shape), device),
            values: Some(floats(&self.values)),
            mask: AttentionMask::generative(self.known.clone(), self.used.clone(), self.n_tokens),
            conditions: Conditions {
                batches: batches.clone(),
                perturbations: conditions(&self.perturbations),
                modalities: conditions(&self.modalities),
                domain: self.domain,
                ..Conditions::default()
            },
        };
        let targets = Targets {
            values: floats(&self.truth),
            is_target: floats(&self.is_target),
            classes: labels(&self.classes),
            class_weights: self.class_weights.as_ref().map(|weights| {
                let n = weights.len();
                Tensor::from_data(TensorData::new(weights.clone(), [n]), device)
            }),
            domains: batches,
        };
        (input, targets)
    }
}

impl Batch for TrainBatch {
    fn n_cells(&self) -> usize {
        self.used.len()
    }

    fn n_targets(&self) -> usize {
        self.is_target.iter().filter(|&&is_target| is_target > 0.0).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    fn tokens(genes: &[u32]) -> CellTokens {
        CellTokens {
            genes: genes.iter().copied().map(GeneToken).collect(),
            values: genes.iter().map(|&gene| gene as f32).collect(),
            ..CellTokens::default()
        }
    }

    #[test]
    fn flags_of_known_tokens() {
        let conditions = Some(vec![ConditionToken(0), ConditionToken(1)]);
        let known = CellTokens { conditions, ..tokens(&[4, 1]) };
        let one = TrainCell { known, hidden: Vec::new(), unknown: CellTokens::default() };
        let other = TrainCell {
            known: tokens(&[4, 1, 2]),
            hidden: Vec::new(),
            unknown: CellTokens::default(),
        };
        let batch = TrainBatch::new(&[one, other], GeneToken(7), -2.0);
        assert_eq!(batch.perturbations, Some(vec![0, 1, 0, 0, 0, 0]));
        let batch = batch.with_modalities(ConditionToken(5));
        assert_eq!(batch.modalities, Some(vec![0, 1, 5, 0, 0, 0]));
        assert_eq!(batch.perturbations, None);
    }

    #[test]
    fn known_unknown_padding() {
        let cells = [
            TrainCell { known: tokens(&[9, 1]), hidden: vec![(1, 4.0)], unknown: tokens(&[2, 3]) },
            TrainCell { known: tokens(&[9]), hidden: Vec::new(), unknown: tokens(&[5]) },
        ];
        let batch = TrainBatch::new(&cells, GeneToken(7), -2.0);
        assert_eq!(batch.genes, [9, 1, 2, 3, 9, 5, 7, 7]);
        assert_eq!(batch.values, [9.0, 1.0, -2.0, -2.0, 9.0, -2.0, -2.0, -2.0]);
        assert_eq!([batch.n_cells(), batch.n_targets()], [2, 4]);
        let targets: Vec<_> = batch.targets().collect();
        assert_eq!(targets, [(1, 1, 4.0), (2, 2, 2.0), (3, 3, 3.0), (5, 5, 5.0)]);
    }
}
