//! [`GeneEmbedding`]: vectors of genes: those of the model's table, and those that genes have in
//! cells.
//!
//! The table has one vector a gene, whatever the cells. In context, a gene's token leaves the last
//! block with a state to which the other genes of its cell have contributed; the vector is the mean
//! of those states over the cells in which the gene is a token. States are summed as whole numbers,
//! so that the mean is the same to the last digit for any batches, threads and order of cells.

use scgpt_data::{
    CellSource, Column, EmptyCells, GeneToken, Observer, Table, Tokenizer, Watched, buckets,
};

use super::{EmbedOptions, Embedder, SourceGenes, select_variable};
use crate::{
    error::{Error, Result},
    start_vectors::StartVectors,
    stream::{CellReader, Window, view, windows},
    usage::Usage,
};

/// States are counted in this part of 1. Sums of whole numbers are the same in any order, so that a
/// mean depends on neither batches nor threads.
const PARTS: f64 = (1_u64 << 28) as f64;

/// Vectors of genes, from the table of a model or *in context*, from cells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GeneEmbedding {
    /// Names of the genes, as the vocabulary has them.
    pub genes: Vec<String>,
    /// Width of a vector.
    pub d: usize,
    /// Their vectors, `[genes, d]`.
    pub vectors: Vec<f32>,
    /// Number of cells that each vector is the mean of; `None` for vectors of the table.
    pub cells: Option<Vec<u64>>,
    /// Number of cells that express no gene the model knows, so that they have no part in the
    /// vectors.
    pub without_genes: usize,
}

impl GeneEmbedding {
    /// The vectors as a table with a row a gene: its name in `gene`, for vectors in context the number
    /// of cells in `cells`, then one column a dimension, `e0`, `e1`, …
    pub fn table(&self) -> Table {
        let mut table = vector_table(&self.genes, &self.vectors, self.d);
        if let Some(cells) = &self.cells {
            let counts = cells.iter().map(|&n| i64::try_from(n).ok()).collect();
            table.columns.insert(1, ("cells".into(), Column::Integer(counts)));
        }
        table
    }
}

/// `gene`, then a column a dimension.
pub(crate) fn vector_table(genes: &[String], vectors: &[f32], d: usize) -> Table {
    let column = |i: usize| {
        let values = vectors.iter().skip(i).step_by(d).map(|&x| Some(f64::from(x)));
        (format!("e{i}"), Column::Float(values.collect()))
    };
    let names = ("gene".into(), Column::Text(genes.iter().cloned().map(Some).collect()));
    Table { columns: std::iter::once(names).chain((0..d).map(column)).collect() }
}

/// Groups of the cells of a source.
#[derive(Clone, Copy)]
pub(crate) struct CellGroups<'a> {
    /// The group of each cell, if it is in one.
    pub(crate) of_cells: &'a [Option<u32>],
    /// Number of groups.
    pub(crate) n: usize,
}

/// Sums of the states that genes have in the cells of some groups.
#[derive(Clone, Debug)]
pub(crate) struct GeneStates {
    n_genes: usize,
    d: usize,
    /// Number of cells in which each gene is a token, `[groups, genes]`.
    cells: Vec<u64>,
    /// Sums of states, counted in [`PARTS`], `[groups, genes, d]`.
    sums: Vec<i64>,
}

impl GeneStates {
    /// Sums of no cells yet.
    fn new(n_groups: usize, n_genes: usize, d: usize) -> Self {
        let cells = vec![0; n_groups * n_genes];
        Self { n_genes, d, cells, sums: vec![0; n_groups * n_genes * d] }
    }

