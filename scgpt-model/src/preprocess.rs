//! [`Preprocess`]: what a model expects of its input.

use serde::{Deserialize, Serialize};

/// What a model expects of its input beside the network's own switches: `preprocess.json`.
///
/// The values themselves are bins of raw counts, cut per cell.
///
/// ```
/// use scgpt_model::Preprocess;
///
/// let preprocess = Preprocess { max_length: 1200, cls_value: -2.0 };
/// let json = serde_json::to_string(&preprocess)?;
/// assert_eq!(json, r#"{"max_length":1200,"cls_value":-2.0}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Most tokens per cell that the model was trained with, `<cls>` included.
    pub max_length: usize,
    /// The value fed at `<cls>`.
    pub cls_value: f32,
}
