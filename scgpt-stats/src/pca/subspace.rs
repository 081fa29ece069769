//! [`Subspace`]: principal components of many values, by several passes over a stream.

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};

use super::{
    Principal, SparseCell, dot,
    eigen::{orient, orthogonalise},
    largest_eigenpairs, standard_factor,
};

/// Directions whose images are summed together.
const LANES: usize = 16;
/// Directions beyond those asked for: the more, the fewer passes.
const FURTHER: usize = 20;

type Lanes = [f64; LANES];

/// Directions that turn towards those of most variance with every pass over the cells; memory for
/// two numbers a direction and value, where [`Products`](super::Products) need a square.
///
/// # Reference
/// Halko, Martinsson and Tropp 2011: randomised subspace iteration.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::{SparseCell, Subspace};
///
/// let cell = |x: f32| -> SparseCell { (vec![3, 7], vec![x, 2.0 * x]) };
/// let cells: Vec<SparseCell> = (0..9_u8).map(|x| cell(x.into())).collect();
/// let mut subspace = Subspace::new(10, 2, &Silent)?;
/// for _ in 0..3 {
///     cells.chunks(4).for_each(|block| subspace.add(block));
///     subspace.turn(&Silent)?;
/// }
/// subspace.add(&cells);
/// assert!(subspace.principal(2, &Silent)?.shares()[0] > 0.999);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Subspace {
    blocks: Vec<Block>,
    n: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// What the values are divided by, as factors: 1 until they are [standardised](Self::standardise).
    factors: Vec<f64>,
    /// Whether directions are through the mean of the cells, or through zero.
    is_centred: bool,
}

/// Some directions, `[d, LANES]`, and their images under the cells seen in this pass.
#[derive(Debug)]
struct Block {
    /// Times the factors of the values, so that values are taken as they come.
    directions: Vec<Lanes>,
    images: Vec<Lanes>,
    totals: Lanes,
}

