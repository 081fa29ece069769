//! [`TrueEdges`] and [`NetworkEvaluation`]: do the edges of a network exist?

mod page;

use std::collections::{BTreeSet, HashMap};

use scgpt_stats::{EdgeScores, sign_accuracy};
use serde::{Deserialize, Serialize};

use crate::network::GeneNetwork;
use scgpt_data::{Error, Observer, Result};

/// Known regulations among some genes, and the pairs that could have been.
///
/// Candidates are all pairs of a gene that regulates any other in the truth with another gene of
/// the truth: a network is not blamed for pairs of which the truth says nothing.
#[derive(Clone, Debug)]
pub struct TrueEdges {
    n_genes: usize,
    /// Places of the candidates in `[sources, targets]`.
    candidates: Vec<usize>,
    is_true: Vec<bool>,
    /// Weights of all candidates in the truth, 0 where there is no edge; `None` if none is
    /// negative.
    signs: Option<Vec<f64>>,
    regulators: usize,
    genes: usize,
}

/// How much is known of true edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthReport {
    /// Number of true edges among the genes of the network.
    pub edges: usize,
    /// Number of genes that regulate.
    pub regulators: usize,
    /// Number of genes of the truth, the regulating ones among them.
    pub genes: usize,
    /// Number of pairs that could have been an edge.
    pub candidates: usize,
}

impl TrueEdges {
    /// The true edges among `genes`.
    ///
    /// # Errors
    /// If they have no gene in common, or if none or all of the candidates are true.
    pub fn among(truth: &GeneNetwork, genes: &[String]) -> Result<Self> {
        let numbers: HashMap<&str, usize> =
            genes.iter().enumerate().map(|(number, gene)| (gene.as_str(), number)).collect();
        let of_truth: Vec<Option<usize>> =
            truth.genes().iter().map(|gene| numbers.get(gene.as_str()).copied()).collect();
        let common: BTreeSet<usize> = of_truth.iter().flatten().copied().collect();
        if common.is_empty() {
            let some = |names: &[String]| names[..names.len().min(3)].join(", ");
            return Err(Error::Option(format!(
                "the truth has no gene in common with the network: it has {}…, the network {}…; are both named by \
                 symbols of the same species?",
                some(truth.genes()),
                some(genes)
            )));
        }
        let mut weights: HashMap<usize, f64> = HashMap::new();
        let mut regulators: BTreeSet<usize> = BTreeSet::new();
        let n = genes.len();
        for edge in truth.edges() {
            // A regulator counts even if none of its targets is among the genes.
            regulators.extend(of_truth[edge.source]);
            if !truth.is_directed() {
                regulators.extend(of_truth[edge.target]);
            }
            let (Some(source), Some(target)) = (of_truth[edge.source], of_truth[edge.target])
            else {
                continue;
            };
            weights.insert(source * n + target, edge.weight);
            if !truth.is_directed() {
                weights.insert(target * n + source, edge.weight);
            }
        }
        let pairs = regulators.iter().flat_map(|&source| {
            common.iter().filter(move |&&target| target != source).map(move |t| source * n + t)
        });
        let candidates: Vec<usize> = pairs.collect();
        let is_true: Vec<bool> =
            candidates.iter().map(|place| weights.contains_key(place)).collect();
        let edges = is_true.iter().filter(|&&is_true| is_true).count();
        if edges == 0 || edges == candidates.len() {
            return Err(Error::Option(format!(
                "{edges} of {} pairs of genes that truth and network have in common are true edges: nothing can be \
                 told apart",
                candidates.len()
            )));
        }
        let signs = truth.edges().iter().any(|edge| edge.weight < 0.0).then(|| {
            candidates.iter().map(|place| weights.get(place).copied().unwrap_or(0.0)).collect()
        });
        let (regulators, genes) = (regulators.len(), common.len());
        Ok(Self { n_genes: n, candidates, is_true, signs, regulators, genes })
    }

