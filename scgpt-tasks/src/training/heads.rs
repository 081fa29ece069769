//! Heads of expression that begin fitted: before its first step, a new network predicts values as well as
//! a linear map of what it begins with does.
//!
//! A head that is drawn errs by the size of the values, and its first gradients pull at everything below it.
//! Both heads are linear in their last weights, so that the best ones can be computed:
//!
//! ```text
//! batches ─ network as it begins ─┬─ states ─ hidden layers ─ ridge regression ─ the last layer of GEP
//!                                 └─ cell embeddings, gene queries ─ conjugate gradients ─ W of GEPC
//! ```

use burn::prelude::{Device, Tensor};
use scgpt_data::Observer;
use scgpt_model::{Decoder, Gep, GepcHead, InnerProduct, Scgpt, host_values};
use scgpt_stats::Ridge;
use scgpt_train::{Batch as _, Targets, Task, TrainBatch};

use super::{
    GeneStart, VALIDATION_EPOCH,
    parameter::{set, weights},
    start::{Origin, StartingNetwork},
};
use crate::error::Result;

/// Values that are predicted for each weight of the last layer of GEP, and for each of `W` of GEPC.
const VALUES: [usize; 2] = [40, 8];
/// Most numbers that are kept of tokens at a time.
const NUMBERS: usize = 64 << 20;
/// Most steps of conjugate gradients. They end before what they fit is noise: the fewer, the more is the
/// solution one of small weights.
const STEPS: usize = 24;
/// One batch of so many says which of the steps is the best.
const JUDGED: usize = 10;

/// What the last layer of GEP sees of values that it should predict: rows `[n, d]`, and the values.
#[derive(Default)]
struct Seen {
    rows: Vec<f64>,
    values: Vec<f64>,
}

/// What `W` of GEPC sees of the cells of a batch.
struct Queried {
    /// `[b, d_cell]`
    cell: Tensor<2>,
    /// `[b, t, d_gene]`
    query: Tensor<3>,
    targets: Targets,
}

impl StartingNetwork {
    /// A network that begins with what the cells have in common, and has the least squared error that the last
    /// weights of its direct GEP head and of its inner product of GEPC allow on the first batches
    /// of `task`; any other network as it is. Probabilities of zero stay as drawn.
    ///
    /// # Errors
    /// If a batch cannot be made;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// None: it draws all heads, and has the cells of an atlas to move them by.
    pub(crate) fn fit_heads(
        &self,
        mut model: Scgpt,
        task: &impl Task<Batch = TrainBatch>,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Scgpt> {
        if !matches!(self.origin, Origin::New(GeneStart::Spectral)) {
            return Ok(model);
        }
        let (mut seen, mut queried) = (Seen::default(), Vec::new());
        let (mut values, mut numbers) = (0, 0);
        for index in 0..task.batches_per_epoch() {
            observer.check_cancelled()?;
            let batch = task.batch(VALIDATION_EPOCH, index)?;
            let (input, targets) = batch.to_device(device);
            let encoded = model.encode(&input);
            if let Gep::Direct(head) = &model.gep {
                seen.add(head.value.hidden(model.gep_states(&encoded)), &batch);
            }
            let mut wanted = VALUES[0] * self.config.d_model;
            if let Some(GepcHead::InnerProduct(head)) = &model.gepc {
                let (cell, genes) = model.gepc_states(&encoded);
                wanted = VALUES[1] * head.weight.weight.val().shape().num_elements();
                let query = head.query(genes);
                numbers += query.shape().num_elements();
                queried.push(Queried { cell, query, targets });
            }
            values += batch.n_targets();
            if values >= wanted || numbers >= NUMBERS {
                break;
            }
        }
        if let Gep::Direct(head) = &mut model.gep {
            seen.fit(&mut head.value, observer)?;
        }
        if let Some(GepcHead::InnerProduct(head)) = &mut model.gepc {
            fit(head, &queried);
        }
        Ok(model)
    }
}

impl Seen {
    /// Adds what is seen of the tokens of a batch, `[b, t, d]`, whose values are to be predicted.
    fn add(&mut self, hidden: Tensor<3>, batch: &TrainBatch) {
        let [_, _, width] = hidden.dims();
        let room = (VALUES[0] * width).saturating_sub(self.values.len());
        if room == 0 {
            return;
        }
        let hidden = host_values(hidden);
        for (token, _, value) in batch.targets().take(room) {
            let row = &hidden[token * width..(token + 1) * width];
            self.rows.extend(row.iter().copied().map(f64::from));
            self.values.push(f64::from(value));
        }
    }

