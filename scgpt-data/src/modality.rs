//! [`Modalities`]: what features measure, and the tokens that tell it to the model.

use serde::{Deserialize, Serialize};

use crate::{
    condition_token::ConditionToken,
    error::{Error, Result},
    narrow::narrow,
};

/// The name of gene expression among modalities.
pub const RNA: &str = "RNA";
/// The name of surface proteins.
pub const PROTEIN: &str = "Protein";
/// The name of open chromatin.
pub const ATAC: &str = "ATAC";

/// Most modalities there can be: those of a cell are the bits of one number.
const MOST: usize = 32;

/// The modalities of a set of features: a few sorted names, and one of them a feature.
///
/// The features are the columns of a matrix, or the tokens of a vocabulary; special tokens have no
/// modality.
///
/// # Reference
/// The `vocab_mod` of the multi-omic tutorial: sorted names, then `<pad>`, `<cls>`, `<eoc>`.
/// Differs: none.
///
/// ```
/// use scgpt_data::{Modalities, PROTEIN, RNA};
///
/// let modalities = Modalities::new(&[Some(RNA), Some(RNA), Some(PROTEIN), None])?;
/// assert_eq!(modalities.names(), [PROTEIN, RNA]);
/// assert_eq!((modalities.of(2), modalities.of(3)), (Some(0), None));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modalities {
    names: Vec<String>,
    /// For each feature, the index of its modality in the names.
    features: Vec<Option<u32>>,
}

impl Modalities {
    /// The modalities that `features` name, one entry a feature; `None` for a special token.
    ///
    /// # Errors
    /// If there are none, or more than 32.
    pub fn new<S: AsRef<str>>(features: &[Option<S>]) -> Result<Self> {
        let of = features.iter().flatten().map(AsRef::as_ref);
        let mut names: Vec<String> = Vec::new();
        for name in of {
            if let Err(place) = names.binary_search_by(|other| other.as_str().cmp(name)) {
                names.insert(place, name.to_owned());
            }
        }
        if names.is_empty() || names.len() > MOST {
            return Err(Error::Option(format!(
                "{} modalities, expected 1 to {MOST}: is the column that names them the right one?",
                names.len()
            )));
        }
        let index = |name: &S| {
            let place = names.binary_search_by(|other| other.as_str().cmp(name.as_ref())).ok()?;
            u32::try_from(place).ok()
        };
        let features = features.iter().map(|name| name.as_ref().and_then(index)).collect();
        Ok(Self { names, features })
    }

    /// The names of the modalities, sorted; a modality's number is its place here.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of the modality of that name, if there is one.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// The number of the modality of a feature; `None` for a special token.
    pub fn of(&self, feature: usize) -> Option<usize> {
        self.features.get(feature).copied().flatten().map(|modality| modality as usize)
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// Features of a modality, ascending.
    pub fn features(&self, modality: usize) -> impl Iterator<Item = usize> {
        let of = self.features.iter().enumerate();
        of.filter(move |(_, of)| of.is_some_and(|of| of as usize == modality))
            .map(|(feature, _)| feature)
    }

    /// Number of modality tokens, those of padding, `<cls>` and `<eoc>` included.
    pub fn n_tokens(&self) -> usize {
        self.names.len() + 3
    }

    /// The modality token of padding.
    pub fn pad(&self) -> ConditionToken {
        ConditionToken(narrow(self.names.len()))
    }

    /// The modality token of `<cls>`.
    pub fn cls(&self) -> ConditionToken {
        ConditionToken(self.pad().0 + 1)
    }

    /// One modality token a feature; that of padding where a feature has no modality.
    pub fn tokens(&self) -> Vec<ConditionToken> {
        let of = self.features.iter();
        of.map(|modality| modality.map_or(self.pad(), ConditionToken)).collect()
    }

    /// These modalities for other features: `sources` has, for each of them, the feature here whose
    /// modality it takes.
    #[must_use]
    pub fn pick(&self, sources: impl IntoIterator<Item = Option<usize>>) -> Self {
        let of = |source: Option<usize>| self.features.get(source?).copied().flatten();
        Self { names: self.names.clone(), features: sources.into_iter().map(of).collect() }
    }
}

/// The modalities a cell was measured in, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measured(u32);

impl Measured {
    /// Adds that modality.
    pub fn insert(&mut self, modality: usize) {
        self.0 |= 1 << modality;
    }

