//! [`Errors`]: how well hidden values are predicted, beside what their genes' means predict.

use burn::prelude::Device;
use scgpt_data::GeneToken;
use scgpt_model::{Scgpt, host_values};
use scgpt_train::{Metric, TrainBatch};

use crate::mean_expression::MeanExpression;

/// Sums of squared errors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    n: f64,
    gep: f64,
    gepc: f64,
    mean: f64,
}

impl Errors {
    /// Adds the unknown genes of a batch, as the token states predict them, as the cell embedding does, and as
    /// their means do.
    pub(super) fn add(
        &mut self,
        model: &Scgpt,
        batch: &TrainBatch,
        mean: &MeanExpression,
        device: &Device,
    ) {
        let encoded = model.encode(&batch.input.to_device(device));
        let by_token = host_values(model.predict(&encoded).value);
        let by_cell =
            model.predict_from_cell(&encoded).map(|predicted| host_values(predicted.value));
        for (position, gene, truth) in batch.targets() {
            let truth = f64::from(truth);
            let squared = |predicted: f64| (predicted - truth).powi(2);
            self.n += 1.0;
            self.gep += squared(f64::from(by_token[position]));
            if let Some(by_cell) = &by_cell {
                self.gepc += squared(f64::from(by_cell[position]));
            }
            self.mean += squared(mean.of(GeneToken(gene.cast_unsigned())));
        }
    }
}

/// Mean squared errors in squared value bins: over all shares of unknown genes (the selecting
/// metric), and for each beside the error of the genes' means.
pub(super) fn metrics(errors: &[(f64, Errors)]) -> Vec<Metric> {
    let n = errors.iter().map(|(_, errors)| errors.n).sum::<f64>().max(1.0);
    let mean =
        |of: fn(&Errors) -> f64| errors.iter().map(|(_, errors)| of(errors)).sum::<f64>() / n;
    let mut metrics = vec![
        Metric::loss("gep", mean(|errors| errors.gep)),
        Metric::loss("gepc", mean(|errors| errors.gepc)),
        Metric::loss("mean_expression", mean(|errors| errors.mean)),
    ];
    for (share, errors) in errors {
        let percent = (share * 100.0).round();
        let n = errors.n.max(1.0);
        metrics.push(Metric::loss(format!("gep_{percent}"), errors.gep / n));
        metrics.push(Metric::loss(format!("mean_expression_{percent}"), errors.mean / n));
    }
    metrics
}
