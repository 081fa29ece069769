//! Parameters that are computed before training instead of being drawn.

use burn::{
    module::Param,
    prelude::{Device, Tensor, TensorData},
};

/// Gives a parameter another value.
pub(crate) fn set<const D: usize>(parameter: &mut Param<Tensor<D>>, value: Tensor<D>) {
    *parameter = parameter.clone().map(|_| value);
}

/// Numbers as narrow as weights.
#[allow(clippy::cast_possible_truncation, reason = "as narrow as weights")]
pub(crate) fn weights<const D: usize>(
    numbers: &[f64],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}