    /// Adds the state, `[d]`, that a gene has in a cell of a group.
    fn add(&mut self, group: usize, gene: usize, state: &[f32]) {
        let place = group * self.n_genes + gene;
        self.cells[place] += 1;
        let sums = &mut self.sums[place * self.d..(place + 1) * self.d];
        for (sum, &x) in sums.iter_mut().zip(state) {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a state is normalised: a few units"
            )]
            let parts = (f64::from(x) * PARTS).round() as i64;
            *sum = sum.saturating_add(parts);
        }
    }

    /// For each gene, the number of cells of these groups in which it is a token, `[genes]`.
    pub(crate) fn cells(&self, groups: &[usize]) -> Vec<u64> {
        let of = |gene| groups.iter().map(|group| self.cells[group * self.n_genes + gene]).sum();
        (0..self.n_genes).map(of).collect()
    }

    /// The mean state of each gene over the cells of these groups, `[genes, d]`; NaN for a gene that
    /// none of them has.
    pub(crate) fn means(&self, groups: &[usize]) -> Vec<f32> {
        let cells = self.cells(groups);
        let mean = |i: usize| {
            let sum = |group: &usize| self.sums[group * self.n_genes * self.d + i];
            let sum: i64 = groups.iter().map(sum).sum();
            #[allow(clippy::cast_possible_truncation, reason = "vectors are f32")]
            let mean = (sum as f64 / PARTS / cells[i / self.d] as f64) as f32;
            mean
        };
        (0..self.n_genes * self.d).map(mean).collect()
    }
}

impl Embedder {
    /// Vectors of genes before they meet a cell, `[n, d]`: their embedding after its layer norm.
    ///
    /// # Panics
    /// If a token is not of the vocabulary.
    pub fn gene_vectors(&self, genes: &[GeneToken]) -> Vec<f32> {
        let ids: Vec<i32> = genes.iter().map(|gene| gene.0.cast_signed()).collect();
        self.encoder().gene_vectors(&ids)
    }

    /// As [`gene_vectors`](Self::gene_vectors), before training: what the network had from the co-expression of
    /// its training cells, as it was made by this program with such a start; `None` if it was not.
    ///
    /// # Errors
    /// If the file with them cannot be read, or has no vector for one of the genes.
    pub fn start_vectors(&self, genes: &[GeneToken]) -> Result<Option<Vec<f32>>> {
        let Some(path) = self.start_path().filter(|path| path.exists()) else { return Ok(None) };
        let start = StartVectors::open(&path, self.config().d_model)?;
        let missing = || Error::Artefact {
            path: path.clone(),
            problem: "it has fewer genes than the vocabulary".into(),
        };
        let mut vectors = Vec::with_capacity(genes.len() * self.config().d_model);
        for gene in genes {
            vectors.extend_from_slice(start.of(gene.0 as usize).ok_or_else(missing)?);
        }
        Ok(Some(vectors))
    }

    /// Vectors of genes. Without a `source` they are those of the whole vocabulary, from the table;
    /// with one, the mean state of each gene after the last block, over the cells in which it is a
    /// token. Genes that are a token in no cell are left out.
    ///
    /// # Errors
    /// If the cells cannot be read, or an option cannot work; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer
    /// says so.
    ///
    /// # Reference
    /// `Tutorial_GRN.ipynb`: `model.encoder` of the vocabulary. In context: none.
    pub fn gene_embedding(
        &self,
        source: Option<&mut dyn CellSource>,
        options: &EmbedOptions,
        observer: &dyn Observer,
    ) -> Result<GeneEmbedding> {
        let d = self.encoder().d_model();
        let name = |token: GeneToken| self.vocab().own_name(token).to_owned();
        let Some(source) = source else {
            let tokens = self.vocab().names().filter_map(|name| self.vocab().token(name));
            let tokens: Vec<GeneToken> =
                tokens.filter(|&token| !self.vocab().is_special(token)).collect();
            return Ok(GeneEmbedding {
                genes: tokens.iter().map(|&token| name(token)).collect(),
                d,
                vectors: self.gene_vectors(&tokens),
                cells: None,
                without_genes: 0,
            });
        };
        self.check(Usage::States)?;
        let SourceGenes { mut alignment, .. } = self.source_genes(source, options, None)?;
        let known = alignment.clone();
        if let Some(variable) = &options.variable {
            observer.begin("selecting variable genes", 0);
            let source = &mut Watched { source: &mut *source, observer };
            select_variable(source, &options.layer, variable, &options.gene_names, &mut alignment)?;
        }
        let tokens: Vec<GeneToken> = alignment.tokens.iter().copied().flatten().collect();
        let tokenizer = self.tokenizer(&alignment, options)?;
        let of_cells = vec![Some(0); source.summary().n_cells];
        let groups = CellGroups { of_cells: &of_cells, n: 1 };
        let mut empty = EmptyCells::of_known(&known);
        let mut source = empty.among(source, &options.layer);
        let states =
            self.gene_states(&mut source, &tokenizer, &tokens, options, groups, observer)?;
        drop(source);
        let (cells, means) = (states.cells(&[0]), states.means(&[0]));
        let seen: Vec<usize> = (0..tokens.len()).filter(|&gene| cells[gene] > 0).collect();
        Ok(GeneEmbedding {
            genes: seen.iter().map(|&gene| name(tokens[gene])).collect(),
            d,
            vectors: seen.iter().flat_map(|&g| &means[g * d..(g + 1) * d]).copied().collect(),
            cells: Some(seen.iter().map(|&gene| cells[gene]).collect()),
            without_genes: empty.len(),
        })
    }

