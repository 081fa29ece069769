//! What a golden case of the reference means in terms of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking; not every test uses every function"
)]

use burn::{module::RunningState, prelude::*};
use scgpt_fixtures::{Case, Tensors};
use scgpt_model::{
    Activation, AttentionMask, CellPooling, Conditions, DomainNorm, GepStyle, GepcStyle, InputNorm,
    ModelInput, NormScheme, PaddedStates, Scgpt, ScgptConfig, Strictness, ValueEncoding, Weights,
};
use serde_json::Value;

/// Where golden tests compute: `SCGPT_TEST_DEVICE` is `cpu`, or `wgpu` if that feature is on.
pub fn device() -> Device {
    match std::env::var("SCGPT_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => Device::flex(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(burn::tensor::DeviceKind::default()),
        Ok(other) => panic!("SCGPT_TEST_DEVICE is {other}, which is not compiled in"),
    }
}

/// The configuration of a case whose tensors are in `weights`.
pub fn config(case: &Case, weights: &Weights) -> ScgptConfig {
    let config = &case.json["config"];
    let kind = case.json["kind"].as_str().or(case.json["model"].as_str());
    let kind = kind.unwrap_or("transformer_model");
    let is_generator = kind == "perturbation_generator";
    let rows = |key: &str| weights.shape(key).map_or(0, |shape| shape[0]);
    let count = |key: &str| usize::try_from(config[key].as_u64().unwrap()).unwrap();
    let on = |key: &str| match &config[key] {
        Value::Bool(on) => *on,
        Value::Null => false,
        Value::String(style) => style != "none",
        _ => true,
    };
    let word =
        |key: &str, default: &'static str| config[key].as_str().unwrap_or(default).to_owned();
    let n_batches = rows("batch_encoder.embedding.weight");
    ScgptConfig {
        d_model: count("d_model"),
        n_heads: count("nhead"),
        d_ff: count("d_hid"),
        n_layers: count("nlayers"),
        n_bins: config["n_input_bins"]
            .as_u64()
            .filter(|&n| n > 0)
            .map_or(51, |_| count("n_input_bins")),
        dropout: 0.0,
        pad_value: number(&config["pad_value"]),
        mask_value: case.json["mask_value"]
            .as_f64()
            .map_or(-1.0, |_| number(&case.json["mask_value"])),
        value_encoding: match word("input_emb_style", "continuous").as_str() {
            "continuous" => ValueEncoding::Continuous,
            "category" => ValueEncoding::Binned { n_inputs: count("n_input_bins") },
            "scaling" => ValueEncoding::Scaling,
            other => panic!("{}: input_emb_style {other}", case.name),
        },
        cell_pooling: match word("cell_emb_style", "cls").as_str() {
            "cls" => CellPooling::Cls,
            "avg-pool" => CellPooling::Mean,
            "w-pool" => CellPooling::Weighted,
            other => panic!("{}: cell_emb_style {other}", case.name),
        },
        padded_states: match case.json["backend"].as_str().unwrap_or("flash") {
            "plain" => PaddedStates::PlainLayout,
            _ => PaddedStates::PackedLayout,
        },
        norm_scheme: if on("pre_norm") { NormScheme::Normed } else { NormScheme::Post },
        gep: if is_generator { affine(config) } else { GepStyle::Direct },
        gepc: on("do_mvc").then(|| match word("mvc_decoder_style", "inner product").as_str() {
            "inner product" => GepcStyle::InnerProduct,
            "inner product, detach" => GepcStyle::InnerProductDetached,
            "concat query" => GepcStyle::Concat,
            "sum query" => GepcStyle::Sum,
            other => panic!("{}: mvc_decoder_style {other}", case.name),
        }),
        zero_probability: on("explicit_zero_prob"),
        unknown_flag: rows("flag_encoder.weight") > 0,
        project_unknown: false,
        n_batches,
        n_modalities: rows("mod_encoder.embedding.weight"),
        pad_modality: (rows("mod_encoder.embedding.weight") > 0)
            .then_some(())
            .and(case.json["vocab_mod"]["<pad>"].as_u64().map(|row| usize::try_from(row).unwrap())),
        context_in_query: kind == "multiomic_model",
        n_perturbation_flags: rows("pert_encoder.weight"),
        pad_perturbation_flag: is_generator.then(|| count("pert_pad_id")),
        input_norm: match &config["domain_spec_batchnorm"] {
            Value::String(style) if style == "batchnorm" => InputNorm::Batch,
            Value::String(style) if style == "dsbn" => InputNorm::DomainSpecific,
            Value::Bool(true) => InputNorm::DomainSpecific,
            _ => InputNorm::None,
        },
        n_domains: config["num_batch_labels"].as_u64().map_or(0, |n| usize::try_from(n).unwrap()),
        dar: on("do_dab"),
        n_classes: rows("cls_decoder.out_layer.weight"),
        n_class_layers: count("nlayers_cls"),
        pad_token: case.json["vocab"]["<pad>"].as_u64().map(|row| usize::try_from(row).unwrap()),
        ..ScgptConfig::new(count("ntoken"))
    }
}

