//! [`IntegrateTask`]: cells of several batches, laid out as training batches. Each of these has
//! cells of one batch if batches are normalised apart.
//!
//! A share of the values of every cell is hidden and, if there are several modalities, now and then
//! one as a whole. The expression heads learn both; the adversarial head learns to tell the batch,
//! and the encoder to hide it. A validation asks for hidden values of cells that were not learned
//! from, for their batches, whether halves of them find each other and, where labels are known, for
//! the scores of their embeddings.

use std::collections::BTreeMap;

use burn::prelude::*;
use scgpt_data::{DomainBatches, Hide, Mask, Observer, narrow};
use scgpt_model::{CellEncoder, Scgpt, host_values};
use scgpt_stats::unit_rows;
use scgpt_train::{Batch as _, LossTerms, Metric, Progress, Result, Task, Term, TrainBatch};

use super::{
    config::{IntegrateConfig, LABEL_METRICS},
    cross_modal::HiddenModality,
    crossing::Crossing,
    score::SpaceJudge,
};
use crate::training::{Thinning, TrainingCells, VALIDATION_EPOCH};

/// Cells to learn from, and cells to validate on; all by their numbers in the shards.
pub(super) struct IntegrateTask<'a> {
    /// All cells, as tokens of the panel.
    pub(super) cells: TrainingCells<'a>,
    pub(super) config: &'a IntegrateConfig,
    /// The batch of each cell.
    pub(super) domains: &'a [usize],
    /// Which cells make a batch together, in which order.
    pub(super) order: DomainBatches,
    pub(super) validation: &'a [usize],
    pub(super) thinning: Thinning,
    /// Scores of the validation cells, if labels are known.
    pub(super) judge: Option<SpaceJudge>,
    /// Asked while they are scored.
    pub(super) observer: &'a dyn Observer,
    /// Cells of several modalities, which are to lie near each other, if there are any.
    pub(super) crossing: Option<Crossing<'a>>,
    /// Modalities that are hidden as a whole, if there are several.
    pub(super) hidden_modality: Option<HiddenModality<'a>>,
    /// Number of cells computed at once when nothing is learned.
    pub(super) predict_batch: usize,
}

