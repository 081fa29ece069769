//! The attention operator as a CPU kernel over the packed projection.

mod kernel;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    prelude::*,
    tensor::{DType, Shape},
};
use burn_flex::{FlexTensor, Layout};

use super::AttentionMask;

/// Whether the kernel computes this tensor's attention.
pub(super) fn serves(qkv: &Tensor<3>) -> bool {
    let device = qkv.device();
    device == Device::flex() && !device.is_autodiff() && qkv.dtype() == DType::F32
}

/// See [`super::attend`].
pub(super) fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    let queries = mask.used().iter().map(|&used| used.min(n)).collect();
    Tensor::from_dispatch(<Dispatch as PackedAttention>::packed_attention(
        qkv.into_dispatch(),
        n_heads,
        mask.known().to_vec(),
        queries,
        n,
    ))
}

/// The operator as burn's dispatch sees it.
#[backend_extension(Flex)]
trait PackedAttention: Backend {
    fn packed_attention(
        qkv: FloatTensor<Self>,
        n_heads: usize,
        known: Vec<usize>,
        queries: Vec<usize>,
        n: usize,
    ) -> FloatTensor<Self>;
}

impl PackedAttention for Flex {
    fn packed_attention(
        qkv: FlexTensor,
        n_heads: usize,
        known: Vec<usize>,
        queries: Vec<usize>,
        n: usize,
    ) -> FlexTensor {
        let qkv = qkv.to_contiguous();
        let [b, t, d3] = [0, 1, 2].map(|axis| qkv.layout().shape()[axis]);
        let context =
            kernel::attend(qkv.storage::<f32>(), [b, t, d3 / 3], n_heads, &known, &queries, n);
        let shape = Shape::new([b, n, d3 / 3]);
        FlexTensor::new(
            burn::tensor::Bytes::from_elems(context),
            Layout::contiguous(shape),
            DType::F32,
        )
    }
}
