//! [`cluster_scores`]: do clusters of cells, found without labels, agree with their labels?

mod connectivity;
mod graph;
mod leiden;
mod weights;

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::{
    connectivity::graph_connectivity,
    graph::Graph,
    leiden::{leiden, louvain},
};
use crate::{
    metrics::{adjusted_rand_index, normalised_mutual_information},
    neighbours::Neighbours,
    sampling::subsample,
};
use scgpt_data::{Error, Observer, Result};

/// How communities of a graph are found, and at which resolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "kebab-case")]
pub enum Clustering {
    /// As scib does from version 1.1.6 on.
    ///
    /// [`leiden()`] at ten resolutions 0.2, 0.4, … 2.
    #[default]
    Leiden,
    /// As scib did up to version 1.1.5, by which the published scores were made.
    ///
    /// [`louvain`] on edges that all weigh the same, at twenty resolutions 0.1, 0.2, … 2.
    Louvain,
}

impl Clustering {
    /// The resolutions tried, ascending.
    pub fn resolutions(self) -> Vec<f64> {
        let (n, steps) = match self {
            Self::Leiden => (10_u8, 5.0),
            Self::Louvain => (20, 10.0),
        };
        (1..=n).map(|step| f64::from(step) / steps).collect()
    }

    /// The name of the method in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leiden => "Leiden, best of 10 resolutions",
            Self::Louvain => "Louvain, best of 20 resolutions",
        }
    }

    fn communities(
        self,
        graph: &Graph,
        resolution: f64,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Vec<usize>> {
        match self {
            Self::Leiden => leiden(graph, resolution, seed, observer),
            Self::Louvain => louvain(graph, resolution, seed, observer),
        }
    }
}

/// How cells are clustered.
///
/// ```
/// use scgpt_stats::{ClusterOptions, Clustering};
///
/// // As the published scores of scib were made.
/// let mut options = ClusterOptions::default();
/// options.clustering = Clustering::Louvain;
/// assert_eq!(options.clustering.resolutions().len(), 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// The method by which communities are found.
    #[serde(default)]
    pub clustering: Clustering,
    /// Cells of a neighbourhood, the cell itself included, as scanpy counts.
    pub n_neighbours: usize,
    /// Most cells that are clustered. Of more a sample is taken, since all are compared with all.
    pub max_cells: usize,
    /// Seed of the sample and of the order in which cells are visited.
    pub seed: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { clustering: Clustering::Leiden, n_neighbours: 15, max_cells: 100_000, seed: 0 }
    }
}

/// How well clusters agree with labels, at the resolution where they do best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterScores {
    /// How clusters were found.
    #[serde(default)]
    pub clustering: Clustering,
    /// Normalised mutual information, arithmetic, 0 to 1.
    pub nmi: f64,
    /// Adjusted Rand index, at most 1.
    pub ari: f64,
    /// The resolution at which clusters agree with labels best.
    pub resolution: f64,
    /// Number of clusters at that resolution.
    pub n_clusters: usize,
    /// Number of different labels among the clustered cells.
    pub n_labels: usize,
    /// Number of clustered cells.
    pub n_cells: usize,
    /// Number of cells there are; more than `n_cells` if a sample was clustered.
    pub n_available: usize,
    /// All resolutions tried and the mutual information at each.
    pub tried: Vec<(f64, f64)>,
}

impl ClusterScores {
    /// Whether only a sample of the cells was clustered, which a report has to say.
    pub fn is_sample(&self) -> bool {
        self.n_cells < self.n_available
    }
}

/// Clusters `rows`, `[n, d]` row-major, and compares the clusters with `labels`, `[n]`: a
/// nearest-neighbour graph ([`Graph::fuzzy`]), communities at several resolutions, and of these the
/// first with the highest mutual information.
///
/// # Errors
/// If there are no cells, a neighbourhood has no neighbours, or a value is not finite;
/// [`Error::Cancelled`] if the observer says so.
///
/// # Panics
/// If there are not `d` values per label.
///
/// # Reference
/// `scib.metrics.cluster_optimal_resolution`, `nmi` and `ari` (Luecken et al. 2022), of the version
/// that [`Clustering`] says. Differs: neighbours are exact; more than
/// [`max_cells`](ClusterOptions::max_cells) cells are sampled.
pub fn cluster_scores(
    rows: &[f32],
    d: usize,
    labels: &[usize],
    options: &ClusterOptions,
    observer: &dyn Observer,
) -> Result<ClusterScores> {
    assert_eq!(rows.len(), labels.len() * d, "{d} values per label");
    options.check(rows, d)?;
    let cells = subsample(labels.len(), options.max_cells, options.seed);
    let chosen: Vec<usize> = cells.iter().map(|&cell| labels[cell]).collect();
    let (rows, k) = (chosen_rows(rows, d, &cells), options.n_neighbours - 1);
    let graph = Graph::fuzzy(&Neighbours::new(&rows, d, k, observer)?, observer)?;
    let scores = graph_cluster_scores(&graph, &chosen, options, observer)?;
    Ok(ClusterScores { n_available: labels.len(), ..scores })
}

