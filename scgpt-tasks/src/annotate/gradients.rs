//! [`Gradients`]: what the values of a cell's genes add to the score of a class, by the network's own gradients.

use burn::prelude::{Device, Tensor, TensorData};
use scgpt_data::{CellTokens, GeneToken, Observer, SpecialToken, buckets};
use scgpt_model::{ModelInput, Scgpt, ValueEncoding, host_values};
use scgpt_train::{TrainBatch, TrainCell};

use crate::{embed::Embedder, error::Result};

/// Steps on the way from a cell without values to the cell as it is.
const STEPS: u16 = 8;

/// A network that is asked for gradients of its class scores.
pub(super) struct Gradients {
    model: Scgpt,
    device: Device,
    n_classes: usize,
    pad: GeneToken,
    pad_value: f32,
}

impl Gradients {
    /// Why there are no gradients along the values of a network, if that is so.
    pub(super) fn problem(embedder: &Embedder) -> Option<&'static str> {
        (embedder.config().value_encoding != ValueEncoding::Continuous).then_some(
            "the network does not encode values as numbers, so that its scores have no slope along them",
        )
    }

    /// Reads the network of an artefact again, where gradients can be computed.
    ///
    /// # Errors
    /// If it is not in a folder, or cannot be read.
    pub(super) fn open(embedder: &Embedder, device: &Device) -> Result<Self> {
        let config = embedder.config();
        let device = device.clone().autodiff();
        Ok(Self {
            model: embedder.reopened(&device)?,
            n_classes: config.n_classes,
            pad: embedder.vocab().special(SpecialToken::Pad),
            pad_value: config.pad_value,
            device,
        })
    }

    /// For every token of each cell, what its value adds to the score of the cell's class beyond the mean of the
    /// other classes; tokens without a value add nothing.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn of(
        &self,
        cells: &[CellTokens],
        classes: &[u32],
        batch_size: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let mut all = vec![Vec::new(); cells.len()];
        for bucket in buckets(&lengths, batch_size) {
            observer.check_cancelled()?;
            let of: Vec<&CellTokens> = bucket.iter().map(|&cell| &cells[cell]).collect();
            let classes: Vec<u32> = bucket.iter().map(|&cell| classes[cell]).collect();
            for (&cell, added) in bucket.iter().zip(self.of_batch(&of, &classes)) {
                all[cell] = added;
            }
            observer.advance(bucket.len());
        }
        Ok(all)
    }

    fn of_batch(&self, cells: &[&CellTokens], classes: &[u32]) -> Vec<Vec<f32>> {
        let seen: Vec<TrainCell> =
            cells.iter().map(|&cell| TrainCell::seen(cell.clone())).collect();
        let batch = TrainBatch::new(&seen, self.pad, self.pad_value);
        let n_tokens = batch.input.n_tokens();
        let (mut input, _) = batch.to_device(&self.device);
        let Some(values) = input.values.take() else { return vec![Vec::new(); cells.len()] };
        // `<cls>` and padding have values that say what they are, none of which is above 0.
        let given = values.clone().clamp_min(0.0);
        let rest = values - given.clone();
        let beyond = self.beyond(classes);
        let mut slopes = vec![0.0_f32; cells.len() * n_tokens];
        for step in 0..STEPS {
            let at = (f64::from(step) + 0.5) / f64::from(STEPS);
            let values = (given.clone() * at + rest.clone()).require_grad();
            let input = ModelInput { values: Some(values.clone()), ..input.clone() };
            let encoded = self.model.encode(&input);
            let Some(logits) = self.model.classify(&encoded) else { continue };
            let gradients = (logits * beyond.clone()).sum().backward();
            let Some(slope) = values.grad(&gradients) else { continue };
            for (sum, slope) in slopes.iter_mut().zip(host_values(slope)) {
                *sum += slope / f32::from(STEPS);
            }
        }
        let added = |(cell, slopes): (&&CellTokens, &[f32])| -> Vec<f32> {
            cell.values.iter().zip(slopes).map(|(value, slope)| value.max(0.0) * slope).collect()
        };
        cells.iter().zip(slopes.chunks_exact(n_tokens.max(1))).map(added).collect()
    }

    /// For each cell 1 for its class, and for all others their share of −1, `[b, y]`.
    #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
    fn beyond(&self, classes: &[u32]) -> Tensor<2> {
        let n = self.n_classes;
        let other = -1.0 / (n.max(2) - 1) as f32;
        let row =
            |&class: &u32| (0..n).map(move |it| if it == class as usize { 1.0 } else { other });
        let numbers: Vec<f32> = classes.iter().flat_map(row).collect();
        Tensor::from_data(TensorData::new(numbers, [classes.len(), n]), &self.device)
    }
}
