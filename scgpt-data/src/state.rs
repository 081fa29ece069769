//! [`InputState`]: what has been done to the values of a file before it came here.

mod evidence;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::evidence::{Evidence, Origin};
use crate::csr::Csr;

/// What the values of a matrix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputState {
    /// Whole numbers: raw counts.
    Counts,
    /// Counts that are not whole, as correction for ambient RNA leaves them: neither have cells the
    /// same sum, nor are values multiples of the smallest of their cell.
    Fractional,
    /// Counts scaled to a common sum: the sums are equal, or, where genes are missing, values are
    /// multiples of the smallest of their cell.
    Normalised,
    /// Logarithms, `log1p`, of counts that were not scaled.
    LoggedCounts,
    /// Normalised values after `log1p`.
    Log1p,
    /// Some negative: centred or scaled. The model cannot take such values.
    Scaled,
}

impl InputState {
    /// The name of the state in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Fractional => "fractional counts",
            Self::Normalised => "normalised",
            Self::LoggedCounts => "log1p of counts",
            Self::Log1p => "log1p",
            Self::Scaled => "scaled",
        }
    }

    /// Whether the values are on the scale of counts, whole or not.
    pub const fn is_counts(self) -> bool {
        matches!(self, Self::Counts | Self::Fractional)
    }
}

impl fmt::Display for InputState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the values of a matrix are, and the sum that all cells share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputValues {
    /// What the values are.
    pub state: InputState,
    /// The sum of every cell before the logarithm; `None` if values were not normalised, or genes
    /// are missing.
    pub total: Option<f64>,
}

impl From<InputState> for InputValues {
    fn from(state: InputState) -> Self {
        Self { state, total: None }
    }
}

impl fmt::Display for InputValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            None => self.state.fmt(f),
            Some(total) => write!(f, "{}, {total:.0} in every cell", self.state),
        }
    }
}

/// Largest value that a logarithm of counts can plausibly have: e³⁰ is 10¹³.
const MAX_LOGGED: f32 = 30.0;

/// Finds the [`InputState`] from blocks of cells; the first few thousand cells are enough.
#[derive(Clone, Debug)]
pub(crate) struct StateDetector {
    min: f32,
    max: f32,
    min_nonzero: f32,
    is_whole: bool,
    evidence: Evidence,
}

impl Default for StateDetector {
    fn default() -> Self {
        Self {
            min: 0.0,
            max: 0.0,
            min_nonzero: f32::INFINITY,
            is_whole: true,
            evidence: Evidence::default(),
        }
    }
}

impl StateDetector {
    /// Takes the values of a block into account.
    pub(crate) fn observe(&mut self, block: &Csr) {
        for &value in block.values() {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            if value != 0.0 {
                self.min_nonzero = self.min_nonzero.min(value);
            }
            self.is_whole &= value.fract() == 0.0;
        }
        // Whole numbers need no further evidence, and for negative ones there is none.
        if !self.is_whole && self.min >= 0.0 {
            self.evidence.add(block);
        }
    }

    /// What the values seen so far are; nothing but zeros are counts.
    ///
    /// # Reference
    /// `scgpt/preprocess.py`, `Preprocessor._check_log`. Differs: whole numbers are counts however
    /// small, fractions need not go below 1 to be logged, as those of cells with fewer than
    /// some 6 000 counts do not, and what fractions are is told by the sums of cells and by whether
    /// they are multiples of one count, before and after the logarithm.
    pub(crate) fn values(&self) -> InputValues {
        if self.min < 0.0 {
            return InputState::Scaled.into();
        }
        if self.is_whole {
            return InputState::Counts.into();
        }
        let (state, total) = match self.evidence.origin(self.max, MAX_LOGGED) {
            Origin::Fractional => (InputState::Fractional, None),
            Origin::Normalised(total) => (InputState::Normalised, total),
            Origin::Log1p(total) => (InputState::Log1p, total),
            Origin::LoggedCounts => (InputState::LoggedCounts, None),
        };
        InputValues { state, total }
    }

    /// As [`values`](Self::values), without the sum.
    pub(crate) fn state(&self) -> InputState {
        self.values().state
    }

    pub(crate) fn check_logged(&self) -> bool {
        self.min >= 0.0 && self.max <= MAX_LOGGED && self.min_nonzero < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keyed::{Keyed, Purpose},
        normalize::{log1p, normalise_total},
    };

    fn state(values: &[f32]) -> InputState {
        let indices = (0..).take(values.len()).collect();
        let block =
            Csr::new(values.len(), vec![0, values.len()], indices, values.to_vec()).unwrap();
        values_of(&block).state
    }

