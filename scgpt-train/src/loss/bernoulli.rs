//! The likelihood of zeros (GEP-zero, GEPC-zero).

use burn::prelude::*;

use super::masked_mean;

/// Negative log-likelihood of whether each gene is expressed, which it is where its target is above
/// 0; the mean where `is_masked` is 1. Predicted probabilities are kept an f32 rounding error away
/// from 0 and 1.
///
/// # Shapes
/// - probability (of a value that is not zero), target (the value), is_masked: `[b, t]`
/// - output: `[1]`, in nats; 0 if nothing is masked
///
/// # Reference
/// `loss.py`, `criterion_neg_log_bernoulli`. Differs: 0, not NaN, if nothing is masked.
pub fn negative_log_bernoulli(
    probability: Tensor<2>,
    target: Tensor<2>,
    is_masked: Tensor<2>,
) -> Tensor<1> {
    let epsilon = f32::EPSILON;
    let p = probability.clamp(epsilon, 1.0 - epsilon);
    let is_expressed = target.greater_elem(0.0).float();
    let log = is_expressed.clone() * p.clone().log() + (-is_expressed + 1.0) * (-p + 1.0).log();
    -masked_mean(log, is_masked)
}
