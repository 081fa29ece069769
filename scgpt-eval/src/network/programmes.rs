//! [`Programme`]: genes that belong together.

use scgpt_data::{Observer, Result};
use scgpt_stats::{Graph, leiden};
use serde::{Deserialize, Serialize};

use super::pairs::GenePairs;

/// How programmes are found.
///
/// ```
/// use scgpt_eval::network::ProgrammeOptions;
///
/// // Few, large communities.
/// let mut options = ProgrammeOptions::default();
/// options.resolution = 0.5;
/// assert_eq!((options.neighbours, options.least_genes), (15, 5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgrammeOptions {
    /// Genes of a neighbourhood, the gene itself included, as scanpy counts.
    pub neighbours: usize,
    /// Resolution of the communities: the higher it is, the more and the smaller they are. The
    /// reference's 40 leaves programmes of a handful of genes, in which no pathway can be
    /// recognised.
    pub resolution: f64,
    /// Fewest genes that make a community a programme.
    pub least_genes: usize,
    /// Seed of the order in which genes are visited.
    pub seed: u64,
}

impl Default for ProgrammeOptions {
    fn default() -> Self {
        Self { neighbours: 15, resolution: 2.0, least_genes: 5, seed: 0 }
    }
}

/// A community of genes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Programme {
    /// Numbers of its genes, the most central first.
    pub genes: Vec<usize>,
    /// The mean similarity of each gene with the others.
    pub centrality: Vec<f64>,
    /// The mean similarity of all of them.
    pub strength: f64,
}

/// The communities of `graph` that have enough genes, the largest first. How central a gene is
/// within its community follows from `similarities`.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If graph and similarities are of different genes.
///
/// # Reference
/// `GeneEmbedding.get_metagenes` on `scanpy.tl.leiden`. Differs: see [`leiden`].
pub fn programmes(
    graph: &Graph,
    similarities: &GenePairs,
    options: &ProgrammeOptions,
    observer: &dyn Observer,
) -> Result<Vec<Programme>> {
    assert_eq!(graph.len(), similarities.n(), "the same genes");
    let communities = leiden(graph, options.resolution, options.seed, observer)?;
    let mut members = vec![Vec::new(); communities.iter().max().map_or(0, |last| last + 1)];
    for (gene, &community) in communities.iter().enumerate() {
        members[community].push(gene);
    }
    members.retain(|genes| genes.len() >= options.least_genes.max(2));
    let programme = |genes: Vec<usize>| {
        observer.check_cancelled()?;
        let central = |&gene: &usize| {
            let others = genes.iter().filter(|&&other| other != gene);
            let sum: f64 = others.map(|&other| f64::from(similarities.get(gene, other))).sum();
            (sum / (genes.len() - 1) as f64, gene)
        };
        let mut ranked: Vec<(f64, usize)> = genes.iter().map(central).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (centrality, genes): (Vec<f64>, Vec<usize>) = ranked.into_iter().unzip();
        let strength = centrality.iter().sum::<f64>() / genes.len() as f64;
        Ok(Programme { genes, centrality, strength })
    };
    members.into_iter().map(programme).collect()
}

/// The graph in which two genes are joined if one is among the `k` strongest of the other.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// The co-expression baseline of the reference (`examples/GSEA_for_grn`).
pub fn strongest_graph(weights: &GenePairs, k: usize, observer: &dyn Observer) -> Result<Graph> {
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for gene in 0..weights.n() {
        observer.check_cancelled()?;
        let found = weights.strongest(gene, k).into_iter().filter(|&(_, w)| w > 0.0);
        edges.extend(found.map(|(other, _)| (gene.min(other), gene.max(other))));
    }
    edges.sort_unstable();
    edges.dedup();
    let weighted = edges.into_iter().map(|(a, b)| (a, b, f64::from(weights.get(a, b))));
    Ok(Graph::from_edges(weights.n(), weighted))
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn planted_groups_are_found_with_their_centres() {
        // Three groups of 6, 5 and 3 genes; gene 2 is the most similar to the others of its own.
        let group = |gene: usize| usize::from(gene > 5) + usize::from(gene > 10);
        let weights = GenePairs::new(14, |i, j| match group(i) == group(j) {
            true if i == 2 || j == 2 => 0.95,
            true => 0.8,
            false => 0.05,
        });
        let graph = strongest_graph(&weights, 4, &Silent).unwrap();
        let options = ProgrammeOptions { resolution: 1.0, ..ProgrammeOptions::default() };
        let found = programmes(&graph, &weights, &options, &Silent).unwrap();
        assert_eq!(found.len(), 2, "three genes are too few: {found:?}");
        assert_eq!((found[0].genes.len(), found[0].genes[0], found[1].genes.len()), (6, 2, 5));
        assert!((found[1].strength - 0.8).abs() < 1e-6);
        assert!((found[0].centrality[0] - 0.95).abs() < 1e-6);
    }
}
