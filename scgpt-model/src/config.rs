//! [`ScgptConfig`]: the switches of the network, validated once.

mod reference;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a value becomes part of a token's embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueEncoding {
    /// A small network on the value: `LN(W₂ relu(W₁ min(x, 512)))`.
    #[default]
    Continuous,
    /// A table with one row per value bin.
    Binned {
        /// Rows of the table: bins plus one for padding and one for hidden values.
        n_inputs: usize,
    },
    /// The value scales the gene embedding.
    Scaling,
}

/// How token states become one cell embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellPooling {
    /// The state of the `<cls>` token.
    #[default]
    Cls,
    /// The mean over tokens.
    Mean,
    /// The sum over tokens weighted by their values, scaled to unit length.
    Weighted,
}

/// What padded positions contribute to [`CellPooling::Mean`] and [`CellPooling::Weighted`].
///
/// The reference lets padding into both, with states that depend on the attention library it
/// ran on; the two variants that reproduce it exist for parity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddedStates {
    /// Nothing: a cell embedding does not depend on the batch it was in.
    #[default]
    Excluded,
    /// Reference, packed layout: the attention context of a padded query is zero.
    PackedLayout,
    /// Reference, plain layout in evaluation mode: the final state of a padded token is zero.
    PlainLayout,
}

/// The shape and the switches of one network.
///
/// # Reference
/// `TransformerModel.__init__` and the keys of a released `args.json`. Differs: one type instead
/// of twenty positional knobs; what a switch needs is part of its variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScgptConfig {
    /// Gene tokens, special tokens included.
    pub vocab_size: usize,
    /// Width of the token states.
    pub d_model: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Dropout probability while training; inference never drops.
    #[serde(default)]
    pub dropout: f64,
    /// Value bins of one cell, zero included.
    #[serde(default = "ScgptConfig::default_n_bins")]
    pub n_bins: usize,
    /// Value fed at padded positions, and at `<cls>` in pre-training and zero-shot use.
    #[serde(default = "ScgptConfig::default_pad_value")]
    pub pad_value: f32,
    /// Value fed where the true value is hidden.
    #[serde(default = "ScgptConfig::default_mask_value")]
    pub mask_value: f32,
    /// How values are embedded.
    #[serde(default)]
    pub value_encoding: ValueEncoding,
    /// How cells are pooled.
    #[serde(default)]
    pub cell_pooling: CellPooling,
    /// What padding contributes to pooling.
    #[serde(default)]
    pub padded_states: PaddedStates,
    /// Whether the network predicts expression from the cell embedding (GEPC, inner product).
    #[serde(default)]
    pub gepc: bool,
    /// Whether the network has the embedding that marks unknown genes.
    #[serde(default)]
    pub unknown_flag: bool,
}

impl ScgptConfig {
    /// The released shape (12 layers, 8 heads, 512 wide) over a vocabulary of that size.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            d_model: 512,
            n_heads: 8,
            d_ff: 512,
            n_layers: 12,
            dropout: 0.2,
            n_bins: Self::default_n_bins(),
            pad_value: Self::default_pad_value(),
            mask_value: Self::default_mask_value(),
            value_encoding: ValueEncoding::default(),
            cell_pooling: CellPooling::default(),
            padded_states: PaddedStates::default(),
            gepc: true,
            unknown_flag: true,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        // The limits keep a corrupt file from asking for absurd memory.
        for (field, value, limit) in [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("d_model", self.d_model, 1 << 14),
            ("n_heads", self.n_heads, 1 << 10),
            ("d_ff", self.d_ff, 1 << 16),
            ("n_layers", self.n_layers, 1 << 10),
            ("n_bins", self.n_bins, 1 << 16),
        ] {
            if value == 0 || value > limit {
                problems.push(format!("`{field}` is {value}, expected 1 to {limit}"));
            }
        }
        if self.n_heads != 0 && !self.d_model.is_multiple_of(self.n_heads) {
            problems.push(format!(
                "`d_model` ({}) is not divisible by `n_heads` ({})",
                self.d_model, self.n_heads
            ));
        }
        if self.n_bins == 1 {
            problems
                .push("`n_bins` is 1, but bin 0 is reserved for zero: expected at least 2".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            problems.push(format!("`dropout` is {}, expected 0 up to below 1", self.dropout));
        }
        if !self.pad_value.is_finite() || !self.mask_value.is_finite() {
            problems.push("`pad_value` and `mask_value` must be finite".into());
        }
        if let ValueEncoding::Binned { n_inputs } = self.value_encoding {
            let highest = self.pad_value.max(self.mask_value);
            if !(2..=1 << 16).contains(&n_inputs)
                || highest >= n_inputs as f32
                || self.pad_value < 0.0
            {
                problems.push(format!(
                    "`value_encoding` has {n_inputs} rows, but `pad_value` is {} and `mask_value` {}: both must \
                     be rows of the table",
                    self.pad_value, self.mask_value
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Config { path: None, problems }) }
    }

    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.d_model / self.n_heads
    }

    fn default_n_bins() -> usize {
        51
    }

    fn default_pad_value() -> f32 {
        -2.0
    }

    fn default_mask_value() -> f32 {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named_at_once() {
        let config = ScgptConfig { n_heads: 7, n_layers: 0, dropout: 1.5, ..ScgptConfig::new(10) };
        let message = config.validate().unwrap_err().to_string();
        for field in ["`n_heads` (7)", "`n_layers` is 0", "`dropout` is 1.5"] {
            assert!(message.contains(field), "{message}");
        }
        ScgptConfig::new(10).validate().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut json = serde_json::to_value(ScgptConfig::new(10)).unwrap();
        json["n_layer"] = 3.into();
        assert!(serde_json::from_value::<ScgptConfig>(json).is_err());
    }
}
