//! The attention operator as a CPU kernel over the packed projection, with a backward of its own.

mod autodiff;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    prelude::*,
};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use scgpt_kernels::{
    self as kernels, Attended, Cpu, Format, Tokens,
    recorded::{self, AttentionGradient, AttentionPlan},
};

use super::AttentionMask;
use crate::flex::tensor;

/// What the operator needs to know beside numbers.
#[derive(Clone, Debug)]
struct Plan {
    attention: AttentionPlan,
    /// In which products are computed, if not in f32.
    format: Option<Format>,
}

/// See [`super::attend_in`].
pub(super) fn attend(
    format: Option<Format>,
    qkv: Tensor<3>,
    n_heads: usize,
    mask: &AttentionMask,
    n: usize,
) -> Tensor<3> {
    let of_cell = |(&known, &used): (&usize, &usize)| Tokens {
        known,
        used,
        queries: if mask.padding_attends() { n } else { n.min(used) },
    };
    let cells = std::iter::zip(mask.known(), mask.used()).map(of_cell).collect();
    let attention = AttentionPlan { n_heads, n, cells };
    let plan = Plan { attention, format };
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
        let AttentionPlan { n, n_heads, .. } = plan.attention;
        let (context, log_sums) = match plan.format {
            Some(format) => attended_in(format, qkv.storage(), [b, t, d], &plan.attention),
            None => recorded::attend(qkv.storage(), [b, t, d], &plan.attention),
        };
        (tensor(context, [b, n, d]), tensor(log_sums, [b, n, n_heads]))
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
        let gradient = match plan.format {
            Some(format) => gradient_in(format, &saved, [b, t, d], &plan.attention),
            None => saved.compute([b, t, d], &plan.attention),
        };
        tensor(gradient, [b, t, 3 * d])
    }
}

/// Contexts `[b, n, d]` and logarithms of sums `[b, n, h]`; those of padding are zero.
fn attended_in(
    format: Format,
    qkv: &[f32],
    [b, t, d]: [usize; 3],
    plan: &AttentionPlan,
) -> (Vec<f32>, Vec<f32>) {
    let AttentionPlan { n, n_heads: h, ref cells } = *plan;
    let (mut context, mut log_sums) = (vec![0.0; b * n * d], vec![0.0; b * n * h]);
    if n == 0 {
        return (context, log_sums);
    }
    let rows = context.par_chunks_mut(n * d).zip(log_sums.par_chunks_mut(n * h));
    kernels::each(rows.enumerate(), |(cell, (out, log_sums))| {
        let tokens @ Tokens { queries, .. } = cells[cell];
        let qkv = &qkv[cell * t * 3 * d..(cell + 1) * t * 3 * d];
        let (out, log_sums) = (&mut out[..queries * d], &mut log_sums[..queries * h]);
        kernels::attend_recorded(Cpu::best(), format, qkv, h, tokens, out, log_sums);
    });
    (context, log_sums)
}

/// The gradient of the packed projection, `[b, t, 3 d]`.
fn gradient_in(
    format: Format,
    saved: &AttentionGradient<'_>,
    [b, t, d]: [usize; 3],
    plan: &AttentionPlan,
) -> Vec<f32> {
    let AttentionPlan { n, n_heads: h, ref cells } = *plan;
    let mut out = vec![0.0; b * t * 3 * d];
    kernels::each(out.par_chunks_mut(t * 3 * d).enumerate(), |(cell, out)| {
        let tokens = cells[cell];
        let of_queries = |width: usize| cell * n * width..(cell * n + tokens.queries) * width;
        let attended = Attended {
            qkv: &saved.qkv[cell * t * 3 * d..(cell + 1) * t * 3 * d],
            context: &saved.context[of_queries(d)],
            log_sums: &saved.log_sums[of_queries(h)],
            tokens,
        };
        let gradient = &saved.gradient[of_queries(d)];
        kernels::attend_gradient(Cpu::best(), format, attended, h, gradient, out);
    });
    out
}

/// `[b, t, d]` of a packed projection `[b, t, 3 d]`.
fn packed_shape(qkv: &FlexTensor) -> [usize; 3] {
    let [b, t, d3] = [0, 1, 2].map(|axis| qkv.layout().shape()[axis]);
    [b, t, d3 / 3]
}
