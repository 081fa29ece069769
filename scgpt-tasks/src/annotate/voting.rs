//! Clusters of cells that vote: the cells of a cluster get the type that most of them were said to be.
//!
//! What is said of single cells is noisy, and types are larger than cells. Clusters are to be small, so that none
//! holds two types.

use std::collections::BTreeMap;

use scgpt_data::{Advice, CellSource, Observer, Setting, obs_column};
use scgpt_stats::{Graph, Neighbours, leiden};

use super::predict::{Annotated, ROWS};
use crate::error::{Error, Result};

/// Neighbours of a cell in the graph of cells, itself among them.
const NEIGHBOURS: usize = 10;
/// Resolutions at which clusters are small, by the number of cells up to which each is taken.
const RESOLUTIONS: [(usize, f64); 5] =
    [(5_000, 5.0), (20_000, 10.0), (40_000, 15.0), (100_000, 20.0), (200_000, 25.0)];
/// Seed of the order in which cells are visited.
const SEED: u64 = 0;

/// Clusters of cells, by number, and their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellClusters {
    /// The cluster of each cell; `None` for a cell that is in none.
    pub of_cells: Vec<Option<u32>>,
    /// Names of the clusters.
    pub names: Vec<String>,
}

/// What the cells of a cluster have voted for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusterVote {
    /// The class with most votes, the first of equals; `None` if too few are for it, or no cell votes.
    pub class: Option<u32>,
    /// Share of the votes that it has.
    pub share: f64,
    /// Number of cells that voted.
    pub cells: usize,
}

impl CellClusters {
    /// What a cluster is said to be in which no class has enough votes.
    pub const HETEROGENEOUS: &'static str = "Heterogeneous";

    /// Clusters that a column of `obs` has.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn of_column(source: &dyn CellSource, column: &str) -> Result<Self> {
        let obs = source.obs()?;
        let in_file = scgpt_data::Error::in_file(&source.summary().path);
        let labels = obs_column(&obs, column).map_err(in_file)?.labels();
        let mut numbers: BTreeMap<&str, u32> =
            labels.iter().flatten().map(|label| (label.as_str(), 0)).collect();
        for (number, code) in (0..).zip(numbers.values_mut()) {
            *code = number;
        }
        Ok(Self {
            of_cells: labels.iter().map(|label| numbers.get(label.as_deref()?).copied()).collect(),
            names: numbers.into_keys().map(str::to_owned).collect(),
        })
    }
}

impl Annotated {
    /// Small clusters of the cells, by their embeddings: Leiden at a resolution that grows with their number.
    /// Cells without a type are in none.
    ///
    /// # Errors
    /// If there are more cells than can be compared with all others; if the embeddings cannot be read.
    ///
    /// # Reference
    /// `over_cluster` of celltypist. Differs: clusters are of the embedding by which types are told, not of
    /// principal components of the cells alone; neighbours are exact.
    pub fn over_clustering(&self, observer: &dyn Observer) -> Result<CellClusters> {
        let n = self.cells.len();
        let typed: Vec<usize> = (0..n).filter(|&cell| self.cells[cell].class.is_some()).collect();
        let most = RESOLUTIONS[RESOLUTIONS.len() - 1].0;
        let found = RESOLUTIONS.iter().find(|(cells, _)| typed.len() <= *cells);
        let Some(&(_, resolution)) = found else {
            return Err(Error::unsuited(
                format!(
                    "{} cells are too many to cluster here, expected at most {most}",
                    typed.len()
                ),
                Advice::from("name a column of obs with their clusters by ")
                    + Setting("majority_voting"),
            ));
        };
        observer.begin("clustering cells", 0);
        let d = self.embeddings.n_columns();
        let (mut rows, mut all) = (Vec::new(), Vec::with_capacity(typed.len() * d));
        for first in (0..n).step_by(ROWS) {
            let count = ROWS.min(n - first);
            self.embeddings.read_rows(first, count, &mut rows)?;
            for (cell, row) in rows.chunks_exact(d.max(1)).enumerate() {
                if self.cells[first + cell].class.is_some() {
                    all.extend_from_slice(row);
                }
            }
        }
        let graph = Graph::fuzzy(&Neighbours::new(&all, d, NEIGHBOURS - 1, observer)?, observer)?;
        let clusters = leiden(&graph, resolution, SEED, observer)?;
        let mut of_cells = vec![None; n];
        for (&cell, &cluster) in typed.iter().zip(&clusters) {
            of_cells[cell] = u32::try_from(cluster).ok();
        }
        let n_clusters = clusters.iter().max().map_or(0, |&last| last + 1);
        Ok(CellClusters { of_cells, names: (0..n_clusters).map(|it| it.to_string()).collect() })
    }

    /// What each cluster votes for; a class needs the share `least` of the votes.
    ///
    /// # Errors
    /// If `least` is no share.
    ///
    /// # Panics
    /// If there is not an entry a cell, or a cluster has no name.
    ///
    /// # Reference
    /// `majority_vote` of celltypist.
    pub fn votes(&self, clusters: &CellClusters, least: f64) -> Result<Vec<ClusterVote>> {
        if !(0.0..=1.0).contains(&least) {
            return Err(Setting("min_share").no_share(least).into());
        }
        let mut votes = vec![vec![0_usize; self.classes.len()]; clusters.names.len()];
        for (cell, cluster) in self.cells.iter().zip(&clusters.of_cells) {
            if let (Some(class), Some(cluster)) = (cell.class, cluster) {
                votes[*cluster as usize][class as usize] += 1;
            }
        }
        let vote = |votes: &Vec<usize>| {
            let cells: usize = votes.iter().sum();
            let most = votes.iter().copied().max().unwrap_or(0);
            let class = (0..).zip(votes).find(|&(_, &n)| n == most).map(|(class, _)| class);
            let share = most as f64 / cells.max(1) as f64;
            ClusterVote { class: class.filter(|_| cells > 0 && share >= least), share, cells }
        };
        Ok(votes.iter().map(vote).collect())
    }
}
