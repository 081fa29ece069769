//! [`PretrainConfig`]: everything that decides what pre-training learns.

use std::path::PathBuf;

use scgpt_data::{Advice, Setting, TieMode};
use scgpt_model::{CellPooling, GepcStyle, ScgptConfig};
use scgpt_train::{Metric, Objectives, OptimizerConfig, Precision, Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    training::{
        BATCH, CellChoices, GeneStart, Mistakes, NetworkConfig, NewGenes, TOKENS, from_scratch,
    },
};

/// The settings of a pre-training run: those of a [`Preset`], some of them changed. In a file of
/// settings, fields that are absent have the values of the preset.
///
/// ```
/// use scgpt_tasks::pretrain::{PretrainConfig, Preset};
///
/// let config = PretrainConfig { batch_size: 16, ..Preset::Laptop.config() };
/// config.validate()?;
/// assert!(PretrainConfig { batch_size: 0, ..config }.validate().is_err());
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// Model directory to continue from; its network replaces `network`, except for the dropout.
    #[serde(default)]
    pub model: Option<PathBuf>,
    /// Number of cells per batch.
    pub batch_size: usize,
    /// Most tokens per cell, `<cls>` included; of more genes some are sampled, anew in every epoch.
    pub max_length: usize,
    /// Shares of a cell's genes that are unknown; each cell draws one in every epoch.
    pub unknown_shares: Vec<f64>,
    /// Optimiser steps after which the second pass, from the cell embedding, joins in (cell
    /// prompt).
    pub cell_prompt_after: u64,
    /// Share of the cells kept for validation.
    pub validation_share: f64,
    /// Most cells used for validation.
    pub validation_cells: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Condition in SQL on the kept columns of `obs` that is true of the cells to learn from; with `None`, all
    /// are.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Number of the cells to learn from that are drawn by the seed, each number from among those of a larger
    /// one; with `None`, all are learned from. The cells held out stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Label column of the shards whose labels, and the lack of one, all come as often in an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// About how many cells are shuffled together in an epoch ([`EpochOrder::windowed`](scgpt_data::EpochOrder::windowed));
    /// with `None`, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle_window: Option<usize>,
    /// Label column of the shards to learn classes from (continual pre-training).
    #[serde(default)]
    pub class_column: Option<String>,
    /// Where gene vectors of a new network come from.
    #[serde(default)]
    pub start: GeneStart,
    /// Whether shards may have another vocabulary than the model, and where the vectors of genes come from
    /// that it does not know; with `None` both vocabularies have to be the same.
    #[serde(default, skip_serializing_if = "NewGenes::are_left_out")]
    pub new_genes: NewGenes,
    /// How a cell embedding is made of a new network's token states.
    #[serde(default)]
    pub pooling: CellPooling,
    /// The network, unless it is continued from a model.
    pub network: NetworkConfig,
    /// Weights of the objectives.
    pub objectives: Objectives,
    /// How the network is trained.
    pub training: TrainConfig,
}

/// Settings to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preset {
    /// A small network that learns on a laptop.
    #[default]
    Laptop,
    /// The recipe of the whole-human model.
    Paper,
}

impl Preset {
    /// The settings of the preset.
    ///
    /// # Reference
    /// `Paper`: Methods, "pre-training", and `args.json` of the whole-human checkpoint (12 × 512,
    /// 1200 tokens, Adam at 10⁻⁴ after 10 000 steps of warm-up, 6 epochs, 512 cells per step).
    /// Differs: the batch is one device's share, 16 accumulated times; each cell draws its share
    /// of unknown genes, not each batch; unknown genes pass through the output projection.
    pub fn config(self) -> PretrainConfig {
        let objectives =
            Objectives { gep: 1.0, gepc: 1.0, cell_prompt: 1.0, ..Objectives::default() };
        let paper = PretrainConfig {
            model: None,
            batch_size: 32,
            max_length: 1200,
            unknown_shares: vec![0.25, 0.5, 0.75],
            cell_prompt_after: 1000,
            validation_share: 0.003,
            validation_cells: 10_000,
            tie_mode: TieMode::default(),
            condition: None,
            cells: None,
            balance: None,
            shuffle_window: None,
            class_column: None,
            start: GeneStart::default(),
            new_genes: NewGenes::None,
            pooling: CellPooling::Cls,
            network: NetworkConfig::RELEASED,
            objectives,
            training: TrainConfig {
                epochs: 6,
                accumulate: 16,
                precision: Precision::F32,
                optimizer: OptimizerConfig::default(),
                schedule: Schedule::WarmupCosine { warmup: 10_000.0 },
                validate_every: Some(5000),
                select_by: Some(Metric::LOSS.into()),
                ..TrainConfig::default()
            },
        };
        match self {
            Self::Paper => paper,
            Self::Laptop => PretrainConfig {
                batch_size: 16,
                max_length: 300,
                cell_prompt_after: 200,
                validation_share: 0.05,
                validation_cells: 500,
                start: GeneStart::Spectral,
                pooling: CellPooling::ValueMean,
                network: NetworkConfig::SMALL,
                training: TrainConfig {
                    select_by: Some(Metric::LOSS.into()),
                    ..from_scratch(5, 1e-3, 0.05)
                },
                ..paper
            },
        }
    }
}

impl PretrainConfig {
    /// How cells become tokens and batches: by all genes that they express.
    pub(super) fn cell_choices(&self) -> CellChoices<'static> {
        CellChoices {
            tie_mode: self.tie_mode,
            max_length: self.max_length,
            batch_size: self.batch_size,
            seed: self.training.seed,
            panel: None,
            modalities: None,
        }
    }

    /// Checks the fields that the network and the training configuration do not check themselves.
    ///
    /// # Errors
    /// [`Error::Settings`](scgpt_data::Error::Settings) with all mistakes at once.
    pub fn validate(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([("batch_size", self.batch_size, BATCH)]);
        if self.max_length < 3 {
            let problem = "<cls>, a known and an unknown gene need 3";
            mistakes.add("max_length", format!("is {}: {problem}", self.max_length));
        }
        mistakes.check_numbers([("max_length", self.max_length, 0..=TOKENS)]);
        let shares = &self.unknown_shares;
        let is_share = |share: &f64| *share > 0.0 && *share < 1.0;
        if shares.is_empty() || !shares.iter().all(is_share) {
            let problem = format!("is {shares:?}, expected numbers between 0 and 1");
            mistakes.add("unknown_shares", problem);
        }
        mistakes.check_shares([("validation_share", self.validation_share)]);
        if let Some(window) = self.shuffle_window {
            mistakes.check_numbers([("shuffle_window", window, self.batch_size..=usize::MAX)]);
            if self.balance.is_some() {
                let problem = Advice::from("does not go with ") + Setting("balance");
                mistakes.add("shuffle_window", problem + ", which draws cells from everywhere");
            }
        }
        mistakes.check_new_genes(self.new_genes, self.model.is_some());
        mistakes.check_lora(&self.training, self.model.is_some());
        if self.objectives.class > 0.0 && self.class_column.is_none() {
            mistakes.add("class_column", "is needed by the objective that learns classes");
        }
        mistakes.tell()
    }

    /// The network for a vocabulary with `pad_token`.
    pub(super) fn new_network(&self, vocab_size: usize, pad_token: usize) -> ScgptConfig {
        ScgptConfig {
            gepc: Some(GepcStyle::InnerProduct),
            unknown_flag: true,
            cell_pooling: self.pooling,
            ..self.network.network(vocab_size, pad_token)
        }
    }
}
