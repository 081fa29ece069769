//! [`Term`]: which loss it is.

use serde::{Deserialize, Serialize};

/// The name of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Values predicted from token states.
    Gep,
    /// Whether values are zero, from token states.
    GepZero,
    /// Values predicted from the cell embedding.
    Gepc,
    /// Whether values are zero, from the cell embedding.
    GepcZero,
    /// Values in the second pass, from the cell prompt.
    CellPrompt,
    /// Elastic cell similarity.
    Ecs,
    /// Classes of cells, by cross-entropy.
    Class,
    /// Batches, by the adversarial head.
    Dar,
    /// Contrastive loss between two passes (CCE).
    Contrastive,
}

impl Term {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Gep,
        Self::GepZero,
        Self::Gepc,
        Self::GepcZero,
        Self::CellPrompt,
        Self::Ecs,
        Self::Class,
        Self::Dar,
        Self::Contrastive,
    ];

    /// Its place among [all](Self::ALL).
    pub(crate) fn place(self) -> usize {
        self as usize
    }

    /// The name under which it is logged.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gep => "gep",
            Self::GepZero => "gep_zero",
            Self::Gepc => "gepc",
            Self::GepcZero => "gepc_zero",
            Self::CellPrompt => "cell_prompt",
            Self::Ecs => "ecs",
            Self::Class => "class",
            Self::Dar => "dar",
            Self::Contrastive => "contrastive",
        }
    }

    /// Whether the loss is a mean over predicted values, not over cells.
    pub(crate) fn is_by_value(self) -> bool {
        matches!(self, Self::Gep | Self::GepZero | Self::Gepc | Self::GepcZero | Self::CellPrompt)
    }
}
