//! [`Mask`]: chooses which values of a cell are hidden, and [`split`]: which genes are unknown.

use serde::{Deserialize, Serialize};

use crate::{keyed::choose, token::CellTokens, vocab::GeneToken};

/// How many values are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hide {
    /// Each with this probability, on its own (pre-training).
    Each(f64),
    /// This share of them, rounded down (fine-tuning).
    Share(f64),
}

/// Chooses the values of a cell that the model must predict.
///
/// # Reference
/// `scgpt/data_collator.py`, `_mask`, with `Each` and `keep_first` 1;
/// `scgpt/tokenizer/gene_tokenizer.py`, `random_mask_value`, with `Share` and `keep_first` 0, where
/// `<cls>` and genes of value 0 can be hidden too. Differs: the choice is made for each cell alone
/// and keyed by the caller.
///
/// ```
/// use scgpt_data::{Hide, Keyed, Mask, Purpose};
///
/// let mask = Mask { hide: Hide::Share(0.5), keep_first: 1, pad_value: -2.0 };
/// let draws = Keyed::new(0, Purpose::Mask, 0, 0);
/// let is_masked = mask.is_masked(&[0.0, 3.0, 1.0, -2.0], |at| draws.uniform(at as u64));
/// assert!(!is_masked[0] && !is_masked[3]);
/// assert_eq!(is_masked.iter().filter(|&&it| it).count(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// How many values are hidden.
    pub hide: Hide,
    /// So many tokens in front are never hidden; 1 protects `<cls>`.
    pub keep_first: usize,
    /// Values equal to this are never hidden.
    pub pad_value: f32,
}

impl Mask {
    /// Whether the value at a position can be hidden.
    pub fn is_eligible(&self, position: usize, value: f32) -> bool {
        #[allow(clippy::float_cmp, reason = "the value is a marker, not a measurement")]
        let is_pad = value == self.pad_value;
        position >= self.keep_first && !is_pad
    }

    /// Which values of a cell are hidden, one entry a position; `draw` gives a number in `[0, 1)`
    /// for a position.
    pub fn is_masked(&self, values: &[f32], draw: impl Fn(usize) -> f64) -> Vec<bool> {
        let eligible: Vec<usize> = (0..values.len())
            .filter(|&position| self.is_eligible(position, values[position]))
            .collect();
        let mut is_masked = vec![false; values.len()];
        match self.hide {
            Hide::Each(probability) => {
                for position in eligible {
                    is_masked[position] = draw(position) < probability;
                }
            }
            Hide::Share(ratio) => {
                let n = share(eligible.len(), ratio);
                // Numbers of [0, 1) sort as their bits do.
                for chosen in choose(eligible.len(), n, |index| draw(eligible[index]).to_bits()) {
                    is_masked[eligible[chosen]] = true;
                }
            }
        }
        is_masked
    }
}

/// Splits a cell into `[known, unknown]` tokens. The first `keep` are known; unknown is the share
/// `unknown` of the others, those with the smallest `order`. Each part is shortened to its share of
/// `max_length`.
///
/// # Reference
/// `scgpt/data_collator.py`, `_call_both`, on the development
/// branch. Differs: tokens stay in their order, and the choice is made for each cell alone.
pub fn split(
    cell: &CellTokens,
    unknown: f64,
    keep: usize,
    max_length: usize,
    order: impl Fn(GeneToken) -> u64,
) -> [CellTokens; 2] {
    let keep = keep.min(cell.len());
    let n = share(cell.len() - keep, unknown);
    let chosen = choose(cell.len() - keep, n, |index| order(cell.genes[keep + index]));
    let mut is_unknown = vec![false; cell.len()];
    for index in chosen {
        is_unknown[keep + index] = true;
    }
    let part = |wanted: bool| {
        let positions: Vec<usize> =
            (0..cell.len()).filter(|&position| is_unknown[position] == wanted).collect();
        CellTokens {
            genes: positions.iter().map(|&position| cell.genes[position]).collect(),
            values: positions.iter().map(|&position| cell.values[position]).collect(),
            conditions: cell
                .conditions
                .as_ref()
                .map(|conditions| positions.iter().map(|&position| conditions[position]).collect()),
            n_available: cell.n_available,
        }
    };
    let [mut known, mut hidden] = [part(false), part(true)];
    let room = share(max_length.saturating_sub(keep), unknown);
    known.shorten(max_length - room, keep, &order);
    hidden.shorten(room, 0, &order);
    [known, hidden]
}

/// `⌊n · ratio⌋`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of tokens"
)]
fn share(n: usize, ratio: f64) -> usize {
    (n as f64 * ratio) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;
    use crate::keyed::{Keyed, Purpose};

    #[test]
    fn a_share_of_the_eligible_values_is_hidden() {
        let mask = Mask { hide: Hide::Share(0.5), keep_first: 1, pad_value: -2.0 };
        let values = [0.0, 3.0, 0.0, 5.0, -2.0, 7.0];
        let is_masked = mask.is_masked(&values, |position| 1.0 / (1.0 + position as f64));
        assert_eq!(is_masked, [false, false, false, true, false, true]);
    }

    #[test]
    fn each_value_is_hidden_with_its_probability() {
        let mask = Mask { hide: Hide::Each(0.3), keep_first: 1, pad_value: -2.0 };
        let key = Keyed::new(0, Purpose::Mask, 0, 0);
        let is_masked = mask.is_masked(&vec![1.0; 10_001], |position| key.uniform(position as u64));
        assert!(!is_masked[0]);
        let n = is_masked.iter().filter(|&&masked| masked).count();
        // Four standard deviations of a binomial variable.
        assert!((2817..=3183).contains(&n), "{n}");
    }

    #[test]
    fn known_and_unknown_tokens_are_the_cell() {
        let cell = CellTokens {
            genes: (0..8).map(GeneToken).collect(),
            values: vec![1.0; 8],
            ..CellTokens::default()
        };
        let [known, unknown] = split(&cell, 0.5, 1, 100, |gene| u64::from(8 - gene.0));
        assert_eq!(known.genes, [0, 1, 2, 3, 4].map(GeneToken));
        assert_eq!(unknown.genes, [5, 6, 7].map(GeneToken));
        let [known, unknown] = split(&cell, 0.5, 1, 5, |gene| u64::from(gene.0));
        assert_eq!([known.len(), unknown.len()], [3, 2]);
        assert_eq!(known.genes[0], GeneToken(0));
    }
}
