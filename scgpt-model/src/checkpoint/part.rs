//! [`NetworkPart`]: which part of a network a parameter belongs to, by its name in a checkpoint.

/// A part of the network that has parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkPart {
    /// Gene vectors and their norm.
    Genes,
    /// The value encoder.
    Values,
    /// Vectors of batches.
    Batches,
    /// Vectors of modalities.
    Modalities,
    /// Vectors of perturbation flags.
    Perturbations,
    /// The vector of unknown genes.
    UnknownFlag,
    /// The norm of the input by domain, or of all cells.
    InputNorm,
    /// The weights of genes in means of keys and values.
    Means,
    /// A block of the transformer, by its number.
    Block(usize),
    /// The expression head on token states, without what says whether a value is zero.
    Gep,
    /// The part of the direct expression head that says whether a value is zero.
    ZeroProbability,
    /// The expression head on the cell embedding.
    Gepc,
    /// The class head.
    Class,
    /// The head of batches behind a reversed gradient.
    Dar,
}

/// Beginnings of names; where two fit, the earlier one counts.
const PREFIXES: [(&str, NetworkPart); 14] = [
    ("encoder.", NetworkPart::Genes),
    ("value_encoder.", NetworkPart::Values),
    ("batch_encoder.", NetworkPart::Batches),
    ("mod_encoder.", NetworkPart::Modalities),
    ("pert_encoder.", NetworkPart::Perturbations),
    ("flag_encoder.", NetworkPart::UnknownFlag),
    ("dsbn.", NetworkPart::InputNorm),
    ("bn.", NetworkPart::InputNorm),
    ("means.", NetworkPart::Means),
    ("decoder.zero_logit.", NetworkPart::ZeroProbability),
    ("decoder.", NetworkPart::Gep),
    ("mvc_decoder.", NetworkPart::Gepc),
    ("cls_decoder.", NetworkPart::Class),
    ("grad_reverse_discriminator.", NetworkPart::Dar),
];
const BLOCKS: &str = "transformer_encoder.layers.";

impl NetworkPart {
    /// The part of the parameter that a checkpoint calls `key`; `None` if the name is of no
    /// network.
    ///
    /// ```
    /// use scgpt_model::NetworkPart;
    ///
    /// let key = "transformer_encoder.layers.3.linear1.weight";
    /// assert_eq!(NetworkPart::of(key), Some(NetworkPart::Block(3)));
    /// assert_eq!(NetworkPart::of("decoder.fc.0.weight"), Some(NetworkPart::Gep));
    /// assert_eq!(NetworkPart::of("optimizer.step"), None);
    /// ```
    pub fn of(key: &str) -> Option<Self> {
        if let Some(rest) = key.strip_prefix(BLOCKS) {
            return Some(Self::Block(rest.split('.').next()?.parse().ok()?));
        }
        PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, part)| *part)
    }

    /// Whether it is a head, on which the cell embedding does not depend.
    pub(super) fn is_task_head(self) -> bool {
        matches!(self, Self::Class | Self::Dar)
    }
}
