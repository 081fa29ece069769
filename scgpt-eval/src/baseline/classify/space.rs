//! [`ExpressionSpace`]: cells by the logarithms of variable genes, and by their principal components.
//!
//! Genes are known by their tokens, so that cells of other files, with other genes in another order, are read
//! by the same ones. Counts are normalised over the genes that both files have, to the sum that these genes had
//! in the cells that were learned from. A variable gene that was not measured is taken to be at its mean, which speaks
//! for no class.

use rayon::prelude::*;
use scgpt_data::{
    CellSource, CellSubset, Csr, CsrRow, Error, GeneSubset, GeneToken, InputState, InputValues,
    Layer, LogScale, Observer, ReadBlocks as _, Result, Setting, TOTAL, Watched, narrow, unscaled,
};
use scgpt_stats::{Principal, Products, SparseCell};
use serde::{Deserialize, Serialize};

use crate::baseline::{BaselineOptions, variable_expression::VariableExpression};

/// Cells that are read at a time.
const BLOCK: usize = 1024;

/// Variable genes of some cells, and their principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpressionSpace {
    /// Tokens of the variable genes, in the order of the columns in which they were chosen.
    genes: Vec<u32>,
    /// The mean of each of them over the cells.
    means: Vec<f32>,
    /// Of what a cell expresses, how much each token's gene has on average; genes that were not there have
    /// none.
    shares: Vec<f32>,
    /// The sum of a cell over all these genes, in units of [`TOTAL`]: 1 unless only some genes of normalised
    /// cells were there.
    expressed: f64,
    /// What the values of the cells were.
    values: InputValues,
    principal: Principal,
}

/// Reads cells by the genes of a space.
#[derive(Clone, Debug)]
pub struct SpaceReader {
    /// Of each column, its number among those that have a token.
    known: Vec<Option<u32>>,
    /// Of each of those, its number among the variable genes.
    numbers: Vec<Option<u32>>,
    /// Variable genes that no column has, ascending, with their means.
    missing: Vec<(u32, f32)>,
    scale: LogScale,
}

/// Cells as a space knows them.
#[derive(Clone, Debug)]
pub struct KnownCells {
    /// Number of the first of them in the source.
    pub first: usize,
    /// Their variable genes.
    pub cells: Vec<SparseCell>,
    /// Number of known genes that each expresses, variable or not.
    pub n_expressed: Vec<usize>,
}

impl ExpressionSpace {
    /// Chooses genes by the cells `training` of a source, whose genes have these tokens, and returns
    /// those cells as well.
    pub(super) fn fit(
        source: &mut dyn CellSource,
        training: &[usize],
        tokens: &[Option<GeneToken>],
        options: &BaselineOptions,
        observer: &dyn Observer,
    ) -> Result<(Self, Vec<SparseCell>)> {
        if options.n_components == 0 {
            return Err(Setting("n_components").zero().into());
        }
        let layer = &options.layer;
        let values = unscaled(source, layer)?;
        let columns: Vec<usize> = (0..tokens.len()).filter(|&i| tokens[i].is_some()).collect();
        let known: Vec<u32> = tokens.iter().flatten().map(|token| token.0).collect();
        let mut cells = CellSubset::new(&mut *source, training.to_vec());
        let mut subset = GeneSubset::new(&mut cells, layer, columns)?;
        let chosen = VariableExpression::choose(&mut subset, options, None, observer)?;
        let genes: Vec<u32> = chosen.genes().iter().map(|&column| known[column]).collect();
        let n_tokens = known.iter().max().map_or(0, |&token| token as usize + 1);
        let mut space = Self {
            genes,
            means: Vec::new(),
            shares: vec![0.0; n_tokens],
            expressed: 1.0,
            values,
            // Of no cells yet.
            principal: Products::new(chosen.genes().len()).principal(0, observer)?,
        };
        let reader = space.reader(tokens, values);
        let (mut learned, mut sums) = (Vec::with_capacity(training.len()), vec![0.0; known.len()]);
        let mut products = Products::new(space.genes.len());
        let mut cells = CellSubset::new(source, training.to_vec());
        let mut learn = |_, block: Csr| {
            for row in block.rows() {
                for (&gene, &x) in row.indices.iter().zip(row.values) {
                    sums[gene as usize] += f64::from(x).exp_m1();
                }
            }
            let cells = reader.chosen(&block);
            products.add(&cells);
            learned.extend(cells);
            Ok::<(), Error>(())
        };
        let stage = "reading cells for simple methods";
        reader.logged(&mut cells, layer, stage, observer, &mut learn)?;
        space.means = means(&learned, space.genes.len());
        let total: f64 = sums.iter().sum();
        #[allow(clippy::cast_possible_truncation, reason = "shares are f32")]
        for (&token, sum) in known.iter().zip(&sums) {
            space.shares[token as usize] = (sum / total.max(f64::MIN_POSITIVE)) as f32;
        }
        if values.state == InputState::Log1p {
            space.expressed = total / (TOTAL * training.len().max(1) as f64);
        }
        space.principal = products.principal(options.n_components, observer)?;
        Ok((space, learned))
    }

