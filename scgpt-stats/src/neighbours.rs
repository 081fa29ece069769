//! [`Neighbours`]: the nearest cells of a cell, by comparing it with all.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instructions that the processor has"
)]

use std::ops::Range;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};

use crate::distances::{AGAINST, QUERIES, Rows, TILE, TOGETHER, products};

/// Further candidates whose exact distance is looked at: more than rounding can misplace.
const SPARE: usize = 8;
/// Cells whose neighbours are found between two looks of an observer.
const WATCHED: usize = 32 * QUERIES;

/// The nearest cells of each cell by Euclidean distance; no cell is its own neighbour.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::Neighbours;
///
/// // Four cells on a line; the two nearest of the first.
/// let neighbours = Neighbours::new(&[0.0, 1.0, 3.0, 9.0], 1, 2, &Silent)?;
/// assert_eq!(neighbours.cells().next().unwrap(), [(1.0, 1), (3.0, 2)]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    n: usize,
    k: usize,
    nearest: Vec<(f64, usize)>,
}

impl Neighbours {
    /// Finds the `k` nearest of each of the `rows`, `[n, d]` row-major, exactly; all other rows if
    /// there are fewer.
    ///
    /// Among cells at the same distance those of lower number come first. The result depends on
    /// neither threads nor processor. It takes `n² · d` multiplications and `n · (d + k)` numbers.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `d` does not divide the number of values.
    pub fn new(rows: &[f32], d: usize, k: usize, observer: &dyn Observer) -> Result<Self> {
        let rows = Rows::new(rows, d, observer)?;
        let k = k.min(rows.n.saturating_sub(1));
        Ok(Self { n: rows.n, k, nearest: rows.all_nearest(0..rows.n, 0..rows.n, k, observer)? })
    }

    /// As [`new`](Self::new), as a stage of its own: the observer sees how far it is.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn watched(rows: &[f32], d: usize, k: usize, observer: &dyn Observer) -> Result<Self> {
        let rows = Rows::new(rows, d, observer)?;
        let k = k.min(rows.n.saturating_sub(1));
        observer.begin("finding neighbours", rows.n);
        let mut nearest = Vec::with_capacity(rows.n * k);
        for first in (0..if k == 0 { 0 } else { rows.n }).step_by(WATCHED) {
            let queries = first..rows.n.min(first + WATCHED);
            let n = queries.len();
            nearest.extend(rows.all_nearest(queries, 0..rows.n, k, observer)?);
            observer.advance(n);
        }
        Ok(Self { n: rows.n, k, nearest })
    }

    /// As [`new`](Self::new), and beside it, for each cell, what `finish` makes of the sums of its
    /// distances to the cells of every group. `groups` are numbers below `n_groups`, one a cell.
    ///
    /// All cells are compared with all once, for both.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `d` does not divide the number of values.
    pub fn with_sums<T: Send>(
        rows: &[f32],
        d: usize,
        k: usize,
        groups: &[usize],
        n_groups: usize,
        finish: &(dyn Fn(usize, &[f64]) -> T + Sync),
        observer: &dyn Observer,
    ) -> Result<(Self, Vec<T>)> {
        let rows = Rows::new(rows, d, observer)?;
        let k = k.min(rows.n.saturating_sub(1));
        let firsts: Vec<usize> = (0..rows.n).step_by(QUERIES).collect();
        let of = |first: usize| {
            let queries = first..rows.n.min(first + QUERIES);
            let mut sums = vec![0.0; queries.len() * n_groups];
            let both = Some((groups, &mut *sums));
            let nearest = rows.nearest(queries.clone(), 0..rows.n, k, both, observer)?;
            let finished: Vec<T> =
                queries.zip(sums.chunks(n_groups)).map(|(cell, sums)| finish(cell, sums)).collect();
            Ok((nearest, finished))
        };
        let found: Vec<_> = firsts.into_par_iter().map(of).collect::<Result<_>>()?;
        let (nearest, finished): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let finished = finished.into_iter().flatten().collect();
        Ok((Self { n: rows.n, k, nearest: nearest.concat() }, finished))
    }

    /// Finds the `k` nearest of each of the `queries`, `[m, d]`, among `others`, `[n, d]`, exactly;
    /// all of them if there are fewer.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If `d` does not divide the numbers of values.
    pub fn among(
        queries: &[f32],
        others: &[f32],
        d: usize,
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (m, n) = (queries.len() / d.max(1), others.len() / d.max(1));
        let k = k.min(n);
        if k == 0 {
            return Ok(Self { n: m, k, nearest: Vec::new() });
        }
        let both: Vec<f32> = others.iter().chain(queries).copied().collect();
        // About the mean of the others alone: what is found for a query does not depend on the rest of them.
        let rows = Rows::centred(&both, d, n, observer)?;
        Ok(Self { n: m, k, nearest: rows.all_nearest(n..n + m, 0..n, k, observer)? })
    }

    /// Number of neighbours that each cell has.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The neighbours of each cell in turn, nearest first: the distance and the number of each.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &[(f64, usize)]> {
        (0..self.n).map(|cell| &self.nearest[cell * self.k..(cell + 1) * self.k])
    }
}

