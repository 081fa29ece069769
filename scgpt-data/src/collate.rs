//! [`Collator`]: lays cells out as a [`TokenBatch`], and [`buckets`] of cells of similar length.

use crate::{
    condition_token::ConditionToken,
    token::CellTokens,
    vocab::{GeneToken, GeneVocab, SpecialToken},
};

/// Cells laid out side by side: the owner of row-major `[n_cells, n_tokens]` buffers on the host, which
/// any framework makes tensors of.
///
/// The network of `scgpt-model` borrows them as its `TokenBatchView`; this crate knows no tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenBatch {
    /// Number of cells.
    pub n_cells: usize,
    /// Tokens of the longest cell; the others are padded on the right.
    pub n_tokens: usize,
    /// Gene tokens.
    pub genes: Vec<i32>,
    /// Value bins, or values.
    pub values: Vec<f32>,
    /// Conditions, if the cells have them.
    pub conditions: Option<Vec<i32>>,
    /// Tokens of each cell that are no padding.
    pub lengths: Vec<usize>,
    /// Number of each cell in the file.
    pub cells: Vec<usize>,
}

impl TokenBatch {
    /// Whether a position is padding, row-major; `true` is a suffix of every row.
    pub fn is_pad(&self) -> Vec<bool> {
        self.lengths
            .iter()
            .flat_map(|&length| (0..self.n_tokens).map(move |position| position >= length))
            .collect()
    }
}

/// Pads cells of different lengths to one.
///
/// # Reference
/// `scgpt/data_collator.py`, `DataCollator`, and `pad_batch`. Differs: binning,
/// shortening and masking are not done here but for each cell alone, by
/// [`Tokenizer`](crate::Tokenizer) and [`Mask`](crate::Mask), so that no result depends on the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collator {
    /// The token of padding.
    pub pad: GeneToken,
    /// The value of padding; −2 for the released models.
    pub pad_value: f32,
    /// The condition of padding.
    pub pad_condition: ConditionToken,
}

impl Collator {
    /// A collator that pads with `<pad>`, `pad_value` and condition 0.
    pub fn new(vocab: &GeneVocab, pad_value: f32) -> Self {
        Self {
            pad: vocab.special(SpecialToken::Pad),
            pad_value,
            pad_condition: ConditionToken::default(),
        }
    }

    /// The batch of `cells`, each with its number in the file.
    ///
    /// The batch has conditions if all cells have them.
    pub fn collate<'a, I>(&self, cells: I) -> TokenBatch
    where
        I: IntoIterator<Item = (usize, &'a CellTokens)>,
        I::IntoIter: Clone,
    {
        let cells = cells.into_iter();
        let lengths: Vec<usize> = cells.clone().map(|(_, cell)| cell.len()).collect();
        let n_tokens = lengths.iter().copied().max().unwrap_or(0);
        let size = lengths.len() * n_tokens;
        let has_conditions = cells.clone().all(|(_, cell)| cell.conditions.is_some());
        let mut batch = TokenBatch {
            n_cells: lengths.len(),
            n_tokens,
            genes: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
            conditions: has_conditions.then(|| Vec::with_capacity(size)),
            cells: cells.clone().map(|(number, _)| number).collect(),
            lengths,
        };
        for (row, (_, cell)) in (1..).zip(cells) {
            let end = row * n_tokens;
            batch.genes.extend(cell.genes.iter().map(|gene| index(gene.0)));
            batch.genes.resize(end, index(self.pad.0));
            batch.values.extend_from_slice(&cell.values);
            batch.values.resize(end, self.pad_value);
            if let (Some(to), Some(from)) = (&mut batch.conditions, &cell.conditions) {
                to.extend(from.iter().map(|condition| index(condition.0)));
                to.resize(end, index(self.pad_condition.0));
            }
        }
        batch
    }
}

/// Vocabularies hold fewer than 2³¹ tokens.
fn index(token: u32) -> i32 {
    token.cast_signed()
}

/// Groups cells of similar length into batches of `batch_size` (the last may be smaller), longest
/// first: little is padded, and the batch that needs most memory comes first. Equal lengths keep
/// their order.
///
/// # Panics
/// If `batch_size` is 0.
pub fn buckets(lengths: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let mut cells: Vec<usize> = (0..lengths.len()).collect();
    cells.sort_by_key(|&cell| std::cmp::Reverse(lengths[cell]));
    cells.chunks(batch_size).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    fn cell(genes: &[u32]) -> CellTokens {
        genes.iter().map(|&gene| (GeneToken(gene), gene as f32)).collect()
    }

    #[test]
    fn short_cells_are_padded_on_the_right() {
        let collator =
            Collator { pad: GeneToken(9), pad_value: -2.0, pad_condition: ConditionToken(4) };
        let mut cells = [cell(&[1, 2, 3]), cell(&[5])];
        let batch = collator.collate([(7, &cells[0]), (3, &cells[1])]);
        assert_eq!([batch.n_cells, batch.n_tokens], [2, 3]);
        assert_eq!(batch.genes, [1, 2, 3, 5, 9, 9]);
        assert_eq!(batch.values, [1.0, 2.0, 3.0, 5.0, -2.0, -2.0]);
        assert_eq!((&batch.lengths[..], &batch.cells[..]), (&[3, 1][..], &[7, 3][..]));
        assert_eq!(batch.is_pad(), [false, false, false, false, true, true]);
        assert_eq!(batch.conditions, None);

        for cell in &mut cells {
            cell.conditions = Some(vec![ConditionToken(2); cell.len()]);
        }
        let batch = collator.collate([(7, &cells[0]), (3, &cells[1])]);
        assert_eq!(batch.conditions.unwrap(), [2, 2, 2, 2, 4, 4]);
        assert_eq!(collator.collate([]).n_tokens, 0);
    }

    #[test]
    fn buckets_group_similar_lengths_and_keep_the_order_of_equals() {
        assert_eq!(buckets(&[3, 9, 3, 1, 9], 2), [vec![1, 4], vec![0, 2], vec![3]]);
        assert!(buckets(&[], 4).is_empty());
    }
}
