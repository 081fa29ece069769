//! [`host_values`]: brings the numbers of a tensor from its device to the host.

use burn::prelude::*;

/// The numbers of a tensor, row-major, as f32 whatever the format they were computed in.
///
/// # Panics
/// If the device fails, as every reading of a tensor does.
#[expect(
    clippy::expect_used,
    reason = "after the conversion all elements are f32, so they can be taken"
)]
pub fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("elements that were made f32")
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;

    #[test]
    fn half_precision_is_read_as_well() {
        let tensor = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.0]], &Device::flex());
        for format in [DType::F32, DType::BF16, DType::F16] {
            assert_eq!(host_values(tensor.clone().cast(format)), [0.5, -1.0, 2.0, 0.0]);
        }
    }
}
