//! The attention operator as a CPU kernel over the packed projection, with a backward of its own.

mod autodiff;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    prelude::*,
    tensor::{Bytes, DType, Shape},
};
use burn_flex::{FlexTensor, Layout};
use scgpt_kernels::recorded::{self, AttentionGradient, AttentionPlan as Plan};

use super::AttentionMask;

/// Whether the kernel computes this tensor's attention, and its gradient if the device records one.
pub(super) fn serves(qkv: &Tensor<3>) -> bool {
    qkv.device().inner() == Device::flex() && qkv.dtype() == DType::F32
}

/// See [`super::attend`].
pub(super) fn attend(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    let queries = |used: &usize| if mask.padding_attends() { n } else { n.min(*used) };
    let plan = Plan {
        n_heads,
        n,
        known: mask.known().to_vec(),
        used: mask.used().to_vec(),
        queries: mask.used().iter().map(queries).collect(),
    };
    let (context, _) = <Dispatch as PackedAttention>::packed_attention(qkv.into_dispatch(), plan);
    Tensor::from_dispatch(context)
}

/// The operator as burn's dispatch sees it.
#[backend_extension(Flex, Autodiff)]
trait PackedAttention: Backend {
    /// The context `[b, n, d]` of a packed projection `[b, t, 3 d]`, and the logarithm of every
    /// query's sum of exponentials, `[b, n, h]`, from which the backward recomputes its weights.
    fn packed_attention(
        qkv: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient of the packed projection, `[b, t, 3 d]`, given that of the context, `[b, n, d]`.
    fn packed_attention_backward(
        qkv: FloatTensor<Self>,
        context: FloatTensor<Self>,
        log_sums: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;
}

impl PackedAttention for Flex {
    fn packed_attention(qkv: FlexTensor, plan: Plan) -> (FlexTensor, FlexTensor) {
        let qkv = qkv.to_contiguous();
        let [b, t, d] = packed_shape(&qkv);
        let (context, log_sums) = recorded::attend(qkv.storage::<f32>(), [b, t, d], &plan);
        (tensor(context, [b, plan.n, d]), tensor(log_sums, [b, plan.n, plan.n_heads]))
    }

    fn packed_attention_backward(
        qkv: FlexTensor,
        context: FlexTensor,
        log_sums: FlexTensor,
        gradient: FlexTensor,
        plan: Plan,
    ) -> FlexTensor {
        let [qkv, context, log_sums, gradient] =
            [qkv, context, log_sums, gradient].map(|tensor| tensor.to_contiguous());
        let [b, t, d] = packed_shape(&qkv);
        let saved = AttentionGradient {
            qkv: qkv.storage::<f32>(),
            context: context.storage::<f32>(),
            log_sums: log_sums.storage::<f32>(),
            gradient: gradient.storage::<f32>(),
        };
        tensor(saved.compute([b, t, d], &plan), [b, t, 3 * d])
    }
}

/// `[b, t, d]` of a packed projection `[b, t, 3 d]`.
fn packed_shape(qkv: &FlexTensor) -> [usize; 3] {
    let [b, t, d3] = [0, 1, 2].map(|axis| qkv.layout().shape()[axis]);
    [b, t, d3 / 3]
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}
