//! [`EmbeddingNetworks`]: networks and programmes of genes from their vectors.
//!
//! A gene goes this way. Its name becomes a token: with cells through [`OfCells`], which also
//! chooses the variable genes, otherwise through the vocabulary alone. The token becomes a vector
//! of width `d`: its row of the model's table, or, in context, the mean of its states in the cells
//! that express it. The cosines of all pairs make three results: the edges that reach a threshold,
//! each with the probability of such a similarity by chance; the graph of the nearest neighbours;
//! and the communities of that graph, the programmes. Last, programmes and weights are compared
//! with gene sets, with halves of the cells, and with networks from expression alone.
//!
//! Chance is a [`Cloud`] of the same shape, in which genes of similar mean expression exchange
//! their places along each principal axis. It is needed because vectors of genes do not point
//! everywhere alike: in some directions they crowd, and a plain threshold takes that for
//! similarity. Vectors in context crowd most, since each state holds much of the whole cell;
//! therefore their mean is subtracted.
//!
//! Time and memory grow with the square of the number of genes, at most 10 000; cells are read
//! block by block, never held.

mod cells;
mod expression;
mod judge;
mod options;
mod page;
mod pathways;
mod report;
mod start;
mod universe;
mod varm;

use scgpt_data::{
    Advice, CellSource, GeneToken, Observer, Setting, Table, similar_names, unknown_gene,
};
use scgpt_eval::{
    baseline::Association,
    network::{
        Cloud, Edge, EdgeKind, Enriched, GeneNetwork, GenePairs, GeneSets, Programme,
        ProgrammeScores, ProgrammeScoring, Significance, centred, programmes,
    },
};
use scgpt_stats::{Graph, Neighbours, unit_rows};

use self::{
    cells::{Known, OfCells},
    judge::Own,
    report::own_name,
};
pub use self::{
    options::EmbeddingNetworkOptions,
    pathways::NetworkPathways,
    report::{EmbeddingReport, ReplicateScores},
    start::StartNetwork,
    universe::Universe,
};
use super::method::NetworkMethod;
use crate::{
    embed::{Embedder, vector_table},
    error::{Error, Result},
    usage::Usage,
};

/// Most genes that are compared with each other: their number squared is held in memory.
const MOST_GENES: usize = 10_000;
/// Most edges of a network.
const MOST_EDGES: usize = 5_000_000;
/// Number of edges that a suggested threshold would give.
const SUGGESTED_EDGES: usize = 1000;

/// Networks and programmes of genes, and the evidence for and against them.
#[derive(Debug)]
#[non_exhaustive]
pub struct EmbeddingNetworks {
    /// Names of the genes.
    pub genes: Vec<String>,
    /// Width of a vector.
    pub d: usize,
    /// Their vectors, `[genes, d]`.
    pub vectors: Vec<f32>,
    /// Vectors of the genes in each cell type, by its name; NaN for a gene that no cell of it has.
    pub of_types: Vec<(String, Vec<f32>)>,
    /// Edges between genes whose similarity reaches the threshold, with `p` and `fdr` under the
    /// null.
    pub network: GeneNetwork,
    /// The network of each cell type, by its name; empty unless types were asked for.
    pub type_networks: Vec<(String, GeneNetwork)>,
    /// Edges between every gene and its nearest neighbours.
    pub neighbours: GeneNetwork,
    /// Programmes: communities of genes in the network of neighbours.
    pub programmes: Vec<Programme>,
    /// Scores of programmes in cells.
    pub scores: Option<ProgrammeScores>,
    /// Gene sets of programmes, by library.
    pub enriched: Vec<Enriched>,
    /// The genes asked for, each with its most similar genes and their cosines.
    pub similar: Vec<(String, Vec<(String, f32)>)>,
    /// Column of every gene in the matrix of the cells; `None` without cells.
    pub columns: Option<Vec<usize>>,
    /// How large the networks are, how far to trust them, and how they came about.
    pub report: EmbeddingReport,
    /// Cosines of all pairs of vectors, whose mean was subtracted if `is_centred` says so.
    similarities: GenePairs,
    is_centred: bool,
    /// Networks from expression alone and their weights, `[sources, targets]`, row-major.
    baselines: Vec<(Association, Vec<f32>)>,
    /// The same of the vectors before training, if they are known.
    start: Option<Vec<f32>>,
}

