//! Which genes said so: how much each gene has added to the score of the type that cells were said to be of.
//!
//! Of a network, gradients of the class scores along the way from a cell without values to the cell as it is
//! (integrated gradients); of a method whose score is a sum over genes, its terms.

use std::collections::{BTreeMap, BTreeSet};

use burn::prelude::Device;
use scgpt_data::{
    CellSource, CellSubset, Column, GeneToken, Observer, Setting, Table, Tokenizer, narrow,
};
use scgpt_report::Page;
use scgpt_stats::subsample;
use serde::Serialize;

use super::{
    artefact::Artefact,
    classifier::Classifier,
    gradients::Gradients,
    method::Method,
    predict::{Annotated, PredictOptions},
};
use crate::error::{Error, Result};

/// Cells that are read at a time.
const WINDOW: usize = 256;

/// Which genes are asked for, and of how many cells.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct ExplainOptions {
    /// Number of genes of each type, those that added most.
    pub genes: usize,
    /// Most cells of each predicted type that are looked at.
    pub cells: usize,
    /// Seed of the choice of cells.
    pub seed: u64,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { genes: 20, cells: 100, seed: 0 }
    }
}

/// The genes by which types were told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The types that some cell was said to be of, in the order of the artefact.
    pub types: Vec<TypeGenes>,
    /// Why the genes tell little, if they do: few of them are markers of their type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// The genes by which a type was told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TypeGenes {
    /// Name of the type.
    pub name: String,
    /// Number of cells that were looked at.
    pub cells: usize,
    /// The genes, that which added most first.
    pub genes: Vec<GeneShare>,
}

/// What a gene added to the score of a type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneShare {
    /// Name of the gene, as the artefact knows it.
    pub gene: String,
    /// What it added to the score of the type, beyond the mean of the other types, on average over the
    /// cells that were looked at.
    pub added: f64,
    /// Share of these cells that express it.
    pub expressed: f64,
    /// Its place among the genes by how much higher the cells of the type that were learned from express it
    /// than those of the other types; `None` if none of them expressed it.
    pub reference_rank: Option<usize>,
}

/// Genes of a type on a page.
const SHOWN: usize = 10;
/// Share of the first genes that are markers, below which they are hardly those that differ. One in ten is chance.
const MARKERS: f64 = 0.5;

impl Explanation {
    /// Adds the genes by which types were told, a row a type.
    pub(super) fn describe(&self, page: &mut Page) {
        let row = |of: &TypeGenes| {
            let gene = |it: &GeneShare| match it.reference_rank {
                Some(rank) => format!("{} ({rank})", it.gene),
                None => it.gene.clone(),
            };
            let genes: Vec<String> = of.genes.iter().take(SHOWN).map(gene).collect();
            vec![of.name.clone(), of.cells.to_string(), genes.join(", ")]
        };
        let rows: Vec<Vec<String>> = self.types.iter().map(row).collect();
        page.section("Genes that said so").columns(&["type", "cells", "genes"], &rows);
        page.text(
            "Genes that added most to the score of the type, beyond that of the others, on average over some of its cells. \
             In brackets, the place of the gene among those that the cells of the type that were learned from express more \
             than others: low numbers are its markers.",
        );
        page.warnings(self.doubt.as_slice());
    }

    /// Of the first genes of all types, the share that is among the first tenth of the `n_genes` by how much more the
    /// cells of their type express them; `None` if there are no genes.
    fn marker_share(&self, n_genes: usize) -> Option<f64> {
        let first = || self.types.iter().flat_map(|of| of.genes.iter().take(SHOWN));
        let is_marker = |it: &&GeneShare| {
            it.reference_rank.is_some_and(|rank| rank <= n_genes.div_ceil(10).max(SHOWN))
        };
        let n = first().count();
        (n > 0).then(|| first().filter(is_marker).count() as f64 / n as f64)
    }

    /// One gene of a type a row.
    pub fn table(&self) -> Table {
        let rows =
            || self.types.iter().flat_map(|of| of.genes.iter().enumerate().map(move |it| (of, it)));
        let whole = |n: usize| Some(i64::try_from(n).unwrap_or(i64::MAX));
        let text = |text: &String| Some(text.clone());
        let column = |name: &str, column| (name.to_owned(), column);
        Table {
            columns: vec![
                column("type", Column::Text(rows().map(|(of, _)| text(&of.name)).collect())),
                column("rank", Column::Integer(rows().map(|(_, (at, _))| whole(at + 1)).collect())),
                column("gene", Column::Text(rows().map(|(_, (_, it))| text(&it.gene)).collect())),
                column("added", Column::Float(rows().map(|(_, (_, it))| Some(it.added)).collect())),
                column(
                    "expressed",
                    Column::Float(rows().map(|(_, (_, it))| Some(it.expressed)).collect()),
                ),
                column(
                    "reference_rank",
                    Column::Integer(
                        rows().map(|(_, (_, it))| it.reference_rank.and_then(whole)).collect(),
                    ),
                ),
                column("cells", Column::Integer(rows().map(|(of, _)| whole(of.cells)).collect())),
            ],
        }
    }
}

