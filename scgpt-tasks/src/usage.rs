//! [`Usage`]: what a command does with a network, and what it tells the network.
//!
//! A network that was trained with the batch of every cell also computes without it, but gives
//! other results. Therefore, before a cell is read, what the network needs ([`ScgptConfig::needs`])
//! is compared with what the command gives, and a need that is not met is an error that names the
//! command which would meet it.

use std::path::Path;

use scgpt_data::{Advice, Setting};
use scgpt_model::{Asked, AttentionKind, ModelDir, Need, ScgptConfig};

use crate::{
    error::{Error, Result},
    folder_kind::FolderKind,
};

/// The number in a [`Need`] that is given, which meets any number.
const ANY: usize = 0;

/// What a network is used for. Each says what it gives the network beside genes and values; what
/// the network needs is a property of its configuration, and the two meet in [`check`](Self::check).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Cell embeddings, for cells of which nothing else is known.
    Embed,
    /// States of genes, for cells of which nothing else is known.
    States,
    /// The scores by which genes attend to each other.
    Attention,
    /// Expression of genes that are asked for.
    Generate,
    /// Pre-training goes on.
    Pretrain,
    /// Fine-tuning to annotate.
    Annotate,
    /// Fine-tuning to integrate batches.
    Integrate,
    /// Fine-tuning to integrate modalities.
    IntegrateModalities,
    /// Fine-tuning to predict perturbations.
    Perturb,
}

impl Usage {
    /// Opens a model directory whose network can be used so.
    ///
    /// # Errors
    /// If it cannot be opened, or [`check`](Self::check) refuses it.
    pub(crate) fn open(self, path: &Path) -> Result<ModelDir> {
        let (kind, model) = FolderKind::open(path)?;
        self.check(Some((kind, path)), model.config())?;
        Ok(model)
    }

    /// Checks that a network gets what it needs, and was not made for another task. `folder` is what holds
    /// it, unless it is from memory.
    ///
    /// # Errors
    /// [`Error::Incompatible`] with the command that is meant.
    pub(crate) fn check(
        self,
        folder: Option<(FolderKind, &Path)>,
        network: &ScgptConfig,
    ) -> Result<()> {
        let (kind, path) = folder.map_or((FolderKind::Other, None), |(kind, at)| (kind, Some(at)));
        let Some(problem) = self.problem(kind, network) else { return Ok(()) };
        let whose = match kind {
            FolderKind::Annotation | FolderKind::Integration | FolderKind::Perturbation => {
                format!("{}: ", kind.describe())
            }
            _ => String::new(),
        };
        Err(Error::Incompatible {
            path: path.map_or_else(|| "network".into(), Into::into),
            problem: format!("{whose}{problem}"),
            remedy: self.remedy(kind, path),
        })
    }

    /// Why the network cannot be used so; `None` if it can.
    fn problem(self, kind: FolderKind, network: &ScgptConfig) -> Option<String> {
        let unmet = |need: &Need| !self.gives().iter().any(|given| given.is_like(*need));
        if let Some(need) = network.needs(self.asked()).into_iter().find(unmet) {
            return Some(format!("the network {need}, which {} does not give", self.describe()));
        }
        if self == Self::Embed && kind == FolderKind::Integration {
            return Some(
                "its cells are compared by the genes it was trained on, binned among themselves; rows of all genes \
                 would not lie beside them"
                    .into(),
            );
        }
        if self == Self::Attention && network.attention != AttentionKind::Exact {
            return Some(format!(
                "the network attends in linear time ({}): there are no scores of pairs of genes by which it mixes \
                 them",
                network.attention.name()
            ));
        }
        let asks_unknown = matches!(self, Self::Generate | Self::Pretrain);
        (asks_unknown && !network.unknown_flag).then(|| {
            format!(
                "the network was not trained to generate: it has no embedding of unknown genes (`flag_encoder`), which \
                 {} needs",
                self.describe()
            )
        })
    }

    /// What this use asks the network for.
    fn asked(self) -> Asked {
        match self {
            Self::Embed | Self::States | Self::Attention => Asked::States,
            _ => Asked::Expression,
        }
    }

