//! Networks whose blocks are computed again for their gradients.

use std::path::Path;

use burn::prelude::*;
use scgpt_model::{AttentionKind, Lora, NormScheme, ScgptConfig};
use scgpt_train::{
    Batch, Error, LossTerms, Metric, Objectives, Outcome, Part, Precision, Progress, Result,
    RunOptions, Task, TrainConfig, Unwatched, fit,
};

use crate::numbers::{Cells, Numbers, alone, config, initial, network, tensors, weights};

/// The task with objectives that pass cells through the network twice.
struct Twice(Numbers);

impl Task for Twice {
    type Batch = Cells;

    fn batches_per_epoch(&self) -> u64 {
        self.0.batches_per_epoch()
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<Cells> {
        self.0.batch(epoch, index)
    }

    fn losses(
        &self,
        model: &scgpt_model::Scgpt,
        batch: &Cells,
        _: Progress,
        device: &Device,
    ) -> LossTerms {
        assert!(batch.n_cells() > 1);
        let (input, targets) = tensors(batch, 1.0, device);
        let objectives =
            Objectives { gep: 1.0, gepc: 0.5, contrastive: 1.0, ..Objectives::default() };
        objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &scgpt_model::Scgpt, device: &Device) -> Result<Vec<Metric>> {
        self.0.validate(model, device)
    }
}

fn train(
    network: &ScgptConfig,
    config: &TrainConfig,
    recompute: Option<bool>,
    folder: &Path,
) -> Result<Outcome> {
    let mut run = RunOptions::new(folder);
    run.recompute = recompute;
    let (task, device) = (Twice(Numbers::new(8, 4)), Device::flex());
    fit(&task, initial(network), network, config, &run, &device, &Unwatched)
}

#[test]
fn weights_are_the_same_bit_for_bit() {
    let _alone = alone();
    let frozen = |freeze: Vec<Part>| TrainConfig { freeze, ..config() };
    let linformer =
        ScgptConfig { attention: AttentionKind::Linformer, attention_rank: 4, ..network() };
    let cases = [
        (network(), config()),
        (network(), TrainConfig { precision: Precision::Bf16, ..config() }),
        (network(), TrainConfig { lora: Some(Lora::of_rank(2)), ..config() }),
        // The first block has an input that does not learn, and the second one learns nothing.
        (network(), frozen(vec![Part::Genes, Part::Values])),
        (network(), frozen(vec![Part::Transformer])),
        (linformer, config()),
    ];
    for (network, config) in cases {
        let [kept, again] = [Some(false), Some(true)].map(|recompute| {
            let folder = tempfile::tempdir().unwrap();
            let outcome = train(&network, &config, recompute, folder.path()).unwrap();
            weights(&outcome.model, folder.path())
        });
        assert!(kept == again, "{config:?}");
    }
}

#[test]
fn what_dropout_drops_must_be_known_again() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let normed = ScgptConfig { norm_scheme: NormScheme::Normed, ..network() };
    let half = TrainConfig { precision: Precision::F16, ..config() };
    for (network, config) in [(&normed, &config()), (&network(), &half)] {
        let error = train(network, config, Some(true), folder.path()).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
        assert!(error.to_string().contains("`recompute`"), "{error}");
    }
    let nothing = ScgptConfig { dropout: 0.0, ..normed.clone() };
    train(&nothing, &config(), Some(true), folder.path()).unwrap();
    // Where it cannot be so, adapters keep what they need.
    let adapted = TrainConfig { lora: Some(Lora::of_rank(2)), ..config() };
    train(&normed, &adapted, None, folder.path()).unwrap();
}
