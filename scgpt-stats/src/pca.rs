//! [`Products`] and [`Principal`]: principal components from sums to which a stream of cells is
//! added.

mod correlations;
mod eigen;
mod subspace;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use serde::{Deserialize, Serialize};

pub use self::{correlations::Correlations, eigen::largest_eigenpairs, subspace::Subspace};

/// A cell by its non-zero values: their numbers, ascending, and the values.
pub type SparseCell = (Vec<u32>, Vec<f32>);

/// Rows that stay in a core's cache while products are summed.
const ROWS: usize = 128;

/// Sums over cells of values and of products of two values: all that principal components need,
/// `d² + d` numbers whatever the number of cells.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::Products;
///
/// // Two values of three cells that vary along one line; cells may come in any number of blocks.
/// let mut products = Products::new(2);
/// products.add_rows(&[0.0, 0.0, 1.0, 1.0], &Silent)?;
/// products.add(&[(vec![0, 1], vec![2.0, 2.0])]);
/// let principal = products.principal(2, &Silent)?;
/// assert!((principal.shares()[0] - 1.0).abs() < 1e-12);
/// assert!((principal.project(&[0, 1], &[2.0, 2.0])[0] - 2f32.sqrt()).abs() < 1e-6);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Products {
    n: usize,
    sums: Vec<f64>,
    /// Products, `[d, d]`, of which only `j >= i` is filled.
    of_pairs: Vec<f64>,
}

impl Products {
    /// Sums of no cells yet, which will have `d` values each.
    pub fn new(d: usize) -> Self {
        Self { n: 0, sums: vec![0.0; d], of_pairs: vec![0.0; d * d] }
    }

    /// Adds cells.
    ///
    /// The result does not depend on threads, nor on how cells are divided into calls.
    pub fn add(&mut self, cells: &[SparseCell]) {
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

    /// As [`add`](Self::add), for cells given as whole rows, `[n, d]` row-major.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn add_rows(&mut self, rows: &[f32], observer: &dyn Observer) -> Result<()> {
        let d = self.sums.len();
        self.n += rows.len() / d.max(1);
        for block in rows.chunks(d.max(1) * ROWS) {
            observer.check_cancelled()?;
            for row in block.chunks_exact(d) {
                self.sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            self.of_pairs.par_chunks_mut(d).enumerate().for_each(|(i, products)| {
                for row in block.chunks_exact(d) {
                    let x = f64::from(row[i]);
                    let pairs = products[i..].iter_mut().zip(&row[i..]);
                    pairs.for_each(|(product, &y)| *product += x * f64::from(y));
                }
            });
        }
        Ok(())
    }

    /// Adds `shift`, `[d]`, to the values of `n` of the cells, as if it had been added before; the
    /// values of these cells sum to `sums`, `[d]`.
    pub fn shift(&mut self, n: f64, sums: &[f64], shift: &[f64]) {
        let d = self.sums.len();
        self.of_pairs.par_chunks_mut(d.max(1)).enumerate().for_each(|(i, products)| {
            for j in i..d {
                products[j] += sums[i] * shift[j] + shift[i] * (sums[j] + n * shift[j]);
            }
        });
        self.sums.iter_mut().zip(shift).for_each(|(sum, shift)| *sum += n * shift);
    }

    /// The `n` directions in which the cells vary most; fewer if cells have fewer values.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn principal(mut self, n: usize, observer: &dyn Observer) -> Result<Principal> {
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
        let pairs = largest_eigenpairs(&self.of_pairs, d, n, observer)?;
        Ok(Principal::new(pairs, &mean, total))
    }
}

/// The directions in which cells vary most: principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    n: usize,
    /// How far each value goes along each component, `[d, n]`.
    loadings: Vec<f64>,
    offsets: Vec<f64>,
    shares: Vec<f64>,
}

impl Principal {
    /// Of the variance along each axis, the means of the values and the whole variance.
    fn new(pairs: Vec<(f64, Vec<f64>)>, mean: &[f64], total: f64) -> Self {
        let shares = pairs.iter().map(|(value, _)| value / total.max(f64::MIN_POSITIVE)).collect();
        let axes: Vec<Vec<f64>> = pairs.into_iter().map(|(_, axis)| axis).collect();
        let offsets = axes.iter().map(|axis| dot(mean, axis)).collect();
        let n = axes.len();
        let loadings = (0..mean.len()).flat_map(|i| axes.iter().map(move |axis| axis[i])).collect();
        Self { n, loadings, offsets, shares }
    }