    /// Whether that modality is among them.
    pub fn contains(self, modality: usize) -> bool {
        self.0 >> modality & 1 == 1
    }

    /// Whether all of them are among `others`.
    pub fn is_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// How many modalities they are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A modality that nothing links to the first one, if there is one: two are linked by a cell that
/// was measured in both, by a batch that has cells of both, and by whatever links both to a third.
pub fn unlinked(n_modalities: usize, cells: &[Measured], batches: Option<&[u32]>) -> Option<usize> {
    let mut groups: Vec<u32> = cells.iter().map(|cell| cell.0).collect();
    if let Some(batches) = batches {
        let n = batches.iter().max().map_or(0, |&last| last as usize + 1);
        let mut of_batch = vec![0; n];
        for (cell, &batch) in cells.iter().zip(batches) {
            of_batch[batch as usize] |= cell.0;
        }
        groups.extend(of_batch);
    }
    groups.sort_unstable();
    groups.dedup();
    let present = groups.iter().fold(0, |all, group| all | group);
    let mut linked = present & present.wrapping_neg();
    loop {
        let grown = groups
            .iter()
            .filter(|&group| group & linked != 0)
            .fold(linked, |linked, group| linked | group);
        if grown == linked {
            break;
        }
        linked = grown;
    }
    (0..n_modalities).find(|modality| (present & !linked) >> modality & 1 == 1)
}

/// The common name of a modality that is spelled in one of the usual ways; others stay as they are.
pub fn modality_name(spelled: &str) -> String {
    known(spelled).map_or_else(|| spelled.to_owned(), String::from)
}

/// The common name of a known modality.
pub(crate) fn known(spelled: &str) -> Option<&'static str> {
    Some(match spelled.to_lowercase().as_str() {
        "gene expression" | "rna" | "gex" | "gene" | "genes" => RNA,
        "antibody capture" | "antibody" | "protein" | "proteins" | "prot" | "adt" | "cite" => {
            PROTEIN
        }
        "peaks" | "peak" | "atac" | "chromatin accessibility" => ATAC,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(modalities: &[usize]) -> Measured {
        let mut cell = Measured::default();
        for &modality in modalities {
            cell.insert(modality);
        }
        cell
    }

    #[test]
    fn tokens_are_sorted_names_then_specials() {
        let of = [Some("RNA"), None, Some("Protein"), Some("RNA")];
        let modalities = Modalities::new(&of).unwrap();
        assert_eq!(modalities.names(), ["Protein", "RNA"]);
        assert_eq!((modalities.pad().0, modalities.cls().0, modalities.n_tokens()), (2, 3, 5));
        assert_eq!(modalities.tokens(), [1, 2, 0, 1].map(ConditionToken));
        assert_eq!(modalities.features(1).collect::<Vec<_>>(), [0, 3]);
        let picked = modalities.pick([Some(2), None, Some(0)]);
        assert_eq!((picked.of(0), picked.of(1), picked.of(2)), (Some(0), None, Some(1)));
        assert!(Modalities::new::<&str>(&[None]).is_err());
    }

    #[test]
    fn usual_spellings_are_one() {
        for (spelled, name) in
            [("Gene Expression", RNA), ("rna", RNA), ("ADT", PROTEIN), ("Peaks", ATAC)]
        {
            assert_eq!(modality_name(spelled), name);
        }
        assert_eq!(modality_name("CRISPR Guide Capture"), "CRISPR Guide Capture");
    }

    #[test]
    fn modalities_are_linked_by_cells_or_batches() {
        let [rna, protein, both] = [cell(&[0]), cell(&[1]), cell(&[0, 1])];
        assert_eq!(unlinked(2, &[rna, protein], None), Some(1));
        assert_eq!(unlinked(2, &[rna, protein], Some(&[0, 1])), Some(1));
        assert_eq!(unlinked(2, &[rna, protein], Some(&[0, 0])), None);
        assert_eq!(unlinked(2, &[rna, protein, both], None), None);
        // Through a third.
        assert_eq!(unlinked(3, &[cell(&[0, 2]), cell(&[1, 2])], None), None);
        assert_eq!(unlinked(3, &[cell(&[0, 2]), cell(&[1])], None), Some(1));
        assert_eq!(both.len(), 2);
    }
}
