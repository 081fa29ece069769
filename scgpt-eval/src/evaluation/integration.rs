//! [`IntegrationScores`]: is biology kept, and are batches mixed?

mod comparison;
mod groups;
mod page;

use std::{borrow::Cow, collections::BTreeMap};

use scgpt_stats::{
    ClusterOptions, Clustering, Graph, Neighbours, batch_variance, chosen_rows,
    graph_cluster_scores, graph_connectivity, subsample,
};
use serde::{Deserialize, Serialize};

pub use self::comparison::{CellColumn, IntegrationComparison, ScoredEmbedding};
use self::groups::Groups;
use crate::cell_space::CellSpace;
use scgpt_data::{Observer, Result};

/// Weight in the overall score of what is kept of biology; the rest is that of how batches are
/// mixed.
const BIO: f64 = 0.6;

/// Scores of an embedding of cells with labels and batches; 1 is best, but for
/// [`batch_variance`](Self::batch_variance). A score that could not be computed is `None`, and
/// [`missing`](Self::missing) says why.
///
/// # Reference
/// `scib.metrics` (Luecken et al. 2022); averages as in Cui et al. 2024. Differs: see
/// [`cluster_scores`](scgpt_stats::cluster_scores).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntegrationScores {
    /// Normalised mutual information of clusters and labels.
    pub nmi: Option<f64>,
    /// Adjusted Rand index of clusters and labels.
    pub ari: Option<f64>,
    /// How well labels are told apart: their mean silhouette, moved to 0 to 1.
    pub asw_label: Option<f64>,
    /// How well batches are mixed within labels: by silhouettes of batches.
    pub asw_batch: Option<f64>,
    /// Whether cells of a label are connected to each other in the graph of neighbours.
    pub graph_connectivity: Option<f64>,
    /// Share of the variance of the first 50 principal components that batches explain: the less
    /// the better.
    pub batch_variance: Option<f64>,
    /// By which share the variance of batches is less than in the unintegrated cells; see
    /// [`against`](Self::against).
    pub pcr: Option<f64>,
    /// Mean of [`nmi`](Self::nmi), [`ari`](Self::ari) and [`asw_label`](Self::asw_label).
    pub avg_bio: Option<f64>,
    /// Mean of [`asw_batch`](Self::asw_batch) and [`graph_connectivity`](Self::graph_connectivity).
    pub avg_batch: Option<f64>,
    /// Overall score: 0.6 of [`avg_bio`](Self::avg_bio) and 0.4 of [`avg_batch`](Self::avg_batch).
    pub overall: Option<f64>,
    /// How clusters were found.
    pub clustering: Clustering,
    /// The resolution at which clusters have the highest mutual information with labels.
    pub resolution: Option<f64>,
    /// Number of clusters at that resolution.
    pub n_clusters: Option<usize>,
    /// Number of cells that were scored.
    pub n_cells: usize,
    /// Number of cells there are; more than `n_cells` if a sample was scored.
    pub n_available: usize,
    /// By the name of a score that is `None`, the reason why.
    pub missing: BTreeMap<String, String>,
}

impl IntegrationScores {
    /// Scores an embedding. Labels and batches are numbers `0..`; without labels only the variance
    /// of batches is computed.
    ///
    /// Cells are compared with all others: `n² · width` multiplications, and memory for `n`
    /// neighbourhoods. Of more than [`max_cells`](ClusterOptions::max_cells) a sample is scored, but
    /// of a graph all are.
    ///
    /// # Errors
    /// If there are no cells, a neighbourhood has no neighbours, or a value is not finite;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is not one label, batch and position a cell.
    pub fn new(
        space: &CellSpace<'_>,
        labels: Option<&[usize]>,
        batches: &[usize],
        options: &ClusterOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = batches.len();
        assert!(labels.is_none_or(|labels| labels.len() == n), "one label a cell");
        let mut scores = Self { clustering: options.clustering, n_available: n, ..Self::default() };
        match space {
            CellSpace::Graph(graph) => {
                assert_eq!(graph.len(), n, "one node a cell");
                scores.n_cells = n;
                match labels {
                    Some(labels) => scores.of_graph(graph, labels, options, observer)?,
                    None => scores.lack_labels(),
                }
                let reason = "only neighbours are known, no coordinates";
                scores.lack(&["asw_label", "asw_batch", "batch_variance"], reason);
            }
            CellSpace::Rows { rows, width } => {
                let width = *width;
                assert_eq!(rows.len(), n * width, "{width} values a cell");
                options.check(rows, width)?;
                let cells = subsample(n, options.max_cells, options.seed);
                scores.n_cells = cells.len();
                let rows = chosen_rows(rows, width, &cells);
                let labels = labels.map(|labels| chosen_codes(labels, &cells));
                let batches = chosen_codes(batches, &cells);
                scores.of_rows(&rows, width, labels.as_deref(), &batches, options, observer)?;
            }
        }
        scores.lack(&["pcr"], "not compared with unintegrated cells");
        let mean = |scores: &[Option<f64>]| -> Option<f64> {
            let sum: Option<f64> = scores.iter().copied().sum();
            sum.map(|sum| sum / scores.len() as f64)
        };
        scores.avg_bio = mean(&[scores.nmi, scores.ari, scores.asw_label]);
        scores.avg_batch = mean(&[scores.asw_batch, scores.graph_connectivity]);
        scores.overall = scores
            .avg_bio
            .zip(scores.avg_batch)
            .map(|(bio, batch)| BIO * bio + (1.0 - BIO) * batch);
        scores.lack(&["avg_bio", "avg_batch", "overall"], "a part of it is missing");
        Ok(scores)
    }

