//! [`TokenConfig`]: how cells become tokens.

use serde::{Deserialize, Serialize};

use crate::binning::Binner;

/// Which genes of a cell with more than the maximal number of tokens are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// A random choice, keyed by seed and cell.
    ///
    /// By (seed, [`CellKey`](crate::CellKey), gene token).
    ///
    /// Differs from the reference: the genes stay in column order (the encoder does not see
    /// order), and the choice depends on nothing but the key.
    #[default]
    Keyed,
    /// The first in the order of the file.
    Head,
}

/// How cells become tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenConfig {
    /// How the values of one cell become bins; `None` keeps the values.
    pub binner: Option<Binner>,
    /// Whether genes with value zero are tokens too. With several modalities these are only
    /// features of a modality that the cell has a value of, as it was not measured in the others.
    pub include_zero_genes: bool,
    /// Value of the `<cls>` token in front, −2 (the value of padding) in pre-training and
    /// zero-shot use, 0 in fine-tuning; `None` for no `<cls>`.
    pub cls_value: Option<f32>,
    /// Most tokens a cell may have, `<cls>` included.
    pub max_length: usize,
    /// Which genes are kept when a cell has more.
    pub sampling: Sampling,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for TokenConfig {
    /// Zero-shot embedding with a released model.
    fn default() -> Self {
        Self {
            binner: Some(Binner::default()),
            include_zero_genes: false,
            cls_value: Some(-2.0),
            max_length: 1200,
            sampling: Sampling::default(),
            seed: 0,
        }
    }
}
