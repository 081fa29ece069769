//! [`Format`]: in which numbers products are computed.

use std::{fmt, str::FromStr};

/// In which numbers products are computed; sums are always f32.
///
/// A bf16 number has the exponent of an f32 and 8 bits of its mantissa. `Bf16xN` makes N bf16
/// products of one product: its operands are sums of two (x3) or three (x6) bf16 numbers, and
/// products of small parts with small parts are left out.
///
/// | format | products | rms error of a product of 512 terms |
/// |---|---|---|
/// | `F32` | 1 | 4e-7 |
/// | `Bf16x6` | 6 | 2e-7 |
/// | `Bf16x3` | 3 | 5e-6 |
/// | `Bf16` | 1 | 2e-3 |
///
/// A format is what is asked for. Where the processor has no instruction that makes it faster than
/// f32, it is computed in f32, which is as exact: see [`Cpu::computes_in`](crate::Cpu::computes_in).
///
/// Not-a-number stays in its row, as in f32. An infinity stays one in `F32` and `Bf16`; with several
/// parts it becomes not-a-number, as the parts below it are differences of infinities. Numbers below
/// the smallest normal one count as zero in all bf16 formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// f32 throughout.
    #[default]
    F32,
    /// Three parts each, six products: as exact as f32.
    Bf16x6,
    /// Two parts each, three products.
    Bf16x3,
    /// Operands rounded to bf16.
    Bf16,
}

impl Format {
    /// All formats, the most exact first.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16x6, Self::Bf16x3, Self::Bf16];

    /// What it is called: `f32`, `bf16x6`, `bf16x3`, `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16x6 => "bf16x6",
            Self::Bf16x3 => "bf16x3",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A word that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format: use f32, bf16x6, bf16x3 or bf16")]
pub struct UnknownFormat(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_again() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let error = "fp16".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "`fp16` is no format: use f32, bf16x6, bf16x3 or bf16");
    }
}