    /// Computes the scores that need positions. One comparison of all cells gives neighbours and
    /// silhouettes, so that distances, whose number grows with the square of the cells, are
    /// computed once.
    fn of_rows(
        &mut self,
        rows: &[f32],
        width: usize,
        labels: Option<&[usize]>,
        batches: &[usize],
        options: &ClusterOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        let is_constant = |codes: &[usize]| codes.iter().all(|&code| code == codes[0]);
        if let Some(labels) = labels {
            let groups = Groups::new(labels, batches);
            let (k, n) = (options.n_neighbours - 1, groups.len());
            let finish = |cell, sums: &[f64]| groups.silhouettes(cell, sums);
            let (neighbours, silhouettes) =
                Neighbours::with_sums(rows, width, k, &groups.of_cells, n, &finish, observer)?;
            self.of_graph(&Graph::fuzzy(&neighbours, observer)?, labels, options, observer)?;
            if !is_constant(labels) {
                self.asw_label = Some(Groups::label_separation(&silhouettes));
            }
            self.asw_batch = groups.batch_mixing(&silhouettes);
        } else {
            self.lack_labels();
        }
        if is_constant(batches) {
            self.lack(&["asw_batch", "batch_variance", "pcr"], "all cells are of one batch");
        } else {
            self.batch_variance = Some(batch_variance(rows, width, batches, observer)?);
        }
        let reason = "no label has cells of several batches, of one of them several";
        self.lack(&["asw_batch"], reason);
        Ok(())
    }

    /// Computes the scores that need only neighbours.
    fn of_graph(
        &mut self,
        graph: &Graph,
        labels: &[usize],
        options: &ClusterOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        self.graph_connectivity = Some(graph_connectivity(graph, labels));
        if labels.iter().all(|label| *label == labels[0]) {
            self.lack(&["nmi", "ari", "asw_label"], "all cells have the same label");
            return Ok(());
        }
        let clusters = graph_cluster_scores(graph, labels, options, observer)?;
        self.nmi = Some(clusters.nmi);
        self.ari = Some(clusters.ari);
        self.resolution = Some(clusters.resolution);
        self.n_clusters = Some(clusters.n_clusters);
        Ok(())
    }

    /// Says why all scores that need labels are missing.
    fn lack_labels(&mut self) {
        let all = ["nmi", "ari", "asw_label", "asw_batch", "graph_connectivity"];
        self.lack(&all, "there are no labels");
    }

    /// Notes the reason for those of the scores `names` that are `None` and have none yet.
    fn lack(&mut self, names: &[&str], reason: &str) {
        for (name, score) in self.named() {
            if names.contains(&name) && score.is_none() {
                self.missing.entry(name.into()).or_insert_with(|| reason.into());
            }
        }
    }

