//! [`Recalibrated`]: the calibration for cells in which fewer genes were measured.
//!
//! With fewer genes a network is less sure, and cells are stranger, than the calibration of the
//! artefact allows for. Therefore the genes that a query lacks are taken from the held-out cells
//! that the artefact keeps, and these calibrate it anew.

use scgpt_data::{Alignment, CellKey, CellTokens, Observer, TokenScratch, Tokenizer};

use super::{
    artefact::Artefact,
    calibration::{Calibration, largest},
    classifier::Classifier,
    held_out::HeldOut,
    judge::evidence,
    scored::Scored,
};
use crate::{embed::EmbedOptions, error::Result};

/// Share of the training genes from which on the artefact's own calibration, which is of more
/// cells, is the better one.
pub(super) const ALL_GENES: f64 = 0.9;

/// A calibration for cells in which fewer genes were measured.
#[derive(Debug)]
pub(super) struct Recalibrated {
    pub(super) calibration: Calibration,
    /// Share of the held-out cells whose class is found with these genes alone.
    pub(super) accuracy: f64,
}

impl Artefact {
    /// Calibrates confidence, plausible classes and unknown cells for cells in which the genes of
    /// `source` were measured, by the held-out cells without all other genes. `None` without
    /// held-out cells.
    pub(super) fn recalibrated(
        &self,
        source: &Alignment,
        options: &EmbedOptions,
        observer: &dyn Observer,
    ) -> Result<Option<Recalibrated>> {
        let HeldOut { classes, .. } = &self.held_out;
        if classes.is_empty() {
            return Ok(None);
        }
        let vocab = self.classifier.vocab();
        let mut is_measured = vec![false; vocab.len()];
        for token in source.tokens.iter().flatten() {
            is_measured[token.0 as usize] = true;
        }
        let tokens = |max_length: usize| -> Result<Vec<CellTokens>> {
            let config = self.classifier.token_config(options, max_length)?;
            let tokenizer =
                Tokenizer::of_tokens(vocab, config)?.retain(|gene| is_measured[gene.0 as usize]);
            let mut scratch = TokenScratch::default();
            let cells = self.held_out.cells();
            Ok(cells.map(|cell| tokenizer.cell(cell, CellKey::Content, &mut scratch)).collect())
        };
        observer.begin("calibrating for the genes there are", classes.len());
        let scored = match &self.classifier {
            Classifier::Network(embedder) => {
                let rows = embedder.rows(options.batch_size)?;
                Scored::of(rows, &tokens(self.record.max_length)?, observer)?
            }
            Classifier::Simple(simple) => {
                simple.scored(&is_measured, self.held_out.cells(), observer)?
            }
        };
        let profiles = self.profiles.within(source);
        let unlike: Vec<f32> =
            tokens(usize::MAX)?.iter().map(|cell| profiles.strangeness(cell)).collect();
        let evidence = evidence(&scored, &unlike);
        let right =
            evidence.iter().zip(classes).filter(|(cell, class)| largest(cell.logits) == **class);
        let accuracy = right.count() as f64 / classes.len() as f64;
        let calibration = self.record.calibration.anew(&evidence, classes);
        Ok(Some(Recalibrated { calibration, accuracy }))
    }
}
