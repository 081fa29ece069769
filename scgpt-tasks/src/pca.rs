//! [`Principal`]: principal components from sums that a stream of cells can be added to.

mod eigen;

use rayon::prelude::*;

pub(crate) use self::eigen::largest_eigenpairs;

/// Numbers, ascending, and values of what is not zero in a cell.
pub(crate) type SparseCell = (Vec<u32>, Vec<f32>);

/// Sums over cells of values and of products of two values: all that principal components need,
/// `d² + d` numbers whatever the number of cells.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    n: usize,
    sums: Vec<f64>,
    /// Products, `[d, d]`, of which only `j >= i` is filled.
    of_pairs: Vec<f64>,
}

impl Products {
    /// No cells yet, of `d` values each.
    pub(crate) fn new(d: usize) -> Self {
        Self { n: 0, sums: vec![0.0; d], of_pairs: vec![0.0; d * d] }
    }

    /// Adds cells.
    ///
    /// The result does not depend on threads, nor on how cells are divided into calls.
    pub(crate) fn add(&mut self, cells: &[SparseCell]) {
        let d = self.sums.len();
        self.n += cells.len();
        // Each thread fills rows of its own: for each value the cells that have it, and where.
        let mut places: Vec<Vec<(u32, u32)>> = vec![Vec::new(); d];
        for (cell, (indices, values)) in (0..).zip(cells) {
            for (place, (&i, &x)) in (0..).zip(indices.iter().zip(values)) {
                places[i as usize].push((cell, place));
                self.sums[i as usize] += f64::from(x);
            }
        }
        self.of_pairs.par_chunks_mut(d.max(1)).zip(&places).for_each(|(products, places)| {
            for &(cell, place) in places {
                let (indices, values) = &cells[cell as usize];
                let x = f64::from(values[place as usize]);
                for (&j, &y) in indices.iter().zip(values).skip(place as usize) {
                    products[j as usize] += x * f64::from(y);
                }
            }
        });
    }

    /// These cells and those.
    ///
    /// # Panics
    /// If they have other values.
    pub(crate) fn and(&self, others: &Self) -> Self {
        assert_eq!(self.sums.len(), others.sums.len(), "the same values");
        let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        Self {
            n: self.n + others.n,
            sums: add(&self.sums, &others.sums),
            of_pairs: add(&self.of_pairs, &others.of_pairs),
        }
    }

    /// The mean of a value.
    pub(crate) fn mean(&self, i: usize) -> f64 {
        self.sums[i] / self.n.max(1) as f64
    }

    /// The covariance of two values over the cells, `i <= j`.
    pub(crate) fn covariance(&self, i: usize, j: usize) -> f64 {
        let product = self.of_pairs[i * self.sums.len() + j] / self.n.max(1) as f64;
        product - self.mean(i) * self.mean(j)
    }

    /// The `n` directions of most variance; fewer if the cells have fewer values.
    pub(crate) fn principal(mut self, n: usize) -> Principal {
        let d = self.sums.len();
        let cells = self.n.max(1) as f64;
        let mean: Vec<f64> = self.sums.iter().map(|sum| sum / cells).collect();
        for i in 0..d {
            for j in i..d {
                let centred = self.of_pairs[i * d + j] / cells - mean[i] * mean[j];
                self.of_pairs[i * d + j] = centred;
                self.of_pairs[j * d + i] = centred;
            }
        }
        let total: f64 = (0..d).map(|i| self.of_pairs[i * d + i]).sum();
        let pairs = largest_eigenpairs(&self.of_pairs, d, n);
        let shares = pairs.iter().map(|(value, _)| value / total.max(f64::MIN_POSITIVE)).collect();
        let axes: Vec<Vec<f64>> = pairs.into_iter().map(|(_, axis)| axis).collect();
        let offsets = axes.iter().map(|axis| dot(&mean, axis)).collect();
        let n = axes.len();
        let loadings = (0..d).flat_map(|i| axes.iter().map(move |axis| axis[i])).collect();
        Principal { n, loadings, offsets, shares }
    }
}

/// Directions of most variance.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    n: usize,
    /// `[d, n]`.
    loadings: Vec<f64>,
    offsets: Vec<f64>,
    shares: Vec<f64>,
}

impl Principal {
    /// Number of components.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// Share of the variance that each explains.
    pub(crate) fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// The position of a cell, given by the numbers and values of what is not zero.
    #[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
    pub(crate) fn project(&self, indices: &[u32], values: &[f32]) -> Vec<f32> {
        let mut position: Vec<f64> = self.offsets.iter().map(|offset| -offset).collect();
        for (&i, &x) in indices.iter().zip(values) {
            let loadings = &self.loadings[i as usize * self.n..(i as usize + 1) * self.n];
            position.iter_mut().zip(loadings).for_each(|(p, l)| *p += f64::from(x) * l);
        }
        position.into_iter().map(|x| x as f32).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose};

    /// Cells whose value `i` has spread `spreads[i]`, some values left out as zeros.
    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    fn cells(n: u64, spreads: &[f32]) -> Vec<SparseCell> {
        let key = Keyed::new(4, Purpose::Simulate, 0, 0);
        let d = spreads.len() as u64;
        let cell = |cell: u64| {
            let value = |i: u64| key.uniform(cell * d + i) as f32 * spreads[i as usize];
            (0..d).filter(|i| !(cell + i).is_multiple_of(7)).map(|i| (i as u32, value(i))).unzip()
        };
        (0..n).map(cell).collect()
    }

    #[test]
    fn components_are_uncorrelated_and_their_shares_true() {
        let cells = cells(500, &[1.0, 9.0, 3.0, 0.0, 6.0]);
        let mut products = Products::new(5);
        products.add(&cells);
        let principal = products.principal(9);
        assert_eq!((principal.n(), principal.shares().len()), (5, 5));
        assert!((principal.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(principal.shares().is_sorted_by(|a, b| a >= b));
        let rows: Vec<Vec<f32>> = cells.iter().map(|(i, x)| principal.project(i, x)).collect();
        let covariance = |a: usize, b: usize| {
            rows.iter().map(|row| f64::from(row[a]) * f64::from(row[b])).sum::<f64>() / 500.0
        };
        let total: f64 = (0..5).map(|i| covariance(i, i)).sum();
        for a in 0..5 {
            assert!(rows.iter().map(|row| f64::from(row[a])).sum::<f64>().abs() < 1e-2);
            assert!((covariance(a, a) / total - principal.shares()[a]).abs() < 1e-6);
            assert!((0..a).all(|b| covariance(a, b).abs() < 1e-4));
        }
    }

    #[test]
    fn blocks_do_not_matter() {
        let cells = cells(100, &[1.0, 2.0, 3.0]);
        let (mut one, mut two) = (Products::new(3), Products::new(3));
        one.add(&cells);
        cells.chunks(33).for_each(|block| two.add(block));
        assert_eq!((one.n, &one.of_pairs, &one.sums), (two.n, &two.of_pairs, &two.sums));
    }

    #[test]
    fn no_cells_and_constant_cells_have_no_variance() {
        assert_eq!(Products::new(0).principal(3).n(), 0);
        let mut products = Products::new(2);
        products.add(&vec![(vec![0, 1], vec![1.0, 2.0]); 4]);
        let principal = products.principal(2);
        assert!(principal.project(&[0, 1], &[1.0, 2.0]).iter().all(|x| x.abs() < 1e-6));
        assert!(principal.shares().iter().all(|share| share.abs() < 1e-9));
    }
}
