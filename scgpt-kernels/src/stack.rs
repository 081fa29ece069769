//! [`EncoderStack`]: all blocks of an encoder in one operator.

mod cell;
mod sink;
mod wide;

use rayon::prelude::*;

use self::cell::{Scratch, Through};
use crate::{
    attend::{Head, Tokens},
    block::SIDE,
    cpu::Cpu,
    format::Format,
    matrix::PackedMatrix,
    norm::Norm,
};

/// An affine map: weight `[k, n]`, row-major, and bias `[n]`.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Output `j` is the product with column `j`.
    pub weight: &'a [f32],
    /// Added to that.
    pub bias: &'a [f32],
}

/// Parameters of one block, whose norms stand after the sums:
///
/// ```text
/// x ← norm₁(x + out(attention(qkv(x))))
/// x ← norm₂(x + linear₂(relu(linear₁(x))))
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlockWeights<'a> {
    /// `d → 3 d`: queries, keys, values, each head after head.
    pub qkv: Affine<'a>,
    /// `d → d`.
    pub out: Affine<'a>,
    /// After attention.
    pub norm1: Norm<'a>,
    /// `d → f`.
    pub linear1: Affine<'a>,
    /// `f → d`.
    pub linear2: Affine<'a>,
    /// After the feed-forward network.
    pub norm2: Norm<'a>,
}

/// Widths of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// Of a token, d.
    pub model: usize,
    /// Inside the feed-forward network, f.
    pub inner: usize,
    /// Attention heads, each d / heads wide.
    pub heads: usize,
}

impl Widths {
    fn head(self) -> usize {
        self.model / self.heads
    }

    /// Of a head, as packed.
    fn padded_head(self) -> usize {
        self.head().div_ceil(SIDE) * SIDE
    }

    /// Of all heads, in blocks.
    fn head_blocks(self) -> usize {
        self.heads * self.head().div_ceil(SIDE)
    }
}

/// Blocks with packed weights. Each thread takes one cell through all of them: what a block leaves
/// is multiplied again while it is in the cache, and no number but the tokens' states is ever
/// unpacked. If cells are fewer than threads, all threads take one cell after the other.
#[derive(Clone, Debug)]
pub struct EncoderStack {
    cpu: Cpu,
    format: Format,
    widths: Widths,
    blocks: Vec<Packed>,
}

/// A block with packed weights.
#[derive(Clone, Debug)]
struct Packed {
    qkv: Layer,
    out: Layer,
    norm1: OwnNorm,
    linear1: Layer,
    linear2: Layer,
    norm2: OwnNorm,
}

#[derive(Clone, Debug)]
struct Layer {
    weight: PackedMatrix,
    bias: Vec<f32>,
}

#[derive(Clone, Debug)]
struct OwnNorm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

impl OwnNorm {
    fn new(norm: Norm, width: usize) -> Self {
        norm.check(width);
        Self { gamma: norm.gamma.to_vec(), beta: norm.beta.to_vec(), epsilon: norm.epsilon }
    }

    fn get(&self) -> Norm<'_> {
        Norm { gamma: &self.gamma, beta: &self.beta, epsilon: self.epsilon }
    }
}

