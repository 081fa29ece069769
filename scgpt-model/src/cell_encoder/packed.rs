//! [`PackedEncoder`]: the blocks of a network in one operator of the CPU.

use burn::{module::Param, nn::LayerNorm, prelude::*, tensor::DType};
use scgpt_kernels::{Affine, BlockWeights, Cpu, EncoderStack, Norm, Start, Tables, Tokens, Widths};

use crate::{
    block::Block,
    config::{AttentionKind, NormScheme, ScgptConfig},
    host::HostNumbers,
    linear::Linear,
    precision::{InferencePrecision, has_kernels},
    scgpt::Scgpt,
};

/// ε of every layer norm of the network.
const EPSILON: f32 = 1e-5;

/// Blocks whose weights are packed once, and the tables that tokens are looked up in. All tokens of a
/// cell are known: nothing is hidden from a network that embeds.
#[derive(Debug)]
pub(super) struct PackedEncoder {
    stack: EncoderStack,
    genes: HostNumbers,
    gene_norm: HostNorm,
    /// Empty if values are not looked up.
    values: HostNumbers,
}

/// Tokens of some cells, one cell after the other without padding.
pub(super) enum Input {
    /// Their states before the first block, `[Σ lengths, d]`.
    States(Vec<f32>),
    /// Their rows in the tables of genes and values.
    Rows(Vec<[u32; 2]>),
}

/// Whether the operator computes such a network, whose parameters are as `parameter` is.
pub(super) fn serves<const D: usize>(config: &ScgptConfig, parameter: &Tensor<D>) -> bool {
    has_kernels(&parameter.device())
        && parameter.dtype() == DType::F32
        && config.norm_scheme == NormScheme::Post
        && config.attention == AttentionKind::Exact
}

impl PackedEncoder {
    /// Packs the blocks of a network that the operator [`serves`]; `values` are the vectors of values,
    /// if they are looked up.
    pub(super) fn new(
        model: &Scgpt,
        values: Option<Tensor<2>>,
        config: &ScgptConfig,
        precision: InferencePrecision,
        cpu: Cpu,
    ) -> Self {
        let &ScgptConfig { d_model, d_ff: inner, n_heads: heads, .. } = config;
        let blocks: Vec<HostBlock> = model.encoder.blocks.iter().map(HostBlock::new).collect();
        let widths = Widths { model: d_model, inner, heads };
        let weights = blocks.iter().map(HostBlock::weights);
        Self {
            stack: EncoderStack::new(cpu, precision.format(), widths, weights),
            genes: HostNumbers::of(model.genes.embedding.weight.val()),
            gene_norm: HostNorm::new(&model.genes.norm),
            values: values.map_or(HostNumbers::Copied(Vec::new()), HostNumbers::of),
        }
    }

    /// The states after the last block of the first `queries` tokens of each cell, or of all with
    /// `None`.
    ///
    /// # Shapes
    /// - output: `[Σ queries, d]`, cell after cell
    pub(super) fn forward(
        &self,
        input: &Input,
        lengths: &[usize],
        queries: Option<usize>,
    ) -> Vec<f32> {
        let of_cell = |&used: &usize| Tokens {
            queries: queries.map_or(used, |n| n.min(used)),
            ..Tokens::all(used)
        };
        let cells: Vec<Tokens> = lengths.iter().map(of_cell).collect();
        let norm = self.gene_norm.get();
        let start = match input {
            Input::States(states) => Start::States(states),
            Input::Rows(tokens) => {
                let (genes, values) = (&self.genes, &self.values);
                Start::Tables(Tables { genes, norm, values, tokens })
            }
        };
        let queries: usize = cells.iter().map(|cell| cell.queries).sum();
        let mut out = vec![0.0; queries * norm.gamma.len()];
        self.stack.forward(start, &cells, &mut out);
        out
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
    weight: HostNumbers,
    bias: HostNumbers,
}

#[derive(Debug)]
struct HostNorm {
    gamma: HostNumbers,
    beta: HostNumbers,
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
        let weight = layer.weight.val();
        let bias = numbers_or_zeros(layer.bias.as_ref(), weight.dims()[1]);
        Self { weight: HostNumbers::of(weight), bias }
    }

    fn get(&self) -> Affine<'_> {
        Affine { weight: &self.weight, bias: &self.bias }
    }
}

impl HostNorm {
    fn new(norm: &LayerNorm) -> Self {
        let gamma = norm.gamma.val();
        let beta = numbers_or_zeros(norm.beta.as_ref(), gamma.dims()[0]);
        Self { gamma: HostNumbers::of(gamma), beta }
    }

    fn get(&self) -> Norm<'_> {
        Norm { gamma: &self.gamma, beta: &self.beta, epsilon: EPSILON }
    }
}

fn numbers_or_zeros(parameter: Option<&Param<Tensor<1>>>, n: usize) -> HostNumbers {
    parameter.map_or_else(
        || HostNumbers::Copied(vec![0.0; n]),
        |parameter| HostNumbers::of(parameter.val()),
    )
}
