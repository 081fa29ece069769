//! [`HiddenModality`]: a modality of a cell that is to be generated from the others.
//!
//! If only some values of a modality are ever hidden, a network learns them from its other values,
//! and cannot predict a modality of which a cell has none. Therefore now and then a modality is
//! hidden as a whole, and some of its features are asked for, whether the cell expresses them or
//! not.

use std::collections::HashMap;

use scgpt_data::{CellTokens, ConditionToken, GeneToken, Keyed, Modalities, Purpose, narrow};
use scgpt_train::TrainCell;

/// Which modality of which cell is hidden, and which of its features are asked for.
#[derive(Debug)]
pub(super) struct HiddenModality<'a> {
    pub(super) modalities: &'a Modalities,
    /// Share of the times that a modality is hidden.
    pub(super) share: f64,
    /// Number of features that are asked for.
    pub(super) n_asked: usize,
    pub(super) seed: u64,
}

impl HiddenModality<'_> {
    /// The cell with one of its modalities unknown, some of whose features are asked for, expressed
    /// or not; `None` if it is not the cell's turn, or it has only one modality.
    pub(super) fn hide(&self, cell: usize, tokens: &CellTokens, epoch: u64) -> Option<TrainCell> {
        let conditions = tokens.conditions.as_ref()?;
        let n = narrow(self.modalities.names().len());
        let mut present: Vec<ConditionToken> =
            conditions.iter().copied().filter(|token| token.0 < n).collect();
        present.sort_unstable();
        present.dedup();
        // Numbers of genes, which are smaller, are taken by the choice among features.
        let key = Keyed::new(self.seed, Purpose::Split, epoch, cell as u64);
        if present.len() < 2 || key.uniform(u64::MAX) >= self.share {
            return None;
        }
        let place = key.bits(u64::MAX - 1) % present.len() as u64;
        let hidden = *present.get(usize::try_from(place).ok()?)?;
        let known = part(tokens, |modality| modality != hidden);
        let of_hidden = part(tokens, |modality| modality == hidden);
        let values: HashMap<GeneToken, f32> =
            of_hidden.genes.iter().copied().zip(of_hidden.values).collect();
        let mut unknown = asked(self.modalities, hidden, &values);
        unknown.shorten(self.n_asked, 0, |gene| key.bits(u64::from(gene.0)));
        Some(TrainCell { known, hidden: Vec::new(), unknown })
    }
}

/// The tokens of a cell whose modality is to be kept.
pub(super) fn part(cell: &CellTokens, is_kept: impl Fn(ConditionToken) -> bool) -> CellTokens {
    let conditions = cell.conditions.as_deref().unwrap_or_default();
    let kept: Vec<usize> = (0..cell.len())
        .filter(|&at| conditions.get(at).is_none_or(|&modality| is_kept(modality)))
        .collect();
    CellTokens {
        genes: kept.iter().map(|&at| cell.genes[at]).collect(),
        values: kept.iter().map(|&at| cell.values[at]).collect(),
        conditions: cell.conditions.as_ref().map(|of| kept.iter().map(|&at| of[at]).collect()),
        n_available: cell.n_available,
    }
}

/// All features of a modality with their values, zero where there is none.
fn asked(
    modalities: &Modalities,
    modality: ConditionToken,
    values: &HashMap<GeneToken, f32>,
) -> CellTokens {
    let genes: Vec<GeneToken> = modalities
        .features(modality.0 as usize)
        .filter_map(|token| u32::try_from(token).ok())
        .map(GeneToken)
        .collect();
    CellTokens {
        values: genes.iter().map(|gene| values.get(gene).copied().unwrap_or(0.0)).collect(),
        conditions: Some(vec![modality; genes.len()]),
        n_available: genes.len(),
        genes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modalities() -> Modalities {
        let of = [Some("A"), Some("B"), Some("A"), Some("B"), Some("B"), None];
        Modalities::new(&of).unwrap()
    }

    /// A cell of two tokens of each modality, `<cls>` first.
    fn cell() -> CellTokens {
        CellTokens {
            genes: [5, 0, 2, 1, 4].map(GeneToken).to_vec(),
            values: vec![0.0, 10.0, 20.0, 30.0, 40.0],
            conditions: Some([3, 0, 0, 1, 1].map(ConditionToken).to_vec()),
            n_available: 4,
        }
    }

    #[test]
    fn a_modality_is_known_or_asked_as_a_whole() {
        let modalities = modalities();
        let hidden = HiddenModality { modalities: &modalities, share: 1.0, n_asked: 9, seed: 0 };
        let mut seen = [0, 0];
        for number in 0..20 {
            let cell = hidden.hide(number, &cell(), 0).unwrap();
            let conditions = cell.unknown.conditions.unwrap();
            let modality = conditions[0].0;
            seen[modality as usize] += 1;
            // All features are asked for, with zeros; `<cls>` and the other modality are known.
            let expected = [(vec![0, 2], vec![10.0, 20.0]), (vec![1, 3, 4], vec![30.0, 0.0, 40.0])];
            let genes: Vec<u32> = cell.unknown.genes.iter().map(|gene| gene.0).collect();
            assert_eq!((genes, cell.unknown.values), expected[modality as usize]);
            assert_eq!((cell.known.len(), cell.known.genes[0]), (3, GeneToken(5)));
            assert!(cell.known.conditions.unwrap().iter().all(|token| token.0 != modality));
        }
        assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
    }

    #[test]
    fn one_modality_is_never_hidden_and_few_features_are_asked() {
        let modalities = modalities();
        let hidden = HiddenModality { modalities: &modalities, share: 1.0, n_asked: 1, seed: 0 };
        assert_eq!(hidden.hide(0, &cell(), 0).unwrap().unknown.len(), 1);
        let one = part(&cell(), |modality| modality != ConditionToken(1));
        assert!(hidden.hide(0, &one, 0).is_none());
        let never = HiddenModality { share: 0.0, ..hidden };
        assert!(never.hide(0, &cell(), 0).is_none());
    }
}
