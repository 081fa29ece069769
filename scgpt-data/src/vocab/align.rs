//! [`Alignment`]: which genes of the data are which tokens.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::Serialize;

use super::{GeneToken, GeneVocab};
use crate::{
    error::{Error, Result},
    frame::{Column, Frame},
};

/// Below this share of known genes the wrong column or species is likelier than a small panel.
const MIN_COVERAGE: f64 = 0.1;

/// How many names an error or a summary shows.
const EXAMPLES: usize = 5;

/// The word for the index of a `var` table, beside the names of its columns.
const INDEX: &str = "index";

/// For every gene of the data its token, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// One entry a gene, in the order of the data.
    pub tokens: Vec<Option<GeneToken>>,
    /// Where the names were found: a column of `var`, or `index`.
    pub column: String,
    /// Genes that are not in the vocabulary.
    pub unmatched: Vec<String>,
    /// Genes whose token an earlier gene already has; they are left out.
    pub duplicates: Vec<Duplicate>,
    /// Every place with names that was tried, in the order of the file.
    pub candidates: Vec<Candidate>,
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
    /// Its name, or `index`.
    pub column: String,
    /// How many different genes of the vocabulary it names.
    pub matched: usize,
}

/// An [`Alignment`] in a few numbers and examples, for reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlignmentSummary {
    /// Where the names were found.
    pub column: String,
    /// Genes of the data.
    pub genes: usize,
    /// Genes with a token.
    pub matched: usize,
    /// `matched / genes`.
    pub coverage: f64,
    /// Genes without a token.
    pub unmatched: usize,
    /// A few of them.
    pub unmatched_examples: Vec<String>,
    /// Genes left out because an earlier one has the same token.
    pub duplicates: usize,
    /// A few of them.
    pub duplicate_examples: Vec<String>,
    /// Every place with names that was tried.
    pub candidates: Vec<Candidate>,
}

impl GeneVocab {
    /// Finds the genes of `var` in the vocabulary.
    ///
    /// Names are taken from `gene_column` (`index` names the index), or else from whichever of the
    /// index and the text columns names most genes; the earlier wins a tie, the index being first.
    /// An Ensembl id with a version (`ENSG00000000003.15`) also matches without it.
    ///
    /// Differs from the reference: of several genes with the same token only the first is kept
    /// and the others are reported, so that no token occurs twice in a cell; a gene named like a
    /// special token does not match.
    ///
    /// # Errors
    /// If the column does not exist, there are no genes, or fewer than 10 % of them are known.
    pub fn align(&self, var: &Frame, gene_column: Option<&str>) -> Result<Alignment> {
        let places = match gene_column {
            Some(column) => vec![place(var, column)?],
            None => places(var),
        };
        let mut tried: Vec<Alignment> =
            places.into_iter().map(|(column, names)| self.match_names(column, &names)).collect();
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
            .max_by_key(|&place| candidates[place].matched)
            .unwrap_or_default();
        let alignment = Alignment { candidates, ..tried.swap_remove(best) };
        let genes = var.len();
        let known = genes - alignment.unmatched.len();
        if genes == 0 {
            return Err(Error::Option("the data has no genes".into()));
        }
        if (known as f64) < MIN_COVERAGE * genes as f64 {
            let genes_of = |token: &GeneToken| !self.is_special(*token);
            return Err(Error::Coverage {
                matched: known,
                genes,
                data_examples: alignment.unmatched.iter().take(EXAMPLES).cloned().collect(),
                vocab_examples: (0..)
                    .map(GeneToken)
                    .filter(genes_of)
                    .map_while(|token| self.name(token))
                    .take(EXAMPLES)
                    .map(String::from)
                    .collect(),
            });
        }
        Ok(alignment)
    }

