//! [`Alignment`]: which genes of the data are which tokens.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use serde::Serialize;

use super::{
    GeneNames, GeneToken, GeneVocab, SpecialToken,
    gene_table::{GeneNameKind, unversioned},
    names::{INDEX, other_features},
    renaming::{Other, Renamed, Renaming},
};
use crate::{
    error::{Error, Result},
    frame::Frame,
};

/// Least share of known genes, of those of the data or of those of the vocabulary. Below it in
/// both, a wrong column or species is likelier than a small panel or a small model.
const MIN_GENES: f64 = 0.1;

/// How many names an error or a summary shows.
const EXAMPLES: usize = 5;

/// Which token each gene of the data has, if any.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// One entry a gene, in the order of `var`.
    pub tokens: Vec<Option<GeneToken>>,
    /// Where the names were found: a column of `var`, or `index`.
    pub column: String,
    /// Genes that are not in the vocabulary.
    pub unmatched: Vec<String>,
    /// Genes whose token an earlier gene already has; they are left out.
    pub duplicates: Vec<Duplicate>,
    /// Genes that the vocabulary has under other names; they have tokens.
    pub renamed: Vec<Renamed>,
    /// Genes whose names are those of several others, and so of none.
    pub ambiguous: Vec<String>,
    /// Every place with names that was tried, in the order of the file.
    pub candidates: Vec<Candidate>,
    /// What the features that are no genes measure, and how many there are of each; they have no
    /// token.
    pub other_features: Vec<(String, usize)>,
    /// Number of genes in the vocabulary.
    pub vocabulary: usize,
}

/// A gene that was left out because an earlier one has the same token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Its name.
    pub name: String,
    /// Its row in `var`.
    pub gene: usize,
    /// The row of the gene that was kept.
    pub kept: usize,
}

/// A column that could hold gene names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Name of the column, or `index`.
    pub column: String,
    /// Number of different genes of the vocabulary that it names.
    pub matched: usize,
}

/// An [`Alignment`] in a few numbers and examples, for reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlignmentSummary {
    /// Where the names were found.
    pub column: String,
    /// Number of genes of the data; other features are not counted.
    pub genes: usize,
    /// Number of genes with a token.
    pub matched: usize,
    /// `matched / genes`.
    pub coverage: f64,
    /// Number of genes in the vocabulary.
    pub vocabulary: usize,
    /// `matched / vocabulary`.
    pub vocabulary_coverage: f64,
    /// Number of genes without a token.
    pub unmatched: usize,
    /// A few of them.
    pub unmatched_examples: Vec<String>,
    /// Number of genes left out because an earlier one has the same token.
    pub duplicates: usize,
    /// A few of them.
    pub duplicate_examples: Vec<String>,
    /// How many genes the vocabulary has under other names, by what these are.
    pub renamed: BTreeMap<GeneNameKind, usize>,
    /// A few of them, with both names.
    pub renamed_examples: Vec<Renamed>,
    /// Number of genes whose names are those of several others, and so of none.
    pub ambiguous: usize,
    /// A few of them.
    pub ambiguous_examples: Vec<String>,
    /// Every place with names that was tried.
    pub candidates: Vec<Candidate>,
    /// What the features that are no genes measure, and how many there are of each.
    pub other_features: Vec<(String, usize)>,
}

impl GeneVocab {
    /// Finds the genes of `var` in the vocabulary.
    ///
    /// Names are taken from the column that is named, or else from whichever of the index and the
    /// text columns names most genes; the earlier one wins a tie, and the index is first. Row
    /// numbers are no names. An Ensembl id with a version (`ENSG00000000003.15`) also matches
    /// without it. A gene that the vocabulary does not have by its name is looked for under its other names, unless
    /// [`genes_as_they_are`](GeneNames::genes_as_they_are): see [`GeneNameKind`]. Features that `feature_types` calls something else are no genes, unless that is
    /// asked for.
    ///
    /// Differs from the reference: of several genes with the same token only the first is kept
    /// and the others are reported, so that no token occurs twice in a cell; a gene named like a
    /// special token does not match; other names are not looked for there.
    ///
    /// # Errors
    /// If the column does not exist, there are no genes or no names, or fewer than 10 % (or the share
    /// that is asked for) of them are known, and of those of the vocabulary too: a panel of a few
    /// genes that the vocabulary has passes, and so does a whole transcriptome that has those of a
    /// small vocabulary.
    pub fn align(&self, var: &Frame, names: &GeneNames) -> Result<Alignment> {
        let is_gene = names.are_genes(var);
        let mut tried: Vec<Alignment> = names
            .places(var)?
            .into_iter()
            .map(|(column, found)| {
                let mut matched = self.match_names(column, &found, &is_gene);
                if !names.genes_as_they_are {
                    self.rename(&mut matched, &found, &is_gene);
                }
                matched
            })
            .collect();
        let candidates: Vec<Candidate> = tried
            .iter()
            .map(|alignment| Candidate {
                column: alignment.column.clone(),
                matched: alignment.matched(),
            })
            .collect();
        // The first of the best: `max_by_key` alone would take the last.
        let best = (0..tried.len())
            .rev()
            // A place with the names of the vocabulary itself is better than one with others.
            .max_by_key(|&place| 2 * candidates[place].matched - tried[place].renamed.len())
            .unwrap_or_default();
        let other_features = other_features(var, &is_gene);
        let alignment = Alignment { candidates, other_features, ..tried.swap_remove(best) };
        self.check(&alignment, names.min_genes.unwrap_or(MIN_GENES))?;
        Ok(alignment)
    }

