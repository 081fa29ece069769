//! A block that is computed again for its gradients.
//!
//! Forward, the block runs on tensors of which nothing is recorded, and one operator is recorded in its
//! place. Its backward runs the block again, recorded in a graph of its own, with what dropout dropped the
//! first time, and hands on the gradients of input and parameters.

use burn::{
    backend::{
        Flex,
        autodiff::{
            Autodiff, NodeId,
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    module::{ModuleMapper, ModuleVisitor, Param},
    prelude::*,
};

use super::{Block, USES};
use crate::{
    attention::{AttentionMask, Sight},
    fused::{Drawn, Dropping},
};

/// The input of a block, the shares of means, and the parameters: eight of four layers, four of two norms, and
/// eight of adapters.
const INPUTS: usize = 22;

/// The states of the first `n` tokens after the block, see [`Block::forward`].
pub(super) fn forward(block: &Block, x: Tensor<3>, sight: &Sight<'_>, n: usize) -> Tensor<3> {
    let device = x.device();
    let drawn = [(); USES].map(|()| Drawn::of(&block.dropout, &device));
    let mut inputs = vec![recorded(x.clone())];
    inputs.extend(sight.shares.clone().map(recorded));
    block.visit(&mut Inputs(&mut inputs));
    let segment = Segment {
        block: block.clone().map(&mut Detach),
        x: x.inner(),
        mask: sight.mask.clone(),
        shares: sight.shares.clone().map(Tensor::inner),
        n,
        drawn,
    };
    let out = segment.run(
        &segment.block,
        Tensor::from_inner(segment.x.clone()),
        segment.shares.clone().map(Tensor::from_inner),
    );
    // Beyond the last input, the first one stands for what is not there.
    let nodes = std::array::from_fn(|index| inputs.get(index).unwrap_or(&inputs[0]).node());
    let out = plain(out.inner());
    let out = match Again.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((segment, inputs.len()), out),
        OpsKind::UnTracked(step) => step.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

/// What a block is computed from, none of it recorded.
#[derive(Clone, Debug)]
struct Segment {
    block: Block,
    x: Tensor<3>,
    mask: AttentionMask,
    shares: Option<Tensor<3>>,
    n: usize,
    drawn: [Drawn; USES],
}

impl Segment {
    fn run(&self, block: &Block, x: Tensor<3>, shares: Option<Tensor<3>>) -> Tensor<3> {
        let sight = Sight { mask: &self.mask, shares };
        let dropping = self.drawn.map(|drawn| Dropping::again(&block.dropout, drawn));
        block.dropping(x, &sight, self.n, dropping)
    }

    /// The gradients of those inputs that learn, given that of the output.
    fn gradients(&self, gradient: Tensor<3>, learns: &[bool]) -> Vec<Option<FloatTensor<Flex>>> {
        let mut flags = learns.iter().copied();
        let mut leaf = |value: Tensor<3>| {
            Tensor::from_inner(value).set_require_grad(flags.next().unwrap_or(false))
        };
        let x = leaf(self.x.clone());
        let shares = self.shares.clone().map(leaf);
        let first = 1 + usize::from(shares.is_some());
        let flags = &mut learns[first..].iter().copied();
        let block = self.block.clone().map(&mut Leaves { flags });
        let out = self.run(&block, x.clone(), shares.clone());
        let recorded = (out * Tensor::from_inner(gradient)).sum().backward();
        let mut found = vec![x.grad(&recorded).map(plain)];
        found.extend(shares.map(|shares| shares.grad(&recorded).map(plain)));
        block.visit(&mut Found { recorded: &recorded, found: &mut found });
        found
    }
}

#[derive(Debug)]
struct Again;

impl Backward<Flex, INPUTS> for Again {
    /// The block, and the number of its inputs.
    type State = (Segment, usize);

    fn backward(
        self,
        ops: Ops<Self::State, INPUTS>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = Tensor::from_primitive::<Flex>(gradients.consume::<Flex>(&ops.node));
        let (segment, n_inputs) = ops.state;
        let parents: Vec<Option<NodeId>> =
            ops.parents.iter().take(n_inputs).map(|parent| Some(parent.as_ref()?.id)).collect();
        let learns: Vec<bool> = parents.iter().map(Option::is_some).collect();
        let found = segment.gradients(gradient, &learns);
        for (parent, gradient) in parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent, gradient);
            }
        }
    }
}

/// A tensor as the device that records has it.
#[expect(
    clippy::expect_used,
    reason = "blocks are computed again on the CPU alone, while they learn"
)]
fn recorded<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Autodiff<Flex>> {
    tensor.try_into_primitive::<Autodiff<Flex>>().expect("a tensor that is recorded")
}

/// A tensor as the CPU has it.
#[expect(clippy::expect_used, reason = "blocks are computed again on the CPU alone")]
fn plain<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Flex> {
    tensor.try_into_primitive::<Flex>().expect("a tensor of the CPU")
}

/// Gathers parameters in the order of the block.
struct Inputs<'a>(&'a mut Vec<FloatTensor<Autodiff<Flex>>>);

impl ModuleVisitor for Inputs<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(recorded(parameter.val()));
    }
}

/// Takes parameters out of the graph.
struct Detach;

impl ModuleMapper for Detach {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = Tensor::from_inner(parameter.val().inner());
        Param::initialized(parameter.id, value)
    }
}

/// Makes parameters leaves of a new graph.
struct Leaves<'a, I> {
    flags: &'a mut I,
}

impl<I: Iterator<Item = bool>> ModuleMapper for Leaves<'_, I> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let learns = self.flags.next().unwrap_or(false);
        let value = Tensor::from_inner(parameter.val().inner());
        Param::initialized(parameter.id, value.set_require_grad(learns))
    }
}

/// Gathers the gradients of parameters in the order of the block.
struct Found<'a> {
    recorded: &'a burn::tensor::Gradients,
    found: &'a mut Vec<Option<FloatTensor<Flex>>>,
}

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.found.push(parameter.val().grad(self.recorded).map(plain));
    }
}
