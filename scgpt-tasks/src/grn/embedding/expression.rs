//! Networks of a simple method in place of gene vectors: the same genes, programmes and gene sets, by expression alone
//! and without a model.

use scgpt_data::{Advice, CellSource, GeneVocab, Observer, Setting};
use scgpt_eval::network::{GenePairs, GeneSets, Replicated, programmes, strongest_graph};

use super::{
    EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, NetworkMethod, SUGGESTED_EDGES,
    at_threshold,
    cells::{Known, OfCells},
    judge::{Own, either_way},
    neighbour_network, numbers, similar,
};
use crate::{
    embed::Embedder,
    error::{Error, Result},
};

impl EmbeddingNetworks {
    /// The network by the method of the options: of vectors of a model ([`new`](Self::new)), of a simple method
    /// ([`of_expression`](Self::of_expression)), or the best of all, by how well weights tell genes that share a set of
    /// `libraries` from others. For the best every network is made, and the one that is chosen twice.
    ///
    /// # Errors
    /// If a model or cells are needed and not there, or there is nothing to choose the best by; as these otherwise.
    pub fn by(
        embedder: Option<&Embedder>,
        source: Option<&mut dyn CellSource>,
        libraries: &[GeneSets],
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let wrong = |problem: Advice| Err(Setting("method").wrong(problem).into());
        let no_cells = || Setting("data").wrong("is needed: expression is of cells");
        match (options.method, embedder) {
            (NetworkMethod::Network, Some(model)) => {
                Self::new(model, source, libraries, options, observer)
            }
            (NetworkMethod::Network, None) => wrong("is `network`, which needs a model".into()),
            (NetworkMethod::Best, _) => {
                if libraries.is_empty() || !options.baselines {
                    return wrong(
                        "is `best`, which needs known gene sets and simple methods".into(),
                    );
                }
                let source = source.ok_or_else(no_cells)?;
                let first = match embedder {
                    Some(_) => NetworkMethod::Network,
                    None => NetworkMethod::Pearson,
                };
                let options = EmbeddingNetworkOptions { method: first, ..options.clone() };
                Self::best(embedder, source, libraries, &options, observer)
            }
            // Nobody asked for the others.
            _ => {
                let alone = EmbeddingNetworkOptions { baselines: false, ..options.clone() };
                Self::of_expression(source.ok_or_else(no_cells)?, libraries, &alone, observer)
            }
        }
    }

    /// The best network, of which that of the options is one.
    fn best(
        embedder: Option<&Embedder>,
        source: &mut dyn CellSource,
        libraries: &[GeneSets],
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut first = match embedder {
            Some(model) => Self::new(model, Some(&mut *source), libraries, options, observer)?,
            None => Self::of_expression(&mut *source, libraries, options, observer)?,
        };
        let Some((method, [best, own])) = first.report.best_by_sets() else {
            let problem = "the best method cannot be chosen: no two genes of the network share a set of the gene sets";
            return Err(Error::unsuited(problem, Advice::from("give others by ") + Setting("gmt")));
        };
        let because = |better: f64, other: f64, name: &str| {
            format!(
                "area under the curve of pairs within a pathway {better:.3} against {other:.3} of `{name}`"
            )
        };
        if own >= best {
            first.report.because = Some(because(own, best, method.name()));
            return Ok(first);
        }
        let of_first = first.report.pathways.swap_remove(0);
        let name = options.method.name();
        let options = EmbeddingNetworkOptions { method, contextual: false, ..options.clone() };
        let mut chosen = Self::of_expression(source, libraries, &options, observer)?;
        chosen.report.because = Some(because(best, own, name));
        if embedder.is_some() {
            chosen.report.pathways.insert(1, of_first);
        }
        Ok(chosen)
    }

    /// The network of the simple method of the options, in the form of one of gene vectors, but without vectors and
    /// without a null. An edge is a pair of genes whose weight, whatever its sign, reaches the threshold or, if
    /// there is none, is among the thousand strongest; all genes of the data are known.
    ///
    /// # Errors
    /// If the method is none of expression, or options ask for what is of vectors alone; as
    /// [`new`](Self::new) otherwise.
    pub fn of_expression(
        source: &mut dyn CellSource,
        libraries: &[GeneSets],
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let Some(rule) = options.method.rule() else {
            let problem =
                format!("is `{}`, which is no method of expression", options.method.name());
            return Err(Setting("method").wrong(problem).into());
        };
        options.check(true)?;
        if options.contextual {
            let problem =
                Advice::from("is of vectors, which a simple method has none of: leave it out, or ")
                    + Setting("method");
            return Err(Setting("contextual").wrong(problem).into());
        }
        let layer = &options.embed.layer;
        let vocab = GeneVocab::from_genes([&source.var(layer)?], &options.embed.gene_names)?;
        let known = Known { model: None, vocab: &vocab };
        let of_cells = OfCells::new(&known, source, options, observer)?;
        let genes = of_cells.genes.clone();
        let queries = numbers(&options.queries, &genes)?;
        let n = genes.len();
        observer.begin(&format!("computing {rule}"), 0);
        let seed = options.embed.seed;
        let found = Replicated::of(rule, &of_cells.profiles, &of_cells.sample, seed, observer)?;
        let similarities = either_way(n, &found.whole);
        let strength = strength(&similarities);
        let threshold = match options.threshold {
            Some(threshold) => threshold,
            None => of_strongest(&strength)?,
        };
        let network = at_threshold(&genes, [&similarities, &strength], threshold, None)?;
        let k = options.programmes.neighbours - 1;
        let nearest = (0..n).map(|gene| {
            let strongest = strength.strongest(gene, k).into_iter();
            strongest.filter(|(_, weight)| *weight > 0.0).map(|(other, _)| other).collect()
        });
        let neighbours = neighbour_network(&genes, &similarities, nearest);
        let graph = strongest_graph(&strength, options.programmes.neighbours, observer)?;
        let programmes = programmes(&graph, &strength, &options.programmes, observer)?;
        let report = EmbeddingReport {
            threshold,
            ..EmbeddingReport::new(None, options, &similarities, None)
        };
        let mut judged = Self {
            d: 0,
            vectors: Vec::new(),
            of_types: Vec::new(),
            network,
            type_networks: Vec::new(),
            neighbours,
            similar: similar(&queries, options.n_similar, &genes, &strength),
            columns: Some(of_cells.columns.clone()),
            report,
            scores: None,
            enriched: Vec::new(),
            genes,
            programmes,
            similarities: strength,
            is_centred: false,
            baselines: Vec::new(),
            start: None,
        };
        let halves = found.halves.each_ref().map(|half| either_way(n, half));
        let own = Own { name: rule.to_string(), rule: Some(rule), halves: Some(halves) };
        judged.judge(&known, &own, Some(&of_cells), libraries, options, observer)?;
        judged.score_cells(source, of_cells, options, observer)?;
        Ok(judged)
    }
}

/// Weights whatever their sign.
fn strength(weights: &GenePairs) -> GenePairs {
    GenePairs::new(weights.n(), |i, j| weights.get(i, j).abs())
}

/// The weight that the thousand strongest pairs reach, of those that have any.
///
/// # Errors
/// If no pair has a weight.
fn of_strongest(strength: &GenePairs) -> Result<f64> {
    let mut weights: Vec<f32> = strength.values().iter().copied().filter(|&it| it > 0.0).collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let last = weights.get(SUGGESTED_EDGES.min(weights.len()).saturating_sub(1));
    last.map(|&weight| f64::from(weight)).ok_or_else(|| {
        Error::option("no two genes have anything to do with each other: no pair has a weight")
    })
}