impl EncoderStack {
    /// Packs the weights of all blocks, first to last, for products in a format.
    ///
    /// # Panics
    /// If heads do not divide the width, or a slice has another length.
    pub fn new<'a>(
        cpu: Cpu,
        format: Format,
        widths: Widths,
        blocks: impl IntoIterator<Item = BlockWeights<'a>>,
    ) -> Self {
        let Widths { model: d, inner: f, heads } = widths;
        assert!(d > 0 && heads > 0 && d.is_multiple_of(heads), "{heads} heads of {d} channels");
        let format = cpu.computes_in(format);
        let layer = |from: Affine, shape: [usize; 2]| {
            assert_eq!(from.bias.len(), shape[1], "a bias is [n]");
            let weight = PackedMatrix::new(cpu, format, from.weight, shape);
            Layer { weight, bias: from.bias.to_vec() }
        };
        let padded = heads * widths.padded_head();
        let blocks = blocks.into_iter().map(|block| {
            let (weight, bias) = pad_columns(block.qkv, widths);
            let out = pad_rows(block.out.weight, widths);
            Packed {
                qkv: layer(Affine { weight: &weight, bias: &bias }, [d, 3 * padded]),
                out: layer(Affine { weight: &out, ..block.out }, [padded, d]),
                norm1: OwnNorm::new(block.norm1, d),
                linear1: layer(block.linear1, [d, f]),
                linear2: layer(block.linear2, [f, d]),
                norm2: OwnNorm::new(block.norm2, d),
            }
        });
        Self { cpu, format, widths, blocks: blocks.collect() }
    }

    /// The format that products are computed in, see [`Cpu::computes_in`].
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of all packed weights.
    pub fn bytes(&self) -> usize {
        let layers = self.blocks.iter().flat_map(|it| [&it.qkv, &it.out, &it.linear1, &it.linear2]);
        layers.map(|layer| layer.weight.bytes()).sum()
    }

    /// Replaces the states before the first block by those after the last. The last computes the
    /// queries of each cell alone; what becomes of the other rows means nothing.
    ///
    /// A cell's result depends on neither the other cells nor the number of threads.
    ///
    /// # Shapes
    /// - x: `[Σ used, d]`, cell after cell without padding
    ///
    /// # Panics
    /// If `x` has another length, or a cell has more queries than tokens.
    ///
    /// ```
    /// use scgpt_kernels::{Affine, BlockWeights, Cpu, EncoderStack, Format, Norm, Tokens, Widths};
    ///
    /// // One block of two channels that adds nothing, so that norms are all that is left.
    /// let norm = Norm { gamma: &[1.0; 2], beta: &[0.0; 2], epsilon: 0.0 };
    /// let zero = Affine { weight: &[0.0; 4], bias: &[0.0; 2] };
    /// let qkv = Affine { weight: &[0.0; 12], bias: &[0.0; 6] };
    /// let block =
    ///     BlockWeights { qkv, out: zero, norm1: norm, linear1: zero, linear2: zero, norm2: norm };
    /// let widths = Widths { model: 2, inner: 2, heads: 1 };
    /// let stack = EncoderStack::new(Cpu::best(), Format::Bf16, widths, [block]);
    /// let mut x = [1.0, 5.0, 3.0, 2.0]; // a cell of two tokens
    /// stack.forward(&mut x, &[Tokens::all(2)]);
    /// assert_eq!(x, [-1.0, 1.0, 1.0, -1.0]);
    /// ```
    pub fn forward(&self, x: &mut [f32], cells: &[Tokens]) {
        let d = self.widths.model;
        let total: usize = cells.iter().map(|cell| cell.used).sum();
        assert_eq!(x.len(), total * d, "states are [Σ used, d]");
        let mut rest = x;
        let mut parts = Vec::with_capacity(cells.len());
        for &tokens in cells {
            tokens.check(tokens.used);
            let (own, others) = std::mem::take(&mut rest).split_at_mut(tokens.used * d);
            parts.push((tokens, own));
            rest = others;
        }
        if cells.len() < rayon::current_num_threads() {
            for (tokens, x) in parts {
                self.forward_wide(tokens, x);
            }
            return;
        }
        let buffers = <(Vec<Head>, Scratch)>::default;
        parts.into_par_iter().for_each_init(buffers, |(heads, scratch), (tokens, x)| {
            self.cpu.run(self.format, Through { stack: self, tokens, x, heads, scratch });
        });
    }
}

/// Columns of each head, and zeros up to whole blocks.
fn pad_columns(from: Affine, widths: Widths) -> (Vec<f32>, Vec<f32>) {
    let (d, k, padded) = (widths.model, widths.head(), widths.padded_head());
    assert_eq!(from.weight.len(), d * 3 * d, "a packed projection is [d, 3 d]");
    assert_eq!(from.bias.len(), 3 * d, "its bias is [3 d]");
    let pad = |numbers: &[f32]| -> Vec<f32> {
        let zeros = std::iter::repeat_n(0.0, padded - k);
        numbers.chunks_exact(k).flat_map(|head| head.iter().copied().chain(zeros.clone())).collect()
    };
    (pad(from.weight), pad(from.bias))
}

/// Rows of each head, and zeros up to whole blocks.
fn pad_rows(weight: &[f32], widths: Widths) -> Vec<f32> {
    let (d, k, padded) = (widths.model, widths.head(), widths.padded_head());
    assert_eq!(weight.len(), d * d, "an output projection is [d, d]");
    let zeros = std::iter::repeat_n(0.0, (padded - k) * d);
    weight.chunks_exact(k * d).flat_map(|head| head.iter().copied().chain(zeros.clone())).collect()
}

#[cfg(test)]
mod tests;
