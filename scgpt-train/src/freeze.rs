//! [`Part`]: the parts of a network that can be kept from learning.

use burn::{module::Param, prelude::*};
use scgpt_data::{Setting, SettingProblem};
use scgpt_model::{MapNamed, NetworkPart, ParameterName, Scgpt, ScgptConfig};
use serde::{Deserialize, Serialize};

/// A part of the network.
///
/// The reference's `freeze` option of annotation is
/// `[genes, values, conditions]`: everything called an encoder but the transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Gene vectors and their norm.
    Genes,
    /// The value encoder.
    Values,
    /// Vectors of batches, modalities, perturbations and unknown genes.
    Conditions,
    /// The first blocks of the transformer.
    Blocks(usize),
    /// All blocks.
    Transformer,
    /// The expression heads.
    ExpressionHeads,
}

impl Part {
    fn holds(self, part: NetworkPart) -> bool {
        use NetworkPart as Of;
        match self {
            Self::Genes => part == Of::Genes,
            Self::Values => part == Of::Values,
            Self::Conditions => {
                matches!(part, Of::Batches | Of::Modalities | Of::Perturbations | Of::UnknownFlag)
            }
            Self::Blocks(n) => matches!(part, Of::Block(block) if block < n),
            Self::Transformer => matches!(part, Of::Block(_)),
            Self::ExpressionHeads => matches!(part, Of::Gep | Of::ZeroProbability | Of::Gepc),
        }
    }

    pub(crate) fn problem(self, network: &ScgptConfig) -> Option<SettingProblem> {
        match self {
            Self::Blocks(n) if n > network.n_layers => {
                let problem = format!("names {n} blocks, but the network has {}", network.n_layers);
                Some(Setting("freeze").wrong(problem))
            }
            _ => None,
        }
    }
}

/// `model` with the parameters of `parts` excluded from gradients.
#[must_use]
pub fn freeze(model: Scgpt, parts: &[Part]) -> Scgpt {
    if parts.is_empty() { model } else { model.map_named(&mut Freeze { parts }) }
}

struct Freeze<'a> {
    parts: &'a [Part],
}

impl MapNamed for Freeze<'_> {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let of = NetworkPart::of(&name.key);
        if of.is_some_and(|of| self.parts.iter().any(|part| part.holds(of))) {
            parameter.set_require_grad(false)
        } else {
            parameter
        }
    }
}
