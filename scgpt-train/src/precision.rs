//! [`Precision`]: the number format of the passes, and [`LossScale`], which f16 needs.

use std::str::FromStr;

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, FloatDType},
};
use scgpt_data::unknown_choice;
use scgpt_model::{MapNamed, ParameterName, Scgpt};
use serde::{Deserialize, Serialize};

/// Number format of forward and backward pass. Weights and optimiser are always f32.
///
/// One word on a command line, in TOML and in JSON:
///
/// ```
/// use scgpt_train::Precision;
///
/// assert_eq!("bf16".parse::<Precision>()?, Precision::Bf16);
/// let message = "bf17".parse::<Precision>().unwrap_err().to_string();
/// assert_eq!(message, "`bf17` is not known, expected f32, bf16 or f16; similar names: bf16");
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Precision {
    /// 32 bits: the same on every device, and the only format of the CPU.
    #[default]
    F32,
    /// 16 bits with the range of f32.
    Bf16,
    /// 16 bits with more digits and little range: losses are scaled up to keep small gradients.
    F16,
}

impl FromStr for Precision {
    type Err = scgpt_data::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "f32" => Self::F32,
            "bf16" => Self::Bf16,
            "f16" => Self::F16,
            other => return Err(unknown_choice(other, &["f32", "bf16", "f16"])),
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
    /// The format of tensors; `None` for f32, which needs no conversion.
    pub fn dtype(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    pub(crate) fn of_device(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

/// A copy of `model` with parameters in `dtype`, whose gradients are found under the same names.
/// Running statistics stay f32 and are shared.
pub(crate) fn working_copy(model: &Scgpt, dtype: FloatDType) -> Scgpt {
    model.clone().map_named(&mut Cast { dtype })
}

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
