//! [`Precision`]: the number format of the passes, and [`LossScale`], which f16 needs.

use std::{fmt, str::FromStr};

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, FloatDType},
};
use scgpt_data::unknown_choice;
use scgpt_model::{Format, MapNamed, ParameterName, Scgpt, has_kernels, packed_format};
use serde::{Deserialize, Serialize};

/// Numbers that forward and backward pass multiply. Weights and optimiser are always f32.
///
/// On the CPU, attention and the layers that see every token multiply bf16 numbers, and all else, such as
/// norms and sums, is f32; on other devices, whole passes are in 16 bits.
///
/// One word on a command line, in TOML and in JSON:
///
/// ```
/// use scgpt_train::Precision;
///
/// assert_eq!("bf16".parse::<Precision>()?, Precision::Bf16);
/// let message = "bf17".parse::<Precision>().unwrap_err().to_string();
/// assert_eq!(message, "`bf17` is not known, expected f32, bf16, bf16x3 or f16; similar names: bf16");
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Precision {
    /// 32 bits: the same on every device.
    #[default]
    F32,
    /// 16 bits with the range of f32.
    Bf16,
    /// Three products of 16 bits for each of 32; on a CPU alone.
    Bf16x3,
    /// 16 bits with more digits and little range: losses are scaled up to keep small gradients.
    F16,
}

impl FromStr for Precision {
    type Err = scgpt_data::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "f32" => Self::F32,
            "bf16" => Self::Bf16,
            "bf16x3" => Self::Bf16x3,
            "f16" => Self::F16,
            other => return Err(unknown_choice(other, &["f32", "bf16", "bf16x3", "f16"])),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Bf16x3 => "bf16x3",
            Self::F16 => "f16",
        })
    }
}

impl TryFrom<String> for Precision {
    type Error = scgpt_data::Error;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl Precision {
    /// What is computed in on that device: itself, or [`F32`](Self::F32) on a CPU without instructions
    /// for bf16 numbers.
    ///
    /// # Errors
    /// A sentence, if the device cannot compute so.
    pub fn on(self, device: &Device) -> Result<Self, String> {
        let is_there = match (self, has_kernels(device)) {
            (Self::F32, _) => true,
            (Self::Bf16 | Self::Bf16x3, true) => {
                let is_faster = packed_format(self.format(), device).is_some();
                return Ok(if is_faster { self } else { Self::F32 });
            }
            (Self::Bf16x3, false) => return Err("is for the CPU: use bf16".into()),
            (Self::Bf16, false) => device.supports_dtype(DType::BF16),
            (Self::F16, _) => device.supports_dtype(DType::F16),
        };
        if is_there { Ok(self) } else { Err(format!("{self} is not supported by the device")) }
    }

    /// The format of products.
    fn format(self) -> Format {
        match self {
            Self::F32 | Self::F16 => Format::F32,
            Self::Bf16 => Format::Bf16,
            Self::Bf16x3 => Format::Bf16x3,
        }
    }

    /// A copy of `model` for the passes of one step, whose gradients are found under the same names;
    /// `None` if it is the same.
    pub fn working_copy(self, model: &Scgpt, device: &Device) -> Option<Scgpt> {
        let dtype = match self {
            Self::F32 => return None,
            Self::Bf16 | Self::Bf16x3 if has_kernels(device) => {
                return Some(model.clone().computing_in(self.format()));
            }
            Self::Bf16 | Self::Bf16x3 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        };
        Some(model.clone().map_named(&mut Cast { dtype }))
    }
}

/// Casts parameters; running statistics stay f32 and are shared.
struct Cast {
    dtype: FloatDType,
}

impl MapNamed for Cast {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        if name.key.contains(".running_") {
            return parameter;
        }
        let is_learning = parameter.is_require_grad();
        let value = Tensor::from_inner(parameter.val().inner().cast(self.dtype));
        Param::initialized(parameter.id, value.set_require_grad(is_learning))
    }
}

/// Steps without overflow after which the scale is doubled.
const PATIENCE: u32 = 2000;

/// The factor on the loss in f16: halved when a gradient overflows (and the step skipped), doubled
/// after a while without.
///
/// # Reference
/// `torch.cuda.amp.GradScaler`. Differs: without a factor, in bf16 and f32, an overflow is a
/// divergence and is not skipped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The factor, which is 1 unless the format is f16.
    pub scale: f64,
    good_steps: u32,
}

impl LossScale {
    pub(crate) fn new(precision: Precision) -> Self {
        let scale = if precision == Precision::F16 { 65_536.0 } else { 1.0 };
        Self { scale, good_steps: 0 }
    }

    /// Takes note of a step with finite gradients: after enough of them the factor is doubled.
    pub(crate) fn rise(&mut self, precision: Precision) {
        if precision == Precision::F16 {
            self.good_steps += 1;
            if self.good_steps == PATIENCE {
                (self.scale, self.good_steps) = (self.scale * 2.0, 0);
            }
        }
    }

    /// Takes note of a step whose gradients overflow, and says whether a smaller factor may help. It
    /// cannot in formats that need none or when halving was in vain: that step is a divergence.
    pub(crate) fn halve(&mut self, precision: Precision) -> bool {
        let may_help = precision == Precision::F16 && self.scale > 1.0;
        if may_help {
            (self.scale, self.good_steps) = (self.scale / 2.0, 0);
        }
        may_help
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "powers of two")]

    use super::*;

    #[test]
    fn the_scale_follows_overflows() {
        let mut scale = LossScale::new(Precision::F16);
        assert!(scale.halve(Precision::F16));
        assert_eq!(scale.scale, 32_768.0);
        for _ in 0..PATIENCE {
            scale.rise(Precision::F16);
        }
        assert_eq!(scale.scale, 65_536.0);
        assert!(!LossScale::new(Precision::Bf16).halve(Precision::Bf16));
        let skipped = (0..100).take_while(|_| scale.halve(Precision::F16)).count();
        assert_eq!(skipped, 16, "then it is a divergence");
    }
}
