//! Token states → cell embedding.

use burn::prelude::*;

use crate::{
    attention::AttentionMask,
    config::{CellPooling, PaddedStates},
};

impl CellPooling {
    /// Pools the states of every cell's tokens into one vector.
    ///
    /// # Shapes
    /// - hidden: `[b, t, d]`
    /// - given: values, `[b, t]`; only weights need them
    /// - output: `[b, d]`
    ///
    /// # Reference
    /// `model.py`, `_get_cell_emb_from_layer`. Differs: padding is left out unless
    /// [`PaddedStates`] asks for the reference's behaviour; [`ValueMean`](Self::ValueMean) is ours.
    pub fn pool(
        self,
        hidden: Tensor<3>,
        given: Option<Tensor<2>>,
        mask: &AttentionMask,
        padded: PaddedStates,
    ) -> Tensor<2> {
        let [b, t, _] = hidden.dims();
        let device = hidden.device();
        let is_used = match padded {
            PaddedStates::Excluded => mask.is_used(&hidden),
            PaddedStates::PackedLayout | PaddedStates::PlainLayout => {
                Tensor::<3>::ones([b, t, 1], &device).cast(hidden.dtype())
            }
        };
        let values = |values: Option<Tensor<2>>| -> Tensor<3> {
            let values = values.unwrap_or_else(|| Tensor::zeros([b, t], &device));
            values.cast(hidden.dtype()).unsqueeze_dim(2) // [b, t, 1]
        };
        match self {
            Self::Cls => hidden.narrow(1, 0, 1).squeeze_dim(1),
            Self::Mean => {
                let n_tokens = is_used.clone().sum_dim(1); // [b, 1, 1]
                ((hidden * is_used).sum_dim(1) / n_tokens).squeeze_dim(1)
            }
            Self::Weighted => {
                let weights = values(given) * is_used;
                let sum: Tensor<2> = (hidden * weights).sum_dim(1).squeeze_dim(1);
                // The root is not differentiable at zero, so the floor comes before it.
                let length = sum.clone().square().sum_dim(1).clamp_min(1e-24).sqrt(); // [b, 1]
                sum / length
            }
            Self::ValueMean => {
                // Padding, hidden and unknown values are marked by negative ones.
                let weights = values(given).clamp_min(0.0);
                let total = weights.clone().sum_dim(1).clamp_min(1.0); // [b, 1, 1]
                ((hidden * weights).sum_dim(1) / total).squeeze_dim(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_unknown_values_have_no_part_in_the_mean() {
        let device = Device::flex();
        let hidden = Tensor::<3>::from_data([[[9.0], [4.0], [9.0], [1.0], [9.0]]], &device);
        let values = Tensor::<2>::from_data([[0.0, 10.0, -1.0, 30.0, -2.0]], &device);
        let mask = AttentionMask::generative(vec![4], vec![5], 5);
        let pool = |values: Tensor<2>| {
            let given = (hidden.clone(), Some(values));
            let cell = CellPooling::ValueMean.pool(given.0, given.1, &mask, PaddedStates::Excluded);
            cell.into_scalar::<f32>()
        };
        assert!((pool(values.clone()) - (4.0 * 10.0 + 30.0) / 40.0).abs() < 1e-6);
        assert!(pool(values.zeros_like()).abs() < 1e-6);
    }
}