    /// Counts what is known: edges, genes and candidates.
    pub fn summary(&self) -> TruthReport {
        TruthReport {
            edges: self.is_true.iter().filter(|&&is_true| is_true).count(),
            regulators: self.regulators,
            genes: self.genes,
            candidates: self.candidates.len(),
        }
    }

    /// Scores weights, `[sources, targets]`: the larger one is, whatever its sign, the surer is the
    /// edge.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If they are of another number of genes.
    pub fn scores(&self, weights: &[f32], observer: &dyn Observer) -> Result<Option<EdgeScores>> {
        assert_eq!(weights.len(), self.n_genes * self.n_genes, "weights of all pairs");
        let sizes: Vec<f32> = self.candidates.iter().map(|&place| weights[place].abs()).collect();
        EdgeScores::new(&sizes, &self.is_true, observer)
    }

    /// Share of the true edges, among those with a weight, whose sign is right; `None` if the truth
    /// or the weights have no negative ones.
    ///
    /// # Panics
    /// If they are of another number of genes.
    pub fn sign_accuracy(&self, weights: &[f32]) -> Option<f64> {
        assert_eq!(weights.len(), self.n_genes * self.n_genes, "weights of all pairs");
        let signs = self.signs.as_ref()?;
        let of_candidates: Vec<f64> =
            self.candidates.iter().map(|&place| f64::from(weights[place])).collect();
        if of_candidates.iter().all(|&weight| weight >= 0.0) {
            return None;
        }
        sign_accuracy(&of_candidates, signs)
    }
}

/// Scores of an edge list, ours or another tool's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkEvaluation {
    /// Number of edges in the list.
    pub edges: usize,
    /// Number of candidates that are in the list.
    pub listed: usize,
    /// Number of genes in the list.
    pub genes_of_network: usize,
    /// Number of genes of the truth; those among them that the list can contain are judged.
    pub genes_of_truth: usize,
    /// How much is known of true edges among the genes judged.
    pub truth: TruthReport,
    /// Edges ranked by the size of their weight; those that are not listed come last.
    pub scores: EdgeScores,
    /// Share of listed true edges whose sign is right, where both sides have signs.
    pub sign_accuracy: Option<f64>,
    /// Scores of the reversed edges, if they have a direction: if they are as good, the network
    /// does not know the direction.
    pub reversed: Option<EdgeScores>,
    /// Listed candidates of the largest weights, at most 100.
    #[serde(default)]
    pub strongest: Vec<JudgedEdge>,
    /// Numbers of the first edges, and which share of these is true.
    #[serde(skip)]
    precision: Vec<[f64; 2]>,
}

/// A listed pair of genes of which the truth speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedEdge {
    /// The gene that regulates.
    pub source: String,
    /// The gene that is regulated.
    pub target: String,
    /// The weight in the list.
    pub weight: f64,
    /// Whether it is a true edge.
    pub is_true: bool,
}

/// Most edges that are told one by one, and most points of a curve.
const STRONGEST: usize = 100;
const POINTS: usize = 400;

