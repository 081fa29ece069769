//! [`Profiles`]: what the cells of each class express.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{Alignment, CellTokens};
use serde::{Deserialize, Serialize};

use super::centre::{Centre, UnitRow, nearest};

/// The file in an artefact.
pub(super) const PROFILES: &str = "profiles.json";

/// Means are rounded to this part of 1, as the file is text.
const PARTS: f32 = 1e6;

/// Mean value bins of the genes in the cells of each class.
///
/// Fine-tuning moves cells of a class that it never saw to the classes it knows; what they express
/// stays as it is. Value bins are ranks within a cell, so that neither depth nor normalisation
/// matters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profiles {
    /// Gene tokens that some cell expresses, ascending.
    genes: Vec<u32>,
    /// One centre a class, over these genes.
    centres: Vec<Centre>,
}

/// Profiles over those genes that a source has.
#[derive(Debug)]
pub(super) struct SourceProfiles {
    /// For each gene token, its place in the profiles.
    places: Vec<Option<usize>>,
    centres: Vec<Centre>,
}

impl Profiles {
    /// Profiles of the centres over all tokens of a vocabulary, one a class.
    pub(super) fn new(centres: &[Centre]) -> Self {
        let tokens: BTreeSet<usize> = centres.iter().flat_map(Centre::entries).collect();
        let tokens: Vec<usize> = tokens.into_iter().collect();
        let short = centres.iter().map(|centre| centre.short(&tokens, PARTS)).collect();
        let genes = tokens.iter().filter_map(|&token| u32::try_from(token).ok()).collect();
        Self { genes, centres: Centre::of_classes(short) }
    }

    /// The value bins of a cell; `<cls>`, its first token, has none.
    pub(super) fn bins(cell: &CellTokens) -> UnitRow {
        let tokens = cell.genes.iter().map(|gene| gene.0 as usize);
        UnitRow::new(tokens.zip(cell.values.iter().copied()).skip(1))
    }

    /// The profiles over the genes that the source measured: its cells cannot express the others.
    pub(super) fn within(&self, source: &Alignment) -> SourceProfiles {
        let measured = source.tokens.iter().flatten().map(|token| token.0);
        self.over(measured.collect())
    }

    /// Whether some training cell expresses the gene of each token of a vocabulary.
    pub(super) fn trained(&self, n_tokens: usize) -> Vec<bool> {
        let mut trained = vec![false; n_tokens];
        for &gene in &self.genes {
            if let Some(is_trained) = trained.get_mut(gene as usize) {
                *is_trained = true;
            }
        }
        trained
    }

    /// Number of genes that some cell expresses.
    pub(super) fn n_genes(&self) -> usize {
        self.genes.len()
    }

    /// The place of each gene among all by how much higher its mean is in a class than in the others on average,
    /// from 1 on; by token.
    pub(super) fn ranks(&self, class: usize) -> BTreeMap<u32, usize> {
        let others = self.centres.len().saturating_sub(1).max(1) as f64;
        let above = |place: usize| -> f64 {
            let of = |centre: &Centre| f64::from(centre.at(place));
            let all: f64 = self.centres.iter().map(of).sum();
            let own = of(&self.centres[class]);
            own - (all - own) / others
        };
        let mut ranked: Vec<(f64, u32)> =
            self.genes.iter().enumerate().map(|(place, &gene)| (above(place), gene)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().zip(1..).map(|((_, gene), rank)| (gene, rank)).collect()
    }

    /// The profiles over all genes.
    pub(super) fn whole(&self) -> SourceProfiles {
        self.over(self.genes.clone())
    }

    /// The profiles over those genes whose tokens are in `measured`, which may be in any order.
    fn over(&self, mut measured: Vec<u32>) -> SourceProfiles {
        measured.sort_unstable();
        let kept: Vec<usize> = (0..self.genes.len())
            .filter(|&place| measured.binary_search(&self.genes[place]).is_ok())
            .collect();
        let n_tokens = self.genes.last().map_or(0, |&token| token as usize + 1);
        let mut places = vec![None; n_tokens];
        for (place, &gene) in kept.iter().enumerate() {
            places[self.genes[gene] as usize] = Some(place);
        }
        let part = |centre: &Centre| centre.part(&kept);
        SourceProfiles { places, centres: self.centres.iter().map(part).collect() }
    }
}

impl SourceProfiles {
    /// How unlike the cells of all classes a cell is in what it expresses.
    pub(super) fn strangeness(&self, cell: &CellTokens) -> f32 {
        nearest(&self.centres, &Profiles::bins(cell).at(&self.places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::GeneToken;

    fn cell(bins: &[(u32, f32)]) -> CellTokens {
        let all = std::iter::once(&(0, -2.0)).chain(bins);
        CellTokens {
            genes: all.clone().map(|&(gene, _)| GeneToken(gene)).collect(),
            values: all.map(|&(_, bin)| bin).collect(),
            conditions: None,
            n_available: bins.len(),
        }
    }

    fn profiles() -> Profiles {
        let class = |genes: [u32; 3]| {
            let cells = [[9.0, 5.0, 1.0], [8.0, 6.0, 2.0], [9.0, 4.0, 2.0]];
            let row = |bins: [f32; 3]| {
                let bins: Vec<(u32, f32)> = genes.into_iter().zip(bins).collect();
                Profiles::bins(&cell(&bins))
            };
            Centre::around(12, &cells.map(row))
        };
        Profiles::new(&[class([3, 4, 5]), class([5, 6, 7])])
    }

    #[test]
    fn cells_of_other_genes_are_strange() {
        let whole = profiles().whole();
        let known = whole.strangeness(&cell(&[(3, 9.0), (4, 5.0), (5, 2.0)]));
        let between = whole.strangeness(&cell(&[(3, 5.0), (7, 9.0)]));
        let other = whole.strangeness(&cell(&[(9, 5.0), (11, 9.0)]));
        assert!(known < 2.0 && between > 5.0 && other > between, "{known} {between} {other}");
        // Depth does not matter.
        let deep = whole.strangeness(&cell(&[(3, 18.0), (4, 10.0), (5, 4.0)]));
        assert!((deep - known).abs() < 1e-3);
        assert!(whole.strangeness(&cell(&[])).is_finite());
    }

    #[test]
    fn genes_that_were_not_measured_do_not_count() {
        let tokens = [3, 4, 9].map(|token| Some(GeneToken(token))).to_vec();
        let source = Alignment {
            tokens,
            column: String::new(),
            unmatched: Vec::new(),
            duplicates: Vec::new(),
            candidates: Vec::new(),
            renamed: Vec::new(),
            ambiguous: Vec::new(),
            other_features: Vec::new(),
            vocabulary: 12,
        };
        let part = profiles().within(&source);
        // Gene 5 is not there to be missed.
        let known = part.strangeness(&cell(&[(3, 9.0), (4, 5.0)]));
        assert!(known < 1.0, "{known}");
    }

    #[test]
    fn the_file_says_the_same() {
        let profiles = profiles();
        let text = serde_json::to_string(&profiles).unwrap();
        assert_eq!(serde_json::from_str::<Profiles>(&text).unwrap(), profiles);
        assert!(profiles.genes == [3, 4, 5, 6, 7], "{text}");
    }
}
