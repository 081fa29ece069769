//! [`OfCells`]: what cells tell of genes: which of them vary, how strongly they are expressed, and
//! which vectors the model gives them.
//!
//! Cells are read up to three times, each time in order and block by block: all of them to choose
//! variable genes, unless genes were named; all of them through the network, for vectors in
//! context; and a sample, for networks from expression alone. Genes that no cell expresses have no
//! vector in context and leave the network, unless they were named: then that is an error.

use std::collections::HashMap;

use scgpt_data::{
    Alignment, CellSource, CellSubset, EmptyCells, GeneToken, GeneVocab, LoggedCells, Observer,
    Watched, absent_gene, narrow, unscaled,
};
use scgpt_eval::{Labels, baseline::GeneProfiles, likely_types, network::ProfileBuilder};
use scgpt_stats::{halves, sampled};

use super::{EmbeddingNetworkOptions, enough};
use crate::{
    embed::{CellGroups, EmbedOptions, Embedder, GeneStates, VariableOptions, select_variable},
    error::{Error, Result},
};

/// Most variable genes, if no number is given.
const VARIABLE: usize = 1200;
/// Number of groups of genes by mean expression, within which a null exchanges them.
const STRATA: usize = 5;

/// The genes of the network, and what the cells tell of them.
pub(super) struct OfCells {
    /// The token of each gene.
    pub(super) tokens: Vec<GeneToken>,
    /// The name of each in the vocabulary.
    pub(super) genes: Vec<String>,
    /// The column of each.
    pub(super) columns: Vec<usize>,
    /// All genes of the data that the model knows.
    pub(super) known: Vec<String>,
    /// The group of each gene by mean expression.
    pub(super) strata: Vec<usize>,
    /// How values become logarithms of a common sum, for the sample and for scores of programmes
    /// alike.
    pub(super) logged: LoggedCells,
    /// Cell types: those of the column asked for, or else of one that looks like cell types; `None`
    /// if there is none.
    pub(super) labels: Option<Labels>,
    /// Expression of the genes in a sample of the cells.
    pub(super) profiles: GeneProfiles,
    /// The cells of the sample, by their places in the profiles, and whether each is in the second
    /// half.
    pub(super) sample: Vec<(usize, bool)>,
    /// Vectors in context, if they were asked for.
    pub(super) context: Option<Context>,
    /// Cells that express no gene the model knows, among those that were read.
    pub(super) empty: EmptyCells,
}

/// Vectors of the genes in cells, `[genes, d]`: means of their states after the last block.
pub(super) struct Context {
    /// Means over all cells that express the gene.
    pub(super) vectors: Vec<f32>,
    /// Means over those of each half of the cells, as replicates; NaN for a gene that none of them
    /// expresses.
    pub(super) halves: [Vec<f32>; 2],
    /// Means over those of each cell type, by its name, NaN as above; empty unless types were asked
    /// for.
    pub(super) of_types: Vec<(String, Vec<f32>)>,
}

/// Which genes are known: those of a vocabulary, and of the model that has it, if there is one.
pub(super) struct Known<'a> {
    pub(super) model: Option<&'a Embedder>,
    pub(super) vocab: &'a GeneVocab,
}

impl Known<'_> {
    /// The tokens of the columns of the cells.
    ///
    /// # Errors
    /// If too few of the genes are known, or an option cannot work.
    fn alignment(&self, source: &dyn CellSource, options: &EmbedOptions) -> Result<Alignment> {
        Ok(match self.model {
            Some(model) => model.source_genes(source, options, None)?.alignment,
            None => self.vocab.align(&source.var(&options.layer)?, &options.gene_names)?,
        })
    }
}

