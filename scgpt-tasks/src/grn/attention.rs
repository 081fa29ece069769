//! Gene networks from attention: which genes does a gene look at, and does that change?
//!
//! A cell goes this way. [`Groups`] chooses the cells, and [`GenePanel`] the genes that are looked
//! at in all of them. The [`Tokenizer`] bins the values of all known genes of a cell; those of the
//! panel go to the network, with `<cls>` in front, `m` tokens in all. One layer gives scores
//! `[heads, m, m]`, [`rank_sums`] turns them into ranks `[m, m]`, and [`Sums`] adds these up: for
//! the cell's group, for its half of the group, and for every permutation that counts it in the
//! first group. Networks, p values and the agreement of halves are all computed from these sums
//! after the last cell.
//!
//! Ranks are whole numbers, so the sums are exact: neither the order of the cells nor batches nor
//! threads change a digit. Memory is `(40 + 4 p) m²` bytes for `p` permutations (173 MB for 1200
//! genes and 20 of them) and the scores of one batch, whatever the number of cells. The time is
//! that of the network's forward pass, of sorting `heads · m` rows a cell, and of `(4 + p) m²`
//! additions.

mod baselines;
mod cells;
mod expression;
mod options;
mod page;
mod ranks;
mod report;
mod row;
mod selection;
mod setting;
mod sums;

use std::time::Instant;

use scgpt_data::{
    CellKey, CellSource, CellSubset, Column, EmptyCells, LogScale, Observer, SpecialToken, TOTAL,
    Table, TokenConfig, TokenScratch, Tokenizer, unscaled,
};
use scgpt_eval::{
    baseline::GeneProfiles,
    network::{
        Background, Enriched, GeneNetwork, ProfileBuilder, benjamini_hochberg, enrich,
        off_diagonal, strongest_edges,
    },
};
use scgpt_model::TokenBatchView;

use self::{
    baselines::EdgeBaseline,
    cells::{GenePanel, Groups, shuffled},
    ranks::rank_sums,
    report::Seen,
    selection::Selection,
    sums::{Place, Sums, shuffled_labels},
};
pub use self::{
    options::AttentionOptions,
    report::{AttentionGroup, AttentionReport, Target, TargetList},
    row::NetworkRow,
    setting::{Contrast, NetworkSetting},
};
use super::method::NetworkMethod;
use crate::{
    embed::{EmbedOptions, Embedder},
    error::Result,
    usage::Usage,
};

/// Cells read at a time.
const BLOCK: usize = 64;

/// Networks from attention, and the evidence for and against them.
#[derive(Debug)]
#[non_exhaustive]
pub struct AttentionNetworks {
    /// What was done, and scores.
    pub report: AttentionReport,
    /// Names of the genes of the panel, in the order of the rows and columns of all weights.
    genes: Vec<String>,
    /// Weights of the perturbed group and of the control, `[sources, targets]`, row-major.
    weights: [Vec<f32>; 2],
    /// p values and false-discovery rates of the difference, in the order of [`off_diagonal`].
    null: Option<[Vec<f64>; 2]>,
    /// Networks from expression and from the vectors of the genes; empty if none were asked for.
    baselines: Vec<EdgeBaseline>,
}

impl AttentionNetworks {
    /// Names of the genes of the panel, in the order of the rows and columns of all weights.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// The network of the `n` strongest edges of a setting, or of all edges if `n` is 0; of a
    /// difference, the edges that differ most. The network of a difference also has the columns `p`
    /// and `fdr`.
    ///
    /// The source is the *key*, the gene that is looked at; the target the *query*, the gene that
    /// looks.
    pub fn network(&self, setting: NetworkSetting, n: usize) -> GeneNetwork {
        let weights = setting.of(&self.weights[0], &self.weights[1]);
        let (mut network, chosen) = strongest_edges(&self.genes, &weights, n);
        if let (NetworkSetting::Difference, Some(null)) = (setting, &self.null) {
            for (name, values) in ["p", "fdr"].into_iter().zip(null) {
                let values = chosen.iter().map(|&index| Some(values[index])).collect();
                network = network.with_column(name, Column::Float(values));
            }
        }
        network
    }

