//! [`StartNetwork`]: what the vectors of genes told before training, to see what training has added.
//!
//! A network that begins with the co-expression of its training cells has similar vectors for genes that
//! vary together before its first step. What its trained vectors tell is its own only as far as
//! it differs from that.

use std::fmt::Write;

use scgpt_data::{Observer, Result};
use scgpt_eval::network::{Cloud, Consistency, GenePairs, Programme, Significance, programmes};
use scgpt_stats::{Graph, Neighbours};
use serde::{Deserialize, Serialize};

use super::{EmbeddingNetworkOptions, NetworkPathways, cosines};

/// The name of the start among methods, and of its file of edges.
pub(super) const METHOD: &str = "gene vectors before training";
pub(super) const NAME: &str = "gene_embeddings_before_training";

/// The network of the vectors that a model began with, made and judged as that of the trained ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartNetwork {
    /// Number of edges at the same threshold.
    pub edges: usize,
    /// Number of pairs at a false-discovery rate of 5 % under the null.
    pub pairs_beyond_chance: usize,
    /// Its programmes, and how many gene sets they find.
    pub pathways: NetworkPathways,
    /// How far the strongest edges of the trained vectors are those of the start; `None` if there are
    /// too few.
    pub kept: Option<Consistency>,
}

/// The similarities of vectors before training, and the programmes they make.
pub(super) struct Start {
    pub(super) similarities: GenePairs,
    pub(super) programmes: Vec<Programme>,
    edges: usize,
    pairs_beyond_chance: usize,
}

impl Start {
    /// Compares `vectors`, `[genes, d]`, as those of the table are compared, whatever trained ones are:
    /// before training nothing was seen in context.
    pub(super) fn new(
        vectors: &[f32],
        d: usize,
        strata: &[usize],
        options: &EmbeddingNetworkOptions,
        found: f64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let is_centred = options.centre.unwrap_or(false);
        let similarities = cosines(vectors, d, is_centred, observer)?;
        let compared = super::compared(vectors, d, is_centred);
        let cloud = Cloud::new(&compared, d, strata, observer)?;
        let seed = options.embed.seed;
        let shuffled = |round| cloud.shuffled(seed, round, observer);
        let significance = Significance::new(&similarities, shuffled, strata, observer)?;
        let neighbours =
            Neighbours::new(&compared, d, options.programmes.neighbours - 1, observer)?;
        let graph = Graph::fuzzy(&neighbours, observer)?;
        let programmes = programmes(&graph, &similarities, &options.programmes, observer)?;
        let is_edge = |&&x: &&f32| f64::from(x) >= options.least_cosine();
        Ok(Self {
            edges: similarities.values().iter().filter(is_edge).count(),
            pairs_beyond_chance: significance.q.iter().filter(|&&q| q < found).count(),
            similarities,
            programmes,
        })
    }

    /// What is told of it beside the `trained` similarities, of which the `top` strongest are compared.
    pub(super) fn beside(
        &self,
        trained: &GenePairs,
        top: usize,
        pathways: NetworkPathways,
        observer: &dyn Observer,
    ) -> Result<StartNetwork> {
        Ok(StartNetwork {
            edges: self.edges,
            pairs_beyond_chance: self.pairs_beyond_chance,
            pathways,
            kept: Consistency::of(self.similarities.values(), trained.values(), top, observer)?,
        })
    }

    /// The similarities of all pairs, `[genes, genes]`, row-major; no gene is similar to itself.
    pub(super) fn weights(&self) -> Vec<f32> {
        let n = self.similarities.n();
        let weight = |place: usize| {
            let (a, b) = (place / n, place % n);
            if a == b { 0.0 } else { self.similarities.get(a, b) }
        };
        (0..n * n).map(weight).collect()
    }
}

impl StartNetwork {
    /// How much of the trained network was there before, for people.
    pub fn line(&self) -> String {
        let mut line =
            format!("{} edges, {} pairs beyond chance", self.edges, self.pairs_beyond_chance);
        if let Some(kept) = &self.kept {
            let _ = write!(
                line,
                "; the {} strongest edges have {:.0} % in common with those after it (Spearman {:.2})",
                kept.top,
                100.0 * kept.jaccard,
                kept.spearman
            );
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn edges_of_the_start_are_counted_and_compared_with_those_of_now() {
        // Two pairs of genes that point the same way, and one that points elsewhere.
        let vectors =
            [[1.0, 0.1, 0.0], [1.0, 0.0, 0.1], [0.0, 1.0, 0.1], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let vectors: Vec<f32> = vectors.concat();
        let mut options = EmbeddingNetworkOptions { threshold: Some(0.5), ..Default::default() };
        options.programmes.neighbours = 3;
        let start = Start::new(&vectors, 3, &[0; 5], &options, 0.05, &Silent).unwrap();
        assert_eq!(start.edges, 2);
        let weights = start.weights();
        assert!(weights[1] > 0.9 && weights[2] < 0.2 && weights[0] == 0.0);
        let pathways = NetworkPathways {
            method: METHOD.into(),
            programmes: 0,
            genes: 0,
            with_set: 0,
            sets: 0,
            sets_bonferroni: 0,
            pairs: None,
        };
        let same = start.beside(&start.similarities, 2, pathways, &Silent).unwrap();
        assert!(same.kept.is_some_and(|kept| kept.jaccard > 0.999 && kept.spearman > 0.999));
        assert!(same.line().starts_with("2 edges") && same.line().contains("100 % in common"));
    }
}
