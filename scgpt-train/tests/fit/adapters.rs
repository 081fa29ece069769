//! Networks that learn by adapters.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::Param,
    prelude::*,
    tensor::{Distribution, Tolerance},
};
use scgpt_model::{Lora, MapNamed, ParameterName, Scgpt, Weights};
use scgpt_train::{
    Error, NamedGradients, Objectives, Part, Precision, Task as _, TrainConfig, Unwatched,
};

use crate::numbers::{
    Numbers, Recorder, Start, alone, config, initial, network, tensors, train, weights,
};

/// Two blocks of four matrices, each with an adapter of two.
const MATRICES: usize = 16;

fn with_adapters() -> TrainConfig {
    TrainConfig { lora: Some(Lora::of_rank(2)), ..config() }
}

/// Makes adapters of zeros some that are learned.
struct Learn;

impl MapNamed for Learn {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        it: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        if !name.key.contains("lora_") {
            return it;
        }
        it.map(|it| {
            let device = it.device();
            let learned = Tensor::random(it.shape(), Distribution::Uniform(-0.3, 0.3), &device);
            if device.is_autodiff() { learned.require_grad() } else { learned }
        })
    }
}

/// The tensors of a checkpoint, and those of the network it began with.
fn saved(folder: &Path, step: u64) -> [BTreeMap<String, Vec<f32>>; 2] {
    let start = folder.join("initial.safetensors");
    initial(&network()).save(&start).unwrap();
    let step = folder.join(format!("checkpoints/step-{step:09}/model.safetensors"));
    [step, start].map(|path| {
        let weights = Weights::open(&path).unwrap();
        weights.names().map(|name| (name.to_owned(), weights.read(name).unwrap())).collect()
    })
}

#[test]
fn every_adapter_has_a_gradient() {
    let _alone = alone();
    let device = Device::flex().autodiff();
    let model = network().init(&device).unwrap();
    let model = model.with_adapters(Lora::of_rank(2)).map_named(&mut Learn);
    let (input, targets) = tensors(&Numbers::new(8, 4).batch(0, 0).unwrap(), 1.0, &device);
    let objectives = Objectives { gep: 1.0, gepc: 0.5, ..Objectives::default() };
    let loss = objectives.terms(&model, &input, &targets).total().unwrap();
    let gradients = NamedGradients::take(loss.backward(), &model);
    let of_adapters: Vec<&str> = gradients.names().filter(|it| it.contains("lora_")).collect();
    assert_eq!(of_adapters.len(), MATRICES, "{of_adapters:?}");
    for part in ["self_attn.Wqkv", "self_attn.out_proj", "linear1", "linear2"] {
        assert_eq!(of_adapters.iter().filter(|name| name.contains(part)).count(), 4, "{part}");
    }
    for name in of_adapters {
        let norm = gradients.get(name).unwrap().clone().square().sum().into_scalar::<f32>();
        assert!(norm > 0.0, "{name}");
    }
}

#[test]
fn adapters_learn_and_what_they_are_beside_stays() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let task = Numbers::new(8, 4);
    let full = Recorder::new(u64::MAX);
    train(&task, &config(), folder.path(), Start::Anew, &full).unwrap();
    std::fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
    let watch = Recorder::new(2);
    train(&task, &with_adapters(), folder.path(), Start::Anew, &watch).unwrap_err();
    assert_eq!(watch.losses()[0], full.losses()[0], "they add nothing at first");

    let [learned, start] = saved(folder.path(), 2);
    let adapters: Vec<&String> = learned.keys().filter(|name| name.contains("lora_")).collect();
    assert_eq!(adapters.len(), MATRICES);
    for name in &adapters {
        assert!(learned[*name].iter().all(|&value| value != 0.0), "{name}");
    }
    for (name, before) in &start {
        let is_frozen = name.starts_with("encoder.")
            || name.starts_with("transformer_encoder.") && !name.contains(".norm");
        let stays = learned[name].iter().zip(before).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(stays || !is_frozen, "{name}");
        let learns = name.contains(".norm1.") || name.starts_with("decoder.fc.");
        assert!(!stays || !learns, "{name}");
    }
}

