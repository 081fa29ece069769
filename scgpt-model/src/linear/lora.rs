//! [`Lora`]: adapters that learn instead of weights.

use serde::{Deserialize, Serialize};

/// Low-rank adaptation: beside every matrix of the blocks a product of two narrow ones learns.
///
/// ```text
/// y = x W + b + s (x A) B        A: d_in × r, drawn;  B: r × d_out, zero at first
/// ```
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_model::{Lora, ScgptConfig};
///
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let model = shape.init(&Device::flex())?.with_adapters(Lora::of_rank(4));
/// assert_eq!(model.encoder.blocks[0].attention.qkv.adapter.as_ref().unwrap().b.dims(), [4, 48]);
/// // A network like any other, with the adapters in its weights.
/// assert!(model.merged().encoder.blocks[0].attention.qkv.adapter.is_none());
/// # Ok::<(), scgpt_model::Error>(())
/// ```
///
/// # Reference
/// Hu et al., *LoRA*, ICLR 2022. Differs: all four matrices of a block have adapters, and `s`, there α / r, does
/// not depend on the rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Width `r` of the adapters.
    pub rank: usize,
    /// The factor `s` of their products.
    #[serde(default = "default_scale")]
    pub scale: f64,
    /// Whether gene vectors learn, too. They do where genes join the vocabulary.
    #[serde(default, skip_serializing_if = "is_false")]
    pub genes: bool,
}

fn default_scale() -> f64 {
    Lora::SCALE
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(it: &bool) -> bool {
    !it
}

impl Lora {
    /// The factor that adapters have unless another is given.
    pub const SCALE: f64 = 4.0;

    /// Adapters of that width.
    pub fn of_rank(rank: usize) -> Self {
        Self { rank, scale: Self::SCALE, genes: false }
    }
}
