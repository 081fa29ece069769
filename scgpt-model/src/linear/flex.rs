//! The layer as kernels of the CPU, with a backward of its own.

mod autodiff;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    prelude::*,
};
use burn_flex::FlexTensor;
use scgpt_kernels::{self as kernels, Cpu, Epilogue, PackedMatrix};

use super::Packed;
use crate::flex::tensor;

/// See [`super::Linear::forward`].
pub(super) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    packed: Packed,
) -> Tensor<D> {
    let [k, n] = weight.dims();
    assert_eq!(x.dims()[D - 1], k, "an input of another width");
    let bias = bias.unwrap_or_else(|| Tensor::zeros([n], &x.device()));
    Tensor::from_dispatch(<Dispatch as PackedLinear>::packed_linear(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        packed,
    ))
}

/// The operator as burn's dispatch sees it; rows are all axes but the last.
#[backend_extension(Flex, Autodiff)]
trait PackedLinear: Backend {
    /// `x W + b`.
    fn packed_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        packed: Packed,
    ) -> FloatTensor<Self>;

    /// The gradient of x.
    fn packed_linear_backward(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        packed: Packed,
    ) -> FloatTensor<Self>;

    /// The gradients of weight and bias.
    fn packed_linear_gradients(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        packed: Packed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl PackedLinear for Flex {
    fn packed_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        packed: Packed,
    ) -> FlexTensor {
        let [weight, bias] = [weight, bias].map(|tensor| tensor.to_contiguous());
        let epilogue = Epilogue { bias: Some(bias.storage()), ..Epilogue::default() };
        multiplied(&x, packed.weight(weight.storage()), epilogue)
    }

    fn packed_linear_backward(
        weight: FlexTensor,
        gradient: FlexTensor,
        packed: Packed,
    ) -> FlexTensor {
        let weight = weight.to_contiguous();
        multiplied(&gradient, packed.transposed(weight.storage()), Epilogue::default())
    }

    fn packed_linear_gradients(
        x: FlexTensor,
        gradient: FlexTensor,
        packed: Packed,
    ) -> (FlexTensor, FlexTensor) {
        let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
        let [k, n] = packed.shape();
        let (mut weight, mut bias) = (vec![0.0; k * n], vec![0.0; n]);
        let (x, gradient, format) = (x.storage(), gradient.storage(), packed.format());
        kernels::linear_gradient(Cpu::best(), format, x, gradient, &mut weight, &mut bias);
        (tensor(weight, [k, n]), tensor(bias, [n]))
    }
}

/// The rows of a tensor times a matrix.
fn multiplied(x: &FlexTensor, matrix: &PackedMatrix, epilogue: Epilogue) -> FlexTensor {
    let x = x.to_contiguous();
    let [k, n] = matrix.shape();
    let mut shape = x.layout().shape().clone();
    let mut out = vec![0.0; shape.num_elements() / k * n];
    kernels::linear(Cpu::best(), x.storage(), matrix, epilogue, &mut out);
    let last = shape.num_dims() - 1;
    shape[last] = n;
    tensor(out, shape)
}
