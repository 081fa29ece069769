//! [`PerturbConfig`]: everything that decides what is learned of perturbations.

use std::path::PathBuf;

use scgpt_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    training::{
        BATCH, GeneStart, Mistakes, NetworkConfig, NewGenes, Recipe, TOKENS, as_in_the_tutorials,
        fine_tuning, from_scratch,
    },
};

/// The settings of a training: those of a [`Recipe`], some of them changed. In a file of settings, fields
/// that are absent have the values of the recipe.
///
/// ```
/// use scgpt_tasks::{Recipe, perturb::PerturbConfig};
///
/// // Pairs of single cells instead of means of several.
/// let config = PerturbConfig { pool: 1, ..PerturbConfig::of(Recipe::Scratch) };
/// config.validate()?;
/// assert!(PerturbConfig { pool: 0, ..config }.validate().is_err());
///
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbConfig {
    /// Model directory to fine-tune; `None` trains a new `network`.
    #[serde(default)]
    pub model: Option<PathBuf>,
    /// Number of pairs of a control and a perturbed cell per batch.
    pub batch_size: usize,
    /// Number of genes that a training step sees, drawn anew for every batch; 0 for all.
    pub genes_per_step: usize,
    /// Number of genes that are predicted together, the perturbed ones always among them; 0 for
    /// all. With more genes than it was trained on, the network attends less to those that are
    /// perturbed.
    pub genes_per_pass: usize,
    /// Whether the perturbed genes of a batch are always among those of a step.
    pub keep_perturbed: bool,
    /// Share of a step's genes that are drawn from those that respond most to the batch's
    /// conditions, as far as there are any. Few genes respond to a perturbation, and without this
    /// the others outweigh them.
    pub responding: f64,
    /// Number of cells averaged on either side of a pair. With 1, as in the reference, a pair is
    /// two single cells, and the response is small beside the differences between cells; the mean
    /// of several cells shows it.
    pub pool: usize,
    /// Number of pairs of every condition in an epoch; with `None` or 0 every cell is in one, as in
    /// the reference.
    pub pairs: Option<usize>,
    /// Whether pairs are drawn anew in every epoch.
    pub fresh_pairs: bool,
    /// Whether the first guess of a network is "nothing changes" instead of random numbers.
    pub start_at_control: bool,
    /// Conditions with fewer cells are left out.
    pub min_cells: usize,
    /// Number of predicted cells that are averaged for a condition, while validating and judging.
    pub predicted_cells: usize,
    /// Where gene vectors of a new network come from.
    #[serde(default)]
    pub start: GeneStart,
    /// Whether genes that the checkpoint does not know are left out, or where their vectors come from.
    #[serde(default, skip_serializing_if = "NewGenes::are_left_out")]
    pub new_genes: NewGenes,
    /// Shape of a new network; its dropout is also that of a fine-tuned one.
    pub network: NetworkConfig,
    /// How the network is trained.
    pub training: TrainConfig,
}

impl PerturbConfig {
    /// The settings of a recipe.
    ///
    /// # Reference
    /// `FineTune`: the perturbation tutorial (64 cells, 1536 genes, Adam at 10⁻⁴ times 0.9 an epoch,
    /// 15 epochs, stops after 10 without a better one, no dropout). Differs: perturbed genes are always
    /// among the sampled; as many genes are predicted together as in training; pairs are drawn anew in every epoch; prediction starts at "no change";
    /// narrower networks learn at a higher rate, and few cells are passed over more often.
    pub fn of(recipe: Recipe) -> Self {
        let network = recipe.network();
        let fine_tune = Self {
            model: None,
            batch_size: 64,
            genes_per_step: 1536,
            genes_per_pass: 1536,
            keep_perturbed: true,
            responding: 0.0,
            pool: 1,
            pairs: None,
            fresh_pairs: true,
            start_at_control: true,
            min_cells: 2,
            predicted_cells: 32,
            start: GeneStart::default(),
            new_genes: NewGenes::None,
            network: NetworkConfig { dropout: 0.0, ..network },
            training: TrainConfig { patience: Some(10), ..fine_tuning(network.d_model, 15) },
        };
        match recipe {
            Recipe::FineTune(_) => fine_tune,
            Recipe::Scratch => Self {
                batch_size: 16,
                genes_per_step: 256,
                genes_per_pass: 256,
                responding: 0.75,
                pool: 32,
                pairs: Some(8),
                predicted_cells: 4,
                network: NetworkConfig {
                    n_layers: 2,
                    n_heads: 4,
                    d_model: 64,
                    d_ff: 128,
                    dropout: 0.0,
                    ..NetworkConfig::SMALL
                },
                training: TrainConfig { patience: Some(30), ..from_scratch(100, 3e-3, 0.05) },
                ..fine_tune
            },
        }
    }

