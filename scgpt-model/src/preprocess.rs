//! [`Preprocess`]: what a model expects of its input.

use serde::{Deserialize, Serialize};

/// What a model expects of its input beside the network's own switches: `preprocess.json`.
///
/// The values themselves are bins of raw counts, cut per cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Tokens per cell the model was trained with, `<cls>` included.
    pub max_length: usize,
    /// Value at `<cls>`.
    pub cls_value: f32,
}
