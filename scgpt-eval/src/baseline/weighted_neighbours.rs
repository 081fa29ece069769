//! [`weighted_neighbours`]: one graph of cells measured in several modalities.

use rayon::prelude::*;
use scgpt_data::{Error, Observer, Result};
use scgpt_stats::{Graph, Neighbours, unit_rows};

/// Neighbours of a cell in a modality, those by which its scale is found, and candidates for
/// neighbours by all modalities: as Seurat and muon have them.
const NEIGHBOURS: usize = 20;
const SCALE_NEIGHBOURS: usize = 20;
const CANDIDATES: usize = 200;
/// Neighbours in the joined graph.
const JOINED: usize = 20;
/// Keeps the ratio of affinities finite.
const EPSILON: f64 = 1e-4;

/// Where the cells lie by one modality, such as principal components of it.
#[derive(Clone, Copy, Debug)]
pub struct ModalitySpace<'a> {
    /// The positions `[n, width]`, row-major; rows of cells that were not measured do not count.
    pub rows: &'a [f32],
    /// Number of coordinates of a cell.
    pub width: usize,
    /// Whether each cell was measured in the modality.
    pub is_measured: &'a [bool],
}

/// Neighbours by all modalities, and how much each counts.
#[derive(Clone, Debug)]
pub struct WeightedNeighbours {
    /// The graph of the cells nearest by all modalities, one node a cell.
    pub graph: Graph,
    /// How much each modality counts for each cell, `[n, modalities]`, row-major; those of a cell sum up to 1,
    /// and those it was not measured in are 0.
    pub weights: Vec<f64>,
}

/// Weighted nearest neighbours (WNN) of cells of several modalities.
///
/// A modality counts for a cell as far as the neighbours it finds stand for the cell better than those that
/// others find, on the scale of the distance to cells that are alike but far. The candidates of a cell are its
/// 200 neighbours in each modality, and of them the 20 nearest by all modalities are kept. It takes
/// `n² · width` multiplications.
///
/// # Errors
/// If there are no cells or modalities, or a cell is measured in none;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If there is not one row a cell.
///
/// # Reference
/// Hao et al. 2021; `muon.pp.neighbors`. Differs: neighbours are exact; of the cells that share
/// fewest neighbours, by which the scale of a cell is found, only those that share any are looked
/// at, as in Seurat; a cell's weights are among the modalities it was measured in.
pub fn weighted_neighbours(
    spaces: &[ModalitySpace<'_>],
    observer: &dyn Observer,
) -> Result<WeightedNeighbours> {
    let n = spaces.first().map_or(0, |space| space.is_measured.len());
    for space in spaces {
        assert_eq!(space.is_measured.len(), n, "one row a cell");
        assert_eq!(space.rows.len(), n * space.width, "one row a cell");
    }
    if n == 0 || spaces.iter().any(|space| space.width == 0) {
        return Err(Error::Option("there are no cells or no modalities to join".into()));
    }
    if let Some(cell) = (0..n).find(|&cell| spaces.iter().all(|one| !one.is_measured[cell])) {
        return Err(Error::Option(format!("cell {cell} was measured in no modality")));
    }
    let modalities: Vec<Modality> =
        spaces.iter().map(|space| Modality::new(space, observer)).collect::<Result<_>>()?;
    let found: Vec<_> = (0..n)
        .into_par_iter()
        .map(|cell| {
            observer.check_cancelled()?;
            let weights = weights(&modalities, cell);
            let nearest = nearest(&modalities, cell, &weights);
            Ok((weights, nearest))
        })
        .collect::<Result<_>>()?;
    let (weights, lists): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let lists: Vec<&[(f64, usize)]> = lists.iter().map(Vec::as_slice).collect();
    let graph = Graph::of_nearest(&lists, JOINED, observer)?;
    Ok(WeightedNeighbours { graph, weights: weights.concat() })
}

/// The measured cells of a modality, and their neighbours by it.
struct Measured {
    width: usize,
    /// Numbers of the cells, ascending.
    cells: Vec<usize>,
    /// `[cells, width]`.
    rows: Vec<f32>,
}

impl Measured {
    fn new(modality: &ModalitySpace<'_>) -> Self {
        let width = modality.width;
        let cells: Vec<usize> =
            (0..modality.is_measured.len()).filter(|&cell| modality.is_measured[cell]).collect();
        let row = |&cell: &usize| &modality.rows[cell * width..(cell + 1) * width];
        let rows = cells.iter().flat_map(row).copied().collect();
        Self { width, cells, rows }
    }

    /// The coordinates of the measured cell at a place.
    fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.width..(place + 1) * self.width]
    }

    /// The Euclidean distance of the cells at two places.
    fn distance(&self, a: usize, b: usize) -> f64 {
        distance(self.row(a), self.row(b).iter().copied().map(f64::from))
    }

    /// Distance of a cell to the mean of the `others`.
    fn to_mean(&self, cell: usize, others: &[usize]) -> f64 {
        let mut mean = vec![0.0; self.width];
        for &other in others {
            let n = others.len() as f64;
            mean.iter_mut().zip(self.row(other)).for_each(|(m, &x)| *m += f64::from(x) / n);
        }
        distance(self.row(cell), mean.into_iter())
    }
}