impl EmbeddingNetworks {
    /// Compares the vectors of genes: a network at a threshold, one of neighbours, programmes and
    /// their gene sets. With cells there are also the choice of variable genes, vectors in context,
    /// scores of programmes, replicates, and networks from expression alone as baselines.
    ///
    /// # Errors
    /// If a gene is unknown (similar names are suggested), no edge reaches the threshold (one that
    /// gives edges is named), a gene set file has no gene in common with the data, or cells cannot
    /// be read.
    ///
    /// # Reference
    /// `Tutorial_GRN.ipynb` and `scgpt/tasks/grn.py`, `GeneEmbedding`. Differs: enrichment is
    /// offline; similarities have a null; replicates and baselines are compared with; from vectors
    /// in context, unless `centre` says no, the mean of the genes is subtracted, and neighbours are
    /// those of the largest cosine, where the reference has the nearest vectors.
    pub fn new(
        embedder: &Embedder,
        mut source: Option<&mut dyn CellSource>,
        libraries: &[GeneSets],
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        options.check(source.is_some())?;
        if options.method != NetworkMethod::Network {
            let problem = format!("is `{}`, which is no network of vectors", options.method.name());
            return Err(Setting("method").wrong(problem).into());
        }
        let known = Known { model: Some(embedder), vocab: embedder.vocab() };
        if options.contextual {
            embedder.check(Usage::States)?;
        }
        let of_cells = match &mut source {
            Some(source) => Some(OfCells::new(&known, *source, options, observer)?),
            None => None,
        };
        let (tokens, genes) = match &of_cells {
            Some(of_cells) => (of_cells.tokens.clone(), of_cells.genes.clone()),
            None => of_vocabulary(embedder, options)?,
        };
        let queries = numbers(&options.queries, &genes)?;
        let d = embedder.encoder().d_model();
        let table = embedder.gene_vectors(&tokens);
        let vectors = match of_cells.as_ref().and_then(|it| it.context.as_ref()) {
            Some(context) => context.vectors.clone(),
            None => table,
        };

        observer.begin("comparing genes", 0);
        let is_centred = options.centre.unwrap_or(options.contextual);
        let compared = compared(&vectors, d, is_centred);
        let similarities = GenePairs::cosines(&compared, d, observer)?;
        let strata = of_cells.as_ref().map_or_else(|| vec![0; genes.len()], |it| it.strata.clone());
        let cloud = Cloud::new(&compared, d, &strata, observer)?;
        let seed = options.embed.seed;
        let shuffled = |round| cloud.shuffled(seed, round, observer);
        let significance = Significance::new(&similarities, shuffled, &strata, observer)?;
        let network =
            at_threshold(&genes, [&similarities; 2], options.least_cosine(), Some(&significance))?;
        let found = Neighbours::new(&compared, d, options.programmes.neighbours - 1, observer)?;
        let neighbours = neighbour_network(
            &genes,
            &similarities,
            found.cells().map(|nearest| nearest.iter().map(|&(_, other)| other).collect()),
        );
        let programmes = programmes(
            &Graph::fuzzy(&found, observer)?,
            &similarities,
            &options.programmes,
            observer,
        )?;

        let of_types = of_cells.as_ref().and_then(|it| it.context.as_ref());
        let of_types = of_types.map(|context| context.of_types.clone()).unwrap_or_default();
        let type_network = |(name, vectors): &(String, Vec<f32>)| {
            let pairs = cosines(vectors, d, is_centred, observer)?;
            // A type in which no pair is that similar has an empty network; the file says so.
            let network = at_threshold(&genes, [&pairs; 2], options.least_cosine(), None);
            let network = network.unwrap_or_else(|_| {
                GeneNetwork::new(genes.clone(), Vec::new(), EdgeKind::Undirected)
            });
            Ok((name.clone(), network))
        };
        let type_networks = of_types.iter().map(type_network).collect::<Result<_>>()?;

        let mut judged = Self {
            d,
            of_types,
            network,
            type_networks,
            neighbours,
            similar: similar(&queries, options.n_similar, &genes, &similarities),
            columns: of_cells.as_ref().map(|it| it.columns.clone()),
            report: EmbeddingReport::new(
                Some(embedder),
                options,
                &similarities,
                Some(&significance),
            ),
            scores: None,
            enriched: Vec::new(),
            genes,
            vectors,
            programmes,
            similarities,
            is_centred,
            baselines: Vec::new(),
            start: None,
        };
        let context = of_cells.as_ref().and_then(|it| it.context.as_ref());
        let halves = match context.map(|context| &context.halves) {
            Some([one, other]) => {
                Some([judged.cosines(one, observer)?, judged.cosines(other, observer)?])
            }
            None => None,
        };
        let own = Own { name: own_name(options.contextual).into(), rule: None, halves };
        judged.judge(&known, &own, of_cells.as_ref(), libraries, options, observer)?;
        if let (Some(source), Some(of_cells)) = (source, of_cells) {
            judged.score_cells(source, of_cells, options, observer)?;
        }
        Ok(judged)
    }

