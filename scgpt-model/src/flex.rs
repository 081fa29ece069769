//! What operators that the kernels of the CPU compute have in common.

use burn::{
    prelude::*,
    tensor::{Bytes, DType, Shape},
};
use burn_flex::{FlexTensor, Layout};

use crate::precision::has_kernels;

/// Whether the kernels compute with this tensor, and its gradient if the device records one.
pub(crate) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    has_kernels(&x.device()) && x.dtype() == DType::F32
}

/// A tensor of row-major values.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}