impl NetworkEvaluation {
    /// Judges `network` by `truth` among `genes`; with `None`, among the genes that both have.
    ///
    /// # Errors
    /// As [`TrueEdges::among`]; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn new(
        network: &GeneNetwork,
        truth: &GeneNetwork,
        genes: Option<&[String]>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let genes = genes.unwrap_or(network.genes());
        let genes_of_truth = truth.genes().len();
        let truth = TrueEdges::among(truth, genes)?;
        let numbers: HashMap<&str, usize> =
            genes.iter().enumerate().map(|(number, gene)| (gene.as_str(), number)).collect();
        let of_network: Vec<Option<usize>> =
            network.genes().iter().map(|gene| numbers.get(gene.as_str()).copied()).collect();
        let n = genes.len();
        let mut weights = vec![0.0_f32; n * n];
        let mut is_listed = vec![false; n * n];
        for edge in network.edges() {
            let (Some(source), Some(target)) = (of_network[edge.source], of_network[edge.target])
            else {
                continue;
            };
            #[allow(clippy::cast_possible_truncation, reason = "only its order and sign count")]
            let weight = edge.weight as f32;
            let mut set = |place: usize| {
                is_listed[place] = true;
                if weight.abs() > weights[place].abs() {
                    weights[place] = weight;
                }
            };
            set(source * n + target);
            if !network.is_directed() {
                set(target * n + source);
            }
        }
        let nothing = || Error::Option("no pair of genes can be told apart".into());
        let reversed = network.is_directed().then(|| {
            let turned: Vec<f32> = (0..n * n).map(|at| weights[at % n * n + at / n]).collect();
            truth.scores(&turned, observer)
        });
        let weight = |at: &usize| weights[truth.candidates[*at]];
        let listed = (0..truth.candidates.len()).filter(|&at| is_listed[truth.candidates[at]]);
        let mut order: Vec<usize> = listed.collect();
        order.sort_by(|a, b| weight(b).abs().total_cmp(&weight(a).abs()).then(a.cmp(b)));
        let judged = |at: &usize| {
            let place = truth.candidates[*at];
            let [source, target] = [place / n, place % n].map(|gene| genes[gene].clone());
            let weight = f64::from(weights[place]);
            JudgedEdge { source, target, weight, is_true: truth.is_true[*at] }
        };
        let mut right = 0_u32;
        let mut precision = Vec::new();
        let every = order.len().div_ceil(POINTS).max(1);
        for (rank, &at) in (1_usize..).zip(&order) {
            right += u32::from(truth.is_true[at]);
            if rank.is_multiple_of(every) || rank <= 10 {
                precision.push([rank as f64, f64::from(right) / rank as f64]);
            }
        }
        Ok(Self {
            strongest: order.iter().take(STRONGEST).map(judged).collect(),
            precision,
            edges: network.edges().len(),
            listed: truth.candidates.iter().filter(|&&place| is_listed[place]).count(),
            genes_of_network: network.genes().len(),
            genes_of_truth,
            truth: truth.summary(),
            scores: truth.scores(&weights, observer)?.ok_or_else(nothing)?,
            sign_accuracy: truth.sign_accuracy(&weights),
            reversed: reversed.transpose()?.flatten(),
        })
    }

    /// A sentence that says what the scores mean.
    pub fn verdict(&self) -> String {
        let EdgeScores { auprc_ratio, auroc, .. } = self.scores;
        let quality = match auprc_ratio {
            ratio if ratio >= 2.0 => "far better than chance",
            ratio if ratio >= 1.2 => "better than chance",
            ratio if ratio >= 0.9 => "no better than chance",
            _ => "worse than chance",
        };
        let direction = match self.reversed {
            Some(reversed) if reversed.auprc_ratio > auprc_ratio => {
                " Turned round, its edges fit better: is the source the regulator?"
            }
            Some(reversed) if reversed.auprc_ratio > 0.9 * auprc_ratio && auprc_ratio >= 1.2 => {
                " Turned round, its edges fit as well: it does not know the direction."
            }
            _ => "",
        };
        format!(
            "The network is {quality}: {auprc_ratio:.2} times the precision of random edges, AUROC {auroc:.2}.{direction}"
        )
    }
}

/// Headings of [`scores_row`].
pub const SCORES: [&str; 7] =
    ["edges", "AUPRC", "AUPRC ratio", "early precision", "EPR", "AUROC", "F1"];