    fn check(&self, alignment: &Alignment, least: f64) -> Result<()> {
        let genes = alignment.genes();
        if genes == 0 {
            let others = &alignment.other_features;
            return Err(Error::Option(match others.first() {
                None => "the data has no genes".into(),
                Some(_) => format!(
                    "the data has no genes: by `feature_types` all of its features are {}; if they are to be taken for \
                     genes all the same, say so (`all_features`)",
                    counted(others)
                ),
            }));
        }
        let known = genes - alignment.unmatched.len();
        let share = known as f64 / genes as f64;
        if known > 0 && share.max(alignment.vocabulary_coverage()) >= least {
            return Ok(());
        }
        let genes_of = |token: &GeneToken| !self.is_special(*token);
        Err(Error::Coverage {
            matched: known,
            genes,
            vocabulary: alignment.vocabulary,
            data_examples: alignment.unmatched.iter().take(EXAMPLES).cloned().collect(),
            vocab_examples: (0..)
                .map(GeneToken)
                .filter(genes_of)
                .map_while(|token| self.name(token))
                .take(EXAMPLES)
                .map(String::from)
                .collect(),
        })
    }

    /// A vocabulary of all genes of the `var` tables of some data, in their order, and the special
    /// tokens after them.
    ///
    /// # Errors
    /// If the column does not exist, or there are no genes or no names.
    pub fn from_genes<'a>(
        tables: impl IntoIterator<Item = &'a Frame>,
        names: &GeneNames,
    ) -> Result<Self> {
        let mut seen: HashSet<String> = HashSet::new();
        let mut genes: Vec<String> = Vec::new();
        for var in tables {
            for name in names.genes(var)?.index {
                if !name.is_empty() && seen.insert(name.clone()) {
                    genes.push(name);
                }
            }
        }
        Self::from_names(genes)
    }

    /// Number of genes, special tokens not counted.
    pub fn n_genes(&self) -> usize {
        self.len() - SpecialToken::ALL.len()
    }

    /// The alignment of data whose columns are the tokens of this vocabulary, in order; special
    /// tokens, being no genes, are left out.
    pub(crate) fn identity(&self) -> Alignment {
        let genes = (0..).map(GeneToken).take(self.len());
        Alignment {
            tokens: genes
                .map(|token| Some(token).filter(|&token| !self.is_special(token)))
                .collect(),
            column: INDEX.to_owned(),
            unmatched: Vec::new(),
            duplicates: Vec::new(),
            renamed: Vec::new(),
            ambiguous: Vec::new(),
            candidates: Vec::new(),
            other_features: Vec::new(),
            vocabulary: self.n_genes(),
        }
    }

    fn match_names(&self, column: String, names: &[Cow<'_, str>], is_gene: &[bool]) -> Alignment {
        let mut first: HashMap<GeneToken, usize> = HashMap::with_capacity(names.len());
        let mut unmatched = Vec::new();
        let mut duplicates = Vec::new();
        let tokens = names
            .iter()
            .enumerate()
            .map(|(gene, name)| {
                if !is_gene[gene] {
                    return None;
                }
                let Some(token) = self.gene(name) else {
                    unmatched.push(name.to_string());
                    return None;
                };
                let kept = *first.entry(token).or_insert(gene);
                if kept != gene {
                    duplicates.push(Duplicate { name: name.to_string(), gene, kept });
                }
                (kept == gene).then_some(token)
            })
            .collect();
        Alignment {
            tokens,
            column,
            unmatched,
            duplicates,
            renamed: Vec::new(),
            ambiguous: Vec::new(),
            candidates: Vec::new(),
            other_features: Vec::new(),
            vocabulary: self.n_genes(),
        }
    }

    /// Finds genes without a token by their other names. A gene that is there by its own name keeps its token; of
    /// several genes that are one, the first has it.
    fn rename(&self, alignment: &mut Alignment, names: &[Cow<'_, str>], is_gene: &[bool]) {
        if alignment.unmatched.is_empty() {
            return;
        }
        let taken: HashSet<GeneToken> = alignment.tokens.iter().copied().flatten().collect();
        let renaming = Renaming::new(self, &taken);
        let mut first: HashMap<GeneToken, usize> = HashMap::new();
        alignment.unmatched.clear();
        let genes = names.iter().enumerate().filter(|&(gene, _)| is_gene[gene]);
        for (gene, name) in genes {
            if self.gene(name).is_some() {
                continue;
            }
            let (token, kind) = match renaming.token(name) {
                Other::Token(token, kind) => (token, kind),
                other => {
                    alignment.unmatched.push(name.to_string());
                    if matches!(other, Other::Ambiguous) {
                        alignment.ambiguous.push(name.to_string());
                    }
                    continue;
                }
            };
            let kept = *first.entry(token).or_insert(gene);
            if kept != gene {
                alignment.duplicates.push(Duplicate { name: name.to_string(), gene, kept });
                continue;
            }
            alignment.tokens[gene] = Some(token);
            let known_as = self.name(token).unwrap_or_default().to_owned();
            alignment.renamed.push(Renamed { name: name.to_string(), known_as, kind });
        }
        alignment.duplicates.sort_by_key(|duplicate| duplicate.gene);
    }

    fn gene(&self, name: &str) -> Option<GeneToken> {
        let unversioned = || self.token(unversioned(name)?);
        self.token(name).or_else(unversioned).filter(|&token| !self.is_special(token))
    }
}

impl Alignment {
    /// Number of genes with a token.
    pub fn matched(&self) -> usize {
        self.tokens.iter().flatten().count()
    }

    /// Number of genes of the data; other features are not counted.
    pub fn genes(&self) -> usize {
        let others: usize = self.other_features.iter().map(|(_, n)| n).sum();
        self.tokens.len() - others
    }

    /// Share of the genes of the data that have a token.
    pub fn coverage(&self) -> f64 {
        self.matched() as f64 / self.genes().max(1) as f64
    }

    /// Share of the genes of the vocabulary that the data has.
    pub fn vocabulary_coverage(&self) -> f64 {
        self.matched() as f64 / self.vocabulary.max(1) as f64
    }

    /// Leaves only the genes (rows of `var`) that `keep` accepts, for example the highly variable
    /// ones. The others are neither unmatched nor duplicates, but [`matched`](Self::matched) no
    /// longer counts them: take the [`summary`](Self::summary) before.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (gene, token) in self.tokens.iter_mut().enumerate() {
            *token = token.filter(|_| keep(gene));
        }
    }

    /// A summary in numbers and examples, for reports.
    pub fn summary(&self) -> AlignmentSummary {
        AlignmentSummary {
            column: self.column.clone(),
            genes: self.genes(),
            matched: self.matched(),
            coverage: self.coverage(),
            vocabulary: self.vocabulary,
            vocabulary_coverage: self.vocabulary_coverage(),
            unmatched: self.unmatched.len(),
            unmatched_examples: self.unmatched.iter().take(EXAMPLES).cloned().collect(),
            duplicates: self.duplicates.len(),
            duplicate_examples: self
                .duplicates
                .iter()
                .take(EXAMPLES)
                .map(|duplicate| duplicate.name.clone())
                .collect(),
            renamed: self.renamed.iter().fold(BTreeMap::new(), |mut counts, renamed| {
                *counts.entry(renamed.kind).or_default() += 1;
                counts
            }),
            renamed_examples: self.renamed.iter().take(EXAMPLES).cloned().collect(),
            ambiguous: self.ambiguous.len(),
            ambiguous_examples: self.ambiguous.iter().take(EXAMPLES).cloned().collect(),
            candidates: self.candidates.clone(),
            other_features: self.other_features.clone(),
        }
    }
}

