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
mod tests {
    use super::*;
    use crate::frame::Column;

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
        let alignment = vocab().align(&var, &GeneNames::BEST).unwrap();
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
            assert_eq!(
                vocab().align(&var, &GeneNames::of_column(column)).unwrap().column,
                expected
            );
        }
        let error = vocab().align(&var, &GeneNames::of_column("genes")).unwrap_err().to_string();
        assert!(error.contains("`genes`") && error.contains("`index`, `symbol`"), "{error}");
        let error = vocab().align(&var, &GeneNames::of_column("n_cells")).unwrap_err().to_string();
        assert!(error.contains("holds no text"), "{error}");
    }

    #[test]
    fn duplicates_versions_and_special_names() {
        let var = var(&["A", "ENSG01.12", "A", "<pad>", "ENSG01", "C.1"], &[]);
        let alignment = vocab().align(&var, &GeneNames::BEST).unwrap();
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
        let known = (0..19).map(|gene| format!("V{gene}")).chain(["A".to_owned()]);
        let vocab = GeneVocab::from_names(known).unwrap();
        let error = vocab.align(&var(&names, &[]), &GeneNames::BEST).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("1 of 11") && message.contains("`AT1`"), "{message}");
        assert!(message.contains("`V1`") && !message.contains("<pad>"), "{message}");
        assert!(error.hint().unwrap().contains("`gene_column`"));
        assert!(vocab.align(&var(&[], &[]), &GeneNames::BEST).is_err());
    }

    #[test]
    fn genes_are_counted_from_both_sides() {
        let names: Vec<String> = (0..1000).map(|gene| format!("G{gene}")).collect();
        let small = GeneVocab::from_names(names[..20].iter().map(String::as_str)).unwrap();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        // A whole transcriptome beside a small vocabulary.
        let summary = small.align(&var(&all, &[]), &GeneNames::BEST).unwrap().summary();
        assert_eq!((summary.matched, summary.genes, summary.vocabulary), (20, 1000, 20));
        assert!(summary.coverage < 0.1 && summary.vocabulary_coverage > 0.99);
        assert!(
            summary.line().contains("20 of 1000 known") && summary.line().contains("20 of the 20")
        );
        // A few of both.
        let few: Vec<&str> = all[19..].to_vec();
        assert!(small.align(&var(&few, &[]), &GeneNames::BEST).is_err());
        let anyway = GeneNames { min_genes: Some(0.0), ..GeneNames::BEST };
        assert_eq!(small.align(&var(&few, &[]), &anyway).unwrap().matched(), 1);
        assert!(small.align(&var(&["X"], &[]), &anyway).is_err(), "none is never enough");
    }

    #[test]
    fn row_numbers_are_no_names_and_antibodies_no_genes() {
        let numbers = GeneVocab::from_names(["0", "1", "A"]).unwrap();
        let table = var(&["0", "1", "2"], &[("symbol", &["A", "B", "C"])]);
        let alignment = numbers.align(&table, &GeneNames::BEST).unwrap();
        assert_eq!((alignment.column.as_str(), alignment.matched()), ("symbol", 1));
        let named = numbers.align(&table, &GeneNames::of_column("index")).unwrap();
        assert_eq!(named.matched(), 2);
        assert!(numbers.align(&var(&["0", "1"], &[]), &GeneNames::BEST).is_err());

        let types: &[&str] = &["Gene Expression", "Antibody Capture", "Antibody Capture"];
        let table = var(&["A", "B", "ADT1"], &[("feature_types", types)]);
        let alignment = vocab().align(&table, &GeneNames::BEST).unwrap();
        assert_eq!(alignment.tokens, [Some(GeneToken(0)), None, None]);
        assert!(alignment.unmatched.is_empty() && alignment.genes() == 1);
        assert_eq!(alignment.summary().others().unwrap(), "2 × Antibody Capture");
        let all = GeneNames { all_features: true, ..GeneNames::BEST };
        assert_eq!(vocab().align(&table, &all).unwrap().matched(), 2);
        let only = var(&["B"], &[("feature_types", &["Antibody Capture"])]);
        let message = vocab().align(&only, &GeneNames::BEST).unwrap_err().to_string();
        assert!(message.contains("1 × Antibody Capture"), "{message}");
        let genes = GeneVocab::from_genes([&table], &GeneNames::BEST).unwrap();
        assert!(genes.names().eq(["A", "<pad>", "<cls>", "<eoc>"]));
    }

    #[test]
    fn genes_are_known_under_their_other_names() {
        let vocab = GeneVocab::from_names(["H2AFZ", "CD3D", "TP53", "MARCH1", "NKX2-1"]).unwrap();
        let align = |index: &[&str], names: &GeneNames| vocab.align(&var(index, &[]), names);
        let data = ["H2AZ1", "Cd3d", "p53", "MARCHF1", "ENSG00000136352.9", "no_gene"];
        let alignment = align(&data, &GeneNames::BEST).unwrap();
        let tokens = [Some(0), Some(1), Some(2), Some(3), Some(4), None];
        assert_eq!(alignment.tokens, tokens.map(|token| token.map(GeneToken)));
        assert_eq!(alignment.unmatched, ["no_gene"]);
        let summary = alignment.summary();
        let kinds: Vec<_> =
            summary.renamed.iter().map(|(kind, n)| (kind.to_string(), *n)).collect();
        let expected = [("symbol", 2), ("Ensembl id", 1), ("alias", 1), ("mouse ortholog", 1)];
        assert_eq!(kinds, expected.map(|(kind, n)| (kind.to_owned(), n)));
        assert!(summary.line().contains("5 of them under another name"), "{}", summary.line());
        assert!(summary.other_names().unwrap().contains("H2AZ1 is H2AFZ"));
        let as_they_are = GeneNames { genes_as_they_are: true, ..GeneNames::BEST };
        assert!(align(&data, &as_they_are).is_err());

        // A gene that is there by its own name is no other one, and two names of one gene are one.
        let both = align(&["CD3D", "Cd3d", "TP53", "P53", "trp53"], &GeneNames::BEST).unwrap();
        assert_eq!(both.tokens[..2], [Some(GeneToken(1)), None]);
        assert_eq!((both.matched(), both.renamed.len(), both.duplicates.len()), (2, 0, 0));
        let twice = align(&["H2AZ1", "H2az1"], &GeneNames::BEST).unwrap();
        assert_eq!((twice.matched(), twice.duplicates[0].name.as_str()), (1, "H2az1"));
    }

    #[test]
    fn a_column_with_the_names_of_the_vocabulary_is_better_than_one_with_others() {
        let vocab = GeneVocab::from_names(["CD3D", "TP53", "MS4A1"]).unwrap();
        let ids = ["ENSG00000167286", "ENSG00000141510", "ENSG00000156738"];
        let table = var(&ids, &[("symbol", &["CD3D", "TP53", "odd"])]);
        let alignment = vocab.align(&table, &GeneNames::BEST).unwrap();
        assert_eq!((alignment.column.as_str(), alignment.matched()), ("symbol", 2));
        let only = vocab.align(&var(&ids, &[]), &GeneNames::BEST).unwrap();
        assert_eq!((only.matched(), only.renamed.len()), (3, 3));
    }

    #[test]
    fn retain_leaves_only_the_chosen_genes() {
        let mut alignment = vocab().align(&var(&["A", "B"], &[]), &GeneNames::BEST).unwrap();
        alignment.retain(|gene| gene == 1);
        assert_eq!(alignment.tokens, [None, Some(GeneToken(1))]);
    }
}