/// A row of a table for a network: its name, then its scores under the headings [`SCORES`].
pub fn scores_row(name: &str, scores: &EdgeScores) -> Vec<String> {
    let EdgeScores {
        auprc, auprc_ratio, early_precision, early_precision_ratio, auroc, f1, ..
    } = scores;
    vec![
        name.to_owned(),
        format!("{auprc:.4}"),
        format!("{auprc_ratio:.2}"),
        format!("{early_precision:.4}"),
        format!("{early_precision_ratio:.2}"),
        format!("{auroc:.3}"),
        format!("{f1:.3}"),
    ]
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use crate::network::{Edge, EdgeKind};

    fn network(edges: &[(&str, &str, f64)], kind: EdgeKind) -> GeneNetwork {
        let mut genes: Vec<String> = Vec::new();
        let mut number = |name: &str| {
            genes.iter().position(|gene| gene == name).unwrap_or_else(|| {
                genes.push(name.to_owned());
                genes.len() - 1
            })
        };
        let edge = |&(source, target, weight): &(&str, &str, f64)| Edge {
            source: number(source),
            target: number(target),
            weight,
        };
        let edges = edges.iter().map(edge).collect();
        GeneNetwork::new(genes, edges, kind)
    }

    #[test]
    fn candidates_are_what_the_truth_speaks_of() {
        let truth =
            network(&[("A", "B", 1.0), ("A", "C", -1.0), ("D", "A", 1.0)], EdgeKind::Directed);
        // E is not of the truth; D regulates and is regulated by none.
        let found = network(
            &[("A", "B", 0.9), ("A", "E", 3.0), ("A", "C", 0.5), ("D", "B", 0.7), ("B", "D", 2.0)],
            EdgeKind::Directed,
        );
        let evaluation = NetworkEvaluation::new(&found, &truth, None, &Silent).unwrap();
        assert_eq!(
            evaluation.truth,
            TruthReport { edges: 3, regulators: 2, genes: 4, candidates: 6 }
        );
        assert_eq!((evaluation.edges, evaluation.listed), (5, 3));
        // Ranked: AB (true), DB, AC (true), then AD, DA (true), DC at 0.
        let expected = 1.0 / 3.0 + 2.0 / 3.0 / 3.0 + 0.5 / 3.0;
        assert!((evaluation.scores.auprc - expected).abs() < 1e-9, "{evaluation:?}");
        assert_eq!(evaluation.sign_accuracy, None, "no negative weights");
        let [first, .., last] = &evaluation.strongest[..] else { panic!() };
        assert!(first.is_true && (&*first.source, &*first.target) == ("A", "B"));
        assert!(last.is_true && (&*last.source, &*last.target) == ("A", "C"));
        assert!((evaluation.precision[1][1] - 0.5).abs() < 1e-9, "one of the first two");
        let page = evaluation.page("edges.csv").to_html();
        assert!(page.contains("A: 2 of 2 true") && page.contains("D: 0 of 1 true"));
    }

    #[test]
    fn signs_and_directions_are_judged() {
        let truth =
            network(&[("A", "B", 1.0), ("A", "C", -1.0), ("B", "D", -1.0)], EdgeKind::Directed);
        let right = NetworkEvaluation::new(&truth, &truth, None, &Silent).unwrap();
        assert!((right.scores.auprc - 1.0).abs() < 1e-9 && (right.scores.auroc - 1.0).abs() < 1e-9);
        assert_eq!(right.sign_accuracy, Some(1.0));
        assert!(right.verdict().contains("far better") || right.scores.auprc_ratio < 2.0);
        let turned =
            network(&[("B", "A", 1.0), ("C", "A", 1.0), ("D", "B", 1.0)], EdgeKind::Directed);
        let turned = NetworkEvaluation::new(&turned, &truth, None, &Silent).unwrap();
        assert!(turned.verdict().contains("Turned round, its edges fit better"));
        let both =
            network(&[("B", "A", 1.0), ("C", "A", 1.0), ("D", "B", -1.0)], EdgeKind::Undirected);
        let both = NetworkEvaluation::new(&both, &truth, None, &Silent).unwrap();
        assert_eq!((both.reversed, both.sign_accuracy), (None, Some(2.0 / 3.0)));
    }

    #[test]
    fn a_truth_of_other_genes_is_refused() {
        let truth = network(&[("A", "B", 1.0), ("A", "C", 1.0)], EdgeKind::Directed);
        let other = network(&[("a", "b", 1.0)], EdgeKind::Directed);
        let message =
            NetworkEvaluation::new(&other, &truth, None, &Silent).unwrap_err().to_string();
        assert!(message.contains("no gene in common"), "{message}");
        let one = network(&[("B", "C", 1.0)], EdgeKind::Directed);
        let message = NetworkEvaluation::new(&one, &truth, None, &Silent).unwrap_err().to_string();
        assert!(message.contains("nothing can be"), "{message}");
    }
}
