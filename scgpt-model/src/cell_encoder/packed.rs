//! [`PackedEncoder`]: the blocks of a network in one operator of the CPU.

use burn::{nn::LayerNorm, prelude::*, tensor::DType};
use scgpt_kernels::{Affine, BlockWeights, Cpu, EncoderStack, Norm, Tokens, Widths};

use crate::{
    block::Block,
    config::{NormScheme, ScgptConfig},
    encoder::Encoder,
    host::host_values,
    linear::Linear,
    precision::{InferencePrecision, has_kernels},
};

/// ε of every layer norm of the network.
const EPSILON: f32 = 1e-5;

/// Blocks whose weights are packed once. All tokens of a cell are known: nothing is hidden from a
/// network that embeds.
#[derive(Debug)]
pub(super) struct PackedEncoder {
    stack: EncoderStack,
}

/// Whether the operator computes such a network, whose parameters are as `parameter` is.
pub(super) fn serves<const D: usize>(config: &ScgptConfig, parameter: &Tensor<D>) -> bool {
    has_kernels(&parameter.device())
        && parameter.dtype() == DType::F32
        && config.norm_scheme == NormScheme::Post
}

impl PackedEncoder {
    /// Packs the blocks of a network that the operator [`serves`].
    pub(super) fn new(
        encoder: &Encoder,
        config: &ScgptConfig,
        precision: InferencePrecision,
        cpu: Cpu,
    ) -> Self {
        let &ScgptConfig { d_model: model, d_ff: inner, n_heads: heads, .. } = config;
        let blocks: Vec<HostBlock> = encoder.blocks.iter().map(HostBlock::new).collect();
        let widths = Widths { model, inner, heads };
        let weights = blocks.iter().map(HostBlock::weights);
        Self { stack: EncoderStack::new(cpu, precision.format(), widths, weights) }
    }

    /// Replaces the states before the first block by those after the last; of the last block, those
    /// of the first `queries` tokens of each cell alone, or all with `None`.
    ///
    /// # Shapes
    /// - x: `[Σ lengths, d]`, cell after cell without padding
    pub(super) fn forward(&self, x: &mut [f32], lengths: &[usize], queries: Option<usize>) {
        let of_cell = |&used: &usize| Tokens {
            queries: queries.map_or(used, |n| n.min(used)),
            ..Tokens::all(used)
        };
        let cells: Vec<Tokens> = lengths.iter().map(of_cell).collect();
        self.stack.forward(x, &cells);
    }
}

/// The parameters of a block on the host.
struct HostBlock {
    qkv: HostLinear,
    out: HostLinear,
    norm1: HostNorm,
    linear1: HostLinear,
    linear2: HostLinear,
    norm2: HostNorm,
}

struct HostLinear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct HostNorm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl HostBlock {
    fn new(block: &Block) -> Self {
        Self {
            qkv: HostLinear::new(&block.attention.qkv),
            out: HostLinear::new(&block.attention.out),
            norm1: HostNorm::new(&block.norm1),
            linear1: HostLinear::new(&block.linear1),
            linear2: HostLinear::new(&block.linear2),
            norm2: HostNorm::new(&block.norm2),
        }
    }

    fn weights(&self) -> BlockWeights<'_> {
        BlockWeights {
            qkv: self.qkv.get(),
            out: self.out.get(),
            norm1: self.norm1.get(),
            linear1: self.linear1.get(),
            linear2: self.linear2.get(),
            norm2: self.norm2.get(),
        }
    }
}

impl HostLinear {
    fn new(layer: &Linear) -> Self {
        let n = layer.weight.dims()[1];
        let bias = layer.bias.as_ref().map(|bias| host_values(bias.val()));
        Self { weight: host_values(layer.weight.val()), bias: bias.unwrap_or_else(|| vec![0.0; n]) }
    }

    fn get(&self) -> Affine<'_> {
        Affine { weight: &self.weight, bias: &self.bias }
    }
}

impl HostNorm {
    fn new(norm: &LayerNorm) -> Self {
        let gamma = host_values(norm.gamma.val());
        let beta = norm.beta.as_ref().map(|beta| host_values(beta.val()));
        let beta = beta.unwrap_or_else(|| vec![0.0; gamma.len()]);
        Self { gamma, beta }
    }

    fn get(&self) -> Norm<'_> {
        Norm { gamma: &self.gamma, beta: &self.beta, epsilon: EPSILON }
    }
}