    /// A vocabulary of all genes of the `var` tables of some data, in their order, and the special
    /// tokens after them. Names are taken from `gene_column`, the index if none.
    ///
    /// # Errors
    /// If the column does not exist, or there are no genes.
    pub fn from_genes<'a>(
        tables: impl IntoIterator<Item = &'a Frame>,
        gene_column: Option<&str>,
    ) -> Result<Self> {
        let mut seen: HashSet<String> = HashSet::new();
        let mut genes: Vec<String> = Vec::new();
        for var in tables {
            let (_, names) = place(var, gene_column.unwrap_or(INDEX))?;
            for name in names {
                if !name.is_empty() && seen.insert(name.to_string()) {
                    genes.push(name.into_owned());
                }
            }
        }
        Self::from_names(genes)
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
            candidates: Vec::new(),
        }
    }

    fn match_names(&self, column: String, names: &[Cow<'_, str>]) -> Alignment {
        let mut first: HashMap<GeneToken, usize> = HashMap::with_capacity(names.len());
        let mut unmatched = Vec::new();
        let mut duplicates = Vec::new();
        let tokens = names
            .iter()
            .enumerate()
            .map(|(gene, name)| {
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
        Alignment { tokens, column, unmatched, duplicates, candidates: Vec::new() }
    }

    fn gene(&self, name: &str) -> Option<GeneToken> {
        let unversioned = || {
            let (id, version) = name.rsplit_once('.')?;
            let is_id = id.starts_with("ENS") && version.bytes().all(|byte| byte.is_ascii_digit());
            is_id.then(|| self.token(id)).flatten()
        };
        self.token(name).or_else(unversioned).filter(|&token| !self.is_special(token))
    }
}

impl Alignment {
    /// Number of genes with a token.
    pub fn matched(&self) -> usize {
        self.tokens.iter().flatten().count()
    }

    /// Share of the genes of the data that have a token.
    pub fn coverage(&self) -> f64 {
        self.matched() as f64 / self.tokens.len().max(1) as f64
    }

    /// Leaves only the genes (rows of `var`) that `keep` accepts, for example the highly variable
    /// ones. The others are neither unmatched nor duplicates, but [`matched`](Self::matched) no
    /// longer counts them: take the [`summary`](Self::summary) before.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (gene, token) in self.tokens.iter_mut().enumerate() {
            *token = token.filter(|_| keep(gene));
        }
    }

    /// The numbers and examples of a report.
    pub fn summary(&self) -> AlignmentSummary {
        AlignmentSummary {
            column: self.column.clone(),
            genes: self.tokens.len(),
            matched: self.matched(),
            coverage: self.coverage(),
            unmatched: self.unmatched.len(),
            unmatched_examples: self.unmatched.iter().take(EXAMPLES).cloned().collect(),
            duplicates: self.duplicates.len(),
            duplicate_examples: self
                .duplicates
                .iter()
                .take(EXAMPLES)
                .map(|duplicate| duplicate.name.clone())
                .collect(),
            candidates: self.candidates.clone(),
        }
    }
}

/// A column of `var`, or its index, and the names of the genes there; a missing name is empty.
type Place<'a> = (String, Vec<Cow<'a, str>>);

/// The place that is called `column`.
fn place<'a>(var: &'a Frame, column: &str) -> Result<Place<'a>> {
    let mut places = places(var);
    let chosen = places
        .iter()
        .rposition(|(name, _)| name == column)
        .or_else(|| (column == var.index_name).then_some(0))
        .ok_or_else(|| no_column(var, column, &places))?;
    Ok(places.swap_remove(chosen))
}

/// The index and every column of text.
fn places(var: &Frame) -> Vec<Place<'_>> {
    let index = var.index.iter().map(|name| name.as_str().into()).collect();
    let columns = var.columns.iter().filter_map(|(name, column)| {
        let names = match column {
            Column::Text(_) | Column::Categorical { .. } => column.labels(),
            _ => return None,
        };
        let names = names.into_iter().map(|name| name.unwrap_or_default().into());
        Some((name.clone(), names.collect()))
    });
    std::iter::once((INDEX.to_owned(), index)).chain(columns).collect()
}

