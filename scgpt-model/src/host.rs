//! Numbers of tensors on the host: [`host_values`] brings them there, [`HostNumbers`] borrows those
//! that are.

use std::ops::Deref;

use burn::prelude::*;
#[cfg(feature = "flex")]
use burn::{backend::Flex, tensor::DType};
#[cfg(feature = "flex")]
use burn_flex::FlexTensor;

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

/// The numbers of a tensor, row-major: its own memory if they are f32 on the CPU, else a copy.
#[derive(Clone, Debug)]
pub(crate) enum HostNumbers {
    #[cfg(feature = "flex")]
    Shared(FlexTensor),
    Copied(Vec<f32>),
}

impl HostNumbers {
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        #[cfg(feature = "flex")]
        if tensor.dtype() == DType::F32
            && let Ok(tensor) = tensor.clone().try_into_primitive::<Flex>()
        {
            return Self::Shared(tensor.to_contiguous());
        }
        Self::Copied(host_values(tensor))
    }
}

impl Deref for HostNumbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            #[cfg(feature = "flex")]
            Self::Shared(tensor) => &tensor.storage()[..tensor.layout().num_elements()],
            Self::Copied(numbers) => numbers,
        }
    }
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
            assert_eq!(*HostNumbers::of(tensor.clone().cast(format)), [0.5, -1.0, 2.0, 0.0]);
        }
        assert_eq!(*HostNumbers::of(tensor.clone().transpose()), [0.5, 2.0, -1.0, 0.0]);
        assert_eq!(*HostNumbers::of(tensor.narrow(0, 0, 1)), [0.5, -1.0]);
    }
}