impl OfCells {
    /// Chooses the genes, and reads from the cells what the options ask for.
    ///
    /// # Errors
    /// If the cells cannot be read, no or few genes are known to the model, a named gene is absent
    /// or expressed in no cell, genes are too few or too many, or the observer cancels.
    pub(super) fn new(
        of: &Known<'_>,
        source: &mut dyn CellSource,
        options: &EmbeddingNetworkOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let embed = &options.embed;
        let n_cells = source.summary().n_cells;
        let obs = source.obs()?;
        let numbers = obs.cell_keys();
        let column = options.per.as_deref().or_else(|| likely_types(&obs));
        let labels = column.map(|name| Labels::read(&obs, name)).transpose()?;
        let values = unscaled(source, &embed.layer)?;
        let mut chosen = of.alignment(source, embed)?;
        let whole = chosen.clone();
        let mut empty = EmptyCells::of_known(&whole);
        let mut sought = empty.among(source, &embed.layer);
        let source: &mut dyn CellSource = &mut sought;
        if options.genes.is_none() {
            let variable = VariableOptions::new(VARIABLE);
            let variable = embed.variable.as_ref().unwrap_or(&variable);
            observer.begin("selecting variable genes", 0);
            let source = &mut Watched { source: &mut *source, observer };
            select_variable(source, &embed.layer, variable, &embed.gene_names, &mut chosen)?;
        }
        let name = |token: GeneToken| of.vocab.own_name(token).to_owned();
        let known: Vec<String> = whole.tokens.iter().flatten().map(|&token| name(token)).collect();
        let mut found: Vec<(usize, GeneToken)> = chosen
            .tokens
            .iter()
            .enumerate()
            .filter_map(|(column, token)| Some((column, (*token)?)))
            .collect();
        if let Some(genes) = &options.genes {
            found = asked_for(genes, &found, of.vocab)?;
        } else {
            // Those whose neighbours are asked for take part, however little they vary.
            let all = whole.tokens.iter().enumerate();
            let all: Vec<_> = all.filter_map(|(column, token)| Some((column, (*token)?))).collect();
            found.extend(asked_for(&options.queries, &all, of.vocab)?);
            found.sort_unstable();
            found.dedup();
        }
        let context = if let Some(embedder) = of.model.filter(|_| options.contextual) {
            // All genes of a cell are its context, not the chosen ones alone.
            let embed = EmbedOptions { variable: None, ..embed.clone() };
            let types = options.per.as_ref().and(labels.as_ref());
            let tokens: Vec<GeneToken> = found.iter().map(|&(_, token)| token).collect();
            let tokenizer = embedder.tokenizer(&whole, &embed)?;
            let (of_cells, n_groups) = groups(types, &halves(&numbers, embed.seed));
            let groups = CellGroups { of_cells: &of_cells, n: n_groups };
            let states =
                embedder.gene_states(source, &tokenizer, &tokens, &embed, groups, observer)?;
            let seen = states.cells(&(0..n_groups).collect::<Vec<_>>());
            if let Some(place) = seen.iter().position(|&cells| cells == 0)
                && options.genes.is_some()
            {
                let gene = name(found[place].1);
                return Err(Error::option(format!(
                    "gene `{gene}` is expressed in no cell, so it has no vector in context"
                )));
            }
            let mut seen = seen.into_iter();
            found.retain(|_| seen.next().is_some_and(|cells| cells > 0));
            Some(Context::new(&states, n_groups, types))
        } else {
            None
        };
        enough(found.len())?;
        let (columns, tokens): (Vec<usize>, Vec<GeneToken>) = found.into_iter().unzip();
        let logged = LoggedCells::new(&embed.layer, values);
        let (_, n_columns) = source.summary().shape(&embed.layer)?;
        let sample = sampled((0..n_cells).collect(), &numbers, options.baseline_cells, embed.seed);
        let mut expression = ProfileBuilder::new(&columns, n_columns);
        let mut some = CellSubset::new(source, sample.clone());
        logged.each(&mut some, "reading expression", observer, &mut |_, block| {
            block.rows().for_each(|row| expression.push(row));
        })?;
        drop(some);
        drop(sought);
        let profiles = expression.into_profiles();
        let is_second = halves(&numbers, embed.seed);
        Ok(Self {
            genes: tokens.iter().map(|&token| name(token)).collect(),
            strata: strata(&profiles.means()),
            tokens,
            columns,
            known,
            logged,
            labels,
            profiles,
            sample: sample.into_iter().map(|cell| is_second[cell]).enumerate().collect(),
            context,
            empty,
        })
    }
}

