//! [`AnnotateConfig`]: everything that decides what annotation learns.

use std::path::PathBuf;

use scgpt_data::{Advice, Setting, TieMode};
use scgpt_model::CellPooling;
use scgpt_train::{Objectives, TrainConfig};
use serde::{Deserialize, Serialize};

use super::method::Method;
use crate::{
    error::Result,
    training::{
        BATCH, CellChoices, GeneStart, Mistakes, NetworkConfig, NewGenes, Recipe, TOKENS,
        fine_tuning, from_scratch,
    },
};

/// The settings of a training: those of a [`Recipe`], some of them changed. In a file of settings, fields
/// that are absent have the values of the recipe.
///
/// ```
/// use scgpt_tasks::{
///     Recipe,
///     annotate::{AnnotateConfig, ClassWeights},
/// };
///
/// // Small classes count as much as large ones.
/// let class_weights = ClassWeights::Balanced;
/// let config = AnnotateConfig { class_weights, ..AnnotateConfig::of(Recipe::Scratch) };
/// config.validate()?;
/// assert!(AnnotateConfig { batch_size: 0, ..config }.validate().is_err());
///
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnotateConfig {
    /// What tells the types: a network, a simple method, or the best of them by the validation cells.
    #[serde(default)]
    pub method: Method,
    /// Model directory to fine-tune; `None` trains a new `network`.
    #[serde(default)]
    pub model: Option<PathBuf>,
    /// Number of cells per batch.
    pub batch_size: usize,
    /// Most tokens per cell, `<cls>` included; of more genes some are sampled, anew in every epoch.
    pub max_length: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Whether every epoch has a random order of its own. If not, all epochs have the same random
    /// order, out of which batches are cut, as in the reference.
    pub shuffle: bool,
    /// Share of the values that are hidden; it has to be more than 0 if expression is an objective.
    pub hidden_share: f64,
    /// How much the cells of a class count.
    pub class_weights: ClassWeights,
    /// Classes with fewer cells are left out.
    pub min_cells: usize,
    /// Share of the cells that select the best network and calibrate its confidence.
    pub validation_share: f64,
    /// Share of the cells that judge the result, and nothing else.
    pub test_share: f64,
    /// Where gene vectors of a new network come from.
    #[serde(default)]
    pub start: GeneStart,
    /// Whether genes that the checkpoint does not know are left out, or where their vectors come from.
    #[serde(default, skip_serializing_if = "NewGenes::are_left_out")]
    pub new_genes: NewGenes,
    /// Where a new network's class head comes from.
    #[serde(default)]
    pub head: HeadStart,
    /// How a cell embedding is made of a new network's token states.
    #[serde(default)]
    pub pooling: CellPooling,
    /// Shape of a new network; its dropout is also that of a fine-tuned one.
    pub network: NetworkConfig,
    /// Weights of the objectives.
    pub objectives: Objectives,
    /// How the network is trained.
    pub training: TrainConfig,
}

/// Where the class head of a new network comes from.
///
/// Differs: the reference draws it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeadStart {
    /// Drawn, as in the reference.
    #[default]
    Drawn,
    /// From the training cells: before its first step the network classifies as a linear discriminant
    /// of its embeddings does, and it is the result if no later one is better.
    Discriminant,
}

/// How much the cells of a class count in the class objective, so that large classes do not drown
/// small ones. The mean over all training cells is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClassWeights {
    /// All cells equally, as in the reference.
    #[default]
    Equal,
    /// By the inverse square root of the size of their class.
    #[cfg_attr(feature = "clap", value(alias = "square-root"))]
    #[serde(alias = "square-root")]
    SquareRoot,
    /// By its inverse, so that all classes count equally.
    Balanced,
}

impl ClassWeights {
    /// The weight of a cell of each class with `counts` training cells.
    pub(super) fn of(self, counts: &[usize]) -> Vec<f32> {
        let raw = |&n: &usize| match self {
            Self::Equal => 1.0,
            Self::SquareRoot => 1.0 / (n.max(1) as f64).sqrt(),
            Self::Balanced => 1.0 / n.max(1) as f64,
        };
        let cells: usize = counts.iter().sum();
        let total: f64 = counts.iter().map(|n| raw(n) * *n as f64).sum();
        #[allow(clippy::cast_possible_truncation, reason = "weights are near 1")]
        let weight = |n| (raw(n) * cells as f64 / total.max(f64::MIN_POSITIVE)) as f32;
        counts.iter().map(weight).collect()
    }
}

impl AnnotateConfig {
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

