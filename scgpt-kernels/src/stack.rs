//! [`EncoderStack`]: all blocks of an encoder in one operator.

mod cell;
mod sink;
mod start;
mod wide;

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use self::cell::{Buffers, Through};
pub use self::start::{Start, Tables};
use crate::{
    block::SIDE, cpu::Cpu, format::Format, matrix::PackedMatrix, norm::Norm, stop::each,
    tokens::Tokens,
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
/// unpacked. With [`Format::Bf16x6`], scores and contexts of attention are of three products: what that
/// loses is as much as f32 loses in all. If cells are fewer than threads, all threads take one cell after the other.
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

    /// The states after the last block of the queries of each cell, which are all that it computes.
    ///
    /// A cell's result depends on neither the other cells nor the number of threads.
    ///
    /// # Shapes
    /// - start: of all tokens that are used, cell after cell
    /// - out: `[Σ queries, d]`
    ///
    /// # Panics
    /// If a slice has another length, a token is not in a table, or a cell has more queries than
    /// tokens.
    ///
    /// ```
    /// use scgpt_kernels::{
    ///     Affine, BlockWeights, Cpu, EncoderStack, Format, Norm, Start, Tokens, Widths,
    /// };
    ///
    /// // One block of two channels that adds nothing, so that norms are all that is left.
    /// let norm = Norm { gamma: &[1.0; 2], beta: &[0.0; 2], epsilon: 0.0 };
    /// let zero = Affine { weight: &[0.0; 4], bias: &[0.0; 2] };
    /// let qkv = Affine { weight: &[0.0; 12], bias: &[0.0; 6] };
    /// let block =
    ///     BlockWeights { qkv, out: zero, norm1: norm, linear1: zero, linear2: zero, norm2: norm };
    /// let widths = Widths { model: 2, inner: 2, heads: 1 };
    /// let stack = EncoderStack::new(Cpu::best(), Format::Bf16, widths, [block]);
    /// let start = Start::States(&[1.0, 5.0, 3.0, 2.0]); // a cell of two tokens
    /// let mut out = [0.0; 4];
    /// stack.forward(start, &[Tokens::all(2)], &mut out);
    /// assert_eq!(out, [-1.0, 1.0, 1.0, -1.0]);
    /// ```
    pub fn forward(&self, start: Start, cells: &[Tokens], out: &mut [f32]) {
        let d = self.widths.model;
        let sum = |of: fn(&Tokens) -> usize| cells.iter().map(of).sum::<usize>();
        start.check(sum(|cell| cell.used), d);
        assert_eq!(out.len(), sum(|cell| cell.queries) * d, "an output is [Σ queries, d]");
        let (mut first, mut rest) = (0, out);
        let cell = |&tokens: &Tokens| {
            tokens.check(tokens.used);
            let (out, others) = std::mem::take(&mut rest).split_at_mut(tokens.queries * d);
            rest = others;
            first += tokens.used;
            Cell { tokens, start, first: first - tokens.used, out }
        };
        let cells: Vec<Cell> = cells.iter().map(cell).collect();
        if cells.len() < rayon::current_num_threads() {
            for cell in cells {
                self.forward_wide(cell);
            }
            return;
        }
        // Buffers outlive cells: those of the largest are some ten megabytes a thread.
        let spare = Mutex::new(Vec::<Buffers>::new());
        let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
        each(cells.into_par_iter().with_max_len(1), |cell| {
            let mut buffers = spare().pop().unwrap_or_default();
            self.cpu.run(self.format, Through { stack: self, cell, buffers: &mut buffers });
            spare().push(buffers);
        });
    }
}

/// A cell, and where its result goes.
struct Cell<'a> {
    tokens: Tokens,
    start: Start<'a>,
    /// Its first token among those of all cells.
    first: usize,
    /// `[queries, d]`.
    out: &'a mut [f32],
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
