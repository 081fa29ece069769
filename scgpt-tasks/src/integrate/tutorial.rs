//! [`Tutorial`]: the settings of the reference, for numbers to be compared with.

use scgpt_data::TieMode;
use scgpt_model::{CellPooling, InputNorm};
use scgpt_train::{Metric, Objectives};

use super::IntegrateConfig;
use crate::training::{GeneStart, as_in_the_tutorials};

/// A tutorial of the reference, whose settings can be asked for.
///
/// ```
/// use scgpt_tasks::{
///     Recipe,
///     integrate::{IntegrateConfig, Tutorial},
/// };
///
/// let mut config = IntegrateConfig::of(Recipe::Scratch);
/// config.like_the_reference(Tutorial::Integration);
/// assert_eq!((config.hvg, config.max_length), (1200, 1201));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tutorial {
    /// Batches of gene expression.
    Integration,
    /// Cells of several modalities.
    MultiOmic,
}

impl IntegrateConfig {
    /// Changes the settings to those of a tutorial of the reference where they differ.
    ///
    /// # Reference
    /// `Tutorial_Integration.ipynb` and `Tutorial_Multiomics.ipynb`. Differs still: cells with more genes than fit are
    /// sampled anew in every epoch, not once; a batch of cells is of one domain in evaluation, too, where
    /// there a batch astride two is normalised as its first cell; attention probabilities are not
    /// dropped out; a network from scratch keeps its own size, batch and schedule.
    pub fn like_the_reference(&mut self, tutorial: Tutorial) {
        let is_multimodal = tutorial == Tutorial::MultiOmic;
        self.start = GeneStart::Random;
        self.interleave = false;
        self.hide_cls = true;
        self.pooling = CellPooling::Cls;
        as_in_the_tutorials(&mut self.training);
        self.training.select_by = Some(Metric::LOSS.into());
        self.tie_mode = TieMode::Random;
        self.hvg = 1200;
        self.max_length = if is_multimodal { 4001 } else { 1201 };
        self.training.optimizer.epsilon = 1e-4;
        if is_multimodal {
            self.include_zeros = false;
            self.other_features = 4000;
            self.peak_flavour = None;
            self.input_norm = InputNorm::None;
            self.objectives = Objectives { gep: 1.0, gepc: 1.0, dar: 1.0, ..Objectives::default() };
            self.hidden_modality = 0.0;
            self.only_genes = true;
            self.network.n_layers = 4;
            self.training.optimizer.lr = 1e-3;
        }
    }
}