    /// Scores the programmes in all cells, and counts the cells of which nothing can be said.
    fn score_cells(
        &mut self,
        source: &mut dyn CellSource,
        mut of_cells: OfCells,
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        // A sample was read so far, if the genes were named; programmes are of all cells.
        let mut empty = std::mem::take(&mut of_cells.empty);
        let mut sought = empty.among(source, &options.embed.layer);
        self.score(&mut sought, &of_cells, options, observer)?;
        drop(sought);
        self.report.without_genes = empty.len();
        Ok(())
    }

    /// Cosines of other vectors of the same genes, computed as those of the network are.
    fn cosines(&self, vectors: &[f32], observer: &dyn Observer) -> scgpt_data::Result<GenePairs> {
        cosines(vectors, self.d, self.is_centred, observer)
    }

    /// Scores of the programmes in all cells, by the genes' logged expression; nothing without
    /// programmes.
    fn score(
        &mut self,
        source: &mut dyn CellSource,
        of_cells: &OfCells,
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        if self.programmes.is_empty() {
            return Ok(());
        }
        let column = |&gene: &usize| of_cells.columns[gene];
        let programmes: Vec<Vec<usize>> =
            self.programmes.iter().map(|it| it.genes.iter().map(column).collect()).collect();
        let how = ProgrammeScoring {
            labels: of_cells.labels.as_ref(),
            temporary: options.embed.temporary.as_deref(),
            seed: options.embed.seed,
        };
        let scores = ProgrammeScores::new(source, &of_cells.logged, &programmes, &how, observer)?;
        self.scores = Some(scores);
        Ok(())
    }

    /// The programmes as a table: `programme`, `gene`, `centrality`.
    pub fn programme_table(&self) -> Table {
        report::programme_table(&self.genes, &self.programmes)
    }

    /// The enriched gene sets as a table: a row for each `programme`, by its number from 1, and
    /// each set found in it.
    pub fn enrichment_table(&self) -> Table {
        let names: Vec<String> = (1..=self.programmes.len()).map(|n| n.to_string()).collect();
        Enriched::table(&self.enriched, "programme", &names)
    }

    /// The vectors as a table: `gene`, then a column a dimension.
    pub fn vector_table(&self) -> Table {
        vector_table(&self.genes, &self.vectors, self.d)
    }
}

/// Vectors as they are compared, `[genes, d]`: as they are, or without their mean and of unit length.
fn compared(vectors: &[f32], d: usize, is_centred: bool) -> Vec<f32> {
    if is_centred { unit_rows(&centred(vectors, d), d) } else { vectors.to_vec() }
}

/// Cosines of all pairs of vectors, `[genes, d]`; with `is_centred` their mean is subtracted first.
fn cosines(
    vectors: &[f32],
    d: usize,
    is_centred: bool,
    observer: &dyn Observer,
) -> scgpt_data::Result<GenePairs> {
    if is_centred {
        GenePairs::cosines(&centred(vectors, d), d, observer)
    } else {
        GenePairs::cosines(vectors, d, observer)
    }
}

/// The tokens and names of the network's genes if there are no cells: those that are named, or all
/// of the model.
fn of_vocabulary(
    embedder: &Embedder,
    options: &EmbeddingNetworkOptions,
) -> Result<(Vec<GeneToken>, Vec<String>)> {
    let vocab = embedder.vocab();
    let genes: Vec<String> = if let Some(genes) = &options.genes {
        genes.clone()
    } else {
        let is_gene = |name: &&str| vocab.token(name).is_some_and(|it| !vocab.is_special(it));
        vocab.names().filter(is_gene).map(String::from).collect()
    };
    let token = |gene: &String| {
        let token = vocab.token(gene).filter(|&token| !vocab.is_special(token));
        token.ok_or_else(|| unknown_gene(gene, vocab))
    };
    let tokens = genes.iter().map(token).collect::<scgpt_data::Result<Vec<GeneToken>>>()?;
    enough(genes.len())?;
    Ok((tokens, genes))
}

/// Checks that there are neither too few genes nor too many to compare.
fn enough(n: usize) -> Result<()> {
    match n {
        0..3 => Err(Error::option(format!("{n} genes are no network, expected at least 3"))),
        n if n > MOST_GENES => Err(Error::unsuited(
            format!("{n} genes are too many to compare with each other (at most {MOST_GENES})"),
            Advice::from("choose some by ")
                + Setting("genes")
                + ", or give cells ("
                + Setting("data")
                + ") and "
                + Setting("hvg"),
        )),
        _ => Ok(()),
    }
}

