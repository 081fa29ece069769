//! Token states → cell embedding.

use burn::prelude::*;

use crate::{
    attention::AttentionMask,
    config::{CellPooling, PaddedStates},
};

impl CellPooling {
    /// One vector per cell.
    ///
    /// # Shapes
    /// - hidden: `[b, t, d]`
    /// - values: `[b, t]`; only the weighted sum needs them
    /// - output: `[b, d]`
    ///
    /// # Reference
    /// `model.py`, `_get_cell_emb_from_layer`. Differs: padding is left out unless
    /// [`PaddedStates`] asks for the reference's behaviour.
    pub fn pool(
        self,
        hidden: Tensor<3>,
        values: Option<Tensor<2>>,
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
        match self {
            Self::Cls => hidden.narrow(1, 0, 1).squeeze_dim(1),
            Self::Mean => {
                let n_tokens = is_used.clone().sum_dim(1); // [b, 1, 1]
                ((hidden * is_used).sum_dim(1) / n_tokens).squeeze_dim(1)
            }
            Self::Weighted => {
                let values = values.unwrap_or_else(|| Tensor::zeros([b, t], &device));
                let values = values.cast(hidden.dtype());
                let weights = values.unsqueeze_dim::<3>(2) * is_used; // [b, t, 1]
                let sum: Tensor<2> = (hidden * weights).sum_dim(1).squeeze_dim(1);
                // The root is not differentiable at zero, so the floor comes before it.
                let length = sum.clone().square().sum_dim(1).clamp_min(1e-24).sqrt(); // [b, 1]
                sum / length
            }
        }
    }
}
