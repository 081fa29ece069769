//! [`EmbeddingReport`]: the numbers of a network of gene vectors, and tables of it.

use scgpt_data::{Column, Table};
use scgpt_eval::{
    baseline::Association,
    network::{Consistency, GeneNetwork, GenePairs, Programme, ProgrammeOptions, Significance},
};
use scgpt_model::InferencePrecision;
use serde::{Deserialize, Serialize};

use super::{EmbeddingNetworkOptions, NetworkMethod, NetworkPathways, StartNetwork};
use crate::embed::Embedder;

/// False-discovery rate up to which a similarity counts as more than chance.
pub(super) const FOUND: f64 = 0.05;
/// Differences that do not make a network better: of the agreement of halves, and of the area under
/// the curve.
const SAME_JACCARD: f64 = 0.02;
const SAME_AREA: f64 = 0.01;
/// The name of randomly drawn programmes among methods.
pub(super) const CHANCE: &str = "random programmes";

/// How large a network of gene vectors is, how far to trust it, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmbeddingReport {
    /// Version of this program.
    pub version: String,
    /// What made the network.
    #[serde(default)]
    pub method: NetworkMethod,
    /// Why, if it was chosen among several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// SHA-256 of the weights; `None` for a model from memory, or without one.
    pub model: Option<String>,
    /// Whether vectors are those that genes have in cells.
    pub contextual: bool,
    /// In which numbers cells were computed, if there were any.
    #[serde(default)]
    pub precision: InferencePrecision,
    /// Whether the mean of all genes was subtracted before vectors were compared.
    pub centred: bool,
    /// Number of genes compared.
    pub genes: usize,
    /// Width of a vector; 0 without vectors.
    pub width: usize,
    /// Least similarity of an edge.
    pub threshold: f64,
    /// Number of edges.
    pub edges: usize,
    /// Number of pairs of genes.
    pub pairs: usize,
    /// Number of pairs at a false-discovery rate of 5 % under the null.
    pub pairs_beyond_chance: usize,
    /// Number of edges at a false-discovery rate of 5 % under the null.
    pub edges_beyond_chance: usize,
    /// Quantiles of all similarities: least, 5 %, median, 95 %, largest.
    pub similarities: [f64; 5],
    /// How programmes were found.
    pub options: ProgrammeOptions,
    /// Number of programmes.
    pub programmes: usize,
    /// Number of genes in programmes.
    pub genes_in_programmes: usize,
    /// Number of genes that enrichment is compared with.
    pub background: usize,
    /// Number of cells that baselines are made of.
    pub baseline_cells: usize,
    /// Number of cells that were read and express no gene the model knows.
    #[serde(default)]
    pub without_genes: usize,
    /// Pathways of this network, of its baselines, and of random programmes.
    pub pathways: Vec<NetworkPathways>,
    /// How far two halves of the cells agree, for each method.
    pub replicates: Vec<ReplicateScores>,
    /// What the vectors told before training; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartNetwork>,
    /// Which network is the more trustworthy on this data, and why.
    pub verdict: String,
}

/// How much halves of the cells agree on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplicateScores {
    /// The method that made the network.
    pub method: String,
    /// The agreement; `None` if halves have no edges in common.
    pub consistency: Option<Consistency>,
}

impl EmbeddingReport {
    /// The report before anything was judged: the options, and the similarities and their
    /// significance.
    pub(super) fn new(
        embedder: Option<&Embedder>,
        options: &EmbeddingNetworkOptions,
        pairs: &GenePairs,
        significance: Option<&Significance>,
    ) -> Self {
        let mut sorted: Vec<f32> = pairs.values().iter().copied().filter(|x| !x.is_nan()).collect();
        sorted.sort_by(f32::total_cmp);
        let quantile = |share: usize| {
            let place = (sorted.len().saturating_sub(1)) * share / 100;
            sorted.get(place).map_or(f64::NAN, |&x| f64::from(x))
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            method: options.method,
            because: None,
            model: embedder.and_then(Embedder::hash).map(String::from),
            contextual: options.contextual,
            precision: match embedder.filter(|_| options.contextual) {
                Some(embedder) => embedder.encoder().precision(),
                None => InferencePrecision::Exact,
            },
            centred: options.centre.unwrap_or(options.contextual),
            baseline_cells: 0,
            without_genes: 0,
            genes: pairs.n(),
            width: embedder.map_or(0, |embedder| embedder.encoder().d_model()),
            threshold: options.least_cosine(),
            edges: 0,
            pairs: pairs.values().len(),
            pairs_beyond_chance: significance
                .map_or(0, |it| it.q.iter().filter(|&&q| q < FOUND).count()),
            edges_beyond_chance: 0,
            similarities: [0, 5, 50, 95, 100].map(quantile),
            options: options.programmes,
            programmes: 0,
            genes_in_programmes: 0,
            background: 0,
            pathways: Vec::new(),
            replicates: Vec::new(),
            start: None,
            verdict: String::new(),
        }
    }

    /// Adds what is known last, the sizes of the network and of its programmes, and the verdict.
    pub(super) fn finish(&mut self, network: &GeneNetwork, programmes: &[Programme]) {
        self.edges = network.edges().len();
        if let Some(Column::Float(q)) = network.column("fdr") {
            self.edges_beyond_chance = q.iter().flatten().filter(|&&q| q < FOUND).count();
        }
        self.programmes = programmes.len();
        self.genes_in_programmes = programmes.iter().map(|it| it.genes.len()).sum();
        self.verdict = self.judged();
    }

    /// The simple method that tells genes of one set from others better than the vectors do, if gene sets were given.
    pub fn better(&self) -> Option<NetworkMethod> {
        let (method, [best, own]) = self.best_by_sets()?;
        let is_better = compared(best, own, SAME_AREA) > 0;
        (is_better && self.method == NetworkMethod::Network).then_some(method)
    }