impl Rows {
    /// The `k` nearest of each of the `queries` among the `others`, one after the other.
    fn all_nearest(
        &self,
        queries: Range<usize>,
        others: Range<usize>,
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<(f64, usize)>> {
        let mut nearest = vec![(0.0, 0); queries.len() * k];
        let blocks = nearest.par_chunks_mut(QUERIES * k.max(1)).enumerate();
        blocks.try_for_each(|(block, nearest)| -> Result<()> {
            let first = queries.start + block * QUERIES;
            let queries = first..first + nearest.len() / k;
            let found = self.nearest(queries, others.clone(), k, None, observer)?;
            nearest.copy_from_slice(&found);
            Ok(())
        })?;
        Ok(nearest)
    }

    /// With `sums`, the group of every cell, and the sums of the distances of every query to each
    /// group that this adds to.
    fn nearest(
        &self,
        queries: Range<usize>,
        others: Range<usize>,
        k: usize,
        mut sums: Option<(&[usize], &mut [f64])>,
        observer: &dyn Observer,
    ) -> Result<Vec<(f64, usize)>> {
        let n_groups = sums.as_ref().map_or(0, |(_, sums)| sums.len() / queries.len());
        let mut lists: Vec<Nearest> =
            queries.clone().map(|_| Nearest::new((k + SPARE).min(others.len()))).collect();
        let arch = pulp::Arch::new();
        for first in others.clone().step_by(TILE) {
            observer.check_cancelled()?;
            let tile = first..others.end.min(first + TILE);
            for (first, lists) in queries.clone().step_by(TOGETHER).zip(lists.chunks_mut(TOGETHER))
            {
                let place = (first - queries.start) * n_groups;
                let sums = sums.as_mut().map(|(groups, sums)| (*groups, &mut sums[place..]));
                let tile = tile.clone();
                arch.dispatch(Compare { rows: self, first, lists, tile, sums, n_groups });
            }
        }
        let mut nearest = Vec::with_capacity(queries.len() * k);
        for (cell, list) in queries.zip(lists) {
            let mut exact: Vec<(f64, usize)> =
                list.found.iter().map(|&(_, other)| (self.distance(cell, other), other)).collect();
            exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            nearest.extend_from_slice(&exact[..k]);
        }
        Ok(nearest)
    }
}

/// Offers the cells of a tile to the lists of `first` and those after it. Not a closure: those
/// are not compiled for the instructions that the processor has.
struct Compare<'a> {
    rows: &'a Rows,
    first: usize,
    lists: &'a mut [Nearest],
    tile: Range<usize>,
    /// The group of every cell, and sums of distances by query and group.
    sums: Option<(&'a [usize], &'a mut [f64])>,
    n_groups: usize,
}

impl pulp::WithSimd for Compare<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { rows, first, lists, tile, mut sums, n_groups } = self;
        // The last group may be short; its last cell fills the places.
        let queries: [&[f32]; TOGETHER] =
            std::array::from_fn(|i| rows.row(first + i.min(lists.len() - 1)));
        for other in tile.clone().step_by(AGAINST) {
            let others = std::array::from_fn(|j| rows.row((other + j).min(tile.end - 1)));
            let dots: [[f32; AGAINST]; TOGETHER] = products(queries, others);
            for (i, list) in lists.iter_mut().enumerate() {
                for (other, dot) in (other..tile.end).zip(dots[i]) {
                    if other != first + i {
                        let squares = rows.squares[first + i] + rows.squares[other];
                        let square = squares - 2.0 * dot;
                        list.offer(square, other);
                        if let Some((groups, sums)) = &mut sums {
                            sums[i * n_groups + groups[other]] += f64::from(square.max(0.0).sqrt());
                        }
                    }
                }
            }
        }
    }
}

/// The nearest cells so far, nearest first.
struct Nearest {
    limit: usize,
    found: Vec<(f32, usize)>,
}

impl Nearest {
    fn new(limit: usize) -> Self {
        Self { limit, found: Vec::with_capacity(limit + 1) }
    }