    /// All scores with their names.
    pub fn named(&self) -> [(&'static str, Option<f64>); 10] {
        [
            ("nmi", self.nmi),
            ("ari", self.ari),
            ("asw_label", self.asw_label),
            ("asw_batch", self.asw_batch),
            ("graph_connectivity", self.graph_connectivity),
            ("batch_variance", self.batch_variance),
            ("pcr", self.pcr),
            ("avg_bio", self.avg_bio),
            ("avg_batch", self.avg_batch),
            ("overall", self.overall),
        ]
    }

    /// Compares the variance of batches with that in the unintegrated cells, and sets
    /// [`pcr`](Self::pcr): principal component regression.
    ///
    /// # Reference
    /// `scib.metrics.pcr_comparison`, scaled; 0 if batches explain more than they did.
    pub fn against(&mut self, unintegrated: &Self) {
        let (Some(before), Some(after)) = (unintegrated.batch_variance, self.batch_variance) else {
            return;
        };
        if before > 0.0 {
            self.pcr = Some(((before - after) / before).max(0.0));
            self.missing.remove("pcr");
        } else {
            let reason = "batches explain nothing of the unintegrated cells";
            self.missing.insert("pcr".into(), reason.into());
        }
    }

    /// Whether only a sample of the cells was scored, which a report has to say.
    pub fn is_sample(&self) -> bool {
        self.n_cells < self.n_available
    }
}

/// The codes of the chosen cells, borrowed if all are.
fn chosen_codes<'a>(codes: &'a [usize], cells: &[usize]) -> Cow<'a, [usize]> {
    if cells.len() == codes.len() {
        return Cow::Borrowed(codes);
    }
    cells.iter().map(|&cell| codes[cell]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};

    /// Three labels that lie apart; in two batches, of which the second is `shift` away.
    fn cells(n: usize, shift: f64) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
        let key = Keyed::new(1, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value = |cell: usize, i: usize| {
            let centre = if i == cell % 3 { 6.0 } else { 0.0 };
            let shift = if i == 4 { shift * (cell / 3 % 2) as f64 } else { 0.0 };
            (centre + shift + key.uniform((cell * 5 + i) as u64)) as f32
        };
        let rows = (0..n).flat_map(|cell| (0..5).map(move |i| value(cell, i))).collect();
        (rows, (0..n).map(|cell| cell % 3).collect(), (0..n).map(|cell| cell / 3 % 2).collect())
    }

    fn scores(shift: f64) -> IntegrationScores {
        let (rows, labels, batches) = cells(300, shift);
        let space = CellSpace::rows(&rows, 5);
        IntegrationScores::new(&space, Some(&labels), &batches, &ClusterOptions::default(), &Silent)
            .unwrap()
    }

    #[test]
    fn mixed_batches_score_higher_than_shifted_ones() {
        let (before, mut after) = (scores(3.0), scores(0.0));
        assert!(before.asw_batch.unwrap() < 0.5 && after.asw_batch.unwrap() > 0.9);
        assert!(before.overall.unwrap() < after.overall.unwrap() - 0.1);
        assert!(before.graph_connectivity.unwrap() < 0.6);
        let sum = after.nmi.unwrap() + after.ari.unwrap() + after.asw_label.unwrap();
        assert!((after.avg_bio.unwrap() - sum / 3.0).abs() < 1e-12);
        assert_eq!(after.missing.keys().collect::<Vec<_>>(), ["pcr"]);
        after.against(&before);
        assert!(after.pcr.unwrap() > 0.95 && after.missing.is_empty());
        let mut worse = scores(6.0);
        worse.against(&before);
        assert_eq!(worse.pcr, Some(0.0));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let (rows, labels, batches) = cells(60, 0.0);
        let space = CellSpace::rows(&rows, 5);
        let options = ClusterOptions::default();
        let of = |labels: Option<&[usize]>, batches: &[usize]| {
            IntegrationScores::new(&space, labels, batches, &options, &Silent).unwrap()
        };
        let one_batch = of(Some(&labels), &[0; 60]);
        assert_eq!(one_batch.missing["asw_batch"], "all cells are of one batch");
        assert_eq!(one_batch.missing["avg_batch"], "a part of it is missing");
        assert!(one_batch.avg_bio.is_some() && one_batch.overall.is_none());
        let one_label = of(Some(&[0; 60]), &batches);
        assert_eq!(one_label.missing["nmi"], "all cells have the same label");
        assert!(one_label.avg_batch.is_some() && one_label.avg_bio.is_none());
        let none = of(None, &batches);
        assert!(none.batch_variance.is_some() && none.missing["ari"] == "there are no labels");
        let graph =
            Graph::fuzzy(&Neighbours::new(&rows, 5, 14, &Silent).unwrap(), &Silent).unwrap();
        let by_graph = IntegrationScores::new(
            &CellSpace::Graph(Cow::Borrowed(&graph)),
            Some(&labels),
            &batches,
            &options,
            &Silent,
        )
        .unwrap();
        assert_eq!(by_graph.nmi, of(Some(&labels), &batches).nmi);
        assert!(by_graph.missing["asw_label"].contains("no coordinates"));
        for (name, score) in by_graph.named() {
            assert_eq!(score.is_none(), by_graph.missing.contains_key(name), "{name}");
        }
    }

    #[test]
    fn many_cells_are_sampled_and_nonsense_is_refused() {
        let (mut rows, labels, batches) = cells(300, 0.0);
        let mut options = ClusterOptions::default();
        options.max_cells = 150;
        let score = |rows: &[f32]| {
            let space = CellSpace::rows(rows, 5);
            IntegrationScores::new(&space, Some(&labels), &batches, &options, &Silent)
        };
        let sampled = score(&rows).unwrap();
        assert!(sampled.is_sample() && sampled.n_cells == 150 && sampled.nmi > Some(0.99));
        rows[8] = f32::INFINITY;
        assert!(score(&rows).unwrap_err().to_string().contains("cell 1 has inf"));
    }
}