    /// Changes the settings to those of the reference where they differ: the genes of a step and
    /// the first guess are drawn without regard to what is perturbed, every cell is in one pair of
    /// single cells, and all genes are predicted at once. A checkpoint is fine-tuned at the
    /// tutorial's rate, for as long.
    ///
    /// # Reference
    /// The perturbation tutorial. Differs still: a gene that the vocabulary lacks is left out
    /// instead of sharing the token of padding; the last batch of an epoch may be smaller; the gene
    /// of column 0 is flagged like any other; the network is selected by the correlation of
    /// changes, not of expression. A network from scratch keeps its own size, batch and schedule,
    /// and draws the control of a cell anew in every epoch: with one fixed control it learns noise.
    pub fn like_the_reference(&mut self, recipe: Recipe) {
        as_in_the_tutorials(&mut self.training);
        self.keep_perturbed = false;
        self.responding = 0.0;
        self.start = GeneStart::Random;
        self.pool = 1;
        self.pairs = None;
        self.fresh_pairs = matches!(recipe, Recipe::Scratch);
        self.start_at_control = false;
        self.genes_per_pass = 0;
    }

    /// Number of pairs of every condition in an epoch; `None` if every cell is in one.
    pub(super) fn pairs_each(&self) -> Option<usize> {
        self.pairs.filter(|&pairs| pairs > 0)
    }

    /// Checks the fields that the network and the training configuration do not check themselves.
    ///
    /// # Errors
    /// [`Error::Settings`](scgpt_data::Error::Settings) with all mistakes at once.
    pub fn validate(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([
            ("batch_size", self.batch_size, BATCH),
            ("pool", self.pool, BATCH),
            ("pairs", self.pairs.unwrap_or(0), 0..=TOKENS),
            ("min_cells", self.min_cells, 1..=usize::MAX),
            ("predicted_cells", self.predicted_cells, 1..=TOKENS),
        ]);
        mistakes.check_new_genes(self.new_genes, self.model.is_some());
        mistakes.check_lora(&self.training, self.model.is_some());
        if !(0.0..=1.0).contains(&self.responding) {
            mistakes.add("responding", format!("is {}, expected 0 to 1", self.responding));
        }
        mistakes.tell()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_pairs_every_cell_whatever_the_recipe() {
        for recipe in [Recipe::FineTune(NetworkConfig::RELEASED), Recipe::Scratch] {
            let mut config = PerturbConfig::of(recipe);
            config.like_the_reference(recipe);
            config.validate().unwrap();
            assert_eq!((config.pool, config.pairs_each(), config.responding), (1, None, 0.0));
            assert_eq!(config.fresh_pairs, matches!(recipe, Recipe::Scratch));
        }
        // TOML has no word for none.
        let config = PerturbConfig { pairs: Some(0), ..PerturbConfig::of(Recipe::Scratch) };
        config.validate().unwrap();
        assert_eq!(config.pairs_each(), None);
        let config = PerturbConfig { pool: 0, ..config };
        assert!(config.validate().unwrap_err().to_string().contains("`pool` is 0"));
    }
}
