//! The operators as CPU kernels with backwards of their own.

mod autodiff;
mod drop;
mod norm;
mod relu;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    prelude::*,
    tensor::{Bytes, DType, Shape},
};
use burn_flex::{FlexTensor, Layout};

pub(super) use self::drop::Drop;

/// Added to a variance: what burn's `LayerNorm` has unless told otherwise, and PyTorch's.
const EPSILON: f32 = 1e-5;

/// What a forward leaves for its backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Nothing that is as large as the result.
    Nothing,
    /// The normalised sum.
    Normed,
}

/// Whether the kernels compute with this tensor.
pub(super) fn serves(x: &Tensor<3>) -> bool {
    x.device() == Device::flex() && x.dtype() == DType::F32
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
    Tensor::from_dispatch(<Dispatch as Fused>::fused_relu_drop(x.into_dispatch(), drop))
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

    fn fused_relu_drop(x: FloatTensor<Self>, drop: Option<Drop>) -> FloatTensor<Self>;

    /// The gradient of x: where the result is positive, the gradient scaled as the result was.
    fn fused_relu_drop_backward(
        out: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        drop: Option<Drop>,
    ) -> FloatTensor<Self>;
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
        let sum = norm::AddNorm { x: x.storage(), update: update.storage(), parameters, drop };
        let norm::Added { out, normed, inverse } = sum.forward(keep);
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
        let saved = norm::Saved {
            normed: normed.storage(),
            inverse: inverse.storage(),
            gamma: gamma.storage(),
            gradient: gradient.storage(),
            drop,
        };
        let norm::Gradients { sum, update, gamma, beta } = saved.backward();
        let shape = normed.layout().shape();
        let width = Shape::new([gamma.len()]);
        let sum = tensor(sum, shape.clone());
        let update = update.map_or_else(|| sum.clone(), |update| tensor(update, shape.clone()));
        (sum, update, tensor(gamma, width.clone()), tensor(beta, width))
    }

    fn fused_relu_drop(x: FlexTensor, drop: Option<Drop>) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = x.layout().shape();
        tensor(relu::forward(x.storage(), width(shape), drop), shape.clone())
    }

    fn fused_relu_drop_backward(
        out: FlexTensor,
        gradient: FlexTensor,
        drop: Option<Drop>,
    ) -> FlexTensor {
        let [out, gradient] = [out, gradient].map(|x| x.to_contiguous());
        let shape = out.layout().shape();
        tensor(relu::backward(out.storage(), gradient.storage(), drop), shape.clone())
    }
}

fn width(shape: &Shape) -> usize {
    shape[shape.num_dims() - 1]
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