    /// The needs that this use meets, or whose parts of the network it makes anew.
    fn gives(self) -> &'static [Need] {
        match self {
            Self::Embed
            | Self::States
            | Self::Attention
            | Self::Generate
            | Self::Pretrain
            | Self::Annotate => &[],
            Self::Integrate => &[Need::BatchLabels(ANY), Need::Domains(ANY)],
            Self::IntegrateModalities => {
                &[Need::BatchLabels(ANY), Need::Domains(ANY), Need::ModalityTokens(ANY)]
            }
            Self::Perturb => &[Need::PerturbationFlags],
        }
    }

    /// Its name in messages.
    fn describe(self) -> &'static str {
        match self {
            Self::Embed => "embedding",
            Self::States => "looking at genes in cells",
            Self::Attention => "looking at attention",
            Self::Generate => "generation",
            Self::Pretrain => "pre-training",
            Self::Annotate => "training to annotate",
            Self::Integrate | Self::IntegrateModalities => "training to integrate",
            Self::Perturb => "training on perturbations",
        }
    }

    /// Which command or which network to use instead.
    fn remedy(self, kind: FolderKind, path: Option<&Path>) -> Advice {
        let meant = match (kind, path) {
            (FolderKind::Integration | FolderKind::Perturbation, Some(path)) => {
                format!("{}; or ", kind.meant(path))
            }
            _ => String::new(),
        };
        let instead = match self {
            Self::States => {
                Advice::from("take the model it began as, gene vectors of the table (without ")
                    + Setting("contextual")
                    + ", or without cells), or integrate with the setting `input_norm` none"
            }
            Self::Attention => {
                "take a network with exact attention, or compare vectors of genes (`scgpt grn embedding`)".into()
            }
            Self::Generate | Self::Pretrain => {
                "take a generatively pre-trained model, such as `scgpt pretrain` makes".into()
            }
            _ => "take the model it began as, or another one that was trained for no task".into(),
        };
        Advice::from(meant) + instead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_model::InputNorm;

    const ALL: [Usage; 9] = [
        Usage::Embed,
        Usage::States,
        Usage::Attention,
        Usage::Generate,
        Usage::Pretrain,
        Usage::Annotate,
        Usage::Integrate,
        Usage::IntegrateModalities,
        Usage::Perturb,
    ];

    #[test]
    fn every_network_meets_every_usage_with_a_verdict() {
        let plain = ScgptConfig::new(10);
        let perturbed = ScgptConfig { n_perturbation_flags: 3, ..plain.clone() };
        let batches = ScgptConfig { n_batches: 2, ..plain.clone() };
        let apart =
            ScgptConfig { n_domains: 2, input_norm: InputNorm::DomainSpecific, ..plain.clone() };
        let modalities = ScgptConfig { n_modalities: 5, ..plain.clone() };
        let mute = ScgptConfig { unknown_flag: false, ..plain.clone() };
        for (network, fits) in [
            (plain, &ALL[..]),
            (perturbed, &[Usage::Perturb]),
            (
                batches,
                &[
                    Usage::Embed,
                    Usage::States,
                    Usage::Attention,
                    Usage::Integrate,
                    Usage::IntegrateModalities,
                ],
            ),
            (apart, &[Usage::Integrate, Usage::IntegrateModalities]),
            (
                modalities,
                &[Usage::Embed, Usage::States, Usage::Attention, Usage::IntegrateModalities],
            ),
            (
                mute,
                &[
                    Usage::Embed,
                    Usage::States,
                    Usage::Attention,
                    Usage::Annotate,
                    Usage::Integrate,
                    Usage::IntegrateModalities,
                    Usage::Perturb,
                ],
            ),
        ] {
            for usage in ALL {
                let checked = usage.check(None, &network);
                assert_eq!(checked.is_ok(), fits.contains(&usage), "{usage:?} {network:?}");
                if let Err(error) = checked {
                    assert!(error.to_string().contains(usage.describe()), "{error}");
                    assert!(error.hint().is_some_and(|hint| hint.contains("take ")));
                }
            }
        }
    }
}
