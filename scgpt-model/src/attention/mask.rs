//! [`AttentionMask`]: who may attend to whom, without a matrix.

use burn::prelude::*;

/// Which keys a query sees, for cells whose tokens are ordered known, unknown, padding.
///
/// Every query sees all known tokens; an unknown token also sees itself; padding is seen by none
/// and its own rows are zero. This is the −∞ mask "known or self" without its `t × t` entries.
///
/// ```
/// use scgpt_model::AttentionMask;
///
/// // Two cells of at most five tokens: the second has three, of which one is to be generated.
/// let mask = AttentionMask::generative(vec![5, 2], vec![5, 3], 5);
/// assert!(mask.is_generative() && mask.has_padding());
/// assert_eq!(mask.known(), [5, 2]);
/// ```
///
/// # Reference
/// Methods, "masked attention". Differs: none in effect; the reference builds the same rule from
/// two attention calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionMask {
    n_tokens: usize,
    known: Vec<usize>,
    used: Vec<usize>,
    padding_attends: bool,
}

impl AttentionMask {
    /// A mask in which everything but padding is known: cell `i` has `lengths[i]` tokens of
    /// `n_tokens`.
    ///
    /// # Panics
    /// If a length is zero or larger than `n_tokens`.
    pub fn padding(lengths: Vec<usize>, n_tokens: usize) -> Self {
        Self::generative(lengths.clone(), lengths, n_tokens)
    }

    /// A mask in which cell `i` has `known[i]` known tokens first, then unknown ones up to
    /// `lengths[i]`.
    ///
    /// # Panics
    /// Unless `0 < known[i] <= lengths[i] <= n_tokens` for every cell.
    pub fn generative(known: Vec<usize>, lengths: Vec<usize>, n_tokens: usize) -> Self {
        assert_eq!(known.len(), lengths.len(), "one count per cell");
        for (cell, (&known, &length)) in known.iter().zip(&lengths).enumerate() {
            assert!(
                0 < known && known <= length && length <= n_tokens,
                "cell {cell}: {known} known of {length} used of {n_tokens} tokens"
            );
        }
        Self { n_tokens, known, used: lengths, padding_attends: false }
    }

    /// The same mask, but padded queries attend to the known tokens, as they do in the reference's
    /// plain layout: while training, and with an odd number of heads always.
    #[must_use]
    pub fn with_attending_padding(mut self) -> Self {
        self.padding_attends = true;
        self
    }

    /// Number of known tokens of each cell, `[b]`.
    pub fn known(&self) -> &[usize] {
        &self.known
    }

    /// Number of tokens of each cell that are not padding, `[b]`.
    pub fn used(&self) -> &[usize] {
        &self.used
    }

    /// Whether some gene is unknown.
    pub fn is_generative(&self) -> bool {
        self.known != self.used
    }

    /// Whether some cell has padding.
    pub fn has_padding(&self) -> bool {
        self.used.iter().any(|&used| used < self.n_tokens)
    }

    /// `true` at unknown genes, `[b, t, 1]`. Padding counts as if known and unknown tokens had been
    /// padded apart: a cell with fewer known tokens than others has known padding first.
    pub fn is_unknown(&self, device: &Device) -> Tensor<3, Bool> {
        let most = self.known.iter().copied().max().unwrap_or(0);
        let flags: Vec<bool> = std::iter::zip(&self.known, &self.used)
            .flat_map(|(&known, &used)| {
                let end_of_known_padding = used + (most - known);
                (0..self.n_tokens).map(move |token| {
                    (known..used).contains(&token) || token >= end_of_known_padding
                })
            })
            .collect();
        Tensor::<1, Bool>::from_data(
            TensorData::new(flags, [self.known.len() * self.n_tokens]),
            device,
        )
        .reshape([self.known.len(), self.n_tokens, 1])
    }

    pub(super) fn padding_attends(&self) -> bool {
        self.padding_attends
    }

    /// 1 at tokens, 0 at padding, `[b, t, 1]`, on the device and in the format of `like`.
    pub fn is_used(&self, like: &Tensor<3>) -> Tensor<3> {
        let flags = self.flags_from(&self.used, &like.device()).bool_not().float();
        flags.cast(like.dtype()).unsqueeze_dim(2)
    }

    /// `true` at keys that are not known, `[b, 1, 1, t]`; `None` if all are known.
    pub(super) fn unknown_keys(&self, device: &Device) -> Option<Tensor<4, Bool>> {
        let all_known = self.known.iter().all(|&known| known == self.n_tokens);
        (!all_known).then(|| self.flags_from(&self.known, device).unsqueeze_dims(&[1, 1]))
    }

    /// `true` at the first `n` tokens that do not see themselves beside the known ones, `[b, 1, n, 1]`:
    /// those that are known, and padding.
    pub(super) fn hides_self(&self, n: usize, device: &Device) -> Tensor<4, Bool> {
        let hides: Vec<bool> = std::iter::zip(&self.known, &self.used)
            .flat_map(|(&known, &used)| (0..n).map(move |token| token < known || token >= used))
            .collect();
        let shape = [self.known.len(), 1, n, 1];
        Tensor::from_data(TensorData::new(hides, shape), device)
    }

    /// `true` at padding, `[b, 1, t, 1]`.
    pub(super) fn is_padding(&self, device: &Device) -> Tensor<4, Bool> {
        self.flags_from(&self.used, device).unsqueeze_dim::<3>(1).unsqueeze_dim(3)
    }

    /// `true` at tokens that are not known, `[b, t]`.
    pub(crate) fn is_hidden(&self, device: &Device) -> Tensor<2, Bool> {
        self.flags_from(&self.known, device)
    }

    /// `true` from position `counts[i]` on, `[b, t]`.
    fn flags_from(&self, counts: &[usize], device: &Device) -> Tensor<2, Bool> {
        let flags: Vec<bool> = counts
            .iter()
            .flat_map(|&count| (0..self.n_tokens).map(move |token| token >= count))
            .collect();
        Tensor::from_data(TensorData::new(flags, [counts.len(), self.n_tokens]), device)
    }

    pub(super) fn assert_shape(&self, b: usize, t: usize) {
        assert_eq!([self.known.len(), self.n_tokens], [b, t], "the mask is for another [b, t]");
    }
}
