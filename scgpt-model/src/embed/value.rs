//! Value → vector.

use burn::{
    nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig},
    prelude::*,
    tensor::activation::relu,
};

use scgpt_kernels::Format;

use super::{hold_row, with_zero_row};
use crate::{
    config::{ScgptConfig, ValueEncoding},
    linear::Linear,
};

/// Larger values are fed as this one.
const LARGEST: f32 = 512.0;

/// Embeds the value beside each gene token; [`ValueEncoding::Scaling`] has no such module.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
pub enum ValueEncoder {
    /// A small network on the number.
    Continuous(ContinuousValues),
    /// A table with a row per bin.
    Binned(BinnedValues),
}

/// `LN(W₂ relu(W₁ min(x, 512)))`, then dropout while training.
///
/// # Reference
/// `model.py`, `ContinuousValueEncoder`. Differs: none.
#[derive(Module, Debug)]
pub struct ContinuousValues {
    /// `W₁`, `1 → d`.
    pub linear1: Linear,
    /// `W₂`, `d → d`.
    pub linear2: Linear,
    /// The layer norm of the result, over its width.
    pub norm: LayerNorm,
    /// Dropout on the result, while training.
    pub dropout: Dropout,
}

/// One learned vector per bin, normalised; that of padding is zero at first and does not learn.
///
/// # Reference
/// `model.py`, `CategoryValueEncoder` (`padding_idx`). Differs: none.
#[derive(Module, Debug)]
pub struct BinnedValues {
    /// The vectors of all bins, `[n_inputs, d]`.
    pub embedding: Embedding,
    /// The layer norm of the result, over its width.
    pub norm: LayerNorm,
    #[module(skip)]
    held: Option<usize>,
}

impl ValueEncoder {
    /// A freshly initialised encoder, or `None` if values scale the gene embedding.
    pub fn new(config: &ScgptConfig, device: &Device) -> Option<Self> {
        let d = config.d_model;
        let norm = LayerNormConfig::new(d).init(device);
        match config.value_encoding {
            ValueEncoding::Continuous => Some(Self::Continuous(ContinuousValues {
                linear1: Linear::new(1, d, device),
                linear2: Linear::new(d, d, device),
                norm,
                dropout: DropoutConfig::new(config.dropout).init(),
            })),
            ValueEncoding::Binned { n_inputs } => {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a row of the table, as the configuration was validated"
                )]
                let held = Some(config.pad_value as usize);
                let embedding = EmbeddingConfig::new(n_inputs, d).init(device);
                let embedding = with_zero_row(embedding, held);
                Some(Self::Binned(BinnedValues { embedding, norm, held }))
            }
            ValueEncoding::Scaling => None,
        }
    }

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        if let Self::Continuous(encoder) = self {
            encoder.linear2.compute_in(format);
        }
    }

    /// The vector of every value.
    ///
    /// A binned value is a row of the table, so it must be a whole number below `n_inputs`.
    ///
    /// # Shapes
    /// - values: `[b, t]`
    /// - output: `[b, t, d]`
    pub fn forward(&self, values: Tensor<2>) -> Tensor<3> {
        match self {
            Self::Continuous(encoder) => {
                let values = values.cast(encoder.linear1.weight.val().dtype());
                let x = values.clamp_max(LARGEST).unsqueeze_dim::<3>(2); // [b, t, 1]
                let x = relu(encoder.linear1.forward(x)); // [b, t, d]
                encoder.dropout.forward(encoder.norm.forward(encoder.linear2.forward(x)))
            }
            Self::Binned(encoder) => {
                let rows = values.int();
                let vectors = encoder.embedding.forward(rows.clone());
                encoder.norm.forward(hold_row(vectors, rows, encoder.held))
            }
        }
    }
}