impl Subspace {
    /// Directions in the space of `d` values, enough for `n` components, before the first pass.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn new(d: usize, n: usize, observer: &dyn Observer) -> Result<Self> {
        let n_blocks = (n + FURTHER).min(d).div_ceil(LANES);
        let random = |block: usize| {
            let key = Keyed::new(0, Purpose::Cluster, block as u64, 1);
            let lanes =
                |i: usize| std::array::from_fn(|lane| key.uniform((i * LANES + lane) as u64) - 0.5);
            Block {
                directions: (0..d).map(lanes).collect(),
                images: vec![[0.0; LANES]; d],
                totals: [0.0; LANES],
            }
        };
        let blocks = (0..n_blocks).map(random).collect();
        let mut subspace = Self {
            blocks,
            n: 0,
            sums: vec![0.0; d],
            squares: vec![0.0; d],
            factors: vec![1.0; d],
            is_centred: true,
        };
        subspace.restart(subspace.columns(|block| &block.directions), observer)?;
        Ok(subspace)
    }

    /// As [`new`](Self::new), but directions through zero and not through the mean of the cells: the right
    /// singular vectors of the cells as they are, a truncated singular value decomposition.
    ///
    /// Shares are of the sum of all squares then, not of the variance.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn uncentred(d: usize, n: usize, observer: &dyn Observer) -> Result<Self> {
        Ok(Self { is_centred: false, ..Self::new(d, n, observer)? })
    }

    /// Adds cells to this pass. The result does not depend on threads, nor on how cells are divided
    /// into calls.
    pub fn add(&mut self, cells: &[SparseCell]) {
        self.n += cells.len();
        for (indices, values) in cells {
            for (&i, &x) in indices.iter().zip(values) {
                self.sums[i as usize] += f64::from(x);
                self.squares[i as usize] += f64::from(x).powi(2);
            }
        }
        self.blocks.par_iter_mut().for_each(|block| {
            for (indices, values) in cells {
                let mut place = [0.0; LANES];
                for (&i, &x) in indices.iter().zip(values) {
                    add(&mut place, f64::from(x), &block.directions[i as usize]);
                }
                for (&i, &x) in indices.iter().zip(values) {
                    add(&mut block.images[i as usize], f64::from(x), &place);
                }
                add(&mut block.totals, 1.0, &place);
            }
        });
    }

    /// Ends a pass: the images of the directions become the next directions.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn turn(&mut self, observer: &dyn Observer) -> Result<()> {
        self.centre();
        for block in &mut self.blocks {
            for (image, factor) in block.images.iter_mut().zip(&self.factors) {
                for x in image {
                    *x *= factor;
                }
            }
        }
        self.restart(self.columns(|block| &block.images), observer)
    }

    /// From now on values are divided by their standard deviations, those of the cells seen in this
    /// pass; what never varies counts for nothing.
    ///
    /// To be called before the first [`turn`](Self::turn), which then begins as well as if the
    /// deviations had been known: random directions are random in any scale.
    pub fn standardise(&mut self) {
        let n = self.n.max(1) as f64;
        let moments = self.sums.iter().zip(&self.squares);
        self.factors = moments.map(|(sum, square)| standard_factor(sum / n, square / n)).collect();
    }

    /// Ends the last pass: how far each value goes along each of the `n` directions of most variance,
    /// times the standard deviation of the cells in that direction; `[d, n]`, row-major.
    ///
    /// Rows are the right singular vectors of the cells, times singular values over `sqrt(cells)`:
    /// the product of two rows is the covariance of their values, as far as `n` directions tell it.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn loadings(mut self, n: usize, observer: &dyn Observer) -> Result<Vec<f64>> {
        let pairs = self.ritz(n, observer)?;
        let along = |(value, axis): (f64, Vec<f64>)| {
            let length = value.max(0.0).sqrt();
            let scaled = axis.iter().zip(&self.factors);
            let loading = |(x, factor): (&f64, &f64)| {
                if *factor > 0.0 { x * length / factor } else { 0.0 }
            };
            scaled.map(loading).collect()
        };
        let columns: Vec<Vec<f64>> = pairs.into_iter().map(along).collect();
        let row = |i: usize| columns.iter().map(move |column| column[i]);
        Ok((0..self.sums.len()).flat_map(row).collect())
    }

    /// Ends the last pass: the `n` directions of most variance within the subspace.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn principal(mut self, n: usize, observer: &dyn Observer) -> Result<Principal> {
        let cells = self.n.max(1) as f64;
        let mean = |sum: &f64| if self.is_centred { sum / cells } else { 0.0 };
        let mean: Vec<f64> = self.sums.iter().map(mean).collect();
        let variance = |i: usize| {
            (self.squares[i] / cells - mean[i] * mean[i]) * self.factors[i] * self.factors[i]
        };
        let total = (0..mean.len()).map(variance).sum();
        Ok(Principal::new(self.ritz(n, observer)?, &mean, total))
    }

    /// The `n` directions of most variance in the space of those there are, and their variances; times
    /// the factors, for values as they come.
    fn ritz(&mut self, n: usize, observer: &dyn Observer) -> Result<Vec<(f64, Vec<f64>)>> {
        self.centre();
        let cells = self.n.max(1) as f64;
        let directions = self.columns(|block| &block.directions);
        let images = self.columns(|block| &block.images);
        let m = directions.len();
        let mut seen = Vec::with_capacity(m * m);
        for direction in &directions {
            observer.check_cancelled()?;
            seen.extend(images.iter().map(|image| dot(direction, image) / cells));
        }
        let pairs = largest_eigenpairs(&seen, m, n.min(self.sums.len()), observer)?;
        let axis = |(value, weights): (f64, Vec<f64>)| {
            observer.check_cancelled()?;
            let mut axis = vec![0.0; self.sums.len()];
            for (weight, direction) in weights.iter().zip(&directions) {
                axis.iter_mut().zip(direction).for_each(|(a, x)| *a += weight * x);
            }
            orient(&mut axis);
            Ok((value, axis))
        };
        pairs.into_iter().map(axis).collect()
    }

    /// Makes the images those of centred cells, if directions are through the mean.
    fn centre(&mut self) {
        if !self.is_centred {
            return;
        }
        let n = self.n.max(1) as f64;
        for block in &mut self.blocks {
            for (image, sum) in block.images.iter_mut().zip(&self.sums) {
                add(image, -sum / n, &block.totals);
            }
        }
    }

    /// The directions, or their images, one after the other; no more than there are values.
    fn columns(&self, of: impl Fn(&Block) -> &Vec<Lanes>) -> Vec<Vec<f64>> {
        let column = |i: usize| -> Vec<f64> {
            of(&self.blocks[i / LANES]).iter().map(|lanes| lanes[i % LANES]).collect()
        };
        let n = (self.blocks.len() * LANES).min(self.sums.len());
        (0..n).map(column).collect()
    }

    /// Begins a pass with those directions, made orthonormal.
    fn restart(&mut self, columns: Vec<Vec<f64>>, observer: &dyn Observer) -> Result<()> {
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
        for mut column in columns {
            observer.check_cancelled()?;
            let before = dot(&column, &column).sqrt();
            let length = orthogonalise(&mut column, &basis);
            // A direction that the others span leads nowhere.
            let scale = if length > 1e-10 * before { 1.0 / length } else { 0.0 };
            for x in &mut column {
                *x *= scale;
            }
            basis.push(column);
        }
        for block in &mut self.blocks {
            block.directions.fill([0.0; LANES]);
            block.images.fill([0.0; LANES]);
            block.totals = [0.0; LANES];
        }
        for (i, column) in basis.iter().enumerate() {
            let directions = &mut self.blocks[i / LANES].directions;
            let scaled = column.iter().zip(&self.factors).map(|(x, factor)| x * factor);
            directions.iter_mut().zip(scaled).for_each(|(lanes, x)| lanes[i % LANES] = x);
        }
        self.n = 0;
        self.sums.fill(0.0);
        self.squares.fill(0.0);
        Ok(())
    }
}