/// As [`cluster_scores`], for a graph that has been made already, with one node a cell.
///
/// # Errors
/// [`Error::Cancelled`] if the observer says so.
///
/// # Panics
/// If there is not one label a node.
pub fn graph_cluster_scores(
    graph: &Graph,
    labels: &[usize],
    options: &ClusterOptions,
    observer: &dyn Observer,
) -> Result<ClusterScores> {
    assert_eq!(labels.len(), graph.len(), "one label a node");
    let graph = match options.clustering {
        Clustering::Leiden => Cow::Borrowed(graph),
        Clustering::Louvain => Cow::Owned(graph.unweighted()),
    };
    let of = |resolution: f64| {
        let clusters =
            options.clustering.communities(&graph, resolution, options.seed, observer)?;
        Ok((resolution, normalised_mutual_information(labels, &clusters), clusters))
    };
    let found: Vec<(f64, f64, Vec<usize>)> =
        options.clustering.resolutions().into_par_iter().map(of).collect::<Result<_>>()?;
    let mut best = &found[0];
    for next in &found[1..] {
        if next.1 > best.1 {
            best = next;
        }
    }
    Ok(ClusterScores {
        clustering: options.clustering,
        nmi: best.1,
        ari: adjusted_rand_index(labels, &best.2),
        resolution: best.0,
        n_clusters: distinct(&best.2),
        n_labels: distinct(labels),
        n_cells: labels.len(),
        n_available: labels.len(),
        tried: found.iter().map(|(resolution, nmi, _)| (*resolution, *nmi)).collect(),
    })
}

impl ClusterOptions {
    /// Checks that `rows`, `[n, d]`, can be clustered.
    ///
    /// # Errors
    /// If there are no cells, a neighbourhood has no neighbours, or a value is not finite.
    pub fn check(&self, rows: &[f32], d: usize) -> Result<()> {
        if rows.is_empty() || d == 0 {
            return Err(Error::Option("there are no cells to cluster".into()));
        }
        if self.n_neighbours < 2 || self.max_cells == 0 {
            return Err(Error::Option(format!(
                "cannot cluster {} cells by neighbourhoods of {}, expected at least 1 and 2",
                self.max_cells, self.n_neighbours
            )));
        }
        match rows.iter().position(|x| !x.is_finite()) {
            Some(position) => Err(Error::Option(format!(
                "the embedding of cell {} has {}, which has no neighbours",
                position / d,
                rows[position]
            ))),
            None => Ok(()),
        }
    }
}

/// The rows `cells`, in ascending order, of `rows`, `[n, d]`; they are not copied if they are all.
pub fn chosen_rows<'a>(rows: &'a [f32], d: usize, cells: &[usize]) -> Cow<'a, [f32]> {
    if cells.len() * d == rows.len() {
        return Cow::Borrowed(rows);
    }
    cells.iter().flat_map(|&cell| &rows[cell * d..(cell + 1) * d]).copied().collect()
}