fn no_column(var: &Frame, column: &str, places: &[(String, Vec<Cow<'_, str>>)]) -> Error {
    let text = places.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let problem = if var.column(column).is_some() { "holds no text" } else { "does not exist" };
    Error::Option(format!(
        "column `{column}` of `var` {problem}; gene names can be taken from {text}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocab() -> GeneVocab {
        GeneVocab::from_names(["A", "B", "C", "ENSG01"]).unwrap()
    }

    fn var(index: &[&str], columns: &[(&str, &[&str])]) -> Frame {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        Frame {
            index_name: "_index".into(),
            index: own(index),
            columns: columns
                .iter()
                .map(|(name, labels)| (name.to_string(), Column::categorical(&own(labels))))
                .chain([("n_cells".into(), Column::Integer(vec![None; index.len()]))])
                .collect(),
        }
    }

    #[test]
    fn the_column_with_the_best_coverage_is_taken_and_all_are_reported() {
        let var = var(
            &["x1", "x2", "A"],
            &[
                ("family", &["A", "A", "A"]),
                ("symbol", &["A", "C", "Z"]),
                ("alias", &["B", "C", "Y"]),
            ],
        );
        let alignment = vocab().align(&var, None).unwrap();
        assert_eq!(alignment.column, "symbol");
        assert_eq!(alignment.tokens, [Some(GeneToken(0)), Some(GeneToken(2)), None]);
        assert_eq!(alignment.unmatched, ["Z"]);
        let matched: Vec<usize> = alignment.candidates.iter().map(|c| c.matched).collect();
        assert_eq!(matched, [1, 1, 2, 2]);
        assert_eq!(alignment.summary().matched, 2);
    }

    #[test]
    fn a_named_column_is_taken_or_the_columns_are_listed() {
        let var = var(&["A", "B"], &[("symbol", &["C", "Z"])]);
        for (column, expected) in [("symbol", "symbol"), ("index", "index"), ("_index", "index")] {
            assert_eq!(vocab().align(&var, Some(column)).unwrap().column, expected);
        }
        let error = vocab().align(&var, Some("genes")).unwrap_err().to_string();
        assert!(error.contains("`genes`") && error.contains("`index`, `symbol`"), "{error}");
        let error = vocab().align(&var, Some("n_cells")).unwrap_err().to_string();
        assert!(error.contains("holds no text"), "{error}");
    }

    #[test]
    fn duplicates_versions_and_special_names() {
        let var = var(&["A", "ENSG01.12", "A", "<pad>", "ENSG01", "C.1"], &[]);
        let alignment = vocab().align(&var, None).unwrap();
        let tokens = [Some(0), Some(3), None, None, None, None].map(|t| t.map(GeneToken));
        assert_eq!(alignment.tokens, tokens);
        assert_eq!(alignment.unmatched, ["<pad>", "C.1"]);
        let duplicates: Vec<_> = alignment.duplicates.iter().map(|d| (d.gene, d.kept)).collect();
        assert_eq!(duplicates, [(2, 0), (4, 1)]);
    }

    #[test]
    fn too_few_known_genes_are_an_error_with_examples_of_both_sides() {
        let names: Vec<String> = (0..11).map(|gene| format!("AT{gene}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names[0] = "A";
        let error = vocab().align(&var(&names, &[]), None).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("1 of 11") && message.contains("`AT1`"), "{message}");
        assert!(message.contains("`B`") && !message.contains("<pad>"), "{message}");
        assert!(error.hint().unwrap().contains("`gene_column`"));
        assert!(vocab().align(&var(&[], &[]), None).is_err());
    }

    #[test]
    fn retain_leaves_only_the_chosen_genes() {
        let mut alignment = vocab().align(&var(&["A", "B"], &[]), None).unwrap();
        alignment.retain(|gene| gene == 1);
        assert_eq!(alignment.tokens, [None, Some(GeneToken(1))]);
    }
}
