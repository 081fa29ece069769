//! The operators as CPU kernels with backwards of their own.

mod autodiff;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    nn::Dropout,
    prelude::*,
    tensor::{Distribution, Shape},
};
use burn_flex::FlexTensor;
pub(super) use scgpt_kernels::recorded::Drop;
use scgpt_kernels::recorded::{self, AddNorm, Added, Keep, NormGradient, NormGradients};

use crate::flex::tensor;

/// A new draw from the device's generator; `None` where dropout does nothing.
pub(super) fn draw(dropout: &Dropout, device: &Device) -> Option<Drop> {
    let is_active = dropout.training.is_enabled() && device.is_autodiff() && dropout.prob > 0.0;
    is_active.then(|| Drop::with_seed(dropout.prob, seed(&device.clone().inner())))
}

/// 64 bits of the device's generator, so that its seed decides.
fn seed(device: &Device) -> u64 {
    let halves = Tensor::<1, Int>::random([4], Distribution::Uniform(0.0, 65_536.0), device);
    halves.into_data().iter::<u64>().fold(0, |seed, part| (seed << 16) | (part & 0xFFFF))
}

/// See [`super::add_norm`].
pub(super) fn add_norm(
    x: Tensor<3>,
    update: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    drop: Option<Drop>,
) -> Tensor<3> {
    assert_eq!(x.dims(), update.dims(), "a sum of two shapes");
    assert_eq!([x.dims()[2]; 2], [gamma.dims()[0], beta.dims()[0]], "a norm of another width");
    let (out, _, _) = <Dispatch as Fused>::fused_add_norm(
        x.into_dispatch(),
        update.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        drop,
        Keep::Nothing, // recording backends keep on their own account
    );
    Tensor::from_dispatch(out)
}

/// See [`super::relu_drop`].
pub(super) fn relu_drop(x: Tensor<3>, drop: Option<Drop>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as Fused>::fused_activation(
        x.into_dispatch(),
        Activation::ReluDrop(drop),
    ))
}

/// `x + bias`, for tensors that the kernels [serve](crate::flex::serves).
///
/// # Shapes
/// - x, output: `[…, d]`
/// - bias: `[d]`
pub(crate) fn add_bias<const D: usize>(x: Tensor<D>, bias: Tensor<1>) -> Tensor<D> {
    assert_eq!(x.dims()[D - 1], bias.dims()[0], "a bias of another width");
    let out = <Dispatch as Fused>::fused_add_bias(x.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(out)
}

/// See [`super::leaky_relu`].
pub(super) fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f32) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Fused>::fused_activation(
        x.into_dispatch(),
        Activation::LeakyRelu(slope),
    ))
}

/// What a layer makes of its sums, number by number.
#[derive(Clone, Copy, Debug)]
enum Activation {
    ReluDrop(Option<Drop>),
    /// With the slope, which is positive.
    LeakyRelu(f32),
}

/// The operators as burn's dispatch sees them; rows are all axes but the last.
#[backend_extension(Flex, Autodiff)]
trait Fused: Backend {
    /// The result; for the backward the normalised sum before `gamma` and `beta`, if it is kept, and
    /// the inverse deviation of every row.
    fn fused_add_norm(
        x: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        drop: Option<Drop>,
        keep: Keep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of x, update, gamma and beta.
    fn fused_add_norm_backward(
        normed: FloatTensor<Self>,
        inverse: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        drop: Option<Drop>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn fused_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// The gradient of x, given the result and its gradient.
    fn fused_activation_backward(
        out: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    fn fused_add_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradient of the bias: the sum over rows.
    fn fused_add_bias_backward(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Fused for Flex {
    fn fused_add_norm(
        x: FlexTensor,
        update: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        drop: Option<Drop>,
        keep: Keep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, update, gamma, beta] = [x, update, gamma, beta].map(|x| x.to_contiguous());
        let parameters = [gamma.storage::<f32>(), beta.storage::<f32>()];
        let sum = AddNorm { x: x.storage(), update: update.storage(), parameters, drop };
        let Added { out, normed, inverse } = sum.forward(keep);
        let shape = x.layout().shape();
        let kept = if keep == Keep::Normed { shape.clone() } else { Shape::new([0]) };
        let rows = Shape::new([inverse.len()]);
        (tensor(out, shape.clone()), tensor(normed, kept), tensor(inverse, rows))
    }

    fn fused_add_norm_backward(
        normed: FlexTensor,
        inverse: FlexTensor,
        gamma: FlexTensor,
        gradient: FlexTensor,
        drop: Option<Drop>,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let [normed, inverse, gamma, gradient] =
            [normed, inverse, gamma, gradient].map(|x| x.to_contiguous());
        let saved = NormGradient {
            normed: normed.storage(),
            inverse: inverse.storage(),
            gamma: gamma.storage(),
            gradient: gradient.storage(),
            drop,
        };
        let NormGradients { sum, update, gamma, beta } = saved.compute();
        let shape = normed.layout().shape();
        let width = Shape::new([gamma.len()]);
        let sum = tensor(sum, shape.clone());
        let update = update.map_or_else(|| sum.clone(), |update| tensor(update, shape.clone()));
        (sum, update, tensor(gamma, width.clone()), tensor(beta, width))
    }

    fn fused_activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut x = contiguous(x);
        match activation {
            Activation::ReluDrop(drop) => {
                let shape = x.layout().shape();
                tensor(recorded::relu_drop(x.storage(), width(shape), drop), shape.clone())
            }
            Activation::LeakyRelu(slope) => {
                recorded::leaky_relu(x.storage_mut(), slope);
                x
            }
        }
    }

    fn fused_activation_backward(
        out: FlexTensor,
        gradient: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        let [out, mut gradient] = [out, gradient].map(contiguous);
        match activation {
            Activation::ReluDrop(drop) => {
                let x = recorded::relu_drop_gradient(out.storage(), gradient.storage(), drop);
                tensor(x, out.layout().shape().clone())
            }
            Activation::LeakyRelu(slope) => {
                recorded::leaky_relu_gradient(out.storage(), gradient.storage_mut(), slope);
                gradient
            }
        }
    }

    fn fused_add_bias(x: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [mut x, bias] = [x, bias].map(contiguous);
        recorded::add_bias(x.storage_mut(), bias.storage());
        x
    }

    fn fused_add_bias_backward(gradient: FlexTensor) -> FlexTensor {
        let shape = gradient.layout().shape();
        let width = width(shape);
        let rows = Shape::new([shape.num_elements() / width, width]);
        sum_rows::<Self>(gradient.to_contiguous().reshape(rows)).reshape(Shape::new([width]))
    }
}

fn sum_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum_dim(x, 0)
}

/// The tensor, row-major; what nothing else holds is changed in place.
fn contiguous(x: FlexTensor) -> FlexTensor {
    let contiguous = x.to_contiguous();
    drop(x);
    contiguous
}

fn width(shape: &Shape) -> usize {
    shape[shape.num_dims() - 1]
}
