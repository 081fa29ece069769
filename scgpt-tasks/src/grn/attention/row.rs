//! [`NetworkRow`]: what one of the compared networks is worth.

use scgpt_eval::network::Consistency;
use scgpt_stats::EdgeScores;
use serde::{Deserialize, Serialize};

use super::Setting;

/// What attention is called among methods.
pub(super) const ATTENTION: &str = "attention";

/// What one network is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkRow {
    /// What made it.
    pub method: String,
    /// Of which cells it is; none if of no cells at all.
    pub setting: Option<Setting>,
    /// How well two halves of the cells agree: Spearman by weight, the strongest by its size.
    pub consistency: Option<Consistency>,
    /// How well it finds known regulations.
    pub truth: Option<EdgeScores>,
    /// Share of known regulations whose sign is right, if it has signs.
    pub sign_accuracy: Option<f64>,
}