impl IntegrateTask<'_> {
    /// Cells with some values, or a modality, hidden; of one domain, if domains are normalised apart.
    fn make(&self, cells: &[usize], epoch: u64) -> Result<TrainBatch> {
        let pad_value = self.cells.network.pad_value;
        let mask = Mask {
            hide: Hide::Share(self.config.hidden_share),
            keep_first: usize::from(!self.config.hide_cls),
            pad_value,
        };
        let made = match &self.hidden_modality {
            None => self.cells.hidden(cells, epoch, mask)?,
            Some(hidden) => {
                // A feature that is left out for want of room is not one without a value.
                let whole = self.cells.whole(cells, epoch)?;
                let made = cells.iter().zip(whole).map(|(&cell, mut tokens)| {
                    if let Some(mut made) = hidden.hide(cell, &tokens, epoch) {
                        self.cells.shorten(cell, &mut made.known, epoch);
                        return made;
                    }
                    self.cells.shorten(cell, &mut tokens, epoch);
                    self.cells.mask(cell, tokens, epoch, mask)
                });
                made.collect()
            }
        };
        let mut batch = TrainBatch::new(&made, self.cells.pad(), pad_value);
        if let Some(modalities) = self.cells.modalities {
            batch = batch.with_modalities(modalities.pad());
        }
        let label = |&cell: &usize| narrow(self.domains[cell]).cast_signed();
        batch.input.batches = Some(cells.iter().map(label).collect());
        batch.input.domain = cells.first().map_or(0, |&cell| self.domains[cell]);
        Ok(batch)
    }

    /// Mean losses of the expression heads on the validation cells.
    fn errors(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let objectives = scgpt_train::Objectives { ecs: 0.0, dar: 0.0, ..self.config.objectives };
        let mut sums: BTreeMap<Term, f64> = BTreeMap::new();
        let mut n_targets = 0;
        let mut of_domain: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &cell in self.validation {
            of_domain.entry(self.domains[cell]).or_default().push(cell);
        }
        for cells in of_domain.into_values() {
            for cells in cells.chunks(self.predict_batch) {
                let batch = self.make(cells, VALIDATION_EPOCH)?;
                let (input, targets) = batch.to_device(device);
                let terms = objectives.terms(model, &input, &targets);
                let Some(losses) = terms.stacked() else { return Ok(Vec::new()) };
                n_targets += batch.n_targets();
                for (term, loss) in terms.names().zip(host_values(losses)) {
                    *sums.entry(term).or_default() += f64::from(loss) * batch.n_targets() as f64;
                }
            }
        }
        let mean =
            |(term, sum): (Term, f64)| Metric::loss(term.name(), sum / n_targets.max(1) as f64);
        Ok(sums.into_iter().map(mean).collect())
    }

    /// Embeddings `[n, d]` of the validation cells, with nothing hidden.
    fn embeddings(&self, encoder: &CellEncoder) -> crate::error::Result<Vec<f32>> {
        let rows = self.cells.rows(encoder, self.predict_batch);
        let domains: Vec<usize> = self.validation.iter().map(|&cell| self.domains[cell]).collect();
        let tokens = self.cells.tokens(self.validation, VALIDATION_EPOCH)?;
        rows.of(&tokens, Some(&domains), self.observer)
    }

    /// The share of the validation cells whose batch the adversarial head finds; `None` without
    /// that head.
    fn told(&self, model: &Scgpt, embeddings: &[f32], device: &Device) -> Option<f64> {
        let head = model.dar.as_ref()?;
        let n = self.validation.len();
        let shape = [n, embeddings.len() / n.max(1)];
        let cells = Tensor::<2>::from_data(TensorData::new(embeddings.to_vec(), shape), device);
        let logits = host_values(head.forward(cells));
        let largest = |logits: &[f32]| {
            (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
        };
        let told = logits.chunks(logits.len() / n.max(1)).map(largest);
        let right = told.zip(self.validation).filter(|(told, cell)| *told == self.domains[**cell]);
        Some(right.count() as f64 / n as f64)
    }
}

impl Task for IntegrateTask<'_> {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        self.order.len() as u64
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        let beyond = || scgpt_train::Error::Data(format!("there is no batch {index} in an epoch"));
        let place = usize::try_from(index).map_err(|_| beyond())?;
        let (_, cells) = self.order.batch(epoch, place).ok_or_else(beyond)?;
        self.make(&cells, epoch)
    }

    fn losses(&self, model: &Scgpt, batch: &TrainBatch, _: Progress, device: &Device) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        self.config.objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        if self.validation.is_empty() {
            return Ok(Vec::new());
        }
        let mut metrics = self.errors(model, device)?;
        let encoder = CellEncoder::new(model.clone(), self.cells.network);
        let (batch_size, domains) = (self.predict_batch, Some(self.domains));
        let thinning = self.thinning.measure(&self.cells, &encoder, batch_size, domains)?;
        if let Some(crossing) = &self.crossing {
            let rows = self.cells.rows(&encoder, self.predict_batch);
            metrics.extend(crossing.measure(&self.cells, &rows, self.domains, self.observer)?);
        }
        if self.judge.is_none() && model.dar.is_none() {
            metrics.push(thinning);
            return Ok(metrics);
        }
        let embeddings = self.embeddings(&encoder)?;
        let told = self.told(model, &embeddings, device);
        metrics.extend(told.map(|share| Metric::loss("dar_accuracy", share)));
        metrics.push(thinning);
        if let Some(judge) = &self.judge {
            let unit = unit_rows(&embeddings, encoder.d_model());
            let scores = judge.judge(&unit, encoder.d_model(), self.observer)?;
            let scores = [scores.avg_bio, scores.avg_batch, scores.overall];
            let named = LABEL_METRICS.into_iter().zip(scores);
            metrics.extend(named.filter_map(|(name, score)| Some(Metric::score(name, score?))));
        }
        Ok(metrics)
    }
}