    /// Fits the last layer.
    fn fit(&self, decoder: &mut Decoder, observer: &dyn Observer) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let width = self.rows.len() / self.values.len();
        let map = Ridge::new(&self.rows, &self.values, [width, 1], observer)?;
        let layer = &mut decoder.linear3;
        let device = layer.weight.device();
        set(&mut layer.weight, weights(map.weights(), [width, 1], &device));
        if let Some(bias) = &mut layer.bias {
            set(bias, weights(&map.map(&vec![0.0; width]), [1], &device));
        }
        Ok(())
    }
}

impl Queried {
    /// What the cells predict by `w`, `[d_gene, d_cell]`, for all tokens: `[b, t]`.
    fn predicted(&self, w: &Tensor<2>) -> Tensor<2> {
        let asked = self.cell.clone().matmul(w.clone().transpose()); // [b, d_gene]
        self.query.clone().matmul(asked.unsqueeze_dim(2)).squeeze_dim(2)
    }

    /// How every weight contributes to predictions that go along with `values`, `[b, t]`, where they are to
    /// be predicted: `[d_gene, d_cell]`.
    fn along(&self, values: Tensor<2>) -> Tensor<2> {
        let values = values * self.targets.is_target.clone();
        let asked = values.unsqueeze_dim::<3>(1).matmul(self.query.clone()); // [b, 1, d_gene]
        asked.squeeze_dim::<2>(1).transpose().matmul(self.cell.clone())
    }

    /// The sum of squared errors.
    fn error(&self, w: &Tensor<2>) -> f32 {
        let miss = self.predicted(w) - self.targets.values.clone();
        (miss * self.targets.is_target.clone()).square().sum().into_scalar()
    }
}

