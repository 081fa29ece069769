//! [`Correlations`]: how far values go along places of cells that come from elsewhere.

use rayon::prelude::*;

use super::{SparseCell, standard_factor};

/// Sums over cells of their values, of numbers that say where each cell lies, and of the products of the
/// two: `d · k` numbers, whatever the number of cells.
///
/// ```
/// use scgpt_stats::{Correlations, SparseCell};
///
/// // Of two values, the first rises with the place of a cell, the second falls.
/// let cells: Vec<SparseCell> =
///     (1..5_u8).map(|x| (vec![0, 1], vec![x.into(), 9.0 - f32::from(x)])).collect();
/// let mut correlations = Correlations::new(2, 1);
/// correlations.add(&cells, &[1.0, 2.0, 3.0, 4.0]);
/// let rows = correlations.rows();
/// assert!((rows[0] - 1.0).abs() < 1e-9 && (rows[1] + 1.0).abs() < 1e-9);
/// ```
#[derive(Clone, Debug)]
pub struct Correlations {
    n: usize,
    /// Of each value, the sum and the sum of squares.
    of_values: Vec<[f64; 2]>,
    /// The same of each number of a place.
    of_places: Vec<[f64; 2]>,
    /// Products, `[d, k]`.
    products: Vec<f64>,
}

impl Correlations {
    /// Sums of no cells yet, which will have `d` values, and `k` numbers that say where each lies.
    pub fn new(d: usize, k: usize) -> Self {
        let (of_values, of_places) = (vec![[0.0; 2]; d], vec![[0.0; 2]; k]);
        Self { n: 0, of_values, of_places, products: vec![0.0; d * k] }
    }

    /// Adds cells and their places, `[n, k]`, row-major. The result does not depend on threads, nor on how
    /// cells are divided into calls.
    ///
    /// # Panics
    /// If there are not as many places as cells.
    pub fn add(&mut self, cells: &[SparseCell], places: &[f64]) {
        let k = self.of_places.len();
        assert_eq!(places.len(), cells.len() * k, "cells and places differ in number");
        self.n += cells.len();
        for place in places.chunks(k.max(1)) {
            let sums = self.of_places.iter_mut().zip(place);
            sums.for_each(|([sum, square], x)| (*sum, *square) = (*sum + x, *square + x * x));
        }
        // Each thread fills rows of its own: for each value the cells that have it.
        let mut having: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.of_values.len()];
        for (cell, (indices, values)) in cells.iter().enumerate() {
            for (&i, &x) in indices.iter().zip(values) {
                having[i as usize].push((cell, f64::from(x)));
            }
        }
        let rows = self.products.par_chunks_mut(k.max(1)).zip(&mut self.of_values).zip(&having);
        rows.for_each(|((products, [sum, square]), having)| {
            for &(cell, x) in having {
                (*sum, *square) = (*sum + x, *square + x * x);
                let place = &places[cell * k..(cell + 1) * k];
                products.iter_mut().zip(place).for_each(|(product, y)| *product += x * y);
            }
        });
    }

    /// Number of cells so far.
    pub fn n_cells(&self) -> usize {
        self.n
    }

    /// Pearson's correlations of each value with each number of the places, `[d, k]`, row-major; 0 where
    /// either never varies.
    pub fn rows(&self) -> Vec<f64> {
        let (n, k) = (self.n.max(1) as f64, self.of_places.len());
        let factor = |&[sum, square]: &[f64; 2]| standard_factor(sum / n, square / n);
        let of_places: Vec<f64> = self.of_places.iter().map(factor).collect();
        let row = |(of_value, products): (&[f64; 2], &[f64])| -> Vec<f64> {
            let of_all = products.iter().zip(&self.of_places).zip(&of_places);
            let correlation = |((product, place), by): ((&f64, &[f64; 2]), &f64)| {
                (product / n - of_value[0] / n * place[0] / n) * factor(of_value) * by
            };
            of_all.map(correlation).collect()
        };
        self.of_values.iter().zip(self.products.chunks(k.max(1))).flat_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_correlations_whatever_the_blocks() {
        let values = [[1.0, 0.0, 7.0], [2.0, 1.0, 7.0], [0.0, 5.0, 7.0], [4.0, 0.0, 7.0_f32]];
        let places = [0.5, -1.0, 1.5, 0.0, -2.0, 3.0, 2.0, 1.0];
        let sparse = |row: &[f32; 3]| -> SparseCell {
            (0..).zip(row).filter(|(_, x)| **x != 0.0).map(|(i, x): (u32, _)| (i, *x)).unzip()
        };
        let cells: Vec<SparseCell> = values.iter().map(sparse).collect();
        let mut whole = Correlations::new(3, 2);
        whole.add(&cells, &places);
        let rows = whole.rows();
        for value in 0..2 {
            for number in 0..2 {
                let x: Vec<f64> = values.iter().map(|row| row[value].into()).collect();
                let y: Vec<f64> = places.chunks(2).map(|place| place[number]).collect();
                let expected = crate::pearson(&x, &y);
                assert!((rows[value * 2 + number] - expected).abs() < 1e-9, "{rows:?}");
            }
        }
        assert_eq!(rows[4..], [0.0, 0.0], "a value that never varies");
        let mut parts = Correlations::new(3, 2);
        parts.add(&cells[..1], &places[..2]);
        parts.add(&cells[1..], &places[2..]);
        assert_eq!(parts.n_cells(), 4);
        assert_eq!(parts.rows(), rows);
    }
}
