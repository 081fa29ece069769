//! [`Graph`]: approximate neighbours on a hierarchical graph (HNSW), with vectors of one byte a
//! number.

use std::path::Path;

use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use super::{Found, manifest::invalid};
use crate::{
    error::{Error, Result},
    observe::Observer,
};

/// Links of a vector on every level; twice as many on the lowest.
const CONNECTIVITY: usize = 16;
/// Candidates looked at when a vector is added, and when neighbours are searched.
const EXPANSION_ADD: usize = 128;
const EXPANSION_SEARCH: usize = 128;
/// Vectors added between two looks at whether to stop.
const BLOCK: usize = 1024;

/// The graph of neighbours. It depends on the order in which vectors were added: built by one
/// thread, it is the same every time.
pub(super) struct Graph {
    index: Index,
    width: usize,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("n", &self.index.size()).finish_non_exhaustive()
    }
}

impl Graph {
    pub(super) fn new(width: usize) -> Result<Self> {
        let options = IndexOptions {
            dimensions: width,
            metric: MetricKind::Cos,
            quantization: ScalarKind::I8,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            expansion_search: EXPANSION_SEARCH,
            multi: false,
        };
        let index = Index::new(&options).map_err(|error| failed(&error))?;
        Ok(Self { index, width })
    }

    /// Opens a file as memory: nothing is read before it is needed, and nothing can be added.
    pub(super) fn view(path: &Path, width: usize, n: usize) -> Result<Self> {
        Self::open(path, width, n, |index, path| {
            index.view(path).map_err(|error| error.to_string())
        })
    }

    /// Reads a file, to add to it.
    pub(super) fn load(path: &Path, width: usize, n: usize) -> Result<Self> {
        Self::open(path, width, n, |index, path| {
            index.load(path).map_err(|error| error.to_string())
        })
    }

    fn open(
        path: &Path,
        width: usize,
        n: usize,
        open: impl FnOnce(&Index, &str) -> Result<(), String>,
    ) -> Result<Self> {
        let graph = Self::new(width)?;
        open(&graph.index, &path.to_string_lossy()).map_err(|problem| invalid(path, problem))?;
        let found = (graph.index.size(), graph.index.dimensions());
        if found != (n, width) {
            let problem = format!(
                "{} vectors of {} numbers, expected {n} of {width}: it belongs to another index",
                found.0, found.1
            );
            return Err(invalid(path, problem));
        }
        Ok(graph)
    }

    /// Adds unit vectors, `[m, width]`, numbered from `first`.
    pub(super) fn add(&self, first: usize, rows: &[f32], observer: &dyn Observer) -> Result<()> {
        let n = rows.len() / self.width;
        self.index
            .reserve_capacity_and_threads(first + n, rayon::current_num_threads())
            .map_err(|error| failed(&error))?;
        for (block, rows) in rows.chunks(BLOCK * self.width).enumerate() {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let first = first + block * BLOCK;
            let add = |(place, row): (usize, &[f32])| {
                self.index.add((first + place) as u64, &quantised(row))
            };
            rows.par_chunks_exact(self.width)
                .enumerate()
                .try_for_each(add)
                .map_err(|error| failed(&error))?;
            observer.advance(rows.len() / self.width);
        }
        Ok(())
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        self.index.save(&path.to_string_lossy()).map_err(|error| invalid(path, error.to_string()))
    }

    /// Directions of some vectors, as the graph holds them.
    pub(super) fn rows(&self, cells: &[usize]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(cells.len() * self.width);
        let mut row = vec![0_i8; self.width];
        for &cell in cells {
            self.index.get(cell as u64, &mut row).map_err(|error| failed(&error))?;
            rows.extend(row.iter().map(|&x| f32::from(x)));
        }
        Ok(rows)
    }

    /// The `k` nearest of each query, `[m, width]`, nearest first.
    pub(super) fn search(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Found>>> {
        let search = |row: &[f32]| -> Result<Vec<Found>> {
            let matches = self.index.search(&quantised(row), k).map_err(|error| failed(&error))?;
            let pairs = matches.keys.iter().zip(&matches.distances);
            Ok(pairs
                .map(|(&cell, &distance)| Found {
                    cell: usize::try_from(cell).unwrap_or(usize::MAX),
                    // One minus the cosine; the distance of unit vectors is √(2 − 2 cos).
                    distance: (2.0 * f64::from(distance)).max(0.0).sqrt(),
                })
                .collect())
        };
        queries.par_chunks_exact(self.width).map(search).collect()
    }
}

/// A vector whose largest number is 127; its direction is what counts.
#[allow(clippy::cast_possible_truncation, reason = "numbers up to 127")]
fn quantised(row: &[f32]) -> Vec<i8> {
    let most = row.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    row.iter().map(|x| (x / most * 127.0).round() as i8).collect()
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Option(format!("the approximate index failed: {error}"))
}
