//! [`Need`]: what a network needs beside the genes and values of a cell.

use std::fmt;

use crate::config::{InputNorm, ScgptConfig};

/// What a network needs beside genes and values.
///
/// ```
/// use scgpt_model::{Asked, Need, ScgptConfig};
///
/// // The expression heads of this network are told which of three batches a cell is of.
/// let config = ScgptConfig { n_batches: 3, ..ScgptConfig::new(60) };
/// assert_eq!(config.needs(Asked::Expression), [Need::BatchLabels(3)]);
/// assert!(config.needs(Asked::States).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A perturbation flag for every token.
    PerturbationFlags,
    /// The batch of every cell, one of so many: the tokens of each batch are normalised apart.
    Domains(usize),
    /// The batch of every cell, one of so many, of which the expression heads are told.
    BatchLabels(usize),
    /// A modality token for every token, one of so many, of which the expression heads are told.
    ModalityTokens(usize),
}

/// What a network is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Vectors of genes, as the table has them.
    GeneVectors,
    /// Token states, attention, cell embeddings, and what is computed from the cell embedding
    /// alone.
    States,
    /// Expression, from token states or from the cell embedding; all of training counts as this.
    Expression,
}

impl Need {
    /// Whether both are the same need, whatever their numbers.
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerturbationFlags => {
                write!(formatter, "needs to be told which genes are perturbed (perturbation flags)")
            }
            Self::Domains(n) => write!(
                formatter,
                "normalises the tokens of each of its {n} batches apart, so it needs the batch of every cell"
            ),
            Self::BatchLabels(n) => {
                write!(
                    formatter,
                    "needs batch labels: it was told which of {n} batches a cell is of"
                )
            }
            Self::ModalityTokens(_) => write!(
                formatter,
                "needs modality tokens: it was told what each feature measures (genes, proteins, peaks)"
            ),
        }
    }
}

impl ScgptConfig {
    /// What this network needs to give what is `asked`. If it gets less, [`Scgpt`](crate::Scgpt)
    /// panics, or takes all cells for cells of its first batch.
    pub fn needs(&self, asked: Asked) -> Vec<Need> {
        let mut needs = Vec::new();
        if asked == Asked::GeneVectors {
            return needs;
        }
        if self.n_perturbation_flags > 0 {
            needs.push(Need::PerturbationFlags);
        }
        if self.input_norm == InputNorm::DomainSpecific && self.n_domains > 1 {
            needs.push(Need::Domains(self.n_domains));
        }
        if asked == Asked::Expression && self.n_batches > 0 {
            needs.push(Need::BatchLabels(self.n_batches));
        }
        if asked == Asked::Expression && self.n_modalities > 0 {
            needs.push(Need::ModalityTokens(self.n_modalities));
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_follow_from_the_switches_and_the_question() {
        let plain = ScgptConfig::new(10);
        let all = ScgptConfig {
            n_perturbation_flags: 3,
            input_norm: InputNorm::DomainSpecific,
            n_domains: 4,
            n_batches: 4,
            n_modalities: 5,
            ..plain.clone()
        };
        for asked in [Asked::GeneVectors, Asked::States, Asked::Expression] {
            assert_eq!(plain.needs(asked), []);
        }
        assert_eq!(all.needs(Asked::GeneVectors), []);
        assert_eq!(all.needs(Asked::States), [Need::PerturbationFlags, Need::Domains(4)]);
        assert_eq!(all.needs(Asked::Expression).len(), 4);
        // Batches that are only told apart by the adversarial head, or a single one, are no need.
        let dar = ScgptConfig { dar: true, n_domains: 4, ..plain.clone() };
        let one = ScgptConfig { input_norm: InputNorm::DomainSpecific, n_domains: 1, ..plain };
        assert_eq!([dar.needs(Asked::Expression), one.needs(Asked::Expression)], [[], []]);
        assert!(Need::Domains(2).is_like(Need::Domains(3)));
        assert!(!Need::Domains(2).is_like(Need::BatchLabels(2)));
    }
}