    /// The simpler networks that attention was compared with, each with the name of its file and
    /// its `n` strongest edges, or all if `n` is 0. A correlation, which has no direction, is
    /// listed as two edges.
    pub fn baselines(&self, n: usize) -> impl Iterator<Item = (String, GeneNetwork)> {
        self.baselines.iter().flat_map(move |baseline| {
            let settings = if baseline.control.is_some() { &NetworkSetting::ALL[..] } else { &[] };
            let alone =
                settings.is_empty().then(|| (baseline.name.into(), baseline.perturbed.clone()));
            let of_setting = |setting: &NetworkSetting| {
                let control = baseline.control.as_deref().unwrap_or_default();
                let name = format!("{}_{}", baseline.name, setting.name(Contrast::Groups));
                (name, setting.of(&baseline.perturbed, control))
            };
            let named = alone.into_iter().chain(settings.iter().map(of_setting));
            named.map(move |(name, weights)| (name, strongest_edges(&self.genes, &weights, n).0))
        })
    }

    /// Lists the targets of the genes asked for, and looks them up in gene sets.
    ///
    /// # Errors
    /// If a gene set file has no gene in common with the panel.
    fn answer(&mut self, options: &AttentionOptions<'_>, observer: &dyn Observer) -> Result<()> {
        let place = |gene: &String| self.genes.iter().position(|name| name == gene);
        let targets = options.genes.iter().filter_map(place);
        self.report.targets =
            targets.map(|gene| self.targets(gene, observer)).collect::<scgpt_data::Result<_>>()?;
        let (_, lists): (Vec<String>, Vec<Vec<String>>) = self.report.lists().into_iter().unzip();
        let background = Background::Genes(self.genes.iter().cloned().collect());
        for library in options.gene_sets {
            self.report.enriched.extend(enrich(&lists, library, &background, observer)?);
        }
        Ok(())
    }

    /// The enriched gene sets as a table: a row for each list of targets and each set found in it.
    pub fn enrichment_table(&self) -> Table {
        let names: Vec<String> = self.report.lists().into_iter().map(|(name, _)| name).collect();
        Enriched::table(&self.report.enriched, "list", &names)
    }
}

impl Embedder {
    /// Networks from the attention of one layer, of two groups of cells or of a single one.
    ///
    /// The same genes are looked at in all cells, whether expressed or not; values are binned among
    /// all known genes of a cell before the panel is chosen. Streaming: memory holds a few matrices
    /// of the panel, whatever the number of cells.
    ///
    /// A single group is compared with copies of its cells in which values are shuffled among the
    /// genes of the panel: what differs is due to expression, not to the genes' identity alone. Its
    /// permutations swap a cell and its copy.
    ///
    /// # Errors
    /// If the source cannot be read; a gene, condition or layer is absent; an option cannot work;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// `Tutorial_Attention_GRN.ipynb`. Differs: all cells of a group count (there the first is left
    /// out of the sum but not of the divisor); equal ranks are ordered by position.
    pub fn attention_networks(
        &self,
        source: &mut dyn CellSource,
        options: &AttentionOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<AttentionNetworks> {
        if options.method.rule().is_some() {
            return AttentionNetworks::of_expression(source, options, observer);
        }
        let begin = Instant::now();
        let n_layers = self.config().n_layers;
        let layer = options.layer.unwrap_or(n_layers.saturating_sub(1));
        if layer >= n_layers {
            return Err(scgpt_model::Error::Layer { layer, n_layers }.into());
        }
        self.check(Usage::Attention)?;
        expression::check_truth(options)?;
        if options.batch_size == 0 {
            return Err(scgpt_data::Setting("batch_size").zero().into());
        }
        let (_, n_columns) = source.summary().shape(options.matrix)?;
        let var = source.var(options.matrix)?;
        let alignment = self.vocab().align(&var, options.gene_names)?;
        self.known_genes(&alignment, None).check(options.gene_names)?;
        let selected = Selection::of(source, self.vocab(), &alignment, options, observer)?;
        let mut chosen = CellSubset::new(source, selected.numbers());
        let Selection { groups, cells, of_names, is_second, panel, truth } = selected;
        let config = TokenConfig {
            include_zero_genes: true,
            ..self.token_config(&EmbedOptions::default(), usize::MAX)?
        };
        let tokenizer = Tokenizer::new(self.vocab(), &alignment, config)?;
        let expression = options.baselines.then(|| ProfileBuilder::new(&panel.columns, n_columns));
        let is_second = &is_second;
        let looking = Looking {
            embedder: self,
            panel: &panel,
            layer,
            numbers: &of_names,
            is_second,
            options,
        };
        let mut empty = EmptyCells::of_known(&alignment);
        let mut chosen = empty.among(&mut chosen, options.matrix);
        let (seen, profiles) =
            looking.at(&mut chosen, &cells, &groups, &tokenizer, expression, observer)?;
        drop(chosen);
        let looked = begin.elapsed().as_secs_f64();
        let mut networks = looking.networks(&seen, &groups, observer)?;
        networks.report.genes_known = alignment.matched();
        networks.report.genes_of_model = alignment.vocabulary;
        networks.report.other_features = alignment.summary().others();
        networks.report.without_genes = empty.len();
        networks.report.seconds_looking = looked;
        let judged = baselines::EdgeJudge {
            genes: &panel,
            embedder: Some(self),
            groups: &groups,
            cells: &cells,
            truth: truth.as_ref(),
            is_second,
            seed: options.seed,
        };
        (networks.report.rows, networks.baselines) =
            judged.rows(&seen.sums, seen.scale, profiles.as_ref(), observer)?;
        networks.report.truth = truth.map(|truth| truth.summary());
        networks.choose(options.method)?;
        networks.answer(options, observer)?;
        networks.report.seconds = begin.elapsed().as_secs_f64();
        Ok(networks)
    }
}

/// What is looked at in the cells: the network, one of its layers, and the genes.
struct Looking<'a> {
    embedder: &'a Embedder,
    panel: &'a GenePanel,
    layer: usize,
    /// For every cell of the source a number made of its name, by which random choices are keyed.
    numbers: &'a [u64],
    /// Whether each cell of the source is in the second half of the cells, by its name.
    is_second: &'a [bool],
    options: &'a AttentionOptions<'a>,
}

