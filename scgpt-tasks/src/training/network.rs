//! [`Recipe`] and [`NetworkConfig`]: the settings of the network with which a training begins.

use std::path::Path;

use scgpt_data::{Frame, GeneNames, GeneVocab};
use scgpt_model::{AttentionKind, ScgptConfig};
use serde::{Deserialize, Serialize};

use crate::{error::Result, folder_kind::open_model};

/// How a training begins: from a checkpoint or from nothing. The settings of every task that learns
/// are those of a recipe.
///
/// ```
/// use scgpt_tasks::{NetworkConfig, Recipe, annotate::AnnotateConfig};
///
/// let new = AnnotateConfig::of(Recipe::Scratch);
/// assert_eq!(new.network, NetworkConfig::SMALL);
/// // The narrower a checkpoint is, the higher the rate at which it learns.
/// let [wide, narrow] = [NetworkConfig::RELEASED, NetworkConfig::SMALL]
///     .map(|network| AnnotateConfig::of(Recipe::FineTune(network)).training.optimizer.lr);
/// assert!(narrow > wide);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Recipe {
    /// A checkpoint of that shape is fine-tuned.
    FineTune(NetworkConfig),
    /// A small network learns from the cells of the task alone.
    Scratch,
}

impl Recipe {
    /// Fine-tuning of the network in the directory `model` if one is given, else training from
    /// scratch.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn of(model: Option<&Path>) -> Result<Self> {
        let Some(path) = model else { return Ok(Self::Scratch) };
        Ok(Self::FineTune(NetworkConfig::of(open_model(path)?.config())))
    }

    /// The shape in force: that of the checkpoint, of which the settings change dropout and attention, or the
    /// `wanted` one of a new network.
    #[must_use]
    pub fn settle(self, wanted: NetworkConfig) -> NetworkConfig {
        match self {
            Self::FineTune(network) => {
                let NetworkConfig { dropout, attention, attention_rank, .. } = wanted;
                NetworkConfig { dropout, attention, attention_rank, ..network }
            }
            Self::Scratch => wanted,
        }
    }

    /// The network whose tutorial the settings are made from.
    pub(crate) fn network(self) -> NetworkConfig {
        match self {
            Self::FineTune(network) => network,
            Self::Scratch => NetworkConfig::RELEASED,
        }
    }
}

/// Where the gene vectors of a new network come from. A network that is fine-tuned has its own.
///
/// Differs: the reference draws them, and has the cells of an atlas to move them by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GeneStart {
    /// Drawn, as in the reference.
    #[default]
    Random,
    /// From the co-expression of the training cells: genes that vary together begin with similar
    /// vectors, and cells pooled by their values lie about where principal components put
    /// them. Heads of expression begin fitted to what this tells of values.
    Spectral,
}

/// What becomes of genes that a checkpoint does not know.
///
/// Differs: the reference leaves them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NewGenes {
    /// They are left out.
    #[default]
    None,
    /// They join the vocabulary with vectors that are drawn.
    Random,
    /// They join it with vectors mapped from their co-expression with genes that it knows.
    Spectral,
}

impl NewGenes {
    /// Whether they are left out.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(crate) fn are_left_out(&self) -> bool {
        *self == Self::None
    }

    /// The vocabulary of a checkpoint, and behind it the genes of `var` that it lacks, unless they
    /// are left out.
    ///
    /// # Errors
    /// If the vocabulary knows too few of the genes, so that it is probably of another species.
    pub(crate) fn extend(
        self,
        vocab: GeneVocab,
        var: &Frame,
        names: &GeneNames,
    ) -> Result<GeneVocab> {
        if self.are_left_out() {
            return Ok(vocab);
        }
        let unknown = vocab.align(var, names)?.unmatched;
        Ok(vocab.with_genes(unknown.iter().map(String::as_str))?)
    }
}

/// The shape of a new network. For one that is fine-tuned only dropout and attention are in force. The
/// [`Recipe`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Number of transformer blocks.
    pub n_layers: usize,
    /// Number of attention heads.
    pub n_heads: usize,
    /// Width of the token states.
    pub d_model: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Dropout probability, also for a network that is trained further.
    pub dropout: f64,
    /// Number of value bins of a cell, bin 0 for zero included.
    pub n_bins: usize,
    /// How tokens attend to each other, also in a network that is trained further.
    #[serde(default)]
    pub attention: AttentionKind,
    /// Random features of [`AttentionKind::Favor`], or means of [`AttentionKind::Linformer`].
    #[serde(default = "default_rank")]
    pub attention_rank: usize,
}

fn default_rank() -> usize {
    NetworkConfig::SMALL.attention_rank
}

impl NetworkConfig {
    /// A small network, which learns on a laptop.
    pub const SMALL: Self = Self {
        n_layers: 4,
        n_heads: 4,
        d_model: 128,
        d_ff: 128,
        dropout: 0.1,
        n_bins: 51,
        attention: AttentionKind::Exact,
        attention_rank: 64,
    };
    /// The shape of the released whole-human model.
    pub const RELEASED: Self =
        Self { n_layers: 12, n_heads: 8, d_model: 512, d_ff: 512, dropout: 0.2, ..Self::SMALL };

    /// The shape of a network.
    pub fn of(network: &ScgptConfig) -> Self {
        Self {
            n_layers: network.n_layers,
            n_heads: network.n_heads,
            d_model: network.d_model,
            d_ff: network.d_ff,
            dropout: network.dropout,
            n_bins: network.n_bins,
            attention: network.attention,
            attention_rank: network.attention_rank,
        }
    }

    /// The shape in words, for pages.
    pub(crate) fn shape(&self) -> String {
        let attention = match self.attention {
            AttentionKind::Exact => String::new(),
            AttentionKind::Linear => ", linear attention".into(),
            AttentionKind::Favor => format!(", attention by {} features", self.attention_rank),
            AttentionKind::Linformer => format!(", attention to {} means", self.attention_rank),
        };
        let Self { n_layers, n_heads, d_model, .. } = self;
        format!("{n_layers} layers, {n_heads} heads, {d_model} wide{attention}")
    }

    /// The network of this shape over a vocabulary with `pad_token`, without task heads.
    pub(crate) fn network(&self, vocab_size: usize, pad_token: usize) -> ScgptConfig {
        let Self { n_layers, n_heads, d_model, d_ff, n_bins, .. } = *self;
        let network = ScgptConfig {
            d_model,
            n_heads,
            d_ff,
            n_layers,
            n_bins,
            gepc: None,
            unknown_flag: false,
            project_unknown: true,
            pad_token: Some(pad_token),
            ..ScgptConfig::new(vocab_size)
        };
        self.over(&network)
    }

    /// A network with those of these settings that its weights allow for: dropout and attention.
    pub(crate) fn over(&self, network: &ScgptConfig) -> ScgptConfig {
        let Self { dropout, attention, attention_rank, .. } = *self;
        ScgptConfig { dropout, attention, attention_rank, ..network.clone() }
    }
}
