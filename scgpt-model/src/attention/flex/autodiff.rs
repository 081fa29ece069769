//! The operator on a device that records gradients.

use burn::backend::{
    AutodiffBackend,
    autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{PackedAttention, Plan};

/// The recorded step: what it keeps is linear in the number of tokens, scores are recomputed.
#[derive(Debug)]
struct Step;

impl<B: PackedAttention> Backward<B, 1> for Step {
    /// The packed projection, the context and the logarithms of the sums.
    type State = ([FloatTensor<B>; 3], Plan);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let ([qkv, context, log_sums], plan) = ops.state;
        if let Some(parent) = parent {
            let gradient = B::packed_attention_backward(qkv, context, log_sums, gradient, plan);
            gradients.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: PackedAttention, C: CheckpointStrategy> PackedAttention for Autodiff<B, C> {
    fn packed_attention(
        qkv: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let values = qkv.primitive().clone();
        let (context, log_sums) = B::packed_attention(values.clone(), plan.clone());
        // Bound by arithmetic: gradient checkpointing keeps its result instead of running it again.
        let context = match Step.prepare::<C>([qkv.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                step.finish(([values, context.clone(), log_sums.clone()], plan), context)
            }
            OpsKind::UnTracked(step) => step.finish(context),
        };
        (context, <Self as AutodiffBackend>::from_inner(log_sums))
    }

    fn packed_attention_backward(
        _qkv: FloatTensor<Self>,
        _context: FloatTensor<Self>,
        _log_sums: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _plan: Plan,
    ) -> FloatTensor<Self> {
        unreachable!("burn differentiates once, below this backend")
    }
}
