//! [`Sums`]: all that is kept of the attention of cells.

use rayon::prelude::*;
use scgpt_data::{Keyed, Purpose};

/// Sums over cells of ranks: whole numbers, so that neither batches nor threads can change a digit.
/// Memory does not grow with the number of cells.
///
/// Permutations are counted while the cells pass, not afterwards, since no cell is kept: each has a
/// sum of its own, of the cells that it counts in the first group. The sum of the second group is
/// what remains of the sum of all cells.
#[derive(Debug)]
pub(super) struct Sums {
    /// Sums of each group.
    groups: [Sum; 2],
    /// Sums of the first half of each group.
    halves: [Sum; 2],
    /// Sums of squares, over the cells of both groups.
    squares: Vec<u64>,
    /// For each permutation, the sum over the cells that it counts in the first group.
    permuted: Vec<Vec<u32>>,
}

/// A number of cells, and the sum of their ranks at each place.
#[derive(Clone, Debug)]
struct Sum {
    cells: usize,
    values: Vec<u64>,
}

/// Where a cell counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Its group, 0 or 1.
    pub(super) group: usize,
    /// Whether it is in the first half of its group, one of the two replicates.
    pub(super) is_first_half: bool,
    /// For each permutation, whether it counts the cell in the first group.
    pub(super) permuted: &'a [bool],
}

/// For each cell, whether each of the `permutations` counts it in the first group, which has
/// `n_first` cells: `[cells][permutations]`. The choice goes by the `numbers` of the cells, not by
/// their order.
pub(super) fn shuffled_labels(
    numbers: &[u64],
    n_first: usize,
    permutations: usize,
    seed: u64,
) -> Vec<Vec<bool>> {
    let n = numbers.len();
    let mut labels = vec![Vec::with_capacity(permutations); n];
    for permutation in 0..permutations {
        let key = Keyed::new(seed, Purpose::Permute, 0, permutation as u64);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&cell| key.bits(numbers[cell]));
        for (place, &cell) in order.iter().enumerate() {
            labels[cell].push(place < n_first);
        }
    }
    labels
}

impl Sum {
    /// No cells yet.
    fn new(size: usize) -> Self {
        Self { cells: 0, values: vec![0; size] }
    }

    /// Adds the ranks of a cell.
    fn add(&mut self, cell: &[u32]) {
        self.cells += 1;
        self.values.par_iter_mut().zip(cell).for_each(|(sum, &x)| *sum += u64::from(x));
    }

    /// The mean rank at each place, times `scale`; 0 without cells.
    #[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
    fn mean(&self, scale: f64) -> Vec<f32> {
        let scale = scale / self.cells.max(1) as f64;
        self.values.iter().map(|&sum| (sum as f64 * scale) as f32).collect()
    }
}

impl Sums {
    /// Sums of no cells yet, for `size` numbers a cell and the given number of permutations.
    pub(super) fn new(size: usize, permutations: usize) -> Self {
        let two = || [Sum::new(size), Sum::new(size)];
        let permuted = vec![vec![0; size]; permutations];
        Self { groups: two(), halves: two(), squares: vec![0; size], permuted }
    }

    /// Adds the ranks of a cell, `size` numbers, wherever the cell counts.
    pub(super) fn add(&mut self, cell: &[u32], place: Place<'_>) {
        self.groups[place.group].add(cell);
        if place.is_first_half {
            self.halves[place.group].add(cell);
        }
        if !self.permuted.is_empty() {
            let squares = self.squares.par_iter_mut().zip(cell);
            squares.for_each(|(sum, &x)| *sum += u64::from(x) * u64::from(x));
        }
        let called_first = self.permuted.par_iter_mut().zip(place.permuted);
        called_first.filter(|(_, is_first)| **is_first).for_each(|(sums, _)| {
            sums.iter_mut().zip(cell).for_each(|(sum, &x)| *sum += x);
        });
    }

    /// The mean of a group, with each number multiplied by `scale`.
    pub(super) fn mean(&self, group: usize, scale: f64) -> Vec<f32> {
        self.groups[group].mean(scale)
    }

    /// The means of the two halves of a group.
    pub(super) fn halves(&self, group: usize, scale: f64) -> [Vec<f32>; 2] {
        let (all, first) = (&self.groups[group], &self.halves[group]);
        let second = Sum {
            cells: all.cells - first.cells,
            values: all.values.iter().zip(&first.values).map(|(all, first)| all - first).collect(),
        };
        [first.mean(scale), second.mean(scale)]
    }