/// What is kept of the cells after all were looked at.
struct Summed {
    sums: Sums,
    /// The factor that turns a mean of ranks over cells into a share of the largest rank, averaged
    /// over heads: the reciprocal of `heads · m`.
    scale: f64,
}

/// A cell, or its copy with shuffled values, that waits for the network.
struct Waiting<'a> {
    /// Binned values of `<cls>` and of the panel, `m` of them.
    values: Vec<f32>,
    group: usize,
    is_first_half: bool,
    /// For each permutation, whether it counts the cell in the first group.
    permuted: &'a [bool],
}

impl Looking<'_> {
    /// Number of tokens of a cell: `<cls>` and the panel.
    fn m(&self) -> usize {
        1 + self.panel.len()
    }

    /// Reads the cells once and adds up the ranks of their attention, and collects their expression
    /// if it is asked for.
    ///
    /// `cells` are the chosen cells, ascending, each with its group (0 or 1), as `source` gives
    /// them. A cell of a single group goes through the network twice: as it is, and as the copy it
    /// is compared with.
    ///
    /// # Errors
    /// If the cells cannot be read, the observer cancels, or the sums of ranks under a permutation,
    /// which are kept in 32 bits, could overflow: `cells · heads · m` ranks are the most.
    fn at(
        &self,
        source: &mut dyn CellSource,
        cells: &[(usize, usize)],
        groups: &Groups,
        tokenizer: &Tokenizer,
        mut expression: Option<ProfileBuilder>,
        observer: &dyn Observer,
    ) -> Result<(Summed, Option<GeneProfiles>)> {
        let (options, m) = (self.options, self.m());
        let h = self.embedder.config().n_heads;
        let n = cells.len();
        if n as u64 * h as u64 * m as u64 > u64::from(u32::MAX) {
            let n = options.max_cells;
            let problem = format!("is {n}, but ranks of so many cells cannot be added up exactly");
            return Err(scgpt_data::Setting("max_cells").wrong(problem).into());
        }
        let n_first = groups.cells[0].len();
        // Of a single group: whether a permutation swaps a cell and its copy.
        let n_first = if groups.is_single() { n / 2 } else { n_first };
        let of_cells: Vec<u64> = cells.iter().map(|&(cell, _)| self.numbers[cell]).collect();
        let labels = shuffled_labels(&of_cells, n_first, options.permutations, options.seed);
        let swapped: Vec<Vec<bool>> =
            labels.iter().map(|labels| labels.iter().map(|is_first| !is_first).collect()).collect();
        let scale = LogScale { from: unscaled(source, options.matrix)?, total: TOTAL };
        let mut sums = Sums::new(m * m, options.permutations);
        let copies = 1 + usize::from(groups.is_single());
        observer.begin("looking at attention", n * copies);
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        let mut scratch = TokenScratch::default();
        for first in (0..n).step_by(BLOCK) {
            let mut block = source.read(options.matrix, first..n.min(first + BLOCK))?;
            for (index, row) in (first..).zip(block.rows()) {
                let (cell, group) = cells[index];
                let tokens = tokenizer.cell(row, CellKey::Content, &mut scratch);
                let values = self.panel.values(&tokens);
                let is_first_half = !self.is_second[cell];
                if groups.is_single() {
                    let values = shuffled(&values, options.seed, tokens.content());
                    let permuted = &swapped[index];
                    waiting.push(Waiting { values, group: 1, is_first_half, permuted });
                }
                waiting.push(Waiting { values, group, is_first_half, permuted: &labels[index] });
                while waiting.len() >= options.batch_size {
                    let rest = waiting.split_off(options.batch_size);
                    self.add(&std::mem::replace(&mut waiting, rest), &mut sums, observer)?;
                }
            }
            if let Some(expression) = &mut expression {
                scale.apply(&mut block);
                block.rows().for_each(|row| expression.push(row));
            }
        }
        self.add(&waiting, &mut sums, observer)?;
        let scale = 1.0 / (h * m) as f64;
        Ok((Summed { sums, scale }, expression.map(ProfileBuilder::into_profiles)))
    }

    /// Takes one batch through the network and adds its ranks to `sums`.
    ///
    /// All cells have the same tokens in the same order, so there is no padding, and nothing of a
    /// batch shows in the result.
    fn add(&self, batch: &[Waiting<'_>], sums: &mut Sums, observer: &dyn Observer) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        observer.check_cancelled()?;
        let m = self.m();
        let cls = self.embedder.vocab().special(SpecialToken::Cls);
        let tokens = std::iter::once(cls).chain(self.panel.tokens.iter().copied());
        #[allow(clippy::cast_possible_wrap, reason = "a vocabulary is small")]
        let tokens: Vec<i32> = tokens.map(|token| token.0 as i32).collect();
        let rows = TokenBatchView {
            n_tokens: m,
            genes: &tokens.repeat(batch.len()),
            values: &batch.iter().flat_map(|cell| cell.values.iter().copied()).collect::<Vec<_>>(),
            lengths: &vec![m; batch.len()],
            // Networks that tell batches apart see the cells as those of the first.
            domain: 0,
        };
        let scores = self.embedder.encoder().attention_scores(rows, self.layer)?;
        for (cell, scores) in batch.iter().zip(scores.chunks_exact(scores.len() / batch.len())) {
            let &Waiting { group, is_first_half, permuted, .. } = cell;
            sums.add(&rank_sums(scores, m), Place { group, is_first_half, permuted });
        }
        observer.advance(batch.len());
        Ok(())
    }

    /// The networks, and the p values that follow from them without further cells.
    fn networks(
        &self,
        seen: &Summed,
        groups: &Groups,
        observer: &dyn Observer,
    ) -> Result<AttentionNetworks> {
        let n = self.panel.len();
        let places = off_diagonal(n);
        // The same places with `<cls>`, in front, among the tokens.
        let among_tokens: Vec<usize> =
            places.iter().map(|place| (place / n + 1) * (n + 1) + place % n + 1).collect();
        let null = match seen.sums.p_values(&among_tokens) {
            Some(p) => {
                let fdr = benjamini_hochberg(&p, p.len(), observer)?;
                Some([p, fdr])
            }
            None => None,
        };
        let weights = [0, 1].map(|group| without_cls(&seen.sums.mean(group, seen.scale), self.m()));
        let mut networks = AttentionNetworks {
            report: AttentionReport::new(
                self.panel.len(),
                groups,
                self.options,
                Seen::Attention { embedder: self.embedder, layer: self.layer },
            ),
            genes: self.panel.names.clone(),
            weights,
            null,
            baselines: Vec::new(),
        };
        networks.report.significant = networks
            .null
            .as_ref()
            .map(|[_, fdr]| fdr.iter().filter(|&&fdr| fdr < report::SIGNIFICANT).count());
        Ok(networks)
    }
}

/// A `[m, m]` matrix without the first row and column.
fn without_cls(matrix: &[f32], m: usize) -> Vec<f32> {
    matrix.chunks_exact(m).skip(1).flat_map(|row| row[1..].iter().copied()).collect()
}

#[cfg(test)]
mod tests;