impl Context {
    /// The mean vectors of the genes that some cell has, over groups of cells by type and half as
    /// [`groups`] numbers them.
    fn new(states: &GeneStates, n_groups: usize, types: Option<&Labels>) -> Self {
        let of = |keep: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..n_groups).filter(|&group| keep(group)).collect()
        };
        let all = of(&|_| true);
        let is_seen: Vec<bool> = states.cells(&all).into_iter().map(|cells| cells > 0).collect();
        let means = |groups: &[usize]| -> Vec<f32> {
            let rows = states.means(groups);
            let d = rows.len() / is_seen.len().max(1);
            let seen = rows.chunks_exact(d.max(1)).zip(&is_seen).filter(|(_, is_seen)| **is_seen);
            seen.flat_map(|(row, _)| row).copied().collect()
        };
        let of_types = types.map(|types| {
            let of_type = |(code, name): (usize, &String)| {
                (name.clone(), means(&of(&|group| group / 2 == code)))
            };
            types.classes.iter().enumerate().map(of_type).collect()
        });
        Self {
            vectors: means(&all),
            halves: [0, 1].map(|half| means(&of(&|group| group % 2 == half))),
            of_types: of_types.unwrap_or_default(),
        }
    }
}

/// The group of every cell, by type and half: `2 · type + half`, those without a type last.
fn groups(types: Option<&Labels>, is_second: &[bool]) -> (Vec<Option<u32>>, usize) {
    let n_types = types.map_or(0, |types| types.classes.len());
    let without = narrow(n_types);
    let code = |cell: usize| types.and_then(|types| types.codes[cell]).unwrap_or(without);
    let group = |(cell, &is_second): (usize, &bool)| Some(2 * code(cell) + u32::from(is_second));
    (is_second.iter().enumerate().map(group).collect(), 2 * (n_types + 1))
}

/// Genes by name, each once, with column and token among those `known`; an absent one is an error
/// that suggests similar names.
fn asked_for(
    genes: &[String],
    known: &[(usize, GeneToken)],
    vocab: &GeneVocab,
) -> Result<Vec<(usize, GeneToken)>> {
    let places: HashMap<&str, (usize, GeneToken)> = known
        .iter()
        .filter_map(|&(column, token)| Some((vocab.name(token)?, (column, token))))
        .collect();
    let mut found: Vec<(usize, GeneToken)> = Vec::with_capacity(genes.len());
    for gene in genes {
        let Some(&place) = places.get(gene.as_str()) else {
            return Err(absent_gene(gene, vocab, places.keys().copied()).into());
        };
        if !found.contains(&place) {
            found.push(place);
        }
    }
    Ok(found)
}

/// The group of each gene: [`STRATA`] groups of equal size by mean expression, the lowest first.
fn strata(means: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]).then(a.cmp(&b)));
    let mut strata = vec![0; means.len()];
    for (rank, gene) in order.into_iter().enumerate() {
        strata[gene] = rank * STRATA / means.len();
    }
    strata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_grouped_by_type_and_half() {
        let names = [Some("B"), None, Some("A")].map(|name| name.map(String::from));
        let labels = Labels::new(names.to_vec());
        let (of_cells, n) = groups(Some(&labels), &[false, true, true]);
        assert_eq!((of_cells, n), (vec![Some(2), Some(5), Some(1)], 6));
        assert_eq!(groups(None, &[false, true]), (vec![Some(0), Some(1)], 2));
    }

    #[test]
    fn strata_are_of_equal_size() {
        assert_eq!(strata(&[0.5, 9.0, 0.1, 3.0, 0.7]), [1, 4, 0, 3, 2]);
        assert_eq!(strata(&[0.0; 10]), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }
}