    /// The probability of a difference between the groups as large as it is, at each of `places`,
    /// if labels mean nothing; `None` without permutations.
    ///
    /// Differences are measured in standard deviations over the cells of both groups, which no
    /// permutation changes, so that those of all places, under all permutations, are one null
    /// distribution. The smallest probability is therefore 1 in `1 + permutations · places`: a few
    /// permutations are enough. They are sorted, not compared in pairs: `permutations · places ·
    /// log(places)`.
    ///
    /// # Reference
    /// Pooled permutations as in SAM (Tusher et al. 2001). Differs: the standard deviation is that
    /// over all cells, and nothing is added to it.
    pub(super) fn p_values(&self, places: &[usize]) -> Option<Vec<f64>> {
        if self.permuted.is_empty() {
            return None;
        }
        let [n_a, n_b] = [0, 1].map(|group| self.groups[group].cells as f64);
        let n = n_a + n_b;
        let [a, b] = [0, 1].map(|group| &self.groups[group].values);
        let spread = |place: usize| {
            let sum = (a[place] + b[place]) as f64;
            ((self.squares[place] as f64 - sum * sum / n) / n).max(0.0).sqrt()
        };
        let spreads: Vec<f64> = places.par_iter().map(|&place| spread(place)).collect();
        #[allow(clippy::cast_possible_truncation, reason = "only its order counts")]
        let apart = |index: usize, first: f64| {
            let (place, spread) = (places[index], spreads[index]);
            let second = (a[place] + b[place]) as f64 - first;
            let difference = (first / n_a - second / n_b).abs();
            if spread > 0.0 { (difference / spread) as f32 } else { 0.0 }
        };
        let observed: Vec<f32> =
            (0..places.len()).into_par_iter().map(|i| apart(i, a[places[i]] as f64)).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.par_sort_unstable_by(|&i, &j| observed[j].total_cmp(&observed[i]));
        let mut exceeding = vec![0_u64; places.len()];
        for sums in &self.permuted {
            let mut null: Vec<f32> = (0..places.len())
                .into_par_iter()
                .map(|i| apart(i, f64::from(sums[places[i]])))
                .collect();
            null.par_sort_unstable_by(|x, y| y.total_cmp(x));
            let mut above = 0;
            for &i in &order {
                while null.get(above).is_some_and(|&x| x >= observed[i]) {
                    above += 1;
                }
                exceeding[i] += above as u64;
            }
        }
        let total = 1.0 + (self.permuted.len() * places.len()) as f64;
        Some(exceeding.into_iter().map(|n| (1.0 + n as f64) / total).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 cells of 200 numbers, the first of which differs between groups by `shift`.
    fn sums(shift: u32) -> Sums {
        let mut sums = Sums::new(200, 10);
        let numbers: Vec<u64> = (0..60).collect();
        let labels = shuffled_labels(&numbers, 40, 10, 2);
        for (cell, permuted) in labels.iter().enumerate() {
            let group = usize::from(cell % 3 == 0);
            let key = Keyed::new(1, Purpose::Simulate, 0, cell as u64);
            let mut values: Vec<u32> =
                (0..200).map(|i| u32::try_from(key.bits(i) % 100).unwrap()).collect();
            values[0] += shift * u32::try_from(group).unwrap();
            let is_first_half = key.bits(999) & 1 == 0;
            sums.add(&values, Place { group, is_first_half, permuted });
        }
        sums
    }

    #[test]
    fn differences_that_labels_make_are_found_and_others_are_uniform() {
        let places: Vec<usize> = (0..200).collect();
        let p = sums(60).p_values(&places).unwrap();
        assert!(p[0] < 0.001, "{}", p[0]);
        let small = p[1..].iter().filter(|&&p| p < 0.2).count();
        assert!((15..90).contains(&small), "{small} of 199 below 0.2");
        assert!(sums(0).p_values(&places).unwrap()[0] > 0.01);
        assert_eq!(Sums::new(4, 0).p_values(&[0]), None);
    }

    #[test]
    fn halves_make_up_the_whole() {
        let sums = sums(0);
        let [first, second] = sums.halves(0, 2.0);
        let n = [sums.halves[0].cells, sums.groups[0].cells - sums.halves[0].cells];
        let mean = sums.mean(0, 2.0);
        let both = (first[7] * n[0] as f32 + second[7] * n[1] as f32) / 40.0;
        assert!(n[0] > 5 && n[1] > 5 && (both - mean[7]).abs() < 1e-3);
    }
}
