//! [`Rows`]: cells laid out so that many distances are computed at once.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instructions that the processor has"
)]

use std::ops::Range;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};

/// Numbers added side by side; the same on every machine, so that sums are too.
const LANES: usize = 16;
/// Cells whose distances are computed together, so that each number read is used several times.
pub(crate) const TOGETHER: usize = 4;
/// Cells that they are compared with at once.
pub(crate) const AGAINST: usize = 2;
/// Cells of one thread's turn.
pub(crate) const QUERIES: usize = 64;
/// Cells that stay in a core's cache meanwhile.
pub(crate) const TILE: usize = 128;

/// Centred rows, filled up with zeros to whole groups of lanes.
pub(crate) struct Rows {
    pub(crate) n: usize,
    width: usize,
    values: Vec<f32>,
    /// The squared length of each row.
    pub(crate) squares: Vec<f32>,
}

impl Rows {
    pub(crate) fn new(rows: &[f32], d: usize, observer: &dyn Observer) -> Result<Self> {
        Self::centred(rows, d, rows.len() / d.max(1), observer)
    }

    /// Rows from which the mean of the first `of` of them is subtracted.
    pub(crate) fn centred(
        rows: &[f32],
        d: usize,
        of: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = rows.len() / d.max(1);
        assert_eq!(n * d, rows.len(), "rows must be whole");
        let mut mean = vec![0.0; d];
        for row in rows.chunks_exact(d.max(1)).take(of) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / of as f64);
        }
        observer.check_cancelled()?;
        let width = d.div_ceil(LANES) * LANES;
        let mut values = vec![0.0; n * width];
        // Distances do not change, but the products they are computed from get smaller.
        for (row, out) in rows.chunks_exact(d.max(1)).zip(values.chunks_exact_mut(width.max(1))) {
            for ((out, &x), mean) in out.iter_mut().zip(row).zip(&mean) {
                #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
                let centred = (f64::from(x) - mean) as f32;
                *out = centred;
            }
        }
        observer.check_cancelled()?;
        let mut rows = Self { n, width, values, squares: Vec::new() };
        rows.squares =
            (0..n).map(|cell| products([rows.row(cell)], [rows.row(cell)])[0][0]).collect();
        Ok(rows)
    }

    pub(crate) fn row(&self, cell: usize) -> &[f32] {
        &self.values[cell * self.width..(cell + 1) * self.width]
    }

    /// The distance of two rows, without the rounding of [`products`].
    pub(crate) fn distance(&self, a: usize, b: usize) -> f64 {
        let squares = self
            .row(a)
            .iter()
            .zip(self.row(b))
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>().sqrt()
    }
}

/// Scalar products of rows with others, in lanes whose sums are added at the end.
#[inline(always)]
pub(crate) fn products<const N: usize, const M: usize>(
    rows: [&[f32]; N],
    others: [&[f32]; M],
) -> [[f32; M]; N] {
    let mut sums = [[[0.0_f32; LANES]; M]; N];
    let chunks = rows[0].len() / LANES;
    let rows = rows.map(|row| &row.as_chunks::<LANES>().0[..chunks]);
    let others = others.map(|row| &row.as_chunks::<LANES>().0[..chunks]);
    for chunk in 0..chunks {
        for i in 0..N {
            for j in 0..M {
                for lane in 0..LANES {
                    sums[i][j][lane] += rows[i][chunk][lane] * others[j][chunk][lane];
                }
            }
        }
    }
    sums.map(|sums| sums.map(|lanes| lanes.iter().sum()))
}

