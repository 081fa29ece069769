//! Generates the modalities that cells were not measured in from those that they were.
//!
//! ```text
//! cell ─┬─ known tokens, and features of the modality as unknown ones ─ network ─ expression head ─┐
//!       └─ its tokens ─ network ─ cell embedding ─ ridge regression ───────────────────────────────┴─ values
//! ```
//!
//! Which of the two, cells tell that were measured in it and that neither learned from; the head is asked only
//! if modalities were hidden in training. Cells are read by windows,
//! values are value bins throughout, and the rows `[n, features]` go to a temporary file.

mod cells;
mod columns;
mod completion;
mod head;
mod judge;
mod linear;
mod means;
mod readout;
mod scores;
mod truth;

use scgpt_data::{
    Binner, CellSource, Collator, Frame, GeneNames, Measured, Observer, RowSpool, Setting,
    SpecialToken, TokenConfig, Tokenizer,
};
use scgpt_model::{CellEncoder, ScgptConfig};
use serde::Serialize;

pub(super) use self::truth::check_truth;
use self::{cells::Cells, columns::Columns, completion::Completion, head::Head, truth::Truth};
pub use self::{
    completion::{GeneratedBy, HeldOutErrors},
    scores::GeneratedScores,
};
use super::{
    CellModalities, IntegrateOptions, Integration, cell_modalities::LINKS, modality::Multimodal,
    panel::FeaturePanel,
};
use crate::{
    error::{Error, Result},
    stream::Rows,
    training::Trained,
};

/// Cells with values of all modalities.
#[derive(Debug)]
pub struct Completed {
    /// Annotations of the features by which cells were integrated.
    pub features: Frame,
    /// Value bins, measured or generated, `[cells, features]`.
    pub rows: RowSpool,
}

/// A modality as it was generated for the cells that were not measured in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratedModality {
    /// Its name.
    pub modality: String,
    /// Number of its features.
    pub features: usize,
    /// Number of cells that were not measured in it.
    pub cells: usize,
    /// What generated it.
    pub by: GeneratedBy,
    /// The errors that chose what generates it; `None` where too few cells can tell.
    pub chosen_by: Option<HeldOutErrors>,
    /// How far the generated values are from the truth, if it is known.
    pub scores: Option<GeneratedScores>,
    /// The same of a ridge regression on principal components of the values that a cell has.
    pub ridge: Option<GeneratedScores>,
    /// The same of the mean of each type, which takes the types to be known.
    pub type_mean: Option<GeneratedScores>,
    /// How many other cells, as a share, lie nearer to what was measured of a cell than what was not, as the
    /// truth has it: 0 if each half finds the other, 0.5 by chance.
    pub foscttm: Option<f64>,
}

impl Integration<'_> {
    /// Checks that there is something to generate, and that the network will have learned to.
    ///
    /// # Errors
    /// If every cell was measured in everything, or no modality is ever hidden while training.
    pub(super) fn check_completion(&self, network: &ScgptConfig) -> Result<()> {
        let Some(CellModalities { measured, modalities }) = self.options.modalities else {
            return Err(nothing_to_complete());
        };
        if measured.iter().all(|cell| cell.len() == modalities.names().len()) {
            return Err(nothing_to_complete());
        }
        let few = (0..modalities.names().len()).find(|&modality| {
            let linked = |cell: &&Measured| cell.contains(modality) && cell.len() > 1;
            measured.iter().any(|cell| !cell.contains(modality))
                && measured.iter().filter(linked).count() < LINKS
        });
        let Some(few) = few.filter(|_| !self.learns_to_generate(network)) else { return Ok(()) };
        let problem = format!(
            "is 0, so that generating modalities will not be learned, and fewer than {LINKS} cells, which could tell \
             instead, were measured in {} and another modality: set it to 0.25 to complete cells",
            modalities.names()[few]
        );
        Err(Setting("hidden_modality").wrong(problem).into())
    }

    /// Whether the expression head learns, or has learned, to generate a modality of which a cell has nothing.
    fn learns_to_generate(&self, network: &ScgptConfig) -> bool {
        self.config.hidden_modality > 0.0 || network.unknown_flag
    }

    /// Value bins of cells in all modalities; those in which a cell was not measured are generated. The cells
    /// `held_out`, by their numbers in the source, were not learned from.
    ///
    /// Memory: one window of cells, and some thousands to choose and fit by; the rows are in a temporary file.
    ///
    /// # Errors
    /// If the cells lack nothing, source or truth cannot be read, or the temporary file cannot be
    /// written.
    #[allow(clippy::too_many_arguments, reason = "each is of another source")]
    pub(super) fn complete(
        &self,
        source: &mut dyn CellSource,
        cells: &Multimodal,
        panel: &FeaturePanel,
        trained: &Trained,
        held_out: &[usize],
        truth: Option<&mut dyn CellSource>,
        observer: &dyn Observer,
    ) -> Result<(RowSpool, Vec<GeneratedModality>)> {
        let IntegrateOptions { learn, temporary, predict_batch, .. } = self.options;
        let layer = learn.layer;
        let Some(CellModalities { measured, .. }) = self.options.modalities else {
            return Err(nothing_to_complete());
        };
        let truth = match truth {
            None => None,
            Some(truth) => {
                Some(Truth::new(truth, &source.obs()?.index, &source.var(layer)?.index)?)
            }
        };
        let n_bins = trained.network.value_bins();
        let seed = self.config.training.seed;
        let config = TokenConfig {
            binner: Some(Binner { n_bins, tie_mode: self.config.tie_mode }),
            cls_value: Some(trained.preprocess.cls_value),
            include_zero_genes: self.config.include_zeros,
            max_length: panel.tokens.len() + 1,
            seed,
            ..TokenConfig::default()
        };
        let names = GeneNames::found_in(&panel.gene_column);
        let alignment = self.vocab.align(&source.var(layer)?, &names)?;
        let tokenizer =
            Tokenizer::new(&self.vocab, &alignment, config)?.with_modalities(&cells.of_columns)?;
        let pad_value = trained.network.pad_value;
        let encoder = CellEncoder::new(trained.model().clone(), &trained.network);
        let completion = Completion {
            cells: Cells {
                space: Rows {
                    encoder: &encoder,
                    collator: Collator::new(&self.vocab, pad_value),
                    batch_size: predict_batch,
                },
                tokenizer: &tokenizer,
                columns: Columns::new(&panel.tokens, &cells.of_columns),
                measured,
                domains: &self.domains(),
                labels: self.labels.as_ref(),
                seed,
            },
            head: self.learns_to_generate(&trained.network).then(|| Head {
                model: trained.model(),
                device: self.device,
                pad: (self.vocab.special(SpecialToken::Pad), pad_value),
                batch_size: predict_batch,
            }),
            held_out,
            layer,
            observer,
        };
        let mut rows = RowSpool::new_in(temporary, panel.tokens.len())?;
        let report = completion.run(source, truth, &mut rows)?;
        Ok((rows, report))
    }
}

/// The error for cells that lack nothing.
fn nothing_to_complete() -> Error {
    Error::option("every cell was measured in everything, so that there is nothing to complete")
}
