//! [`InferencePrecision`]: in which numbers a network is computed that does not learn.

use std::fmt;

use burn::prelude::Device;
use scgpt_kernels::{Cpu, Format};
use serde::{Deserialize, Serialize};

/// In which numbers the blocks of a network are computed where it does not learn.
///
/// Less than [`Exact`](Self::Exact) is for processors with instructions for bf16 numbers. Where there are
/// none, or the network is not computed by the kernels that have them, it is computed exactly: see
/// [`CellEncoder::precision`](crate::CellEncoder::precision).
///
/// ```
/// use scgpt_model::InferencePrecision;
///
/// assert_eq!(InferencePrecision::default(), InferencePrecision::Exact);
/// assert_eq!(InferencePrecision::Bf16x3.to_string(), "bf16x3");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum InferencePrecision {
    /// As exact as f32: in f32, or where that is faster by six bf16 products for each of f32, and three in
    /// attention: embeddings of unit length differ by 2e-6 at most.
    #[default]
    Exact,
    /// Three bf16 products for each: embeddings of unit length differ by 1e-5.
    Bf16x3,
    /// One bf16 product for each: cosines with exact embeddings are above 0.999.
    Bf16,
}

impl InferencePrecision {
    /// What it is called: `exact`, `bf16x3`, `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Bf16x3 => "bf16x3",
            Self::Bf16 => "bf16",
        }
    }

    /// What is computed in on that device: itself, or [`Exact`](Self::Exact) where nothing is faster.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        if packed_format(self.format(), device).is_some() { self } else { Self::Exact }
    }

    /// The format that a network [computes in](crate::Scgpt::computing_in).
    pub const fn format(self) -> Format {
        match self {
            Self::Exact => Format::Bf16x6,
            Self::Bf16x3 => Format::Bf16x3,
            Self::Bf16 => Format::Bf16,
        }
    }
}

/// The format in which a network on `device` computes if it is [asked](crate::Scgpt::computing_in) for
/// `format`: that one, or `None` where f32 is faster or all there is.
pub fn packed_format(format: Format, device: &Device) -> Option<Format> {
    let is_faster = Cpu::best().computes_in(format) != Format::F32;
    (is_faster && has_kernels(device)).then_some(format)
}

/// Whether kernels of the CPU compute on that device.
#[cfg_attr(not(feature = "flex"), allow(unused_variables, reason = "there are no kernels"))]
pub fn has_kernels(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    let has_kernels = device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    let has_kernels = false;
    has_kernels
}

impl fmt::Display for InferencePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
