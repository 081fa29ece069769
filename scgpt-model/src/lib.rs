//! The scGPT network: from tokens to tensors.
//!
//! ```text
//! genes [b, t] ─ GeneEncoder ─┐
//!                             + ─► Encoder: n × Block(MaskedAttention, feed-forward) ─► hidden [b, t, d]
//! values [b, t] ─ ValueEncoder┘                                                           │
//!                                         CellPooling ─► cell [b, d] ─ GepcHead ─┐        ├─ GepHead
//!                                                                                ▼        ▼
//!                                                                           expression [b, t]
//! ```
//!
//! The backend is a property of the [`Device`](burn::prelude::Device) that tensors live on, not a
//! type parameter. This crate reads no files but configurations and checkpoints.
//!
//! Shapes in this documentation:
//!
//! ```text
//! b  cells in the batch            d  model width            g  genes in the vocabulary
//! t  tokens per cell, <cls> at 0   f  feed-forward width     c  condition tokens
//! h  attention heads               k  width of one head      y  classes
//! ```
//!
//! All parts of a network are public: whoever builds another one takes them, and finds each by its name in
//! [`Scgpt`]. A network begins with its configuration:
//!
//! ```
//! use burn::prelude::*;
//! use scgpt_model::{AttentionMask, ModelInput, ScgptConfig};
//!
//! let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
//! let device = Device::flex();
//! let model = shape.init(&device)?;
//!
//! // One cell of `<cls>` and two genes, whose values are bins.
//! let genes = Tensor::<2, Int>::from_data([[0, 7, 12]], &device);
//! let values = Tensor::<2>::from_data([[-2.0, 3.0, 50.0]], &device);
//! let input = ModelInput::new(genes, values, AttentionMask::padding(vec![3], 3));
//! let encoded = model.encode(&input);
//! assert_eq!(encoded.cell.dims(), [1, 16]);
//! assert_eq!(model.predict(&encoded).value.dims(), [1, 3]);
//! # Ok::<(), scgpt_model::Error>(())
//! ```
//!
//! Feature `flex` compiles the hand-written CPU kernels.

mod attention;
mod block;
mod cell_encoder;
mod checkpoint;
mod config;
mod domain_norm;
mod embed;
mod encoder;
mod error;
#[cfg(feature = "flex")]
mod flex;
mod fused;
mod generate;
mod head;
mod host;
mod input;
mod linear;
mod lora;
mod needs;
mod pool;
mod precision;
mod preprocess;
mod problem;
mod scgpt;

pub use crate::{
    attention::{AttentionMask, MaskedAttention, Sight, attend},
    block::{Block, recomputes},
    cell_encoder::{CellEncoder, TokenBatchView},
    checkpoint::{
        Adapters, AdaptersFile, GeneRows, LoadReport, MapNamed, ModelDir, NetworkPart,
        ParameterName, Strictness, VisitNamed, Weights, save_tensors, write_model_dir,
    },
    config::{
        Activation, AttentionKind, CellPooling, GepStyle, GepcStyle, InputNorm, NormScheme,
        PaddedStates, ScgptConfig, ValueEncoding,
    },
    domain_norm::{BatchStatistics, ChannelNorm, DomainNorm},
    embed::{
        BinnedValues, ConditionEncoder, ContinuousValues, GeneEncoder, PerturbationEncoder,
        ValueEncoder,
    },
    encoder::Encoder,
    error::{Error, Result},
    generate::{Confidence, Generated, Generation, Noise, Promoted, Prompt, Round},
    head::{
        AffineHead, ClassHead, ClassLayer, DarHead, Decoder, Expression, GepHead, GepcHead,
        InnerProduct, QueryNetwork,
    },
    host::host_values,
    input::{Conditions, ModelInput},
    linear::{Adapter, Linear, Lora},
    needs::{Asked, Need},
    precision::{InferencePrecision, has_kernels, packed_format},
    preprocess::Preprocess,
    problem::FieldProblem,
    scgpt::{Context, Encoded, Gep, Scgpt},
};
pub use scgpt_kernels::{Format, Stop};