pub(crate) fn distinct(labels: &[usize]) -> usize {
    labels.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};
    use scgpt_fixtures::questions;

    /// Cells of `types` that lie `apart` from each other in 8 dimensions.
    fn cells(n: usize, types: usize, apart: f32) -> (Vec<f32>, Vec<usize>) {
        let key = Keyed::new(11, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows = (0..n * 8)
            .map(|i| {
                let centre = if i % 8 == i / 8 % types { apart } else { 0.0 };
                centre + key.uniform(i as u64) as f32
            })
            .collect();
        (rows, (0..n).map(|cell| cell % types).collect())
    }

    #[test]
    fn types_that_lie_apart_are_clusters() {
        let (rows, labels) = cells(400, 5, 3.0);
        let scores =
            cluster_scores(&rows, 8, &labels, &ClusterOptions::default(), &Silent).unwrap();
        assert!((scores.nmi - 1.0).abs() < 1e-12 && (scores.ari - 1.0).abs() < 1e-12);
        assert_eq!((scores.n_clusters, scores.n_labels, scores.n_cells), (5, 5, 400));
        // The first of those that are equally good.
        assert!((scores.resolution - 0.2).abs() < 1e-12 && scores.tried.len() == 10);
        assert!(!scores.is_sample());
    }

    #[test]
    fn labels_without_structure_score_low() {
        let (rows, labels) = cells(400, 5, 0.0);
        let scores =
            cluster_scores(&rows, 8, &labels, &ClusterOptions::default(), &Silent).unwrap();
        assert!(scores.nmi < 0.1 && scores.ari < 0.05, "{scores:?}");
        let again = cluster_scores(&rows, 8, &labels, &ClusterOptions::default(), &Silent).unwrap();
        assert_eq!(scores, again);
    }

    #[test]
    fn many_cells_are_sampled_and_that_is_said() {
        let (rows, labels) = cells(400, 4, 3.0);
        let options = ClusterOptions { max_cells: 150, ..ClusterOptions::default() };
        let scores = cluster_scores(&rows, 8, &labels, &options, &Silent).unwrap();
        assert!(scores.is_sample() && (scores.n_cells, scores.n_available) == (150, 400));
        assert!((scores.nmi - 1.0).abs() < 1e-12);
    }

    /// `[400, 3]`: a cloud with some structure, the same in any language.
    fn cloud() -> Vec<f32> {
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value = |cell: f64, i: f64| {
            let fast = (cell * cell * 0.37 + i * 1.1).sin();
            (2.0 + (cell * 1.7 + i * 2.3).sin() + 0.5 * fast) as f32
        };
        (0..400)
            .flat_map(|cell| (0..3).map(move |i| value(f64::from(cell), f64::from(i))))
            .collect()
    }

    #[test]
    fn communities_are_as_good_as_those_of_the_references() {
        let graph =
            Graph::fuzzy(&Neighbours::new(&cloud(), 3, 14, &Silent).unwrap(), &Silent).unwrap();
        let equal = graph.unweighted();
        // The worst of five runs of leidenalg 0.12.0 (`n_iterations=-1`), and of igraph 1.0.0's
        // `community_multilevel`, on the graphs of scanpy 1.11.5.
        for (resolution, by_leiden, by_louvain) in
            [(0.4, 0.84398, 0.8077), (1.0, 0.78808, 0.7074), (2.0, 0.72004, 0.62667)]
        {
            for seed in 0..3 {
                let found = leiden(&graph, resolution, seed, &Silent).unwrap();
                let quality = graph.modularity(&found, resolution);
                assert!(quality > by_leiden - 0.003, "leiden {resolution} {seed}: {quality}");
                let found = louvain(&equal, resolution, seed, &Silent).unwrap();
                let quality = equal.modularity(&found, resolution);
                assert!(quality > by_louvain - 0.02, "louvain {resolution} {seed}: {quality}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused_and_few_cells_are_not() {
        let options = ClusterOptions::default();
        let error = cluster_scores(&[0.0, f32::NAN], 1, &[0, 1], &options, &Silent).unwrap_err();
        assert!(error.to_string().contains("cell 1 has NaN"));
        assert!(cluster_scores(&[], 3, &[], &options, &Silent).is_err());
        let alone = ClusterOptions { n_neighbours: 1, ..options };
        assert!(cluster_scores(&[0.0, 1.0], 1, &[0, 1], &alone, &Silent).is_err());
        assert_eq!(cluster_scores(&[1.0], 1, &[4], &options, &Silent).unwrap().n_clusters, 1);
    }

    #[test]
    fn it_ends_in_the_middle_of_a_resolution() {
        let (rows, labels) = cells(400, 5, 3.0);
        for clustering in [Clustering::Leiden, Clustering::Louvain] {
            let options = ClusterOptions { clustering, ..ClusterOptions::default() };
            let asked = questions(|observer| cluster_scores(&rows, 8, &labels, &options, observer));
            assert!(asked > 2 * clustering.resolutions().len(), "{asked}");
        }
    }
}