/// The Euclidean distance of two places.
fn distance(a: &[f32], b: impl Iterator<Item = f64>) -> f64 {
    a.iter().zip(b).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt()
}

/// A modality with all that the weights of cells need.
struct Modality {
    /// The measured cells, in rows of length 1.
    measured: Measured,
    /// The place of each cell among the measured ones.
    places: Vec<Option<usize>>,
    /// Neighbours of each measured cell by this modality, as numbers of cells.
    nearest: Vec<Vec<usize>>,
    candidates: Vec<Vec<usize>>,
    /// Distance of each cell to its nearest neighbour, and to those that share few neighbours with
    /// it.
    first: Vec<f64>,
    scale: Vec<f64>,
}

impl Modality {
    fn new(space: &ModalitySpace<'_>, observer: &dyn Observer) -> Result<Self> {
        let mut measured = Measured::new(space);
        measured.rows = unit_rows(&measured.rows, measured.width);
        let mut places = vec![None; space.is_measured.len()];
        for (place, &cell) in measured.cells.iter().enumerate() {
            places[cell] = Some(place);
        }
        let all = Neighbours::new(&measured.rows, measured.width, CANDIDATES, observer)?;
        let local: Vec<Vec<usize>> =
            all.cells().map(|found| found.iter().map(|&(_, other)| other).collect()).collect();
        let nearest: Vec<Vec<usize>> =
            local.iter().map(|found| found[..found.len().min(NEIGHBOURS)].to_vec()).collect();
        let first = all.cells().map(|found| found.first().map_or(0.0, |near| near.0)).collect();
        let scale = scales(&measured, &nearest, observer)?;
        let number = |found: &Vec<usize>| {
            found.iter().map(|&place| measured.cells[place]).collect::<Vec<_>>()
        };
        let candidates = local.iter().map(number).collect();
        let nearest = nearest.iter().map(number).collect();
        Ok(Self { measured, places, nearest, candidates, first, scale })
    }

    /// How well the mean of those `others` that were measured stands for a cell.
    fn affinity(&self, place: usize, others: &[usize]) -> f64 {
        let others: Vec<usize> = others.iter().filter_map(|&other| self.places[other]).collect();
        if others.is_empty() {
            return 0.0;
        }
        let beyond = (self.measured.to_mean(place, &others) - self.first[place]).max(0.0);
        (-beyond / (self.scale[place] - self.first[place]).max(f64::MIN_POSITIVE)).exp()
    }
}

