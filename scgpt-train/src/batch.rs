//! [`TrainBatch`]: cells on the host, laid out to become the tensors that a network learns from.

use burn::{prelude::*, tensor::TensorData};
use scgpt_data::{CellTokens, ConditionToken, GeneToken};
use scgpt_model::ModelInput;

use crate::{input::InputBatch, objective::Targets, task::Batch};

/// Cells to learn from: the input of a network, and the values that it should predict.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_data::{CellTokens, GeneToken};
/// use scgpt_train::{Batch, TrainBatch, TrainCell};
///
/// // Genes 7 and 12 after `<cls>`; the value of 12 is hidden behind the mask's -1 and was 40.
/// let known = [(GeneToken(0), -2.0), (GeneToken(7), 3.0), (GeneToken(12), -1.0)];
/// let known: CellTokens = known.into_iter().collect();
/// let cell = TrainCell { hidden: vec![(2, 40.0)], ..TrainCell::seen(known) };
/// let batch = TrainBatch::new(&[cell], GeneToken(1), -2.0);
/// assert_eq!((batch.n_cells(), batch.n_targets()), (1, 1));
/// let (_input, targets) = batch.to_device(&Device::flex());
/// assert_eq!(targets.values.dims(), [1, 3]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainBatch {
    /// What the network sees.
    pub input: InputBatch,
    /// The values that it should predict, `[b, t]`.
    truth: Vec<f32>,
    is_target: Vec<f32>,
    /// Class of each cell, `[b]`.
    pub classes: Option<Vec<i32>>,
    /// How much the class of each cell counts, `[b]`; all count equally if `None`.
    pub class_weights: Option<Vec<f32>>,
}

/// One cell on its way into a batch.
#[derive(Clone, Debug)]
pub struct TrainCell {
    /// Tokens whose values are seen, `<cls>` first; where a value is hidden, the value of the mask
    /// stands here.
    pub known: CellTokens,
    /// The known tokens whose true value is to be predicted, by their position, and that value.
    pub hidden: Vec<(usize, f32)>,
    /// Tokens whose values are to be generated.
    pub unknown: CellTokens,
}

impl TrainCell {
    /// A cell of which everything is seen and nothing is to be predicted.
    pub fn seen(known: CellTokens) -> Self {
        Self { known, hidden: Vec::new(), unknown: CellTokens::default() }
    }
}

impl TrainBatch {
    /// Lays `cells` out, padded to the longest with `pad` and `pad_value`.
    pub fn new(cells: &[TrainCell], pad: GeneToken, pad_value: f32) -> Self {
        let tokens = cells.iter().map(|cell| [&cell.known, &cell.unknown]);
        let input = InputBatch::new(tokens, pad, pad_value);
        let size = input.genes.len();
        let (mut truth, mut is_target) = (vec![0.0; size], vec![0.0; size]);
        for (row, cell) in cells.iter().enumerate() {
            let first = row * input.n_tokens();
            let unknown = first + cell.known.len();
            let hidden = cell.hidden.iter().map(|&(position, value)| (first + position, value));
            let values = (unknown..).zip(cell.unknown.values.iter().copied());
            for (position, value) in hidden.chain(values) {
                truth[position] = value;
                is_target[position] = 1.0;
            }
        }
        Self { input, truth, is_target, ..Self::default() }
    }

    /// Takes the conditions of the tokens as modalities; see [`InputBatch::with_modalities`].
    #[must_use]
    pub fn with_modalities(self, pad: ConditionToken) -> Self {
        Self { input: self.input.with_modalities(pad), ..self }
    }

    /// Every value to predict: its position in the row-major `[b, t]`, its gene token, and the true
    /// value.
    pub fn targets(&self) -> impl Iterator<Item = (usize, i32, f32)> {
        (0..self.truth.len())
            .filter(|&position| self.is_target[position] > 0.0)
            .map(|position| (position, self.input.genes[position], self.truth[position]))
    }

    /// Makes the tensors on `device`.
    pub fn to_device(&self, device: &Device) -> (ModelInput, Targets) {
        let shape = [self.n_cells(), self.input.n_tokens()];
        let floats = |data: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
        };
        let targets = Targets {
            values: floats(&self.truth),
            is_target: floats(&self.is_target),
            classes: self.classes.as_ref().map(|classes| {
                let n = classes.len();
                Tensor::from_data(TensorData::new(classes.clone(), [n]), device)
            }),
            class_weights: self.class_weights.as_ref().map(|weights| {
                let n = weights.len();
                Tensor::from_data(TensorData::new(weights.clone(), [n]), device)
            }),
            domains: self.input.labels(device),
        };
        (self.input.to_device(device), targets)
    }
}

impl Batch for TrainBatch {
    fn n_cells(&self) -> usize {
        self.input.n_cells()
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
        genes.iter().map(|&gene| (GeneToken(gene), gene as f32)).collect()
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
        assert_eq!(batch.input.perturbations, Some(vec![0, 1, 0, 0, 0, 0]));
        let batch = batch.with_modalities(ConditionToken(5));
        assert_eq!(batch.input.modalities, Some(vec![0, 1, 5, 0, 0, 0]));
        assert_eq!(batch.input.perturbations, None);
    }

    #[test]
    fn known_unknown_padding() {
        let cells = [
            TrainCell { known: tokens(&[9, 1]), hidden: vec![(1, 4.0)], unknown: tokens(&[2, 3]) },
            TrainCell { known: tokens(&[9]), hidden: Vec::new(), unknown: tokens(&[5]) },
        ];
        let batch = TrainBatch::new(&cells, GeneToken(7), -2.0);
        assert_eq!(batch.input.genes, [9, 1, 2, 3, 9, 5, 7, 7]);
        assert_eq!(batch.input.values, [9.0, 1.0, -2.0, -2.0, 9.0, -2.0, -2.0, -2.0]);
        assert_eq!([batch.n_cells(), batch.n_targets()], [2, 4]);
        let targets: Vec<_> = batch.targets().collect();
        assert_eq!(targets, [(1, 1, 4.0), (2, 2, 2.0), (3, 3, 3.0), (5, 5, 5.0)]);
    }
}
