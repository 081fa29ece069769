//! [`cluster_scores`]: do clusters of cells, found without labels, agree with their labels?

mod graph;
mod leiden;
mod weights;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::{graph::Graph, leiden::leiden};
use crate::{
    error::{Error, Result},
    metrics::{adjusted_rand_index, normalised_mutual_information},
    neighbours::Neighbours,
    projection::subsample,
};

/// Steps of 0.2 at which resolutions are tried: 0.2, 0.4, … 2.0.
const RESOLUTIONS: std::ops::RangeInclusive<u8> = 1..=10;

/// How cells are clustered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterOptions {
    /// Cells of a neighbourhood, the cell itself included, as scanpy counts.
    pub n_neighbours: usize,
    /// Most cells; of more a sample is clustered, since comparing all takes their number squared.
    pub max_cells: usize,
    /// Seed of the sample and of the order in which cells are visited.
    pub seed: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { n_neighbours: 15, max_cells: 20_000, seed: 0 }
    }
}

/// How well clusters agree with labels, at the resolution where they do best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterScores {
    /// Normalised mutual information, arithmetic, 0 to 1.
    pub nmi: f64,
    /// Adjusted Rand index, at most 1.
    pub ari: f64,
    /// The resolution.
    pub resolution: f64,
    /// Clusters at that resolution.
    pub n_clusters: usize,
    /// Different labels among the clustered cells.
    pub n_labels: usize,
    /// Clustered cells.
    pub n_cells: usize,
    /// Cells there are; more than `n_cells` if a sample was clustered.
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

/// Clusters `rows`, `[n, d]` row-major, and compares with `labels`, `[n]`: a nearest-neighbour
/// graph ([`Graph::fuzzy`]), communities at ten resolutions ([`leiden`]), and of these the first
/// with the highest mutual information.
///
/// # Errors
/// If there are no cells, a neighbourhood has no neighbours, or a value is not finite.
///
/// # Panics
/// If there are not `d` values per label.
///
/// # Reference
/// `scib.metrics.cluster_optimal_resolution`, `nmi` and `ari` of scib 1.1.6 and later (Luecken et
/// al. 2022). Differs: neighbours are exact; more than
/// [`max_cells`](ClusterOptions::max_cells) cells are sampled.
pub fn cluster_scores(
    rows: &[f32],
    d: usize,
    labels: &[usize],
    options: &ClusterOptions,
) -> Result<ClusterScores> {
    assert_eq!(rows.len(), labels.len() * d, "{d} values per label");
    if labels.is_empty() || d == 0 {
        return Err(Error::Option("there are no cells to cluster".into()));
    }
    if options.n_neighbours < 2 || options.max_cells == 0 {
        return Err(Error::Option(format!(
            "cannot cluster {} cells by neighbourhoods of {}, expected at least 1 and 2",
            options.max_cells, options.n_neighbours
        )));
    }
    if let Some(position) = rows.iter().position(|x| !x.is_finite()) {
        return Err(Error::Option(format!(
            "the embedding of cell {} has {}, which has no neighbours",
            position / d,
            rows[position]
        )));
    }
    let cells = subsample(labels.len(), options.max_cells, options.seed);
    let labels_of_cells: Vec<usize> = cells.iter().map(|&cell| labels[cell]).collect();
    let graph = if cells.len() < labels.len() {
        let chosen: Vec<f32> =
            cells.iter().flat_map(|&cell| &rows[cell * d..(cell + 1) * d]).copied().collect();
        Graph::fuzzy(&Neighbours::new(&chosen, d, options.n_neighbours - 1))
    } else {
        Graph::fuzzy(&Neighbours::new(rows, d, options.n_neighbours - 1))
    };
    let found: Vec<(f64, f64, Vec<usize>)> = RESOLUTIONS
        .into_par_iter()
        .map(|step| {
            let resolution = f64::from(2 * step) / 10.0;
            let clusters = leiden(&graph, resolution, options.seed);
            (resolution, normalised_mutual_information(&labels_of_cells, &clusters), clusters)
        })
        .collect();
    let mut best = &found[0];
    for next in &found[1..] {
        if next.1 > best.1 {
            best = next;
        }
    }
    Ok(ClusterScores {
        nmi: best.1,
        ari: adjusted_rand_index(&labels_of_cells, &best.2),
        resolution: best.0,
        n_clusters: distinct(&best.2),
        n_labels: distinct(&labels_of_cells),
        n_cells: cells.len(),
        n_available: labels.len(),
        tried: found.iter().map(|(resolution, nmi, _)| (*resolution, *nmi)).collect(),
    })
}

fn distinct(labels: &[usize]) -> usize {
    labels.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose};

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
        let scores = cluster_scores(&rows, 8, &labels, &ClusterOptions::default()).unwrap();
        assert!((scores.nmi - 1.0).abs() < 1e-12 && (scores.ari - 1.0).abs() < 1e-12);
        assert_eq!((scores.n_clusters, scores.n_labels, scores.n_cells), (5, 5, 400));
        // The first of those that are equally good.
        assert!((scores.resolution - 0.2).abs() < 1e-12 && scores.tried.len() == 10);
        assert!(!scores.is_sample());
    }

    #[test]
    fn labels_without_structure_score_low() {
        let (rows, labels) = cells(400, 5, 0.0);
        let scores = cluster_scores(&rows, 8, &labels, &ClusterOptions::default()).unwrap();
        assert!(scores.nmi < 0.1 && scores.ari < 0.05, "{scores:?}");
        let again = cluster_scores(&rows, 8, &labels, &ClusterOptions::default()).unwrap();
        assert_eq!(scores, again);
    }

    #[test]
    fn many_cells_are_sampled_and_that_is_said() {
        let (rows, labels) = cells(400, 4, 3.0);
        let options = ClusterOptions { max_cells: 150, ..ClusterOptions::default() };
        let scores = cluster_scores(&rows, 8, &labels, &options).unwrap();
        assert!(scores.is_sample() && (scores.n_cells, scores.n_available) == (150, 400));
        assert!((scores.nmi - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nonsense_is_refused_and_few_cells_are_not() {
        let options = ClusterOptions::default();
        let error = cluster_scores(&[0.0, f32::NAN], 1, &[0, 1], &options).unwrap_err();
        assert!(error.to_string().contains("cell 1 has NaN"));
        assert!(cluster_scores(&[], 3, &[], &options).is_err());
        let alone = ClusterOptions { n_neighbours: 1, ..options };
        assert!(cluster_scores(&[0.0, 1.0], 1, &[0, 1], &alone).is_err());
        assert_eq!(cluster_scores(&[1.0], 1, &[4], &options).unwrap().n_clusters, 1);
    }
}
