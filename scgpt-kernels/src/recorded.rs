//! Kernels whose backward is a kernel as well, in f32: for training.
//!
//! Each equals a composition of tensor operations, as its documentation says. They take the widest
//! instructions that there are, whatever [`Cpu`](crate::Cpu) other kernels use.

mod attention;
mod bias;
mod drop;
mod norm;
mod relu;
mod sums;

pub use self::{
    attention::{AttentionGradient, AttentionPlan, attend},
    bias::add_bias,
    drop::Drop,
    norm::{AddNorm, Added, Keep, NormGradient, NormGradients},
    relu::{leaky_relu, leaky_relu_gradient, relu_drop, relu_drop_gradient},
};
