//! The operator on a device that records gradients.

use burn::backend::{
    autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{Packed, PackedLinear};

#[derive(Debug)]
struct Step;

impl<B: PackedLinear> Backward<B, 3> for Step {
    /// What the weight was multiplied with, and the weight.
    type State = ([FloatTensor<B>; 2], Packed);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([x, weight], packed) = ops.state;
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(parent) = of_x {
            let x = B::packed_linear_backward(weight, gradient.clone(), packed.clone());
            gradients.register::<B>(parent.id, x);
        }
        if of_weight.is_some() || of_bias.is_some() {
            let (weight, bias) = B::packed_linear_gradients(x, gradient, packed);
            for (parent, gradient) in [(of_weight, weight), (of_bias, bias)] {
                if let Some(parent) = parent {
                    gradients.register::<B>(parent.id, gradient);
                }
            }
        }
    }
}

impl<B: PackedLinear, C: CheckpointStrategy> PackedLinear for Autodiff<B, C> {
    fn packed_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        packed: Packed,
    ) -> FloatTensor<Self> {
        let [x_value, weight_value, bias_value] =
            [&x, &weight, &bias].map(|tensor| tensor.primitive().clone());
        let out =
            B::packed_linear(x_value.clone(), weight_value.clone(), bias_value, packed.clone());
        let nodes = [x.node(), weight.node(), bias.node()];
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(([x_value, weight_value], packed), out),
            OpsKind::UnTracked(step) => step.finish(out),
        }
    }

    fn packed_linear_backward(
        _weight: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _packed: Packed,
    ) -> FloatTensor<Self> {
        unreachable!("burn differentiates once, below this backend")
    }

    fn packed_linear_gradients(
        _x: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _packed: Packed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("burn differentiates once, below this backend")
    }
}