    /// Number of variable genes.
    pub(super) fn n_genes(&self) -> usize {
        self.genes.len()
    }

    /// Number of principal components.
    pub fn width(&self) -> usize {
        self.principal.n()
    }

    /// The token of each variable gene.
    pub(super) fn genes(&self) -> &[u32] {
        &self.genes
    }

    /// How far a unit of a variable gene's logarithm goes along each component.
    pub(super) fn loadings(&self, gene: usize) -> &[f64] {
        self.principal.loadings(gene)
    }

    /// What the values of the cells were that it was fitted to.
    pub fn values(&self) -> InputValues {
        self.values
    }

    /// Where cells lie along the principal components, `[n, width]`.
    pub fn positions(&self, cells: &[SparseCell]) -> Vec<f32> {
        let place = |(genes, values): &SparseCell| self.principal.project(genes, values);
        cells.par_iter().flat_map_iter(place).collect()
    }

    /// Reads cells of a source whose genes have these tokens.
    ///
    /// # Errors
    /// If there is no such matrix, it cannot be read or has negative values.
    pub fn of_source(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        tokens: &[Option<GeneToken>],
    ) -> Result<SpaceReader> {
        Ok(self.reader(tokens, unscaled(source, layer)?))
    }

    /// Reads rows whose columns have these tokens, no token twice, and whose values are `values`.
    pub fn reader(&self, tokens: &[Option<GeneToken>], values: InputValues) -> SpaceReader {
        let n_tokens = self.genes.iter().max().map_or(0, |&token| token as usize + 1);
        let mut places = vec![None; n_tokens];
        for (place, &token) in (0..).zip(&self.genes) {
            places[token as usize] = Some(place);
        }
        let mut measured = vec![false; self.shares.len()];
        let (mut known, mut numbers) = (vec![None; tokens.len()], Vec::new());
        for (column, token) in tokens.iter().enumerate() {
            let Some(token) = token.map(|token| token.0 as usize) else { continue };
            known[column] = Some(narrow(numbers.len()));
            numbers.push(places.get_mut(token).and_then(Option::take));
            if let Some(measured) = measured.get_mut(token) {
                *measured = true;
            }
        }
        // Logarithms have been made over all genes of their cells; counts are normalised over those that are
        // known, to what these had in the cells learned from.
        let total = if values.state == InputState::Log1p {
            TOTAL
        } else {
            let sum = |of: &dyn Fn(usize) -> bool| -> f64 {
                let places = (0..self.shares.len()).filter(|&place| of(place));
                places.map(|place| f64::from(self.shares[place])).sum()
            };
            let (all, here) = (sum(&|_| true), sum(&|place| measured[place]));
            let share = if here > 0.0 { here / all } else { 1.0 };
            TOTAL * self.expressed * share
        };
        // Those that no column has taken.
        let mut missing: Vec<(u32, f32)> = places
            .into_iter()
            .flatten()
            .map(|place| (place, self.means.get(place as usize).copied().unwrap_or_default()))
            .collect();
        missing.sort_unstable_by_key(|&(place, _)| place);
        SpaceReader { known, numbers, missing, scale: LogScale { from: values, total } }
    }

