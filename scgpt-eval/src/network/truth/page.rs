//! The page about a network that was judged: how good it is, and which of its strongest edges are true.

use std::collections::BTreeMap;

use scgpt_report::{Bar, Cluster, Page, Scale, Series};

use super::{JudgedEdge, NetworkEvaluation, SCORES, TruthReport, scores_row};

/// Regulators that are drawn, and targets of each; edges that are listed.
const REGULATORS: usize = 6;
const TARGETS: usize = 8;
const LISTED: usize = 40;

impl NetworkEvaluation {
    /// The evaluation as a page: verdict, scores beside those of random edges, precision by rank, and the
    /// strongest edges.
    pub fn page(&self, file: &str) -> Page {
        let mut page = Page::new("A gene network against known regulations", file);
        let TruthReport { edges, regulators, genes, candidates } = self.truth;
        page.text(&self.verdict()).numbers(&[
            ("true edges", edges.to_string()),
            ("regulators", regulators.to_string()),
            ("genes of both", genes.to_string()),
            ("genes of the network", self.genes_of_network.to_string()),
            ("genes of the truth", self.genes_of_truth.to_string()),
            ("candidates", candidates.to_string()),
            ("candidates listed", self.listed.to_string()),
        ]);
        let mut rows = vec![scores_row("as listed", &self.scores)];
        rows.extend(self.reversed.as_ref().map(|scores| scores_row("turned round", scores)));
        page.section("Scores").columns(&SCORES, &rows);
        let bar = |(name, value): (&str, f64)| Bar {
            name: name.into(),
            value,
            label: format!("{value:.2} times"),
        };
        let mut bars = vec![
            ("random edges", 1.0),
            ("AUPRC", self.scores.auprc_ratio),
            ("early precision", self.scores.early_precision_ratio),
        ];
        bars.extend(self.reversed.map(|turned| ("AUPRC, turned round", turned.auprc_ratio)));
        let bars: Vec<Bar> = bars.into_iter().map(bar).collect();
        page.bars(&bars, "Precision as a multiple of that of random edges.");
        if let Some(share) = self.sign_accuracy {
            page.table(&[("signs that are right", format!("{:.1} %", 100.0 * share))]);
        }
        page.text(
            "Candidates are pairs of a gene that regulates any other in the truth and another gene of it, of the \
             genes that network and truth have in common. They are ranked by the size of their weight; those that \
             are not listed come last. AUPRC and early precision (of as many edges as are true) are also given as \
             multiples of what random edges have; F1 is the largest over all thresholds.",
        );
        self.ranked(&mut page, edges as f64 / candidates.max(1) as f64);
        page
    }

    /// Adds precision by rank, the regulators of the strongest edges, and these one by one.
    fn ranked(&self, page: &mut Page, of_random: f64) {
        let (Some(first), Some(last)) = (self.precision.first(), self.precision.last()) else {
            return;
        };
        let random = vec![[first[0], of_random], [last[0], of_random]];
        let series = [("the network", self.precision.clone()), ("random edges", random)]
            .map(|(name, points)| Series { name: name.into(), points });
        page.section("Strongest edges").lines(
            &series,
            ["number of edges, the strongest first", "share of true ones"],
            Scale::Linear,
            "Precision of the first edges.",
        );
        let mut regulators: BTreeMap<&str, Vec<&JudgedEdge>> = BTreeMap::new();
        for edge in &self.strongest {
            regulators.entry(&edge.source).or_default().push(edge);
        }
        let mut regulators: Vec<(&str, Vec<&JudgedEdge>)> = regulators.into_iter().collect();
        regulators.sort_by_key(|(name, edges)| (std::cmp::Reverse(edges.len()), *name));
        let most = self.strongest[0].weight.abs().max(f64::MIN_POSITIVE);
        let cluster = |(name, edges): &(&str, Vec<&JudgedEdge>)| {
            let right = edges.iter().filter(|edge| edge.is_true).count();
            let shown = &edges[..edges.len().min(TARGETS)];
            let target = |edge: &&JudgedEdge| {
                format!("{}{}", edge.target, if edge.is_true { " \u{2713}" } else { "" })
            };
            Cluster {
                title: format!("{name}: {right} of {} true", edges.len()),
                nodes: [(*name).to_owned()].into_iter().chain(shown.iter().map(target)).collect(),
                edges: (1..).zip(shown).map(|(at, it)| (0, at, it.weight.abs() / most)).collect(),
            }
        };
        let clusters: Vec<Cluster> = regulators.iter().take(REGULATORS).map(cluster).collect();
        let caption = format!(
            "Regulators with most of the {} strongest edges, and their targets, true ones with a mark.",
            self.strongest.len()
        );
        page.network(&clusters, &[], &caption);
        let row = |edge: &JudgedEdge| {
            let is_true = if edge.is_true { "yes" } else { "no" };
            let weight = format!("{:.4}", edge.weight);
            vec![edge.source.clone(), edge.target.clone(), weight, is_true.into()]
        };
        let rows: Vec<Vec<String>> = self.strongest.iter().take(LISTED).map(row).collect();
        page.columns(&["regulator", "target", "weight", "true"], &rows);
    }
}