impl AlignmentSummary {
    /// How many genes are known, of those of the data and of those of the vocabulary, for people.
    pub fn line(&self) -> String {
        let renamed = match self.renamed.values().sum::<usize>() {
            0 => String::new(),
            n => format!(", {n} of them under another name"),
        };
        format!(
            "{} of {} known ({:.1} %), named by `{}`{renamed}; {} of the {} of the model",
            self.matched,
            self.genes,
            100.0 * self.coverage,
            self.column,
            self.matched,
            self.vocabulary
        )
    }

    /// Which genes the vocabulary has under other names, and which names say nothing, in words for people; `None` if
    /// there are none of either.
    pub fn other_names(&self) -> Option<String> {
        let mut said = Vec::new();
        if !self.renamed.is_empty() {
            let kinds = self.renamed.iter().map(|(kind, n)| format!("{n} × {kind}"));
            let examples =
                self.renamed_examples.iter().map(|it| format!("{} is {}", it.name, it.known_as));
            said.push(format!(
                "genes that the model has under other names: {} ({}, …)",
                kinds.collect::<Vec<_>>().join(", "),
                examples.collect::<Vec<_>>().join(", ")
            ));
        }
        if self.ambiguous > 0 {
            said.push(format!(
                "{} names are those of several genes, and left out ({}, …)",
                self.ambiguous,
                self.ambiguous_examples.join(", ")
            ));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// The features that are no genes, in words for people; `None` if all are genes.
    pub fn others(&self) -> Option<String> {
        (!self.other_features.is_empty()).then(|| counted(&self.other_features))
    }
}

/// `12 × Antibody Capture, 3 × Peaks`.
fn counted(features: &[(String, usize)]) -> String {
    let each = features.iter().map(|(label, n)| format!("{n} × {label}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