    /// Sums the states of `genes` after the last block over the cells of each group in which they
    /// are tokens; cells without a group are passed over. All genes that `tokenizer` knows are seen
    /// by the model, as when cells are embedded.
    ///
    /// Memory: `groups · genes · d` numbers, whatever the number of cells.
    ///
    /// # Errors
    /// If the cells cannot be read; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// None: the reference has no vectors in context, which Geneformer and others give.
    pub(crate) fn gene_states(
        &self,
        source: &mut dyn CellSource,
        tokenizer: &Tokenizer,
        genes: &[GeneToken],
        options: &EmbedOptions,
        groups: CellGroups<'_>,
        observer: &dyn Observer,
    ) -> Result<GeneStates> {
        let mut places = vec![None; self.vocab().len()];
        for (place, gene) in genes.iter().enumerate() {
            places[gene.0 as usize] = Some(place);
        }
        let mut states = GeneStates::new(groups.n, genes.len(), self.encoder().d_model());
        observer.begin("reading states of genes", source.summary().n_cells);
        let reader = CellReader { layer: &options.layer, tokenizer, tell: None };
        windows(source, reader, |windows| {
            for window in windows {
                self.add_states(
                    &mut states,
                    &window?,
                    &places,
                    groups.of_cells,
                    options,
                    observer,
                )?;
            }
            Ok(states)
        })
    }

    /// Adds the states of a window's cells; `places` gives for every token of the vocabulary its
    /// place among the genes that are asked for.
    fn add_states(
        &self,
        states: &mut GeneStates,
        window: &Window,
        places: &[Option<usize>],
        groups: &[Option<u32>],
        options: &EmbedOptions,
        observer: &dyn Observer,
    ) -> Result<()> {
        let rows = self.rows(options.batch_size)?;
        let d = states.d;
        let chosen: Vec<usize> =
            (0..window.cells.len()).filter(|cell| groups[window.first + cell].is_some()).collect();
        observer.advance(window.cells.len() - chosen.len());
        let lengths: Vec<usize> = chosen.iter().map(|&cell| window.cells[cell].len()).collect();
        for bucket in buckets(&lengths, options.batch_size) {
            observer.check_cancelled()?;
            let cells: Vec<usize> = bucket.iter().map(|&place| chosen[place]).collect();
            let batch = rows.collator.collate(cells.iter().map(|&c| (c, &window.cells[c])));
            let hidden = rows.encoder.states(view(&batch, 0));
            for (row, &cell) in cells.iter().enumerate() {
                let Some(group) = groups[window.first + cell] else { continue };
                for position in 0..batch.lengths[row] {
                    let token = row * batch.n_tokens + position;
                    let gene = usize::try_from(batch.genes[token]).unwrap_or(usize::MAX);
                    // Of the special tokens none has a place.
                    if let Some(&Some(place)) = places.get(gene) {
                        let state = &hidden[token * d..(token + 1) * d];
                        states.add(group as usize, place, state);
                    }
                }
            }
            observer.advance(bucket.len());
        }
        Ok(())
    }
}