    /// The simple method that tells genes of one set from others best, and the areas under the curve of it and of this
    /// network; `None` if these were not judged by gene sets.
    pub(super) fn best_by_sets(&self) -> Option<(NetworkMethod, [f64; 2])> {
        let area = |method: &str| {
            self.pathways.iter().find(|it| it.method == method).and_then(|it| it.pairs)
        };
        let first = self.pathways.first()?;
        let own = first.pairs?;
        let rules = Association::ALL.into_iter().filter(|rule| rule.to_string() != first.method);
        let judged = rules.filter_map(|rule| Some((rule, area(&rule.to_string())?)));
        let (rule, best) = judged.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((NetworkMethod::of(rule), [best, own]))
    }

    /// The strongest baseline: by known pathways or, without them, by whether halves of the cells
    /// agree.
    fn best_baseline(&self) -> Option<&NetworkPathways> {
        let baselines = self.pathways.iter().skip(1).filter(|it| it.method != CHANCE);
        let worth = |it: &NetworkPathways| it.pairs.or_else(|| self.jaccard(&it.method));
        baselines.max_by(|a, b| worth(a).unwrap_or(0.0).total_cmp(&worth(b).unwrap_or(0.0)))
    }

    /// The share of their strongest edges that halves of the cells have in common; `None` if that
    /// was not measured.
    fn jaccard(&self, method: &str) -> Option<f64> {
        let found = self.replicates.iter().find(|it| it.method == method);
        found.and_then(|it| it.consistency).map(|it| it.jaccard)
    }

    /// Which network to trust, in a sentence: by known pathways, and by whether halves of the cells
    /// agree.
    fn judged(&self) -> String {
        let (Some(own), Some(baseline)) = (self.pathways.first(), self.best_baseline()) else {
            return "No other network from expression was made to compare this one with.".into();
        };
        let by_sets = match (own.pairs, baseline.pairs) {
            (Some(a), Some(b)) => Some((
                compared(a, b, SAME_AREA),
                format!(
                    "tells genes that share a pathway from others with an area under the curve of {a:.2}, {} with {b:.2}, and has \
                 {} against {} pathways",
                    baseline.method, own.sets, baseline.sets
                ),
            )),
            _ => None,
        };
        // Vectors in context start from the same table in both halves: no merit of theirs.
        let best = i8::from(!self.contextual);
        let by_halves = match (self.jaccard(&own.method), self.jaccard(&baseline.method)) {
            (Some(a), Some(b)) => Some((
                compared(a, b, SAME_JACCARD).min(best),
                format!(
                    "has {:.0} % of its strongest edges in common between two halves of the cells, {} {:.0} %",
                    100.0 * a,
                    baseline.method,
                    100.0 * b
                ),
            )),
            _ => None,
        };
        let evidence = [by_sets, by_halves].into_iter().flatten().collect::<Vec<_>>();
        let texts: Vec<&str> = evidence.iter().map(|(_, text)| text.as_str()).collect();
        let because = format!("the network of {} {}.", own.method, texts.join("; it "));
        let better = evidence.iter().any(|(sign, _)| *sign > 0);
        let worse = evidence.iter().any(|(sign, _)| *sign < 0);
        let fixed = if self.contextual || self.method.rule().is_some() {
            ""
        } else {
            " These vectors are the model's, whatever the cells, so halves of the cells say nothing about them."
        };
        match (better, worse) {
            _ if evidence.is_empty() => format!(
                "Nothing here tells the networks of {} and {} apart: give gene sets.{fixed}",
                own.method, baseline.method
            ),
            (true, false) => format!(
                "On this data the network of {} is the more trustworthy: {because}{fixed}",
                own.method
            ),
            (false, true) => format!(
                "On this data {} is the more trustworthy network: {because}{fixed}",
                baseline.method
            ),
            (false, false) => {
                format!("Neither network is clearly the more trustworthy: {because}{fixed}")
            }
            (true, true) => format!("The evidence is divided: {because}{fixed}"),
        }
    }
}

/// The name of the network of gene vectors among methods.
pub(super) fn own_name(contextual: bool) -> &'static str {
    if contextual { "gene vectors in context" } else { "gene vectors" }
}

/// 1, 0 or −1: `a` is larger than `b`, about the same, or smaller.
fn compared(a: f64, b: f64, same: f64) -> i8 {
    i8::from(a > b + same) - i8::from(b > a + same)
}

/// A column of numbers.
pub(super) fn floats(values: impl Iterator<Item = f64>) -> Column {
    Column::Float(values.map(Some).collect())
}

/// A column of texts.
fn texts(values: impl Iterator<Item = String>) -> Column {
    Column::Text(values.map(Some).collect())
}

/// A column of whole numbers.
fn counts(values: impl Iterator<Item = usize>) -> Column {
    Column::Integer(values.map(|n| i64::try_from(n).ok()).collect())
}

/// A row for each gene of each programme, with the number of the programme, from 1, and the gene's
/// centrality within it.
pub(super) fn programme_table(genes: &[String], programmes: &[Programme]) -> Table {
    let rows = || {
        programmes.iter().enumerate().flat_map(|(number, it)| {
            it.genes
                .iter()
                .zip(&it.centrality)
                .map(move |(&gene, &central)| (number, gene, central))
        })
    };
    Table {
        columns: vec![
            ("programme".into(), counts(rows().map(|(number, ..)| number + 1))),
            ("gene".into(), texts(rows().map(|(_, gene, _)| genes[gene].clone()))),
            ("centrality".into(), floats(rows().map(|(.., central)| central))),
        ],
    }
}