/// Fits `W` by conjugate gradients, to all batches but those that choose the best step.
fn fit(head: &mut InnerProduct, batches: &[Queried]) {
    let (judges, batches) = batches.split_at(batches.len().div_ceil(JUDGED));
    let sum = |of: &dyn Fn(&Queried) -> Tensor<2>| batches.iter().map(of).reduce(|a, b| a + b);
    let square = |x: &Tensor<2>| x.clone().square().sum().into_scalar::<f32>();
    let error = |w: &Tensor<2>| judges.iter().map(|batch| batch.error(w)).sum::<f32>();
    let Some(mut rest) = sum(&|batch| batch.along(batch.targets.values.clone())) else { return };
    let mut w = rest.zeros_like();
    let (mut direction, mut length) = (rest.clone(), square(&rest));
    let mut best = (error(&w), None);
    for _ in 0..STEPS {
        let Some(image) = sum(&|batch| batch.along(batch.predicted(&direction))) else { return };
        let curvature = (image.clone() * direction.clone()).sum().into_scalar::<f32>();
        if curvature <= 0.0 {
            break;
        }
        let step = length / curvature;
        w = w + direction.clone() * step;
        rest = rest - image * step;
        let next = square(&rest);
        direction = rest.clone() + direction * (next / length);
        length = next;
        let now = error(&w);
        if now < best.0 {
            best = (now, Some(w.clone()));
        }
    }
    if let Some(w) = best.1 {
        set(&mut head.weight.weight, w);
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{CellTokens, GeneToken, Silent};
    use scgpt_model::{GepcStyle, Preprocess, ScgptConfig};
    use scgpt_train::{LossTerms, Metric, Progress, TrainCell};

    use super::*;

    /// Cells of two kinds; the values of half of the genes depend on the kind.
    struct TwoKinds;

    impl Task for TwoKinds {
        type Batch = TrainBatch;

        fn batches_per_epoch(&self) -> u64 {
            40
        }

        fn batch(&self, _: u64, index: u64) -> scgpt_train::Result<TrainBatch> {
            let value = |cell: u64, gene: u32| {
                let is_high = cell.is_multiple_of(2) == gene.is_multiple_of(2);
                if gene < 12 || is_high { gene as f32 } else { 30.0 }
            };
            let cell = |cell: u64| {
                let tokens = |genes: &[u32]| -> CellTokens {
                    genes.iter().map(|&gene| (GeneToken(gene), value(cell, gene))).collect()
                };
                // Which genes are known differs from cell to cell.
                let (mut known, mut unknown) = (vec![0], Vec::new());
                for gene in 2..22 {
                    let is_known = (u64::from(gene) * 7 + cell * 3 + index).is_multiple_of(2);
                    if is_known { known.push(gene) } else { unknown.push(gene) }
                }
                TrainCell { known: tokens(&known), hidden: Vec::new(), unknown: tokens(&unknown) }
            };
            let cells: Vec<TrainCell> = (8 * index..8 * index + 8).map(cell).collect();
            Ok(TrainBatch::new(&cells, GeneToken(1), -2.0))
        }

        fn losses(&self, _: &Scgpt, _: &TrainBatch, _: Progress, _: &Device) -> LossTerms {
            LossTerms::default()
        }

        fn validate(&self, _: &Scgpt, _: &Device) -> scgpt_train::Result<Vec<Metric>> {
            Ok(Vec::new())
        }
    }

    /// Squared errors of GEP and of GEPC, as shares of the variance of the values.
    fn errors(model: &Scgpt, device: &Device) -> [f32; 2] {
        let (input, targets) = TwoKinds.batch(0, 39).unwrap().to_device(device);
        let encoded = model.encode(&input);
        let mean = |x: Tensor<2>| {
            (x * targets.is_target.clone()).sum().into_scalar::<f32>()
                / targets.is_target.clone().sum().into_scalar::<f32>()
        };
        let mid = mean(targets.values.clone());
        let variance = mean((targets.values.clone() - mid).square());
        [model.predict(&encoded), model.predict_from_cell(&encoded).unwrap()]
            .map(|predicted| mean((predicted.value - targets.values.clone()).square()) / variance)
    }

    #[test]
    fn fitted_heads_predict_what_drawn_ones_have_to_learn() {
        let device = Device::flex();
        let config = ScgptConfig {
            d_model: 32,
            n_heads: 2,
            d_ff: 32,
            n_layers: 2,
            unknown_flag: true,
            gepc: Some(GepcStyle::InnerProduct),
            ..ScgptConfig::new(22)
        };
        let preprocess = Preprocess { max_length: 22, cls_value: 0.0 };
        let [drawn, spectral] = [GeneStart::Random, GeneStart::Spectral]
            .map(|start| StartingNetwork::new(config.clone(), preprocess, start));
        let model = drawn.build(7, &device).unwrap();
        let before = errors(&model, &device);
        let same = drawn.fit_heads(model.clone(), &TwoKinds, &device, &Silent).unwrap();
        assert_eq!(errors(&same, &device).map(f32::to_bits), before.map(f32::to_bits));
        let fitted = spectral.fit_heads(model, &TwoKinds, &device, &Silent).unwrap();
        let after = errors(&fitted, &device);
        assert!(before.iter().all(|&error| error > 0.9), "{before:?}");
        assert!(after.iter().all(|&error| error < 0.6), "{after:?}");
    }
}