fn add(sums: &mut Lanes, factor: f64, lanes: &Lanes) {
    sums.iter_mut().zip(lanes).for_each(|(sum, x)| *sum += factor * x);
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use crate::pca::Products;
    use scgpt_fixtures::questions;

    #[test]
    fn components_are_those_of_all_products() {
        let (n, d) = (400, 120);
        let key = Keyed::new(4, Purpose::Simulate, 0, 0);
        // The spread of values falls with their number; a third is left out as zeros.
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value =
            |cell: u64, i: u64| (key.uniform(cell * d + i) * 9.0 * 0.9_f64.powi(i as i32)) as f32;
        let cell = |cell: u64| -> SparseCell {
            let places = (0..d).filter(|i| !(cell + i).is_multiple_of(3));
            #[allow(clippy::cast_possible_truncation, reason = "test data")]
            let cell = places.map(|i| (i as u32, value(cell, i))).unzip();
            cell
        };
        let cells: Vec<SparseCell> = (0..n).map(cell).collect();
        let mut products = Products::new(120);
        products.add(&cells);
        let exact = products.principal(5, &Silent).unwrap();
        let mut subspace = Subspace::new(120, 5, &Silent).unwrap();
        for pass in 0..5 {
            if pass > 0 {
                subspace.turn(&Silent).unwrap();
            }
            cells.chunks(150).for_each(|block| subspace.add(block));
        }
        let found = subspace.principal(5, &Silent).unwrap();
        for (a, b) in found.shares().iter().zip(exact.shares()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (indices, values) in &cells {
            let (a, b) = (found.project(indices, values), exact.project(indices, values));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-2), "{a:?} {b:?}");
        }
    }

    #[test]
    fn standardised_values_have_loadings_whose_products_are_correlations() {
        // Two pairs that vary together, of very different spread, and one value that never varies.
        let key = Keyed::new(4, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let cell = |cell: u64| -> SparseCell {
            let [a, b] = [key.uniform(2 * cell), key.uniform(2 * cell + 1)].map(|x| x as f32);
            (vec![0, 1, 2, 3, 4], vec![a, 90.0 * a, b, 2.0 - 0.01 * b, 7.0])
        };
        let cells: Vec<SparseCell> = (0..300).map(cell).collect();
        let mut subspace = Subspace::new(5, 2, &Silent).unwrap();
        subspace.add(&cells);
        subspace.standardise();
        subspace.turn(&Silent).unwrap();
        cells.chunks(77).for_each(|block| subspace.add(block));
        let loadings = subspace.loadings(2, &Silent).unwrap();
        let product = |i: usize, j: usize| dot(&loadings[2 * i..][..2], &loadings[2 * j..][..2]);
        for (i, j, expected) in [(0, 0, 1.0), (0, 1, 1.0), (2, 3, -1.0), (3, 3, 1.0), (4, 4, 0.0)] {
            assert!((product(i, j) - expected).abs() < 1e-4, "{i} {j}: {}", product(i, j));
        }
        assert!(product(0, 2).abs() < 0.2);
    }

    #[test]
    fn uncentred_directions_are_singular_vectors() {
        // Rows 3a and 4b of orthogonal unit vectors a, b: a decomposition that can be read off.
        let (a, b) = ([0.6, 0.8, 0.0], [0.0, 0.0, 1.0_f32]);
        let cell =
            |by: f32, of: [f32; 3]| -> SparseCell { (vec![0, 1, 2], of.map(|x| by * x).to_vec()) };
        let cells = [cell(3.0, a), cell(4.0, b)];
        let mut subspace = Subspace::uncentred(3, 2, &Silent).unwrap();
        for _ in 0..3 {
            cells.chunks(1).for_each(|block| subspace.add(block));
            subspace.turn(&Silent).unwrap();
        }
        subspace.add(&cells);
        let found = subspace.principal(2, &Silent).unwrap();
        for (share, expected) in found.shares().iter().zip([16.0 / 25.0, 9.0 / 25.0]) {
            assert!((share - expected).abs() < 1e-6, "{share} {expected}");
        }
        for (cell, expected) in cells.iter().zip([[0.0, 3.0], [4.0, 0.0]]) {
            let place = found.project(&cell.0, &cell.1);
            assert!(place.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5), "{place:?}");
        }
    }

    #[test]
    fn fewer_values_than_directions_are_no_harm() {
        let mut subspace = Subspace::new(2, 5, &Silent).unwrap();
        subspace.add(&[(vec![0], vec![1.0]), (vec![1], vec![3.0]), (vec![], vec![])]);
        let principal = subspace.principal(5, &Silent).unwrap();
        assert_eq!(principal.n(), 2);
        assert!((principal.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_direction_asks_whether_to_go_on() {
        assert_eq!(questions(|observer| Subspace::new(200, 12, observer)), 32);
        let work = |observer: &dyn Observer| {
            let mut subspace = Subspace::new(200, 12, observer)?;
            subspace.add(&[(vec![3], vec![1.0]), (vec![7], vec![2.0])]);
            subspace.turn(observer)?;
            subspace.principal(12, observer)
        };
        assert!(questions(work) > 3 * 32);
    }
}