    /// Checks what was read from a file, for a vocabulary of `n_tokens`.
    pub(super) fn check(&self, n_tokens: usize) -> std::result::Result<(), String> {
        let mut genes = self.genes.clone();
        genes.sort_unstable();
        let is_known = genes.last().is_none_or(|&last| (last as usize) < n_tokens);
        if !is_known || self.shares.len() > n_tokens || !genes.is_sorted_by(|a, b| a < b) {
            return Err("it has genes that are not in the vocabulary, or one twice".into());
        }
        let is_share = |&share: &f32| (0.0..=1.0).contains(&share);
        let is_sound = self.shares.iter().all(is_share) && self.expressed > 0.0;
        if !is_sound
            || !self.expressed.is_finite()
            || self.means.len() != self.genes.len()
            || !self.principal.is_of(self.genes.len())
        {
            return Err("its parts do not fit each other".into());
        }
        Ok(())
    }
}

impl SpaceReader {
    /// Calls `visit` with all cells of a source, in blocks and in order; `stage` is what the observer is
    /// told.
    ///
    /// # Errors
    /// If the source cannot be read; what `visit` returns; [`Error::Cancelled`] if the observer says so.
    pub fn each<E: From<Error>>(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(KnownCells) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.logged(source, layer, stage, observer, &mut |first, block| {
            visit(self.known_cells(first, &block))
        })
    }

    /// Cells given as rows of expression.
    ///
    /// # Errors
    /// If the genes of a row do not ascend.
    pub fn cells<'r>(&self, rows: impl Iterator<Item = CsrRow<'r>>) -> Result<KnownCells> {
        Ok(self.known_cells(0, &self.block(rows).map_err(Error::Option)?))
    }

    fn known_cells(&self, first: usize, block: &Csr) -> KnownCells {
        let n_expressed = |row: CsrRow<'_>| row.values.iter().filter(|&&x| x != 0.0).count();
        KnownCells {
            first,
            cells: self.chosen(block),
            n_expressed: block.rows().map(n_expressed).collect(),
        }
    }

    /// Calls `visit` with the logarithms of all known genes of the cells.
    fn logged<E: From<Error>>(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(usize, Csr) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        observer.begin(stage, source.summary().n_cells);
        let path = source.summary().path.clone();
        for block in (Watched { source, observer }).blocks(layer, BLOCK) {
            let (cells, block) = block?;
            let block = self
                .block(block.rows())
                .map_err(|problem| Error::invalid(&path, layer.to_string(), problem))?;
            visit(cells.start, block)?;
        }
        Ok(())
    }

    /// The logarithms of all known genes.
    fn block<'r>(
        &self,
        rows: impl Iterator<Item = CsrRow<'r>>,
    ) -> std::result::Result<Csr, String> {
        let known = |row: CsrRow<'_>| {
            let pairs = row.indices.iter().zip(row.values);
            let pairs =
                pairs.filter_map(|(&gene, &x)| Some(((*self.known.get(gene as usize)?)?, x)));
            pairs.unzip()
        };
        let mut block = Csr::of_rows(self.numbers.len(), rows.map(known))?;
        self.scale.apply(&mut block);
        Ok(block)
    }

    /// The variable genes among the known ones.
    fn chosen(&self, block: &Csr) -> Vec<SparseCell> {
        let cell = |row: CsrRow<'_>| {
            let pairs = row.indices.iter().zip(row.values);
            let mut pairs: Vec<(u32, f32)> =
                pairs.filter_map(|(&gene, &x)| Some((self.numbers[gene as usize]?, x))).collect();
            pairs.extend(&self.missing);
            // Genes of another file come in another order.
            pairs.sort_unstable_by_key(|&(gene, _)| gene);
            pairs.into_iter().unzip()
        };
        block.rows().map(cell).collect()
    }
}

/// The mean of each of `n` genes over some cells.
#[allow(clippy::cast_possible_truncation, reason = "means are f32")]
fn means(cells: &[SparseCell], n: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; n];
    for (&gene, &x) in cells.iter().flat_map(|(genes, values)| genes.iter().zip(values)) {
        sums[gene as usize] += f64::from(x);
    }
    sums.into_iter().map(|sum| (sum / cells.len().max(1) as f64) as f32).collect()
}
