//! [`CellKey`]: what tells the random choices of one cell from those of another.

use super::{CellTokens, Sampling, TokenConfig};
use crate::{binning::TieMode, keyed::mix, vocab::GeneToken};

/// The part of the key of random choices that stands for the cell, beside seed and gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKey {
    /// What the cell expresses: the tokens of its genes and their values, in any order, zeros and
    /// genes without a token left aside. For predictions: a cell gets the same row wherever it
    /// stands in a file, and cells that express the same get the same row, whatever they are called.
    Content,
    /// A number given to it. For training, where each cell is to be sampled by itself, anew in every
    /// epoch.
    Number {
        /// Number of the cell, such as its place in token shards.
        cell: u64,
        /// Pass over the data, so that training sees other choices in every pass.
        epoch: u64,
    },
}

impl CellKey {
    /// The epoch, and the number that stands for the cell. Content is that of the tokens from
    /// `keep` on, whose values are not bins yet; it is computed only where something is left to
    /// chance.
    pub(super) fn numbers(
        self,
        config: &TokenConfig,
        tokens: &CellTokens,
        keep: usize,
    ) -> (u64, u64) {
        let has_ties = config.binner.is_some_and(|binner| binner.tie_mode == TieMode::Random);
        let is_sampled = config.sampling == Sampling::Keyed && tokens.len() > config.max_length;
        match self {
            Self::Number { cell, epoch } => (epoch, cell),
            Self::Content if has_ties || is_sampled => {
                (0, content(&tokens.genes[keep..], &tokens.values[keep..]))
            }
            Self::Content => (0, 0),
        }
    }
}

impl CellTokens {
    /// A number that depends on the tokens and their values alone, not on the order they are in;
    /// tokens of value zero add nothing.
    pub fn content(&self) -> u64 {
        content(&self.genes, &self.values)
    }
}

/// As [`CellTokens::content`], of parallel genes and values.
fn content(genes: &[GeneToken], values: &[f32]) -> u64 {
    let expressed = genes.iter().zip(values).filter(|&(_, &value)| value != 0.0);
    // A sum, so that the order of columns does not matter.
    expressed.fold(0, |sum, (gene, value)| {
        let entry = u64::from(gene.0) << 32 | u64::from(value.to_bits());
        sum.wrapping_add(mix(entry))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(u32, f32)]) -> u64 {
        let (genes, values): (Vec<GeneToken>, Vec<f32>) =
            entries.iter().map(|&(gene, value)| (GeneToken(gene), value)).unzip();
        content(&genes, &values)
    }

    #[test]
    fn genes_and_values_matter_and_order_and_zeros_do_not() {
        let cell = of(&[(1, 2.0), (7, 5.0)]);
        assert_eq!(cell, of(&[(7, 5.0), (3, 0.0), (1, 2.0), (4, -0.0)]));
        for other in
            [&[(1, 5.0), (7, 2.0)][..], &[(1, 2.0)], &[(1, 2.0), (8, 5.0)], &[(1, 2.0), (7, 5.5)]]
        {
            assert_ne!(cell, of(other), "{other:?}");
        }
        assert_eq!(of(&[]), 0);
    }
}