    /// Number of components.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Share of the variance that each component explains, descending.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// How far the value numbered `i` goes along each component, `[n]`.
    ///
    /// # Panics
    /// If cells have no such value.
    pub fn loadings(&self, i: usize) -> &[f64] {
        &self.loadings[i * self.n..(i + 1) * self.n]
    }

    /// Whether these are components of cells with `d` values each; what was read from a file need not be.
    pub fn is_of(&self, d: usize) -> bool {
        let n = Some(self.loadings.len());
        n == self.n.checked_mul(d) && self.offsets.len() == self.n && self.shares.len() == self.n
    }

    /// The position of a cell along the components, `[n]`; the cell is given by the numbers and the
    /// values of what is not zero.
    pub fn project(&self, indices: &[u32], values: &[f32]) -> Vec<f32> {
        self.project_from(self.offsets.iter().map(|offset| -offset).collect(), indices, values)
    }

    /// The position of a cell without a value after `shift`, `[d]`, was added to it.
    pub fn shifted(&self, shift: &[f64]) -> Vec<f64> {
        let mut position: Vec<f64> = self.offsets.iter().map(|offset| -offset).collect();
        for (shift, loadings) in shift.iter().zip(self.loadings.chunks(self.n.max(1))) {
            position.iter_mut().zip(loadings).for_each(|(p, l)| *p += shift * l);
        }
        position
    }

    /// The position of a cell whose values are added to those of a cell at `position`, see
    /// [`shifted`](Self::shifted).
    #[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
    pub fn project_from(
        &self,
        mut position: Vec<f64>,
        indices: &[u32],
        values: &[f32],
    ) -> Vec<f32> {
        for (&i, &x) in indices.iter().zip(values) {
            position
                .iter_mut()
                .zip(self.loadings(i as usize))
                .for_each(|(p, l)| *p += f64::from(x) * l);
        }
        position.into_iter().map(|x| x as f32).collect()
    }
}

/// The scalar product of two rows of equal length, summed from the first number to the last.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What values of that mean and mean square are multiplied by to have a standard deviation of 1; 0 if they
/// never vary.
fn standard_factor(mean: f64, square: f64) -> f64 {
    let variance = square - mean * mean;
    // Below this, a variance is rounding.
    if variance > 1e-12 * square { variance.sqrt().recip() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};

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
        let principal = products.principal(9, &Silent).unwrap();
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
    fn rows_and_shifts_are_as_cells_with_those_values() {
        let cells = cells(100, &[1.0, 2.0, 3.0]);
        let shift = [0.5, 0.0, -2.0];
        let (mut plain, mut rows) = (Products::new(3), Products::new(3));
        plain.add(&cells);
        plain.shift(100.0, &plain.sums.clone(), &shift);
        for (indices, values) in &cells {
            let mut row = [0.5, 0.0, -2.0];
            indices.iter().zip(values).for_each(|(&i, x)| row[i as usize] += x);
            rows.add_rows(&row, &Silent).unwrap();
        }
        let pairs = plain.of_pairs.iter().zip(&rows.of_pairs);
        assert!(pairs.chain(plain.sums.iter().zip(&rows.sums)).all(|(a, b)| (a - b).abs() < 1e-4));
        let principal = rows.principal(2, &Silent).unwrap();
        let (indices, values) = &cells[7];
        let mut row = [0.5, 0.0, -2.0];
        indices.iter().zip(values).for_each(|(&i, x)| row[i as usize] += x);
        let shifted = principal.project_from(principal.shifted(&shift), indices, values);
        let whole = principal.project(&[0, 1, 2], &row);
        assert!(shifted.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn no_cells_and_constant_cells_have_no_variance() {
        assert_eq!(Products::new(0).principal(3, &Silent).unwrap().n(), 0);
        let mut products = Products::new(2);
        products.add(&vec![(vec![0, 1], vec![1.0, 2.0]); 4]);
        let principal = products.principal(2, &Silent).unwrap();
        assert!(principal.project(&[0, 1], &[1.0, 2.0]).iter().all(|x| x.abs() < 1e-6));
        assert!(principal.shares().iter().all(|share| share.abs() < 1e-9));
    }
}
