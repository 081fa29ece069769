//! The operators on a device that records gradients.

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

use super::{Activation, Drop, Fused, Keep};

#[derive(Debug)]
struct AddNormStep;

impl<B: Fused> Backward<B, 4> for AddNormStep {
    /// The normalised sum, the inverse deviations and gamma.
    type State = ([FloatTensor<B>; 3], Option<Drop>);

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ([normed, inverse, gamma], drop) = ops.state;
        let (x, update, gamma, beta) =
            B::fused_add_norm_backward(normed, inverse, gamma, gradient, drop);
        for (parent, gradient) in ops.parents.into_iter().zip([x, update, gamma, beta]) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ActivationStep;

impl<B: Fused> Backward<B, 1> for ActivationStep {
    /// The result.
    type State = (FloatTensor<B>, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let (out, activation) = ops.state;
        if let Some(parent) = parent {
            let gradient = B::fused_activation_backward(out, gradient, activation);
            gradients.register::<B>(parent.id, gradient);
        }
    }
}

#[derive(Debug)]
struct AddBiasStep;

impl<B: Fused> Backward<B, 2> for AddBiasStep {
    type State = ();

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_x, of_bias] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        if let Some(parent) = of_bias {
            gradients.register::<B>(parent.id, B::fused_add_bias_backward(gradient.clone()));
        }
        if let Some(parent) = of_x {
            gradients.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: Fused, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn fused_add_norm(
        x: FloatTensor<Self>,
        update: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        drop: Option<Drop>,
        _keep: Keep, // what is recorded needs it
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [x_value, update_value, gamma_value, beta_value] =
            [&x, &update, &gamma, &beta].map(|tensor| tensor.primitive().clone());
        let (out, normed, inverse) = B::fused_add_norm(
            x_value,
            update_value,
            gamma_value.clone(),
            beta_value,
            drop,
            Keep::Normed,
        );
        let nodes = [x.node(), update.node(), gamma.node(), beta.node()];
        // Dropout cannot run again with the same result unless it is part of what is kept: no
        // recomputation by gradient checkpointing.
        let out = match AddNormStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                step.finish(([normed.clone(), inverse.clone(), gamma_value], drop), out)
            }
            OpsKind::UnTracked(step) => step.finish(out),
        };
        let [normed, inverse] = [normed, inverse].map(<Self as AutodiffBackend>::from_inner);
        (out, normed, inverse)
    }

    fn fused_add_norm_backward(
        _normed: FloatTensor<Self>,
        _inverse: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _drop: Option<Drop>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("burn differentiates once, below this backend")
    }

    fn fused_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let out = B::fused_activation(x, activation);
        match ActivationStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((out.clone(), activation), out),
            OpsKind::UnTracked(step) => step.finish(out),
        }
    }

    fn fused_activation_backward(
        _out: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _activation: Activation,
    ) -> FloatTensor<Self> {
        unreachable!("burn differentiates once, below this backend")
    }

    fn fused_add_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, x_node), (bias, bias_node)) = (x.into_parts(), bias.into_parts());
        let out = B::fused_add_bias(x, bias);
        AddBiasStep.prepare::<C>([x_node, bias_node]).compute_bound().stateless(out)
    }

    fn fused_add_bias_backward(_gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("burn differentiates once, below this backend")
    }
}
