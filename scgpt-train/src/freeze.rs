//! [`Part`]: the parts of a network that can be kept from learning.

use std::{fmt, str::FromStr};

use burn::{module::Param, prelude::*};
use scgpt_data::{Setting, SettingProblem, unknown_choice};
use scgpt_model::{MapNamed, NetworkPart, ParameterName, Scgpt, ScgptConfig};
use serde::{Deserialize, Serialize};

/// A part of the network. It is one word on a command line, in TOML and in JSON: `blocks:6` are the
/// first six blocks of the transformer.
///
/// ```
/// use scgpt_train::Part;
///
/// assert_eq!("blocks:6".parse::<Part>()?, Part::Blocks(6));
/// assert_eq!(Part::Blocks(6).to_string(), "blocks:6");
/// assert!("gene".parse::<Part>().unwrap_err().to_string().ends_with("similar names: genes"));
/// # Ok::<(), scgpt_data::Error>(())
/// ```
///
/// The reference's `freeze` option of annotation is
/// `[genes, values, conditions]`: everything called an encoder but the transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Spelled")]
pub enum Part {
    /// The gene vectors and their norm.
    Genes,
    /// The value encoder.
    Values,
    /// The vectors of batches, modalities, perturbation flags and unknown genes.
    Conditions,
    /// The first blocks of the transformer, as many as the number says.
    Blocks(usize),
    /// All blocks of the transformer.
    Transformer,
    /// The expression heads.
    ExpressionHeads,
}

/// The parts that have a name without a number.
const NAMED: [Part; 5] =
    [Part::Genes, Part::Values, Part::Conditions, Part::Transformer, Part::ExpressionHeads];
/// The word for blocks, before their number.
const BLOCKS: &str = "blocks";

impl FromStr for Part {
    type Err = scgpt_data::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((BLOCKS, n)) = text.split_once(':') {
            let wrong = |_| format!("`{text}` is not known, expected such as {BLOCKS}:6");
            return n.parse().map(Self::Blocks).map_err(|error| Self::Err::Option(wrong(error)));
        }
        let names = NAMED.map(|part| part.to_string());
        let known = names.iter().zip(NAMED).find(|(name, _)| *name == text);
        known.map(|(_, part)| part).ok_or_else(|| {
            let names: Vec<&str> = names.iter().map(String::as_str).chain(["blocks:N"]).collect();
            unknown_choice(text, &names)
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(n) => write!(f, "{BLOCKS}:{n}"),
            Self::Genes => f.write_str("genes"),
            Self::Values => f.write_str("values"),
            Self::Conditions => f.write_str("conditions"),
            Self::Transformer => f.write_str("transformer"),
            Self::ExpressionHeads => f.write_str("expression_heads"),
        }
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

/// A part as it is spelled in files: its name, or `{ blocks = 6 }` as earlier versions wrote
/// blocks.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a part such as genes or blocks:6")]
enum Spelled {
    Name(String),
    Table { blocks: usize },
}

impl TryFrom<Spelled> for Part {
    type Error = scgpt_data::Error;

    fn try_from(spelled: Spelled) -> Result<Self, Self::Error> {
        match spelled {
            Spelled::Name(name) => name.parse(),
            Spelled::Table { blocks } => Ok(Self::Blocks(blocks)),
        }
    }
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

/// Returns `model` with the parameters of `parts` excluded from gradients.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_word_everywhere_and_older_files_are_read() {
        for part in NAMED.into_iter().chain([Part::Blocks(6)]) {
            let json = serde_json::to_value(part).unwrap();
            assert_eq!(json, part.to_string());
            assert_eq!(serde_json::from_value::<Part>(json).unwrap(), part);
            assert_eq!(part.to_string().parse::<Part>().unwrap(), part);
        }
        let older = serde_json::json!([{ "blocks": 2 }, "values"]);
        let parts: Vec<Part> = serde_json::from_value(older).unwrap();
        assert_eq!(parts, [Part::Blocks(2), Part::Values]);
        let wrong = |json: &str| serde_json::from_str::<Part>(json).unwrap_err().to_string();
        assert!(wrong("\"gene\"").contains("similar names: genes"), "{}", wrong("\"gene\""));
        assert!(wrong("\"blocks:six\"").contains("expected such as blocks:6"));
        assert!(wrong("3").contains("expected a part"), "{}", wrong("3"));
    }
}
