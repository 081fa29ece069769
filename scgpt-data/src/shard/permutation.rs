//! [`Permutation`]: the numbers below another one, in an order drawn by a key; and [`Windows`], which keeps neighbours
//! near each other.

use crate::keyed::{Keyed, Purpose};

/// Four are a pseudorandom permutation of large domains; small ones take a few more.
const ROUNDS: u64 = 8;
/// Neighbours that stay in one window: some megabytes, as much as a disk reads ahead.
const RUN: usize = 1024;

/// The numbers `0..len` in another order.
///
/// Nothing is stored: a place is sent to a number by a Feistel network over the least power of four that holds all
/// numbers, and on through it until it falls among them (Black and Rogaway 2002).
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    key: Keyed,
    len: usize,
    /// Bits of one half of the network.
    half: u32,
}

impl Permutation {
    pub(super) fn new(len: usize, key: Keyed) -> Self {
        let bits = usize::BITS - len.saturating_sub(1).leading_zeros();
        Self { key, len, half: bits.div_ceil(2).max(1) }
    }

    /// The number at a place, which is below `len`.
    pub(super) fn at(&self, place: usize) -> usize {
        let mut number = self.sent(place as u64);
        // A walk along a cycle of the larger permutation that begins among the numbers ends there.
        while number >= self.len as u64 {
            number = self.sent(number);
        }
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// A permutation of `0..4^half`.
    fn sent(&self, number: u64) -> u64 {
        let mask = (1_u64 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            let index = (round << 32) | right;
            (left, right) = (right, left ^ (self.key.bits(index) & mask));
        }
        (left << self.half) | right
    }
}

/// As [`Permutation`], in windows: runs of 1024 neighbours are drawn, and the numbers of as many runs as make
/// a window are shuffled together.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    len: usize,
    runs: Permutation,
    n_runs: usize,
    /// Runs of a window.
    per_window: usize,
    seed: u64,
}

impl Windows {
    /// Windows of about so many numbers.
    pub(super) fn new(len: usize, window: usize, seed: u64) -> Self {
        let n_runs = len.div_ceil(RUN);
        let runs = Permutation::new(n_runs, Keyed::new(seed, Purpose::Window, 0, 0));
        Self { len, runs, n_runs, per_window: window.div_ceil(RUN).clamp(1, n_runs.max(1)), seed }
    }

    /// The number at a place, which is below `len`.
    pub(super) fn at(&self, place: usize) -> usize {
        let mut number = self.sent(place);
        // The last run may be shorter: as in a permutation.
        while number >= self.len {
            number = self.sent(number);
        }
        number
    }

    /// A permutation of the numbers of whole runs.
    fn sent(&self, place: usize) -> usize {
        let window = place / (self.per_window * RUN);
        let first = window * self.per_window;
        let here = self.per_window.min(self.n_runs - first) * RUN;
        let key = Keyed::new(self.seed, Purpose::Window, 1, window as u64);
        let slot = Permutation::new(here, key).at(place - first * RUN);
        self.runs.at(first + slot / RUN) * RUN + slot % RUN
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_once(len in 1..20_000_usize, window in 1..9000_usize, seed: u64) {
            let windows = Windows::new(len, window, seed);
            let mut numbers: Vec<usize> = (0..len).map(|place| windows.at(place)).collect();
            numbers.sort_unstable();
            prop_assert!(numbers.into_iter().eq(0..len));
        }
    }

    #[test]
    fn a_window_is_of_few_runs_and_shuffled() {
        let (len, window) = (100 * RUN, 10 * RUN);
        let of = |seed| {
            let windows = Windows::new(len, window, seed);
            (0..len).map(move |place| windows.at(place)).collect::<Vec<_>>()
        };
        let numbers = of(0);
        for window in numbers.chunks(window) {
            let runs: std::collections::BTreeSet<usize> =
                window.iter().map(|number| number / RUN).collect();
            assert_eq!(runs.len(), 10);
            // Neighbours of an order are of different runs, but for one in ten.
            let together = window.windows(2).filter(|pair| pair[0] / RUN == pair[1] / RUN).count();
            assert!((900..1150).contains(&together), "{together}");
        }
        assert_ne!(numbers, of(1));
        let firsts = |numbers: &[usize]| numbers[..window].iter().map(|it| it / RUN).min();
        assert_ne!(firsts(&numbers), firsts(&of(1)), "other runs share a window");
    }
}
