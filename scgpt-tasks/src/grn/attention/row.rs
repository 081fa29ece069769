//! [`NetworkRow`]: what one of the compared networks is worth.

use scgpt_eval::{baseline::Association, network::Consistency};
use scgpt_stats::EdgeScores;
use serde::{Deserialize, Serialize};

use super::{NetworkMethod, NetworkSetting};

/// The name of attention among methods.
pub(super) const ATTENTION: &str = "attention";
/// That of gene vectors that a model began with.
pub(super) const BEFORE_TRAINING: &str = "gene embeddings before training (cosine)";

/// What one network is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkRow {
    /// The method that made it.
    pub method: String,
    /// Of which cells it is; `None` for a network that needs no cells.
    pub setting: Option<NetworkSetting>,
    /// How well two halves of the cells agree: the rank correlation of weights, and common edges
    /// among the strongest by absolute weight.
    pub consistency: Option<Consistency>,
    /// How well it finds known regulations.
    pub truth: Option<EdgeScores>,
    /// Share of known regulations whose sign is right, if weights have signs.
    pub sign_accuracy: Option<f64>,
}

/// The method by which a network can be asked for, if it can.
pub(super) fn method_of(row: &NetworkRow) -> Option<NetworkMethod> {
    if row.method == ATTENTION {
        return Some(NetworkMethod::Network);
    }
    let rule = Association::ALL.into_iter().find(|rule| rule.to_string() == row.method);
    rule.map(NetworkMethod::of)
}
