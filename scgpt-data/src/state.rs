//! [`InputState`]: what has been done to the values of a file before it came here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::csr::Csr;

/// What the values of a matrix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputState {
    /// Whole numbers: raw counts.
    Counts,
    /// Fractions of which some exceed 30: counts scaled to a common sum.
    Normalised,
    /// Fractions of at most 30: normalised values after `log1p`.
    Log1p,
    /// Some negative: centred or scaled. The model cannot take such values.
    Scaled,
}

impl InputState {
    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Normalised => "normalised",
            Self::Log1p => "log1p",
            Self::Scaled => "scaled",
        }
    }
}

impl fmt::Display for InputState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Largest value that a logarithm of counts can plausibly have: e³⁰ is 10¹³.
const MAX_LOGGED: f32 = 30.0;

/// Finds the [`InputState`] from blocks of cells; the first few thousand cells are enough.
#[derive(Clone, Copy, Debug)]
pub struct StateDetector {
    min: f32,
    max: f32,
    min_nonzero: f32,
    is_whole: bool,
}

impl Default for StateDetector {
    fn default() -> Self {
        Self { min: 0.0, max: 0.0, min_nonzero: f32::INFINITY, is_whole: true }
    }
}

impl StateDetector {
    /// Takes the values of a block into account.
    pub fn observe(&mut self, block: &Csr) {
        for &value in block.values() {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            if value != 0.0 {
                self.min_nonzero = self.min_nonzero.min(value);
            }
            self.is_whole &= value.fract() == 0.0;
        }
    }

    /// What the values seen so far are; nothing but zeros are counts.
    ///
    /// # Reference
    /// `scgpt/preprocess.py`, `Preprocessor._check_log`. Differs: whole numbers are counts however
    /// small, and fractions need not go below 1 to be logged, as those of cells with fewer than
    /// some 6 000 counts do not.
    pub fn state(&self) -> InputState {
        if self.min < 0.0 {
            InputState::Scaled
        } else if self.is_whole {
            InputState::Counts
        } else if self.max <= MAX_LOGGED {
            InputState::Log1p
        } else {
            InputState::Normalised
        }
    }

    pub(crate) fn check_logged(&self) -> bool {
        self.min >= 0.0 && self.max <= MAX_LOGGED && self.min_nonzero < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(values: &[f32]) -> InputState {
        let indices = (0..).take(values.len()).collect();
        let block =
            Csr::new(values.len(), vec![0, values.len()], indices, values.to_vec()).unwrap();
        let mut detector = StateDetector::default();
        detector.observe(&block);
        detector.state()
    }

    #[test]
    fn every_state_is_told_apart() {
        assert_eq!(state(&[1.0, 700.0]), InputState::Counts);
        assert_eq!(state(&[1.0, 0.0]), InputState::Counts);
        assert_eq!(state(&[]), InputState::Counts);
        assert_eq!(state(&[0.5, 700.0]), InputState::Normalised);
        assert_eq!(state(&[0.5, 3.0]), InputState::Log1p);
        assert_eq!(state(&[1.5, 3.0]), InputState::Log1p);
        assert_eq!(state(&[-0.1, 3.0]), InputState::Scaled);
    }
}
