//! [`Keyed`]: random numbers that are a pure function of what they are for.

use std::f64::consts::TAU;

/// What a random choice decides; a part of its key, so that choices do not echo each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum Purpose {
    /// The bin of a value that lies on several bin edges.
    BinTie = 1,
    /// Which genes of a cell with too many are kept.
    Sample = 2,
    /// Which values are hidden from the model.
    Mask = 3,
    /// Which genes are known and which are to be generated.
    Split = 4,
    /// Simulated data.
    Simulate = 5,
    /// Which states are dropped in a training step.
    Dropout = 8,
    /// The weights of a new network.
    Initial = 9,
    /// What the network drops, or draws, while it generates.
    Generate = 10,
    /// In which order the cells of an epoch come.
    Order = 6,
    /// Which cells are held out from training.
    HoldOut = 7,
    /// The order in which cells are visited when they are clustered, and other arbitrary starts.
    Cluster = 16,
    /// Which control cells a perturbed cell is compared with.
    Pair = 17,
    /// What is exchanged with what in a null distribution.
    Permute = 20,
    /// Which cuts the trees of an ensemble try.
    Forest = 21,
    /// Which half of a cell each of its counts goes to.
    Thin = 22,
    /// Which cells of an epoch are shuffled together.
    Window = 23,
}

/// The stream of random numbers of one (seed, purpose, epoch, cell), addressed by index.
///
/// Nothing is consumed: [`bits`](Self::bits) of an index is always the same number, so a result
/// cannot depend on the batch, the chunk or the thread in which a cell is met.
///
/// The numbers are those of SplitMix64 (Steele, Lea and Flood 2014) at position `index`, with a
/// start that chains its mixing function over the parts of the key.
///
/// ```
/// use scgpt_data::{Keyed, Purpose};
///
/// let of_cell = |cell| Keyed::new(42, Purpose::Mask, 0, cell);
/// assert_eq!(of_cell(7).uniform(3), of_cell(7).uniform(3));
/// assert_ne!(of_cell(7).uniform(3), of_cell(8).uniform(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Keyed {
    /// The stream of this seed, purpose, epoch and cell.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, cell: u64) -> Self {
        Self(
            [purpose as u64, epoch, cell]
                .into_iter()
                .fold(mix(seed.wrapping_add(GOLDEN)), |state, part| {
                    mix(state ^ mix(part.wrapping_add(GOLDEN)))
                }),
        )
    }

    /// 64 random bits: number `index` of the stream.
    pub fn bits(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(GOLDEN.wrapping_mul(index.wrapping_add(1))))
    }

    /// A number uniform on `[0, 1)`, a multiple of 2⁻⁵³, made of the bits of `index`.
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A draw from the standard normal distribution, made of the numbers `index` and `index + 1`
    /// (Box–Muller).
    pub fn normal(self, index: u64) -> f64 {
        let [radius, angle] = [index, index + 1].map(|index| self.uniform(index));
        (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
    }
}

/// A number for a name, such as that of a cell, the same on every machine: a key or an index of
/// [`Keyed`] for choices that are not to depend on where something stands.
pub(crate) fn name_key(name: &str) -> u64 {
    name.bytes().fold(mix(name.len() as u64), |state, byte| {
        mix(state.wrapping_add(GOLDEN) ^ u64::from(byte))
    })
}

/// The finaliser of SplitMix64: a bijection in which every input bit changes half the output bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `k` of `0..n` with the smallest `order`, ascending; all of them if `k >= n`.
///
/// With `order` random this is a uniform choice without replacement; with `order` the identity it
/// is the first `k`.
pub(crate) fn choose(n: usize, k: usize, order: impl Fn(usize) -> u64) -> Vec<usize> {
    if k >= n {
        return (0..n).collect();
    }
    let keys: Vec<u64> = (0..n).map(order).collect();
    let mut ranked = keys.clone();
    let (_, &mut bound, _) = ranked.select_nth_unstable(k);
    // Of those that equal the bound, the first ones fill what room is left. The chosen are met in
    // ascending order, and need not be sorted.
    let mut room = k - keys.iter().filter(|&&key| key < bound).count();
    // One place more than needed, so that every index can be written before it is decided on: a
    // branch on random keys would be guessed wrong.
    let mut chosen = vec![0; k + 1];
    let mut n_chosen = 0;
    for (index, &key) in keys.iter().enumerate() {
        chosen[n_chosen] = index;
        let fits = key == bound && room > 0;
        room -= usize::from(fits);
        n_chosen += usize::from(fits || key < bound);
    }
    chosen.truncate(k);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_normal() {
        let key = Keyed::new(1, Purpose::Initial, 1, 0);
        let draws: Vec<f64> = (0..4000).map(|i| key.normal(2 * i)).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.06 && (variance - 1.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let base = Keyed::new(0, Purpose::BinTie, 0, 0).bits(0);
        for other in [
            Keyed::new(1, Purpose::BinTie, 0, 0).bits(0),
            Keyed::new(0, Purpose::Sample, 0, 0).bits(0),
            Keyed::new(0, Purpose::BinTie, 1, 0).bits(0),
            Keyed::new(0, Purpose::BinTie, 0, 1).bits(0),
            Keyed::new(0, Purpose::BinTie, 0, 0).bits(1),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, Keyed::new(0, Purpose::BinTie, 0, 0).bits(0));
    }

    #[test]
    fn draws_are_uniform_within_a_cell_and_across_cells() {
        let mean = |draw: &dyn Fn(u64) -> f64| (0..10_000).map(draw).sum::<f64>() / 10_000.0;
        let within = mean(&|index| Keyed::new(7, Purpose::Mask, 0, 3).uniform(index));
        let across = mean(&|cell| Keyed::new(7, Purpose::Mask, 0, cell).uniform(0));
        // The standard error of the mean is 0.003.
        assert!((within - 0.5).abs() < 0.015, "{within}");
        assert!((across - 0.5).abs() < 0.015, "{across}");
    }

    #[test]
    fn names_have_keys_of_their_own() {
        let names = ["", "a", "b", "ab", "ba", "AAACCTG-1", "AAACCTG-2", "a\0"];
        let keys: std::collections::BTreeSet<u64> =
            names.iter().map(|name| name_key(name)).collect();
        assert_eq!(keys.len(), names.len());
        // Written down, as outputs of released versions depend on it.
        assert_eq!(name_key("AAACCTG-1"), 0x2faa_0430_2ce2_23de);
    }

    #[test]
    fn choosing_without_replacement() {
        assert_eq!(choose(5, 3, |index| index as u64), [0, 1, 2]);
        assert_eq!(choose(2, 3, |index| index as u64), [0, 1]);
        assert_eq!(choose(6, 3, |index| [1, 0, 1, 2, 1, 1][index]), [0, 1, 2], "first of equals");
        assert_eq!(choose(4, 0, |_| 7), [0; 0]);
        let mut hits = [0_u32; 10];
        for cell in 0..3000 {
            let key = Keyed::new(0, Purpose::Sample, 0, cell);
            for index in choose(10, 3, |index| key.bits(index as u64)) {
                hits[index] += 1;
            }
        }
        assert!(hits.iter().all(|&n| (800..1000).contains(&n)), "{hits:?}");
    }
}