/// What genes added to the scores of the cells of one type, by token.
struct Sums {
    cells: usize,
    added: Vec<f64>,
    n_expressed: Vec<usize>,
}

impl Artefact {
    /// Checks that genes can be asked for, before cells are computed.
    ///
    /// # Errors
    /// If an option is 0, the score of the method is no sum over genes, as votes of neighbours are not, or the network
    /// knows values as categories only.
    pub fn check_explain(&self, explain: &ExplainOptions) -> Result<()> {
        for (name, n) in [("genes", explain.genes), ("cells", explain.cells)] {
            if n == 0 {
                return Err(Setting(name).zero().into());
            }
        }
        let problem = match &self.classifier {
            Classifier::Network(embedder) => Gradients::problem(embedder).map(str::to_owned),
            Classifier::Simple(_) => (self.record.method == Method::Neighbours)
                .then(|| format!("{}: votes are no sum over genes", self.record.method.name())),
        };
        problem.map_or(Ok(()), |problem| {
            Err(Error::unsuited(problem, "ask an artefact of another method"))
        })
    }

    /// The genes that added most to the score of each type that some cell of `source` was `annotated` as;
    /// `options` are those by which it was. What follows is of some cells of each type, chosen by the seed.
    ///
    /// # Errors
    /// As [`check_explain`](Self::check_explain); if cells cannot be read;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// Integrated gradients: Sundararajan, Taly and Yan 2017, from a cell whose values are 0, by the midpoint rule.
    pub fn explain(
        &self,
        source: &mut dyn CellSource,
        annotated: &Annotated,
        options: &PredictOptions,
        explain: &ExplainOptions,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Explanation> {
        self.check_explain(explain)?;
        let embed = self.embed_options(options);
        let trained = self.profiles.trained(self.classifier.vocab().len());
        let alignment = self.classifier.source_genes(source, &embed, &trained)?.alignment;
        let chosen = chosen(annotated, explain);
        let cells: Vec<usize> = chosen.keys().copied().collect();
        let n_tokens = self.classifier.vocab().len();
        let nothing =
            || Sums { cells: 0, added: vec![0.0; n_tokens], n_expressed: vec![0; n_tokens] };
        let mut sums: BTreeMap<u32, Sums> =
            chosen.values().map(|&class| (class, nothing())).collect();
        let layer = &options.layer;
        match &self.classifier {
            Classifier::Network(embedder) => {
                let gradients = Gradients::open(embedder, device)?;
                let config = self.classifier.token_config(&embed, self.record.max_length)?;
                let tokenizer = Tokenizer::new(embedder.vocab(), &alignment, config)?;
                observer.begin("asking which genes said so", cells.len());
                let mut subset = CellSubset::new(source, cells.clone());
                for first in (0..cells.len()).step_by(WINDOW) {
                    let end = cells.len().min(first + WINDOW);
                    let block = subset.read(layer, first..end)?;
                    let classes: Vec<u32> =
                        cells[first..end].iter().map(|cell| chosen[cell]).collect();
                    let tokens = tokenizer.block(&block);
                    let added = gradients.of(&tokens, &classes, options.batch_size, observer)?;
                    for ((cell, added), class) in tokens.iter().zip(added).zip(&classes) {
                        let Some(sums) = sums.get_mut(class) else { continue };
                        sums.cells += 1;
                        for ((gene, &value), added) in
                            cell.genes.iter().zip(&cell.values).zip(added)
                        {
                            if value > 0.0 {
                                sums.added[gene.0 as usize] += f64::from(added);
                                sums.n_expressed[gene.0 as usize] += 1;
                            }
                        }
                    }
                }
            }
            Classifier::Simple(simple) => {
                let slopes = |&class: &u32| Some((class, simple.method().slopes(class)?));
                let slopes: BTreeMap<u32, Vec<(u32, f64)>> =
                    sums.keys().filter_map(slopes).collect();
                let is_measured: BTreeSet<u32> =
                    alignment.tokens.iter().flatten().map(|token| token.0).collect();
                let reader = simple.method().space().of_source(source, layer, &alignment.tokens)?;
                let mut subset = CellSubset::new(source, cells.clone());
                let stage = "asking which genes said so";
                let mut add = |known: scgpt_eval::baseline::KnownCells| -> Result<()> {
                    for (place, (genes, values)) in (known.first..).zip(&known.cells) {
                        let class = chosen[&cells[place]];
                        let (Some(sums), Some(slopes)) = (sums.get_mut(&class), slopes.get(&class))
                        else {
                            continue;
                        };
                        sums.cells += 1;
                        for (&gene, &x) in genes.iter().zip(values).filter(|(_, x)| **x > 0.0) {
                            let (token, slope) = slopes[gene as usize];
                            // Those that were not measured are taken to be at their mean.
                            if !is_measured.contains(&token) {
                                continue;
                            }
                            sums.added[token as usize] += slope * f64::from(x);
                            sums.n_expressed[token as usize] += 1;
                        }
                    }
                    Ok(())
                };
                reader.each(&mut subset, layer, stage, observer, &mut add)?;
            }
        }
        let types = sums.iter().map(|(&class, sums)| self.of_type(class, sums, explain.genes));
        let mut explanation = Explanation { types: types.collect(), doubt: None };
        explanation.doubt = self.doubt(&explanation);
        Ok(explanation)
    }

    /// Why the genes tell little, if they do: few of them are those by which the cells that were learned from differ.
    fn doubt(&self, explanation: &Explanation) -> Option<String> {
        let share =
            explanation.marker_share(self.profiles.n_genes()).filter(|share| *share < MARKERS)?;
        Some(format!(
            "these genes tell little of the types: only {:.0} % are among the tenth of the genes that the training cells of \
             their type express most above the others; train longer, or take an artefact of a better method, before you \
             believe them",
            100.0 * share
        ))
    }

    /// The genes that added most to a type.
    fn of_type(&self, class: u32, sums: &Sums, n: usize) -> TypeGenes {
        let vocab = self.classifier.vocab();
        let ranks = self.profiles.ranks(class as usize);
        let cells = sums.cells.max(1) as f64;
        let mut tokens: Vec<usize> =
            (0..sums.added.len()).filter(|&token| sums.n_expressed[token] > 0).collect();
        tokens.sort_by(|&a, &b| sums.added[b].total_cmp(&sums.added[a]).then(a.cmp(&b)));
        let share = |token: usize| GeneShare {
            gene: vocab.own_name(GeneToken(narrow(token))).to_owned(),
            added: sums.added[token] / cells,
            expressed: sums.n_expressed[token] as f64 / cells,
            reference_rank: ranks.get(&narrow(token)).copied(),
        };
        TypeGenes {
            name: self.record.classes[class as usize].clone(),
            cells: sums.cells,
            genes: tokens.into_iter().take(n).map(share).collect(),
        }
    }
}

/// Some cells of each type that cells were said to be of, ascending, and their types.
fn chosen(annotated: &Annotated, explain: &ExplainOptions) -> BTreeMap<usize, u32> {
    let mut of_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (cell, class) in
        annotated.cells.iter().enumerate().filter_map(|(at, it)| Some((at, it.class?)))
    {
        of_class.entry(class).or_default().push(cell);
    }
    let some = |(class, cells): (u32, Vec<usize>)| {
        let places = subsample(cells.len(), explain.cells, explain.seed);
        places.into_iter().map(move |place| (cells[place], class)).collect::<Vec<_>>()
    };
    of_class.into_iter().flat_map(some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_that_are_no_markers_are_noticed() {
        let of = |ranks: [Option<usize>; 4]| {
            let gene = |reference_rank| GeneShare {
                gene: "G".into(),
                added: 1.0,
                expressed: 1.0,
                reference_rank,
            };
            let genes = ranks.map(gene).to_vec();
            let types = vec![TypeGenes { name: "T".into(), cells: 3, genes }];
            Explanation { types, doubt: None }
        };
        let markers = of([Some(1), Some(20), Some(100), Some(400)]);
        assert_eq!(markers.marker_share(1000), Some(0.75));
        assert_eq!(of([Some(500), None, None, Some(101)]).marker_share(1000), Some(0.0));
        let none = Explanation { types: Vec::new(), doubt: None };
        assert_eq!(none.marker_share(1000), None);
        let mut page = Page::new("", "");
        let doubted = Explanation { doubt: Some("tell little".into()), ..markers };
        doubted.describe(&mut page);
        let html = page.to_html();
        assert!(html.contains("<li>tell little</li>") && html.contains("G (20), G (100)"));
    }
}
