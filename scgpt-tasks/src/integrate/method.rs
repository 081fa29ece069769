//! [`IntegrateMethod`]: what puts cells of several batches into one space, the network or a simple method beside
//! which it is scored.

use scgpt_data::{Advice, Setting};
use scgpt_eval::baseline::SpaceMethod;
use serde::{Deserialize, Serialize};

/// What puts the cells into one space.
///
/// ```
/// use scgpt_tasks::integrate::IntegrateMethod;
///
/// assert_eq!(IntegrateMethod::Harmony.key(), Some("X_harmony"));
/// assert!(IntegrateMethod::Pca.is_simple() && !IntegrateMethod::Best.is_simple());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntegrateMethod {
    /// The network.
    #[default]
    Network,
    /// Principal components, from which batches are removed by soft clusters.
    Harmony,
    /// Principal components after mean and variance of genes were made alike in all batches.
    Combat,
    /// Principal components, of several modalities side by side; nothing is done about batches.
    Pca,
    /// Latent semantic indexing of open chromatin, one of several modalities.
    Lsi,
    /// The best of all by scores of labels and batches.
    Best,
}

impl IntegrateMethod {
    /// Whether it is the network, and nothing else is asked for.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(crate) fn is_network(&self) -> bool {
        *self == Self::Network
    }

    /// Whether no network is trained.
    pub fn is_simple(self) -> bool {
        self.key().is_some_and(|_| self != Self::Network)
    }

    /// Why a network cannot be trained by this setting; simple methods may be left out.
    pub(super) fn problem(self, has_baselines: bool) -> Option<Advice> {
        if self.is_simple() {
            return Some(format!("is `{}`, which trains no network", self.name()).into());
        }
        (self == Self::Best && !has_baselines).then(|| {
            Advice::from("is `best`, but there are no simple methods to choose among (")
                + Setting("baselines")
                + ")"
        })
    }

    /// Its name, as settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Harmony => "harmony",
            Self::Combat => "combat",
            Self::Pca => "pca",
            Self::Lsi => "lsi",
            Self::Best => "best",
        }
    }

    /// The matrix of `obsm` with the places that it gives to cells; `None` before one is chosen.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Network => Some("X_scGPT"),
            Self::Harmony => Some("X_harmony"),
            Self::Combat => Some("X_combat"),
            Self::Pca => Some("X_pca"),
            Self::Lsi => Some("X_lsi"),
            Self::Best => None,
        }
    }

    /// The setting that gives what a method of comparison gives, if one does, of one modality or `several`.
    pub(super) fn of(method: SpaceMethod, several: bool) -> Option<Self> {
        match (method, several) {
            (SpaceMethod::Harmony, _) => Some(Self::Harmony),
            (SpaceMethod::Combat, _) => Some(Self::Combat),
            (SpaceMethod::Lsi, _) => Some(Self::Lsi),
            (SpaceMethod::Pca, false) | (SpaceMethod::Unintegrated, true) => Some(Self::Pca),
            _ => None,
        }
    }
}
