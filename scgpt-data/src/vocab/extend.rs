//! [`ExtendedVocab`]: the features of some data, those that a vocabulary knows before those that are
//! new.

use std::collections::HashSet;

use super::{GeneToken, GeneVocab, SpecialToken};
use crate::error::Result;

/// A vocabulary of the features of some data, and which of them an older one knew.
#[derive(Clone, Debug)]
pub struct ExtendedVocab {
    /// Known features in the order of the data, the special tokens, new features in the order of
    /// the data.
    pub vocab: GeneVocab,
    /// For every token, the token it had before: the row of the old embedding table to start from.
    pub rows: Vec<Option<GeneToken>>,
}

impl ExtendedVocab {
    /// Number of features that the older vocabulary knew, special tokens not counted.
    pub fn n_known(&self) -> usize {
        self.rows.iter().flatten().count() - SpecialToken::ALL.len()
    }
}

impl GeneVocab {
    /// This vocabulary and, behind it, the `names` that it lacks, in their order and each once; tokens
    /// keep their numbers.
    ///
    /// # Errors
    /// If there are too many.
    ///
    /// ```
    /// use scgpt_data::{GeneToken, GeneVocab};
    ///
    /// let known = GeneVocab::from_names(["CD4", "<pad>", "<cls>", "<eoc>"])?;
    /// let vocab = known.with_genes(["NKG7", "CD4", "NKG7"])?;
    /// assert_eq!((vocab.len(), vocab.token("NKG7")), (5, Some(GeneToken(4))));
    /// # Ok::<_, scgpt_data::Error>(())
    /// ```
    pub fn with_genes<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut seen = HashSet::new();
        let is_new =
            |name: &&'a str| !name.is_empty() && self.token(name).is_none() && seen.insert(*name);
        Self::from_names(self.names().chain(names.into_iter().filter(is_new)))
    }

    /// Builds the vocabulary of `features`, each with its name and the token it has in this
    /// vocabulary, if any. Known features keep the name they have here; of several features with
    /// one token, or of one name, there is one.
    ///
    /// # Errors
    /// If a new feature has the name of a known one.
    ///
    /// # Reference
    /// The vocabulary of the multi-omic tutorial. Differs: special tokens keep their rows, too.
    pub fn extended<'a>(
        &self,
        features: impl IntoIterator<Item = (&'a str, Option<GeneToken>)>,
    ) -> Result<ExtendedVocab> {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let (mut seen, mut named) = (HashSet::new(), HashSet::new());
        for (name, token) in features {
            match token.and_then(|token| Some((self.name(token)?, token))) {
                Some((_, token)) if !seen.insert(token) => {}
                Some(entry) => known.push(entry),
                None if !named.insert(name) => {}
                None => new.push(name),
            }
        }
        known.extend(SpecialToken::ALL.map(|special| (special.as_str(), self.special(special))));
        let mut rows: Vec<Option<GeneToken>> =
            known.iter().map(|&(_, token)| Some(token)).collect();
        rows.resize(known.len() + new.len(), None);
        let names = known.into_iter().map(|(name, _)| name).chain(new);
        Ok(ExtendedVocab { vocab: Self::from_names(names)?, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_genes_stand_behind_those_that_are_known() {
        let known = GeneVocab::from_names(["B", "<cls>", "A"]).unwrap();
        let vocab = known.with_genes(["C", "", "A", "C", "D"]).unwrap();
        let names: Vec<&str> = vocab.names().collect();
        assert_eq!(names, ["B", "<cls>", "A", "<pad>", "<eoc>", "C", "D"]);
        assert_eq!(vocab.special(SpecialToken::Cls), known.special(SpecialToken::Cls));
        assert_eq!(known.with_genes([]).unwrap().len(), known.len());
    }

    #[test]
    fn known_features_then_specials_then_new_ones() {
        let old = GeneVocab::from_names(["A", "B", "C", "<cls>"]).unwrap();
        let token = |name: &str| old.token(name);
        let features =
            [("p_CD4", None), ("C", token("C")), ("ensg1", token("A")), ("A.1", token("A"))];
        let extended = old.extended(features).unwrap();
        let names: Vec<&str> = extended.vocab.names().collect();
        assert_eq!(names, ["C", "A", "<pad>", "<cls>", "<eoc>", "p_CD4"]);
        assert_eq!(
            extended.rows,
            [2, 0, 4, 3, 5]
                .map(|row| Some(GeneToken(row)))
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
        assert_eq!(extended.n_known(), 2);
        assert_eq!(old.extended([("x", None), ("x", None)]).unwrap().vocab.len(), 4);
        assert!(old.extended([("A", token("A")), ("A", None)]).is_err());
    }
}