/// For each cell, the mean distance to the cells that share fewest of its neighbours, but at least
/// one; of cells that share equally many, the farthest.
fn scales(
    measured: &Measured,
    nearest: &[Vec<usize>],
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    // Cells that have a cell among their neighbours.
    let mut near_to: Vec<Vec<usize>> = vec![Vec::new(); nearest.len()];
    for (cell, found) in nearest.iter().enumerate() {
        for &other in found {
            near_to[other].push(cell);
        }
    }
    let of = |cell: usize| {
        observer.check_cancelled()?;
        let mut sharing: Vec<usize> =
            nearest[cell].iter().flat_map(|&other| &near_to[other]).copied().collect();
        sharing.sort_unstable();
        let counted = sharing.chunk_by(|a, b| a == b).filter(|same| same[0] != cell);
        let mut alike: Vec<(usize, f64)> =
            counted.map(|same| (same.len(), measured.distance(cell, same[0]))).collect();
        alike.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        alike.truncate(SCALE_NEIGHBOURS);
        Ok(alike.iter().map(|&(_, x)| x).sum::<f64>() / alike.len().max(1) as f64)
    };
    (0..nearest.len()).into_par_iter().map(of).collect()
}

/// How much each modality counts for a cell, 0 for those in which it was not measured.
fn weights(modalities: &[Modality], cell: usize) -> Vec<f64> {
    let ratio = |(own, modality): (usize, &Modality)| {
        let place = modality.places[cell]?;
        let affinity = |other: &Modality| {
            let neighbours = &other.nearest[other.places[cell]?];
            Some(modality.affinity(place, neighbours))
        };
        let others = modalities.iter().enumerate().filter(|(other, _)| *other != own);
        let best = others.filter_map(|(_, other)| affinity(other)).fold(0.0, f64::max);
        affinity(modality).map(|within| within / (best + EPSILON))
    };
    let ratios: Vec<Option<f64>> = modalities.iter().enumerate().map(ratio).collect();
    let most = ratios.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> =
        ratios.iter().map(|ratio| ratio.map_or(0.0, |ratio| (ratio - most).exp())).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The cells nearest to a cell by all modalities and their distances, the nearest first: its affinities to the
/// candidates are summed up with its weights.
fn nearest(modalities: &[Modality], cell: usize, weights: &[f64]) -> Vec<(f64, usize)> {
    let mut candidates: Vec<usize> = modalities
        .iter()
        .filter_map(|modality| Some(&modality.candidates[modality.places[cell]?]))
        .flatten()
        .copied()
        .collect();
    candidates.sort_unstable();
    candidates.dedup();
    let apart = |other: usize| {
        let alike = |(modality, weight): (&Modality, &f64)| {
            let (a, b) = modality.places[cell].zip(modality.places[other])?;
            let scale = modality.scale[a].max(f64::MIN_POSITIVE);
            Some(weight * (-modality.measured.distance(a, b) / scale).exp())
        };
        let alike: f64 = modalities.iter().zip(weights).filter_map(alike).sum();
        ((1.0 - alike) / 2.0).max(0.0).sqrt()
    };
    let mut found: Vec<(f64, usize)> =
        candidates.into_iter().map(|other| (apart(other), other)).collect();
    found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    found.truncate(JOINED);
    found
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;
    use scgpt_fixtures::questions;

    /// Four types: the first modality tells 0 from 1 from the rest, the second 2 from 3 from the
    /// rest.
    fn modality(n: usize, about: u64) -> Vec<f32> {
        let key = Keyed::new(3, Purpose::Simulate, about, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value = |cell: usize, i: usize| {
            let told = cell % 4 / 2 == about as usize;
            let centre = if told && i == cell % 4 { 3.0 } else { 1.0 };
            (centre + key.uniform((cell * 6 + i) as u64) - 0.5) as f32
        };
        (0..n).flat_map(|cell| (0..6).map(move |i| value(cell, i))).collect()
    }

    /// The share of the neighbours of each cell that are of its type.
    fn purity(graph: &Graph) -> f64 {
        let alike = |cell: usize| {
            let all: Vec<usize> = graph.neighbours(cell).collect();
            let same = all.iter().filter(|other| *other % 4 == cell % 4).count();
            same as f64 / all.len() as f64
        };
        (0..graph.len()).map(alike).sum::<f64>() / graph.len() as f64
    }

    #[test]
    fn modalities_complete_each_other_cell_by_cell() {
        let n = 240;
        let rows = [modality(n, 0), modality(n, 1)];
        let measured = vec![true; n];
        let spaces =
            [0, 1].map(|i| ModalitySpace { rows: &rows[i], width: 6, is_measured: &measured });
        let both = weighted_neighbours(&spaces, &Silent).unwrap();
        for alone in &spaces {
            let alone = weighted_neighbours(&[*alone], &Silent).unwrap();
            assert!(alone.weights.iter().all(|weight| (weight - 1.0).abs() < 1e-12));
            assert!(purity(&alone.graph) < 0.8 && purity(&both.graph) > 0.95);
        }
        // Types 0 and 1 are told by the first modality alone, 2 and 3 by the second: the one that tells a cell's
        // type from the others counts for more.
        let favoured = |cell: usize| both.weights[2 * cell + cell % 4 / 2] > 0.5;
        let n_favoured = (0..n).filter(|&cell| favoured(cell)).count();
        assert!(n_favoured > n * 9 / 10, "{n_favoured} of {n}");
        assert!(both.weights.chunks(2).all(|of| (of[0] + of[1] - 1.0).abs() < 1e-12));
    }

    #[test]
    fn weights_are_those_of_muon() {
        let n = 400;
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value = |cell: usize, i: usize, modality: f64| {
            let (cell, i) = (cell as f64, i as f64);
            let slow = (cell * 1.7 + i * 2.3 + modality * 0.9).sin();
            (2.0 + slow + 0.5 * (cell * cell * 0.37 + i * (modality + 1.0) * 1.1).sin()) as f32
        };
        let rows = [0.0, 1.0].map(|modality| -> Vec<f32> {
            (0..n).flat_map(|cell| (0..3).map(move |i| value(cell, i, modality))).collect()
        });
        let measured = vec![true; n];
        let modalities = rows
            .each_ref()
            .map(|rows| ModalitySpace { rows, width: 3, is_measured: &measured })
            .map(|space| Modality::new(&space, &Silent).unwrap());
        // muon.pp.neighbors of muon 0.1.9 on unit rows with 20 neighbours in each modality, which
        // finds the scale of a cell approximately.
        let expected = [0.4143, 0.6022, 0.522, 0.1699, 0.5878, 0.4883, 0.5962, 0.4661];
        for (cell, expected) in expected.into_iter().enumerate() {
            let found = weights(&modalities, cell)[0];
            assert!((found - expected).abs() < 0.012, "{cell}: {found} {expected}");
        }
    }

    #[test]
    fn cells_count_only_where_they_were_measured() {
        let n = 120;
        let rows = [modality(n, 0), modality(n, 1)];
        let first: Vec<bool> = (0..n).map(|cell| cell < 80).collect();
        let second: Vec<bool> = (0..n).map(|cell| cell >= 40).collect();
        let spaces = [
            ModalitySpace { rows: &rows[0], width: 6, is_measured: &first },
            ModalitySpace { rows: &rows[1], width: 6, is_measured: &second },
        ];
        let modalities: Vec<Modality> =
            spaces.iter().map(|space| Modality::new(space, &Silent).unwrap()).collect();
        assert_eq!(weights(&modalities, 0), [1.0, 0.0]);
        assert_eq!(weights(&modalities, 119), [0.0, 1.0]);
        let both = weights(&modalities, 60);
        assert!(both[0] > 0.0 && both[1] > 0.0 && (both[0] + both[1] - 1.0).abs() < 1e-12);
        assert_eq!(weighted_neighbours(&spaces, &Silent).unwrap().graph.len(), n);
        let none = [ModalitySpace { rows: &rows[0], width: 6, is_measured: &first }];
        assert!(weighted_neighbours(&none, &Silent).unwrap_err().to_string().contains("cell 80"));
    }

    #[test]
    fn every_cell_asks_whether_to_go_on() {
        let n = 90;
        let (first, second) = (modality(n, 0), modality(n, 2));
        let is_measured = vec![true; n];
        let spaces = [&first, &second].map(|rows| ModalitySpace {
            rows,
            width: rows.len() / n,
            is_measured: &is_measured,
        });
        assert!(questions(|observer| weighted_neighbours(&spaces, observer)) > 3 * n);
    }
}
