//! [`ConditionToken`]: what else is known of a cell or a feature, as a number.

use serde::{Deserialize, Serialize};

/// Index of a condition (batch, modality, perturbation flag) that a position carries.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct ConditionToken(pub u32);
