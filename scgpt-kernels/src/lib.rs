//! CPU kernels of the scGPT transformer: slices in, slices out.
//!
//! ```text
//! linear        x W + b, ReLU, residual, norm; linear_gradient: xᵀ dy and sums of dy
//! attend        softmax(q kᵀ / √k) v of known keys and oneself; attend_gradient
//! norm          layer norm
//! exp           exponentials
//! EncoderStack  all blocks of an encoder, packed from end to end
//! recorded      attention, sums with norms, and ReLU with dropout, each with its gradient, in f32
//! Stop          ends work in the midst of any of them
//! ```
//!
//! Each computes in a [`Format`]: f32, or one to six bf16 products for each product of f32, with the
//! instructions of a [`Cpu`], which are found when the program runs. What a row of a result is
//! depends on neither the other rows nor the number of threads; in f32 it does not depend on the
//! instructions, either.
//!
//! This crate knows no tensors, reads no environment and prints nothing. It is the only one of the
//! workspace that is allowed `unsafe`: instructions of a set can only be called so.
//!
//! ```
//! use scgpt_kernels::{Cpu, Epilogue, Format, PackedMatrix, linear};
//!
//! let cpu = Cpu::best();
//! let identity = [1.0, 0.0, 0.0, 1.0];
//! let x = [1.5, -2.0, 0.25, 8.0]; // two rows
//! for format in Format::ALL {
//!     let weight = PackedMatrix::new(cpu, format, &identity, [2, 2]);
//!     let mut out = [0.0; 4];
//!     linear(cpu, &x, &weight, Epilogue { relu: true, ..Epilogue::default() }, &mut out);
//!     assert_eq!(out, [1.5, 0.0, 0.25, 8.0]);
//! }
//! ```
#![allow(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the instruction set of its caller"
)]
#![cfg_attr(
    test,
    allow(
        clippy::print_stderr,
        clippy::float_cmp,
        reason = "tests say what they skip, and compare bits"
    )
)]
#![allow(clippy::needless_range_loop, reason = "closures of iterators are not always inlined")]

mod attend;
mod block;
mod cpu;
mod engine;
mod exp;
mod format;
mod lanes;
mod linear;
mod matrix;
mod norm;
#[cfg(test)]
mod numbers;
mod processor;
mod product;
pub mod recorded;
mod stack;
mod stop;
mod tokens;

pub use crate::{
    attend::{Attended, attend, attend_gradient, attend_recorded},
    cpu::{Cpu, CpuError, InstructionSet},
    exp::exp,
    format::{Format, UnknownFormat},
    linear::{Epilogue, linear, linear_gradient},
    matrix::PackedMatrix,
    norm::{Norm, norm},
    processor::Processor,
    stack::{Affine, BlockWeights, EncoderStack, Start, Tables, Widths},
    stop::{Stop, each, each_with},
    tokens::Tokens,
};