fn affine(config: &Value) -> GepStyle {
    let activation = match config["decoder_activation"].as_str() {
        None => Activation::Identity,
        Some("ReLU") => Activation::Relu,
        Some("Sigmoid") => Activation::Sigmoid,
        Some("Tanh") => Activation::Tanh,
        Some("Softplus") => Activation::Softplus,
        Some(other) => panic!("decoder_activation {other}"),
    };
    GepStyle::Affine { activation, adaptive_bias: config["decoder_adaptive_bias"] == true }
}

#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
fn number(value: &Value) -> f32 {
    value.as_f64().unwrap() as f32
}

/// The network of a case with the tensors of `file`.
pub fn model(case: &Case, file: &str, device: &Device) -> (Scgpt, ScgptConfig) {
    let weights = Weights::open(&case.path.join(file)).unwrap();
    let config = config(case, &weights);
    let (model, report) = weights.load(&config, device, Strictness::Strict).unwrap();
    assert!(report.heads.is_empty(), "{}: {report:?}", case.name);
    (model, config)
}

/// The input of a case.
pub fn input(case: &Case, tensors: &Tensors, device: &Device) -> ModelInput {
    if tensors.has("pcpt_genes") {
        return generative_input(case, tensors, device, true);
    }
    let shape: [usize; 2] = tensors.shape("gene_ids").try_into().unwrap();
    let lengths =
        if tensors.has("lens") { counts(&tensors.i64("lens")) } else { vec![shape[1]; shape[0]] };
    let mask = AttentionMask::padding(lengths, shape[1]);
    ModelInput {
        conditions: conditions(tensors, shape, device),
        ..ModelInput::new(
            ints(tensors, "gene_ids", device),
            floats(tensors, "values", device),
            mask,
        )
    }
}

fn conditions(tensors: &Tensors, shape: [usize; 2], device: &Device) -> Conditions {
    let labels = tensors.has("batch_labels").then(|| tensors.i64("batch_labels"));
    Conditions {
        domain: labels.as_ref().map_or(0, |labels| usize::try_from(labels[0]).unwrap()),
        batches: labels
            .map(|labels| Tensor::from_data(TensorData::new(labels, [shape[0]]), device)),
        modalities: tensors.has("mod_types").then(|| ints(tensors, "mod_types", device)),
        perturbations: tensors.has("pert_flags").then(|| ints(tensors, "pert_flags", device)),
        prompt: None,
    }
}

/// Known and unknown tokens of a cell side by side, padding of both at the end.
pub fn generative_input(
    _case: &Case,
    tensors: &Tensors,
    device: &Device,
    with_unknown: bool,
) -> ModelInput {
    let [b, p]: [usize; 2] = tensors.shape("pcpt_genes").try_into().unwrap();
    let g = tensors.shape("gen_genes")[1];
    let (order, known, used) = order(tensors, with_unknown);
    let t = order.len() / b;
    let (pcpt, gen_genes, values) =
        (tensors.i64("pcpt_genes"), tensors.i64("gen_genes"), tensors.f32("pcpt_values"));
    let mut genes = Vec::new();
    let mut all_values = Vec::new();
    for (row, &from) in order.iter().enumerate() {
        let cell = row / t;
        genes.push(if from < p { pcpt[cell * p + from] } else { gen_genes[cell * g + from - p] });
        all_values.push(if from < p { values[cell * p + from] } else { 0.0 });
    }
    ModelInput {
        conditions: conditions(tensors, [b, t], device),
        ..ModelInput::new(
            Tensor::from_data(TensorData::new(genes, [b, t]), device),
            Tensor::from_data(TensorData::new(all_values, [b, t]), device),
            AttentionMask::generative(known, used, t),
        )
    }
}

