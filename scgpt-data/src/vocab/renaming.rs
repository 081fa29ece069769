//! [`Renaming`]: genes of a vocabulary under other names than its own.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::{
    GeneToken, GeneVocab,
    gene_table::{GeneNameKind, GeneTable, Named},
};

/// A gene of the data that the vocabulary has under another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// Its name in the data.
    pub name: String,
    /// Its name in the vocabulary.
    pub known_as: String,
    /// What its name in the data is for the gene; if it is the symbol, the vocabulary has an older name.
    pub kind: GeneNameKind,
}

/// The genes of a vocabulary that no gene of the data has by its own name.
pub(super) struct Renaming {
    table: &'static GeneTable,
    /// The token of each gene of the table, by the best of its names in the vocabulary.
    tokens: HashMap<u32, (GeneNameKind, GeneToken)>,
}

/// What another name stands for.
pub(super) enum Other {
    Token(GeneToken, GeneNameKind),
    /// It is that of several genes.
    Ambiguous,
    Unknown,
}

impl Renaming {
    /// Of the vocabulary without the tokens that are `taken`.
    pub(super) fn new(vocab: &GeneVocab, taken: &HashSet<GeneToken>) -> Self {
        let table = GeneTable::get();
        let mut tokens: HashMap<u32, (GeneNameKind, GeneToken)> = HashMap::new();
        let mut is_taken = HashSet::new();
        for (token, name) in (0..).map(GeneToken).zip(vocab.names()) {
            if vocab.is_special(token) {
                continue;
            }
            let Named::Gene(gene, kind) = table.gene(name) else { continue };
            if taken.contains(&token) {
                // The data has this gene: what else it may be called is not it.
                is_taken.insert(gene);
                continue;
            }
            let best = tokens.entry(gene).or_insert((kind, token));
            *best = (*best).min((kind, token));
        }
        tokens.retain(|gene, _| !is_taken.contains(gene));
        Self { table, tokens }
    }

    /// The token of a gene that the vocabulary does not have by this name.
    pub(super) fn token(&self, name: &str) -> Other {
        match self.table.gene(name) {
            Named::Gene(gene, kind) => self
                .tokens
                .get(&gene)
                .map_or(Other::Unknown, |&(_, token)| Other::Token(token, kind)),
            Named::Several => Other::Ambiguous,
            Named::Nothing => Other::Unknown,
        }
    }
}