    /// The settings of a recipe.
    ///
    /// # Reference
    /// `FineTune`: the annotation tutorial (class objective alone, Adam at 10⁻⁴ times 0.9 an epoch,
    /// 10 epochs of 32 cells, 3001 tokens, a tenth of the cells for validation). Differs: cells are
    /// shuffled; another tenth is kept to judge the result; narrower networks learn at a higher rate,
    /// and few cells are passed over more often. A new network begins with gene vectors of co-expression
    /// and a class head that is a discriminant, pools by values and counts all classes alike; it
    /// learns slowly, as what it begins with is lost otherwise.
    pub fn of(recipe: Recipe) -> Self {
        let network = recipe.network();
        let fine_tune = Self {
            method: Method::Network,
            model: None,
            batch_size: 32,
            max_length: 3001,
            tie_mode: TieMode::default(),
            shuffle: true,
            hidden_share: 0.0,
            class_weights: ClassWeights::default(),
            min_cells: 2,
            validation_share: 0.1,
            test_share: 0.1,
            start: GeneStart::default(),
            new_genes: NewGenes::None,
            head: HeadStart::default(),
            pooling: CellPooling::Cls,
            network,
            objectives: Objectives { class: 1.0, ecs_threshold: 0.8, ..Objectives::default() },
            training: fine_tuning(network.d_model, 10),
        };
        match recipe {
            Recipe::FineTune(_) => fine_tune,
            Recipe::Scratch => Self {
                max_length: 1200,
                class_weights: ClassWeights::Balanced,
                start: GeneStart::Spectral,
                head: HeadStart::Discriminant,
                pooling: CellPooling::ValueMean,
                network: NetworkConfig::SMALL,
                training: TrainConfig { patience: Some(3), ..from_scratch(6, 3e-5, 0.1) },
                ..fine_tune
            },
        }
    }

    /// Checks the fields that the network and the training configuration do not check themselves.
    ///
    /// # Errors
    /// [`Error::Settings`](scgpt_data::Error::Settings) with all mistakes at once.
    pub fn validate(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([
            ("batch_size", self.batch_size, BATCH),
            ("max_length", self.max_length, 2..=TOKENS),
            ("min_cells", self.min_cells, 1..=usize::MAX),
        ]);
        mistakes.check_shares([
            ("hidden_share", self.hidden_share),
            ("validation_share", self.validation_share),
            ("test_share", self.test_share),
        ]);
        let held_out = self.validation_share + self.test_share;
        if held_out >= 1.0 {
            let problem = Advice::from("and ")
                + Setting("test_share")
                + format!(" are {held_out} together: no cell is left to train on");
            mistakes.add("validation_share", problem);
        }
        if self.method == Method::Best && self.validation_share <= 0.0 {
            let problem =
                "is 0, but the best method is the one that is right about most of these cells";
            mistakes.add("validation_share", problem);
        }
        if self.objectives.class <= 0.0 {
            mistakes.add("objectives.class", "is 0, so no class would be learned");
        }
        mistakes.check_objectives(&self.objectives, self.hidden_share);
        mistakes.check_new_genes(self.new_genes, self.model.is_some());
        mistakes.check_lora(&self.training, self.model.is_some());
        mistakes.tell()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_balance_and_average_to_one() {
        let counts = [90, 10];
        assert_eq!(ClassWeights::Equal.of(&counts), [1.0, 1.0]);
        let balanced = ClassWeights::Balanced.of(&counts);
        assert!((balanced[0] * 90.0 - balanced[1] * 10.0).abs() < 1e-4);
        let root = ClassWeights::SquareRoot.of(&counts);
        assert!((root[1] / root[0] - 3.0).abs() < 1e-5);
        for weights in [balanced, root] {
            assert!((weights[0] * 90.0 + weights[1] * 10.0 - 100.0).abs() < 1e-3);
        }
    }

    #[test]
    fn recipes_are_valid_and_mistakes_are_all_told() {
        for recipe in [Recipe::FineTune(NetworkConfig::SMALL), Recipe::Scratch] {
            AnnotateConfig::of(recipe).validate().unwrap();
        }
        let config = AnnotateConfig {
            batch_size: 0,
            test_share: 0.95,
            objectives: Objectives { gep: 1.0, ..Objectives::default() },
            ..AnnotateConfig::of(Recipe::FineTune(NetworkConfig::RELEASED))
        };
        let message = config.validate().unwrap_err().to_string();
        for part in ["batch_size", "no cell is left", "objectives.class", "hidden_share"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