/// For every position of our layout the position in `pcpt | gen`, `[b, t]`; known and used counts.
pub fn order(tensors: &Tensors, with_unknown: bool) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let [b, p]: [usize; 2] = tensors.shape("pcpt_genes").try_into().unwrap();
    let g = if with_unknown { tensors.shape("gen_genes")[1] } else { 0 };
    let is_pad = |name: &str, index: usize| tensors.bool(name)[index];
    let (mut order, mut known, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for cell in 0..b {
        let pads: Vec<bool> = (0..p)
            .map(|i| is_pad("pcpt_pad", cell * p + i))
            .chain((0..g).map(|i| is_pad("gen_pad", cell * g + i)))
            .collect();
        let real = (0..p + g).filter(|&i| !pads[i]);
        known.push(real.clone().filter(|&i| i < p).count());
        used.push(real.clone().count());
        order.extend(real.chain((0..p + g).filter(|&i| pads[i])));
    }
    (order, known, used)
}

/// The running statistics of `buffers_after_train_step`.
pub fn set_statistics(model: &mut Scgpt, case: &Case) {
    let buffers = case.tensors("buffers_after_train_step.safetensors");
    let Some(DomainNorm::Domains(domains)) = &mut model.input_norm else { panic!("no domains") };
    for (index, domain) in domains.iter_mut().enumerate() {
        let read = |name: &str| {
            let values = buffers.f32(&format!("dsbn.bns.{index}.{name}"));
            Tensor::<1>::from_floats(values.as_slice(), &device())
        };
        domain.running_mean = RunningState::new(read("running_mean"));
        domain.running_var = RunningState::new(read("running_var"));
    }
}

pub fn counts(values: &[i64]) -> Vec<usize> {
    values.iter().map(|&n| usize::try_from(n).unwrap()).collect()
}

pub fn floats(tensors: &Tensors, name: &str, device: &Device) -> Tensor<2> {
    let shape: [usize; 2] = tensors.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(tensors.f32(name), shape), device)
}

pub fn ints(tensors: &Tensors, name: &str, device: &Device) -> Tensor<2, Int> {
    let shape: [usize; 2] = tensors.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(tensors.i64(name), shape), device)
}

pub fn labels(tensors: &Tensors, name: &str, device: &Device) -> Tensor<1, Int> {
    let labels = tensors.i64(name);
    let n = labels.len();
    Tensor::from_data(TensorData::new(labels, [n]), device)
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

/// Elements at the used tokens of every cell, of `[b, t, width]` with `t` positions a cell given by
/// `order`; of the identity order, our own layout is read.
pub fn at_used<T: Copy>(values: &[T], width: usize, order: &[usize], used: &[usize]) -> Vec<T> {
    let b = used.len();
    let (n, t) = (values.len() / b / width, order.len() / b);
    let mut chosen = Vec::new();
    for (cell, &used) in used.iter().enumerate() {
        for &from in &order[cell * t..cell * t + used] {
            let at = (cell * n + from) * width;
            chosen.extend_from_slice(&values[at..at + width]);
        }
    }
    chosen
}

/// The reference's `pcpt` and `gen` parts side by side, `[b, p + g, width]`.
pub fn side_by_side(tensors: &Tensors, parts: &[&str], b: usize) -> Vec<f64> {
    (0..b)
        .flat_map(|cell| {
            parts.iter().flat_map(move |part| {
                let values = tensors.f64(part);
                let n = values.len() / b;
                values[cell * n..(cell + 1) * n].to_vec()
            })
        })
        .collect()
}