/// Sums of the distances of every cell to the cells of every class, `[n, classes]`; `codes` are the
/// classes, `0..classes`.
///
/// The result depends on neither threads nor processor.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
pub(crate) fn distance_sums(
    rows: &[f32],
    d: usize,
    codes: &[usize],
    classes: usize,
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    // Cells of a class lie side by side.
    let mut order: Vec<usize> = (0..codes.len()).collect();
    order.sort_by_key(|&cell| codes[cell]);
    let sorted: Vec<f32> =
        order.iter().flat_map(|&cell| &rows[cell * d..(cell + 1) * d]).copied().collect();
    let rows = Rows::new(&sorted, d, observer)?;
    let begin = |class: usize| order.partition_point(|&cell| codes[cell] < class);
    let members: Vec<Range<usize>> =
        (0..classes).map(|class| begin(class)..begin(class + 1)).collect();
    let firsts: Vec<usize> = (0..rows.n).step_by(TOGETHER).collect();
    let arch = pulp::Arch::new();
    let of_sorted: Vec<Vec<f64>> = firsts
        .into_par_iter()
        .map(|first| {
            observer.check_cancelled()?;
            let n = TOGETHER.min(rows.n - first);
            let sum = |members: &Range<usize>| {
                arch.dispatch(Sums {
                    rows: &rows,
                    queries: first..first + n,
                    members: members.clone(),
                })
            };
            let sums: Vec<[f64; TOGETHER]> = members.iter().map(sum).collect();
            Ok((0..n).flat_map(|query| sums.iter().map(move |sums| sums[query])).collect())
        })
        .collect::<Result<_>>()?;
    let of_sorted = of_sorted.concat();
    let mut sums = vec![0.0; of_sorted.len()];
    for (&cell, row) in order.iter().zip(of_sorted.chunks(classes)) {
        sums[cell * classes..(cell + 1) * classes].copy_from_slice(row);
    }
    Ok(sums)
}

/// Adds the distances of a few cells to the members of a class. Not a closure: those are not
/// compiled for the instructions that the processor has.
struct Sums<'a> {
    rows: &'a Rows,
    queries: Range<usize>,
    members: Range<usize>,
}

impl pulp::WithSimd for Sums<'_> {
    type Output = [f64; TOGETHER];

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let Self { rows, queries, members } = self;
        let cell = |i: usize| (queries.start + i).min(queries.end - 1);
        let lengths: [f32; TOGETHER] = std::array::from_fn(|i| rows.squares[cell(i)]);
        let queries: [&[f32]; TOGETHER] = std::array::from_fn(|i| rows.row(cell(i)));
        let mut sums = [0.0; TOGETHER];
        for other in members.clone().step_by(AGAINST) {
            let others = std::array::from_fn(|j| rows.row((other + j).min(members.end - 1)));
            let dots: [[f32; AGAINST]; TOGETHER] = products(queries, others);
            for (i, sum) in sums.iter_mut().enumerate() {
                for (other, dot) in (other..members.end).zip(dots[i]) {
                    let square = lengths[i] + rows.squares[other] - 2.0 * dot;
                    *sum += f64::from(square.max(0.0).sqrt());
                }
            }
        }
        sums
    }
}

/// Rows `[n, d]` scaled to length 1; rows of zeros stay as they are.
pub fn unit_rows(rows: &[f32], d: usize) -> Vec<f32> {
    let mut unit = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(d) {
        let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
        let length = squares.sqrt().max(f64::MIN_POSITIVE);
        #[allow(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        unit.extend(row.iter().map(|&x| (f64::from(x) / length) as f32));
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};
    use scgpt_fixtures::questions;

    #[test]
    fn sums_are_those_of_single_distances() {
        let (n, d, classes) = (131, 19, 4);
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows: Vec<f32> = (0..n * d).map(|i| key.uniform(i as u64) as f32 + 50.0).collect();
        // The last class is empty.
        let codes: Vec<usize> = (0..n).map(|cell| cell * cell % 3).collect();
        let sums = distance_sums(&rows, d, &codes, classes, &Silent).unwrap();
        let exact = Rows::new(&rows, d, &Silent).unwrap();
        for cell in 0..n {
            for class in 0..classes {
                let members = (0..n).filter(|&other| codes[other] == class);
                let expected: f64 = members.map(|other| exact.distance(cell, other)).sum();
                let found = sums[cell * classes + class];
                assert!((found - expected).abs() < 1e-4 * (1.0 + expected), "{found} {expected}");
            }
        }
    }

    #[test]
    fn every_few_cells_ask_whether_to_go_on() {
        let (rows, codes) = ([0.5; 120], [0; 40]);
        assert!(
            questions(|observer| distance_sums(&rows, 3, &codes, 1, observer)) >= 40 / TOGETHER
        );
    }
}