#[test]
fn gene_vectors_learn_where_they_are_to() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let lora = Some(Lora { genes: true, ..Lora::of_rank(2) });
    let config = TrainConfig { lora, ..config() };
    train(&Numbers::new(8, 4), &config, folder.path(), Start::Anew, &Recorder::new(2)).unwrap_err();
    let [learned, start] = saved(folder.path(), 2);
    for (name, differs) in [
        ("encoder.embedding.weight", true),
        ("transformer_encoder.layers.0.linear1.weight", false),
        ("transformer_encoder.layers.0.linear1.bias", false),
    ] {
        assert_eq!(learned[name] != start[name], differs, "{name}");
    }
}

#[test]
fn interrupted_anywhere_adapters_go_on_bit_for_bit() {
    let _alone = alone();
    let task = Numbers::new(22, 4);
    let whole = tempfile::tempdir().unwrap();
    let watch = Recorder::new(u64::MAX);
    let expected = train(&task, &with_adapters(), whole.path(), Start::Anew, &watch).unwrap();
    let losses = watch.losses();
    let [first, last] = [losses[0].1, losses[losses.len() - 1].1].map(f64::from_bits);
    assert!(last < first, "they learn: {first} to {last}");
    assert!(expected.adapters.is_some());
    for stop in [1, 4, 7] {
        let folder = tempfile::tempdir().unwrap();
        let before = Recorder::new(stop);
        let error =
            train(&task, &with_adapters(), folder.path(), Start::Anew, &before).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)), "{error}");
        let resumed =
            train(&task, &with_adapters(), folder.path(), Start::Resumed, &Unwatched).unwrap();
        assert!(
            weights(&resumed.model, folder.path()) == weights(&expected.model, whole.path()),
            "stopped after {stop}"
        );
    }
}

#[test]
fn adapters_in_the_weights_compute_what_they_did_beside_them() {
    let _alone = alone();
    let device = Device::flex();
    let model: Scgpt = initial(&network());
    let adapted = model.with_adapters(Lora::of_rank(3)).map_named(&mut Learn);
    let (input, _) = tensors(&Numbers::new(8, 4).batch(0, 0).unwrap(), 1.0, &device);
    let states = |model: &Scgpt| model.encode(&input).hidden;
    let (beside, without) = (states(&adapted), states(&initial(&network())));
    let merged = states(&adapted.merged());
    let difference = (beside.clone() - without).abs().mean().into_scalar::<f32>();
    assert!(difference > 1e-2, "{difference}");
    merged
        .into_data()
        .assert_approx_eq::<f32>(&beside.into_data(), Tolerance::<f32>::absolute(2e-5));
}

#[test]
fn adapters_learn_in_other_precisions() {
    let _alone = alone();
    for precision in [Precision::Bf16, Precision::Bf16x3] {
        let [full, adapted] = [config(), with_adapters()].map(|config| {
            let folder = tempfile::tempdir().unwrap();
            let watch = Recorder::new(u64::MAX);
            let config = TrainConfig { precision, epochs: 6, ..config };
            train(&Numbers::new(16, 4), &config, folder.path(), Start::Anew, &watch).unwrap();
            watch.losses()
        });
        assert_eq!(full[0], adapted[0], "{precision}");
        let [first, last] = [adapted[0].1, adapted[adapted.len() - 1].1].map(f64::from_bits);
        assert!(last < 0.8 * first, "{precision}: {first} to {last}");
    }
}

#[test]
fn adapters_that_could_not_learn_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let of = |lora: Lora, freeze: Vec<Part>| TrainConfig { lora: Some(lora), freeze, ..config() };
    for (config, problem) in [
        (of(Lora::of_rank(0), vec![]), "rank 0, expected 1 to 32"),
        (of(Lora::of_rank(33), vec![]), "rank 33"),
        (of(Lora { scale: f64::NAN, ..Lora::of_rank(2) }, vec![]), "scale NaN"),
        (of(Lora::of_rank(2), vec![Part::Transformer]), "none of which would learn"),
        (of(Lora::of_rank(2), vec![Part::Blocks(2)]), "none of which would learn"),
    ] {
        let error = train(&Numbers::new(8, 4), &config, folder.path(), Start::Anew, &Unwatched);
        let message = error.unwrap_err().to_string();
        assert!(message.contains(problem) && message.contains("`lora`"), "{message}");
    }
}
