//! [`NetworkMethod`]: what makes a network of genes, the model or a simple method beside which it is judged.

use scgpt_eval::baseline::Association;
use serde::{Deserialize, Serialize};

/// What makes a network of genes.
///
/// ```
/// use scgpt_tasks::grn::NetworkMethod;
///
/// assert!(NetworkMethod::Pearson.rule().is_some() && NetworkMethod::Network.rule().is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NetworkMethod {
    /// The model: its attention, or its vectors of genes.
    #[default]
    Network,
    /// Pearson's correlation of expression.
    Pearson,
    /// Spearman's correlation of ranks.
    Spearman,
    /// Partial correlation, given all other genes.
    Partial,
    /// How much trees that predict a gene from all others owe to each.
    Trees,
    /// The best of all by what is known to be true.
    Best,
}

impl NetworkMethod {
    /// The rule of a simple method; `None` for the model, and before the best is known.
    pub fn rule(self) -> Option<Association> {
        Some(match self {
            Self::Network | Self::Best => return None,
            Self::Pearson => Association::Pearson,
            Self::Spearman => Association::Spearman,
            Self::Partial => Association::Partial,
            Self::Trees => Association::Trees,
        })
    }

    /// The method of a rule.
    pub fn of(rule: Association) -> Self {
        match rule {
            Association::Pearson => Self::Pearson,
            Association::Spearman => Self::Spearman,
            Association::Partial => Self::Partial,
            Association::Trees => Self::Trees,
        }
    }

    /// Its name, as settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Best => "best",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::Partial => "partial",
            Self::Trees => "trees",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_method_of_the_same_name() {
        for rule in Association::ALL {
            let method = NetworkMethod::of(rule);
            assert_eq!((method.rule(), method.name()), (Some(rule), rule.name()));
        }
    }
}
