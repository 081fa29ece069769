//! [`PretrainTask`]: cells of shards as batches with known and unknown genes.

use burn::prelude::Device;
use scgpt_data::{
    CellSplit, GeneToken, Keyed, Purpose, ShardFolder, SpecialToken, TokenConfig, TokenScratch,
    Tokenizer, split,
};
use scgpt_model::{Scgpt, ScgptConfig};
use scgpt_train::{LossTerms, Metric, Progress, Result, Task, TrainBatch, TrainCell};

use super::{baseline::MeanExpression, config::PretrainConfig, imputation};

/// Batches whose cells are sorted by length together, so that little is padded.
const BATCHES_PER_WINDOW: usize = 32;

/// Epoch of the choices made for validation: the same in every run.
pub(super) const VALIDATION_EPOCH: u64 = u64::MAX;

/// Cells to learn from, and held-out ones.
pub(super) struct PretrainTask<'a> {
    pub(super) shards: &'a ShardFolder,
    pub(super) config: &'a PretrainConfig,
    pub(super) network: &'a ScgptConfig,
    pub(super) cls_value: f32,
    /// Class of each cell of the shards, if classes are learned.
    pub(super) classes: Option<Vec<i32>>,
    pub(super) split: CellSplit,
    /// Cells to validate on.
    pub(super) validation: Vec<usize>,
    pub(super) mean: MeanExpression,
}

impl PretrainTask<'_> {
    /// A batch of `cells` (numbers in the shards) with the choices of an epoch; `share` of their
    /// genes is unknown, or what each cell draws.
    fn make(&self, cells: &[usize], epoch: u64, share: Option<f64>) -> Result<TrainBatch> {
        let tokenizer = self.tokenizer(epoch)?;
        let mut scratch = TokenScratch::default();
        let mut made = Vec::with_capacity(cells.len());
        for &cell in cells {
            let number = cell as u64;
            let tokens = tokenizer.cell(self.shards.cell(cell)?, number, &mut scratch);
            let key = Keyed::new(self.config.training.seed, Purpose::Split, epoch, number);
            let shares = &self.config.unknown_shares;
            // The last index is no gene's, so the share and the genes are drawn apart.
            let share = share.unwrap_or_else(|| shares[index(key.uniform(u64::MAX), shares.len())]);
            let order = |gene: GeneToken| key.bits(u64::from(gene.0));
            let [known, unknown] = split(&tokens, share, 1, self.config.max_length, order);
            made.push(TrainCell { known, hidden: Vec::new(), unknown });
        }
        let pad = self.shards.vocab().special(SpecialToken::Pad);
        let mut batch = TrainBatch::new(&made, pad, self.network.pad_value);
        let classes = self.classes.as_ref();
        batch.classes = classes.map(|classes| cells.iter().map(|&cell| classes[cell]).collect());
        Ok(batch)
    }

    /// Makes tokens with the choices of an epoch.
    pub(super) fn tokenizer(&self, epoch: u64) -> Result<Tokenizer> {
        let config = TokenConfig {
            binner: Some(self.config.binner(self.network.n_bins)),
            cls_value: Some(self.cls_value),
            max_length: self.config.max_length,
            seed: self.config.training.seed,
            epoch,
            ..TokenConfig::default()
        };
        Ok(Tokenizer::of_tokens(self.shards.vocab(), config)?)
    }

    /// The cells of a batch: the window it lies in is cut out of the shuffled epoch, sorted by
    /// length, cut into batches, and these are shuffled.
    fn chosen(&self, epoch: u64, index: u64) -> Result<Vec<usize>> {
        let size = self.config.batch_size;
        let per_window = BATCHES_PER_WINDOW * size;
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let window = position / BATCHES_PER_WINDOW;
        let order = self.split.order(epoch);
        let mut cells = Vec::with_capacity(per_window);
        for cell in order.cells_from(window * per_window).take(per_window) {
            cells.push((self.shards.cell(cell)?.indices.len(), cell));
        }
        cells.sort_unstable();
        // Windows are numbered apart from the epoch's own order.
        let key = Keyed::new(self.config.training.seed, Purpose::Order, epoch, 1 + window as u64);
        let mut shuffled: Vec<usize> = (0..cells.len().div_ceil(size)).collect();
        shuffled.sort_by_key(|&batch| key.bits(batch as u64));
        let first = shuffled[position % BATCHES_PER_WINDOW] * size;
        let end = cells.len().min(first + size);
        Ok(cells[first..end].iter().map(|&(_, cell)| cell).collect())
    }
}

impl Task for PretrainTask<'_> {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        self.split.training().len().div_ceil(self.config.batch_size) as u64
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        self.make(&self.chosen(epoch, index)?, epoch, None)
    }

    fn n_cells(&self, batch: &TrainBatch) -> usize {
        batch.n_cells()
    }

    fn n_targets(&self, batch: &TrainBatch) -> usize {
        batch.n_targets()
    }

    fn losses(
        &self,
        model: &Scgpt,
        batch: &TrainBatch,
        progress: Progress,
        device: &Device,
    ) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        let mut objectives = self.config.objectives;
        if progress.step < self.config.cell_prompt_after {
            objectives.cell_prompt = 0.0;
        }
        objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        let mut errors = Vec::new();
        for &share in &self.config.unknown_shares {
            let mut sum = imputation::Errors::default();
            for cells in self.validation.chunks(self.config.batch_size) {
                let batch = self.make(cells, VALIDATION_EPOCH, Some(share))?;
                sum.add(model, &batch, &self.mean, device);
            }
            errors.push((share, sum));
        }
        Ok(imputation::metrics(&errors))
    }
}

/// `0..n` from a number in `[0, 1)`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number in 0..n")]
fn index(uniform: f64, n: usize) -> usize {
    ((uniform * n as f64) as usize).min(n - 1)
}
