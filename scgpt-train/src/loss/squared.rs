//! Errors of predicted values (GEP, GEPC).

use burn::prelude::*;

use super::masked_mean;

/// Mean of `(ŷ − y)²` where `is_masked` is 1.
///
/// # Shapes
/// - prediction, target, is_masked: `[b, t]`
/// - output: `[1]`, in squared units of the values; 0 if nothing is masked
///
/// # Reference
/// `loss.py`, `masked_mse_loss`. Differs: 0, not NaN, if nothing is masked.
pub fn masked_squared_error(
    prediction: Tensor<2>,
    target: Tensor<2>,
    is_masked: Tensor<2>,
) -> Tensor<1> {
    masked_mean((prediction - target).square(), is_masked)
}

/// Mean of `|ŷ − y| / (y + 10⁻⁶)` where `is_masked` is 1. A metric of the reference; targets of
/// zero dominate it.
///
/// # Shapes
/// - prediction, target, is_masked: `[b, t]`
/// - output: `[1]`; 0 if nothing is masked
///
/// # Reference
/// `loss.py`, `masked_relative_error`. Differs: 0, not a failure, if nothing is masked.
pub fn masked_relative_error(
    prediction: Tensor<2>,
    target: Tensor<2>,
    is_masked: Tensor<2>,
) -> Tensor<1> {
    masked_mean((prediction - target.clone()).abs() / (target + 1e-6), is_masked)
}
