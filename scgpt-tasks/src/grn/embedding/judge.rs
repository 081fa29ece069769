//! Networks of gene vectors beside simpler ones, judged by known gene sets and by replicates.
//!
//! Each network goes the same way: weights of all pairs, the graph of the strongest, its
//! communities, and the gene sets found in these; and, of two halves of the cells, how many of the
//! strongest edges both have. Programmes of genes drawn at random are judged as well, to tell how
//! much of that is chance.

use scgpt_data::Observer;
use scgpt_eval::network::programmes;
use scgpt_eval::{
    baseline::Association,
    network::{
        Consistency, GeneNetwork, GenePairs, GeneSets, Programme, Replicated, strongest_edges,
        strongest_graph,
    },
};

use super::{
    EmbeddingNetworkOptions, EmbeddingNetworks, NetworkPathways, ReplicateScores,
    cells::{Known, OfCells},
    pathways,
    report::{CHANCE, FOUND},
    start::{self, Start},
};
use crate::{embed::Embedder, error::Result};

/// Strongest edges that replicates are compared by.
const TOP: usize = 1000;

/// Most genes for which partial correlations and trees are made, whose cost grows with the cube of
/// their number.
const MOST_FOR_ALL: usize = 2000;

/// Judges lists of genes and the weights of their pairs.
type JudgePathways<'a> = dyn Fn(&[Vec<String>], &GenePairs) -> Result<NetworkPathways> + 'a;

/// The network that is judged: what it is called, by which rule it was made, and the weights of two halves of the
/// cells, if it is of cells.
pub(super) struct Own {
    pub(super) name: String,
    pub(super) rule: Option<Association>,
    pub(super) halves: Option<[GenePairs; 2]>,
}

impl EmbeddingNetworks {
    /// Adds pathways and replicates of this network and of its baselines to the report.
    ///
    /// # Errors
    /// If a gene set file has no gene in common with the universe; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the
    /// observer says so.
    pub(super) fn judge(
        &mut self,
        of: &Known<'_>,
        own: &Own,
        of_cells: Option<&OfCells>,
        libraries: &[GeneSets],
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        observer.begin("looking up gene sets", 0);
        let known = of_cells.map(|it| it.known.as_slice());
        let background = options.universe.background(of.vocab, known, &self.genes);
        self.report.background = background.len();
        let genes = self.genes.clone();
        let pathways = |method: &str, lists: &[Vec<String>], weights: &GenePairs| {
            let universe = (&*genes, &background);
            NetworkPathways::new(method, lists, weights, universe, libraries, observer)
        };
        let lists = self.lists(&self.programmes);
        let (row, enriched) = pathways(&own.name, &lists, &self.similarities)?;
        self.report.pathways.push(row);
        self.enriched = enriched;
        if let Some(embedder) = of.model {
            self.judge_start(embedder, of_cells, options, observer, &|lists, weights| {
                Ok(pathways(start::METHOD, lists, weights)?.0)
            })?;
        }
        if let Some([one, other]) = &own.halves {
            let agree = match own.rule {
                Some(_) => Consistency::signed,
                None => Consistency::of,
            };
            let consistency = agree(one.values(), other.values(), top(genes.len()), observer)?;
            self.report.replicates.push(ReplicateScores { method: own.name.clone(), consistency });
        }
        let cells = of_cells.filter(|_| options.baselines);
        self.report.baseline_cells = cells.map_or(0, |it| it.sample.len());
        for rule in Association::ALL {
            let Some(of_cells) = cells else { break };
            let is_slow = matches!(rule, Association::Partial | Association::Trees);
            if is_slow && genes.len() > MOST_FOR_ALL || own.rule == Some(rule) {
                continue;
            }
            observer.check_cancelled()?;
            let method = rule.to_string();
            observer.begin(&format!("comparing with {method}"), 0);
            let seed = options.embed.seed;
            let OfCells { profiles, sample, .. } = of_cells;
            let baseline = Replicated::of(rule, profiles, sample, seed, observer)?;
            let weights = either_way(genes.len(), &baseline.whole);
            let strength = GenePairs::new(genes.len(), |i, j| weights.get(i, j).abs());
            let graph = strongest_graph(&strength, options.programmes.neighbours, observer)?;
            let found = programmes(&graph, &strength, &options.programmes, observer)?;
            self.report.pathways.push(pathways(&method, &self.lists(&found), &strength)?.0);
            let halves = baseline.halves.each_ref().map(|half| either_way(genes.len(), half));
            let [one, other] = [halves[0].values(), halves[1].values()];
            let consistency = Consistency::signed(one, other, top(genes.len()), observer)?;
            self.report.replicates.push(ReplicateScores { method, consistency });
            self.baselines.push((rule, baseline.whole));
        }
        let shuffled = pathways::shuffled(&lists, &genes, options.embed.seed);
        let chance = GenePairs::new(genes.len(), |_, _| 0.0);
        self.report.pathways.push(pathways(CHANCE, &shuffled, &chance)?.0);
        self.report.finish(&self.network, &self.programmes);
        Ok(())
    }

    /// Adds what vectors told before training to the report, if that is known.
    fn judge_start(
        &mut self,
        embedder: &Embedder,
        of_cells: Option<&OfCells>,
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
        pathways: &JudgePathways<'_>,
    ) -> Result<()> {
        let token = |gene: &String| embedder.vocab().token(gene);
        let Some(tokens) = self.genes.iter().map(token).collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let Some(vectors) = embedder.start_vectors(&tokens)? else { return Ok(()) };
        observer.begin("comparing with the start", 0);
        let strata = of_cells.map_or_else(|| vec![0; tokens.len()], |it| it.strata.clone());
        let start = Start::new(&vectors, self.d, &strata, options, FOUND, observer)?;
        let row = pathways(&self.lists(&start.programmes), &start.similarities)?;
        let top = top(self.genes.len());
        self.report.start = Some(start.beside(&self.similarities, top, row, observer)?);
        self.start = Some(start.weights());
        Ok(())
    }

    /// Names of the genes of programmes.
    fn lists(&self, programmes: &[Programme]) -> Vec<Vec<String>> {
        let name = |&gene: &usize| self.genes[gene].clone();
        programmes.iter().map(|it| it.genes.iter().map(name).collect()).collect()
    }

    /// The simpler networks that this one was compared with, that of its vectors before training among
    /// them, each with the name of its file and its `n` strongest edges, or all if `n` is 0. A
    /// similarity, which has no direction, is listed as two edges.
    pub fn baselines(&self, n: usize) -> impl Iterator<Item = (&'static str, GeneNetwork)> {
        let of_rules = self.baselines.iter().map(|(rule, weights)| (rule.name(), weights));
        self.start
            .iter()
            .map(|weights| (start::NAME, weights))
            .chain(of_rules)
            .map(move |(name, weights)| (name, strongest_edges(&self.genes, weights, n).0))
    }
}

/// For every pair of genes the larger absolute weight of both directions, from `[sources,
/// targets]`.
pub(super) fn either_way(n: usize, weights: &[f32]) -> GenePairs {
    GenePairs::new(n, |i, j| {
        let [there, back] = [weights[i * n + j], weights[j * n + i]];
        if there.abs() < back.abs() { back } else { there }
    })
}

/// Number of strongest edges to compare among `n` genes: for few genes a tenth of their pairs.
fn top(n: usize) -> usize {
    TOP.min((n * n.saturating_sub(1) / 20).max(1))
}