    fn values_of(block: &Csr) -> InputValues {
        let mut detector = StateDetector::default();
        detector.observe(block);
        detector.values()
    }

    #[test]
    fn every_state_is_told_apart() {
        assert_eq!(state(&[1.0, 700.0]), InputState::Counts);
        assert_eq!(state(&[1.0, 0.0]), InputState::Counts);
        assert_eq!(state(&[]), InputState::Counts);
        assert_eq!(state(&[0.5, 700.0]), InputState::Fractional);
        assert_eq!(state(&[0.5, 3.0]), InputState::Log1p);
        assert_eq!(state(&[1.5, 3.0]), InputState::Log1p);
        assert_eq!(state(&[-0.1, 3.0]), InputState::Scaled);
    }

    /// Counts of cells that differ in depth: most genes a few, some many, up to some hundred.
    fn counts(cells: usize, genes: usize) -> Csr {
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for cell in 0..cells as u64 {
            let key = Keyed::new(1, Purpose::Simulate, 0, cell);
            let depth = 0.5 + 2.0 * key.uniform(u64::MAX);
            for gene in 0..genes {
                let level = 3.0 / (1.0 + gene as f64) + 0.02;
                let count =
                    (depth * level * -key.uniform(gene as u64).max(1e-9).ln() * 4.0).floor();
                if count > 0.0 {
                    indices.push(u32::try_from(gene).unwrap());
                    #[allow(clippy::cast_possible_truncation, reason = "a small number")]
                    values.push(count as f32);
                }
            }
            indptr.push(indices.len());
        }
        Csr::new(genes, indptr, indices, values).unwrap()
    }

    /// The first genes alone, as when variable ones were chosen.
    fn part(block: &Csr, genes: usize) -> Csr {
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in block.rows() {
            for (&gene, &value) in row.indices.iter().zip(row.values) {
                if (gene as usize) < genes {
                    indices.push(gene);
                    values.push(value);
                }
            }
            indptr.push(indices.len());
        }
        Csr::new(genes, indptr, indices, values).unwrap()
    }

    fn changed(mut block: Csr, change: impl Fn(f32, u32) -> f32) -> Csr {
        for cell in 0..block.n_cells() {
            let genes = block.row(cell).indices.to_vec();
            for (value, gene) in block.row_values_mut(cell).iter_mut().zip(genes) {
                *value = change(*value, gene);
            }
        }
        block
    }

    fn assert_is(what: &str, block: &Csr, state: InputState, total: Option<f64>) {
        let found = values_of(block);
        assert_eq!(found.state, state, "{what}: {found}");
        match (found.total, total) {
            (Some(found), Some(total)) => assert!((found / total - 1.0).abs() < 1e-3, "{what}"),
            (found, total) => assert_eq!(found, total, "{what}"),
        }
    }

    #[test]
    fn fractions_are_told_apart_by_what_counts_leave_behind() {
        let counts = counts(60, 400);
        for target in [1e4, 1e6, 1.0, 777.0] {
            let mut normalised = counts.clone();
            normalise_total(&mut normalised, target);
            assert_is("normalised", &normalised, InputState::Normalised, Some(target));
            let some = part(&normalised, 120);
            assert_is("some genes, normalised", &some, InputState::Normalised, None);
            log1p(&mut normalised);
            assert_is("log1p", &normalised, InputState::Log1p, Some(target));
            let some = part(&normalised, 120);
            assert_is("some genes, log1p", &some, InputState::Log1p, None);
        }
        let mut logged = counts.clone();
        log1p(&mut logged);
        assert_is("log1p of counts", &logged, InputState::LoggedCounts, None);
        // What is taken for ambient RNA is subtracted, more of a gene that there is more of.
        let ambient = |x: f32, gene: u32| (x - 0.9 / (1.0 + gene as f32 / 7.0)).max(0.05);
        let corrected = changed(counts.clone(), ambient);
        assert_is("corrected", &corrected, InputState::Fractional, None);
        let few = changed(counts, |x, gene| ambient(x.min(25.0), gene));
        assert_is("few corrected", &few, InputState::Fractional, None);
    }

    #[test]
    fn a_chunk_is_what_the_whole_is() {
        let mut block = counts(60, 400);
        normalise_total(&mut block, 1e4);
        log1p(&mut block);
        let one = block.indptr()[1];
        let cell = Csr::new(
            400,
            vec![0, one],
            block.indices()[..one].to_vec(),
            block.values()[..one].to_vec(),
        );
        assert_eq!(values_of(&cell.unwrap()).state, InputState::Log1p);
    }
}