/// The places of genes in the network, by name; similar names are suggested for one that is not
/// there.
fn numbers(queries: &[String], genes: &[String]) -> Result<Vec<usize>> {
    let number = |query: &String| {
        genes.iter().position(|gene| gene == query).ok_or_else(|| {
            let hint = similar_names(query, genes.iter().map(String::as_str)).hint();
            let n = genes.len();
            Error::option(format!("gene `{query}` is not among the {n} genes of the network{hint}"))
        })
    };
    queries.iter().map(number).collect()
}

/// The network of the pairs whose strength reaches the threshold, the strongest first, with `p` and `fdr` if
/// their significance is known. Of cosines, weights and strengths are the same.
///
/// # Errors
/// If there is no such edge, in which case the message names the largest similarity and a threshold
/// that gives about a thousand edges, or there are more than can be kept.
fn at_threshold(
    genes: &[String],
    [pairs, strength]: [&GenePairs; 2],
    threshold: f64,
    significance: Option<&Significance>,
) -> Result<GeneNetwork> {
    let reach = |value: f32| f64::from(value) >= threshold;
    let mut found: Vec<(usize, f32, Edge)> = pairs
        .iter()
        .zip(strength.values())
        .enumerate()
        .filter(|(_, (_, strength))| reach(**strength))
        .map(|(pair, ((source, target, value), &strength))| {
            (pair, strength, Edge { source, target, weight: f64::from(value) })
        })
        .collect();
    if found.is_empty() {
        let mut values: Vec<f32> =
            strength.values().iter().copied().filter(|value| !value.is_nan()).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        let (Some(largest), Some(lower)) =
            (values.first(), values.get(SUGGESTED_EDGES.min(values.len()).saturating_sub(1)))
        else {
            return Err(Error::option("no gene has a vector"));
        };
        // Rounded down, so that what is promised is there.
        let lower = (f64::from(*lower) * 1000.0).floor() / 1000.0;
        let n = values.iter().filter(|&&value| f64::from(value) >= lower).count();
        return Err(Error::unsuited(
            format!(
                "no two genes have a similarity of {threshold} or more, the largest is {largest:.3}"
            ),
            Advice::from(Setting("threshold")) + format!(" {lower:.3} gives {n} edges"),
        ));
    }
    if found.len() > MOST_EDGES {
        let n = found.len();
        return Err(Error::unsuited(
            format!(
                "{n} pairs of genes have a similarity of {threshold} or more, at most {MOST_EDGES} edges are kept"
            ),
            Advice::from("choose a higher ") + Setting("threshold"),
        ));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let (places, edges): (Vec<usize>, Vec<Edge>) =
        found.into_iter().map(|(pair, _, edge)| (pair, edge)).unzip();
    let network = GeneNetwork::new(genes.to_vec(), edges, EdgeKind::Undirected);
    Ok(match significance {
        None => network,
        Some(it) => network
            .with_column("p", report::floats(places.iter().map(|&pair| it.p[pair])))
            .with_column("fdr", report::floats(places.iter().map(|&pair| it.q[pair]))),
    })
}

/// The network of every gene and its nearest, each pair once: an edge where either is among the
/// nearest of the other.
fn neighbour_network(
    genes: &[String],
    pairs: &GenePairs,
    nearest: impl Iterator<Item = Vec<usize>>,
) -> GeneNetwork {
    let mut ends: Vec<(usize, usize)> = nearest
        .enumerate()
        .flat_map(|(gene, nearest)| {
            nearest.into_iter().map(move |other| (gene.min(other), gene.max(other)))
        })
        .collect();
    ends.sort_unstable();
    ends.dedup();
    let edge = |(source, target): (usize, usize)| Edge {
        source,
        target,
        weight: f64::from(pairs.get(source, target)),
    };
    GeneNetwork::new(genes.to_vec(), ends.into_iter().map(edge).collect(), EdgeKind::Undirected)
}

/// For each gene asked for the `n` most similar ones with their cosines, by name.
fn similar(
    queries: &[usize],
    n: usize,
    genes: &[String],
    pairs: &GenePairs,
) -> Vec<(String, Vec<(String, f32)>)> {
    let name = |(gene, value): (usize, f32)| (genes[gene].clone(), value);
    let list = |&query: &usize| {
        let found = pairs.strongest(query, n).into_iter().map(name).collect();
        (genes[query].clone(), found)
    };
    queries.iter().map(list).collect()
}