    #[inline(always)]
    fn offer(&mut self, distance: f32, cell: usize) {
        if self.found.len() == self.limit
            && self.found.last().is_some_and(|last| distance.total_cmp(&last.0).is_ge())
        {
            return;
        }
        let place = self.found.partition_point(|other| other.0.total_cmp(&distance).is_le());
        self.found.insert(place, (distance, cell));
        self.found.truncate(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};
    use scgpt_fixtures::questions;

    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    fn random(n: usize, d: usize) -> Vec<f32> {
        let key = Keyed::new(3, Purpose::Simulate, 0, 0);
        (0..n * d).map(|i| key.uniform(i as u64) as f32 + 100.0).collect()
    }

    fn found(rows: &[f32], d: usize, k: usize) -> Neighbours {
        Neighbours::new(rows, d, k, &Silent).unwrap()
    }

    fn among(queries: &[f32], others: &[f32], d: usize, k: usize) -> Neighbours {
        Neighbours::among(queries, others, d, k, &Silent).unwrap()
    }

    #[test]
    fn all_neighbours_are_the_nearest() {
        for (n, d, k) in [(333, 21, 7), (130, 3, 129), (5, 40, 14), (64, 16, 1)] {
            let rows = random(n, d);
            let neighbours = found(&rows, d, k);
            assert_eq!(Neighbours::watched(&rows, d, k, &Silent).unwrap(), neighbours);
            assert_eq!((neighbours.k(), neighbours.cells().count()), (k.min(n - 1), n));
            for (cell, found) in neighbours.cells().enumerate() {
                let distance = |other: usize| {
                    (0..d)
                        .map(|i| f64::from(rows[cell * d + i]) - f64::from(rows[other * d + i]))
                        .map(|x| x * x)
                        .sum::<f64>()
                        .sqrt()
                };
                let mut others: Vec<usize> = (0..n).filter(|&other| other != cell).collect();
                others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                let numbers: Vec<usize> = found.iter().map(|&(_, other)| other).collect();
                assert_eq!(numbers, others[..k.min(n - 1)], "cell {cell} of {n}");
                assert!(found.iter().all(|&(x, other)| (x - distance(other)).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn what_is_found_for_a_query_does_not_depend_on_the_others() {
        let (rows, d) = (random(200, 21), 21);
        let (others, queries) = rows.split_at(120 * d);
        let all = among(queries, others, d, 5);
        for (first, last) in [(0, 7), (7, 8), (8, 80)] {
            let some = among(&queries[first * d..last * d], others, d, 5);
            assert!(some.cells().eq(all.cells().skip(first).take(last - first)), "bit for bit");
        }
    }

    #[test]
    fn neighbours_among_others_are_the_nearest() {
        let (rows, d) = (random(400, 21), 21);
        let (others, queries) = rows.split_at(300 * d);
        let near = among(queries, others, d, 6);
        let distance = |a: usize, b: usize| {
            let of = |cell: usize| rows[cell * d..(cell + 1) * d].iter().map(|&x| f64::from(x));
            of(a).zip(of(b)).map(|(x, y)| (x - y).powi(2)).sum::<f64>()
        };
        assert_eq!((near.k(), near.cells().count()), (6, 100));
        for (query, found) in (300..).zip(near.cells()) {
            let mut all: Vec<usize> = (0..300).collect();
            all.sort_by(|&a, &b| distance(query, a).total_cmp(&distance(query, b)));
            assert_eq!(found.iter().map(|&(_, other)| other).collect::<Vec<_>>(), all[..6]);
        }
        assert_eq!(among(queries, &others[..2 * d], d, 6).k(), 2);
        assert_eq!(among(queries, &[], d, 6).k(), 0);
    }

    #[test]
    fn sums_of_groups_are_those_of_single_distances() {
        let (n, d, k) = (131, 19, 5);
        let rows = random(n, d);
        let groups: Vec<usize> = (0..n).map(|cell| cell * cell % 3).collect();
        let (neighbours, sums) =
            Neighbours::with_sums(&rows, d, k, &groups, 3, &|_, sums| sums.to_vec(), &Silent)
                .unwrap();
        assert_eq!(neighbours, found(&rows, d, k));
        let expected = crate::distances::distance_sums(&rows, d, &groups, 3, &Silent).unwrap();
        let pairs = sums.concat().into_iter().zip(expected);
        assert!(pairs.clone().count() == 3 * n);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-3 * b));
    }

    #[test]
    fn copies_are_found_in_order_but_never_the_cell_itself() {
        let neighbours = found(&[1.0; 12], 3, 2);
        let numbers: Vec<Vec<usize>> =
            neighbours.cells().map(|cell| cell.iter().map(|&(_, other)| other).collect()).collect();
        assert_eq!(numbers, [[1, 2], [0, 2], [0, 1], [0, 1]]);
    }

    #[test]
    fn few_cells_and_nonsense_do_no_harm() {
        assert_eq!(found(&[], 3, 2).cells().count(), 0);
        let alone = found(&[1.0, 2.0, 3.0], 3, 2);
        assert_eq!((alone.k(), alone.cells().count()), (0, 1));
        assert_eq!(found(&[f32::NAN, 1.0, 2.0, 3.0], 1, 2).k(), 2);
    }

    #[test]
    fn every_tile_asks_whether_to_go_on() {
        let rows = random(3 * TILE, 4);
        let tiles = 3 * (3 * TILE).div_ceil(QUERIES);
        let all = |observer: &dyn Observer| Neighbours::new(&rows, 4, 3, observer);
        assert!(questions(all) > tiles);
        assert!(questions(|observer| Neighbours::watched(&rows, 4, 3, observer)) > tiles);
        assert!(questions(|observer| Neighbours::among(&rows, &rows, 4, 3, observer)) > tiles);
        let groups = vec![0; 3 * TILE];
        let none = |_: usize, _: &[f64]| ();
        let sums = |observer: &dyn Observer| {
            Neighbours::with_sums(&rows, 4, 3, &groups, 1, &none, observer)
        };
        assert!(questions(sums) > tiles);
    }
}
