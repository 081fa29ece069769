//! Parity of the network and of checkpoint loading with the reference implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use burn::prelude::*;
use scgpt_fixtures::{Case, Tensors, assert_close, cases};
use scgpt_model::{
    AttentionMask, CellEncoder, CellPooling, Encoded, Error, ModelDir, ModelInput, PaddedStates,
    Scgpt, ScgptConfig, Strictness, TokenRows, ValueEncoding, Weights,
};

fn input(tensors: &Tensors) -> ModelInput {
    let device = Device::flex();
    let shape: [usize; 2] = tensors.shape("gene_ids").try_into().unwrap();
    let lengths =
        tensors.i64("lens").iter().map(|&length| usize::try_from(length).unwrap()).collect();
    ModelInput {
        genes: Tensor::from_data(TensorData::new(tensors.i64("gene_ids"), shape), &device),
        values: Tensor::from_data(TensorData::new(tensors.f32("values"), shape), &device),
        mask: AttentionMask::padding(lengths, shape[1]),
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The configuration of a `forward_*` case, or none if it needs switches of later tasks.
fn config(case: &Case) -> Option<ScgptConfig> {
    let config = &case.json["config"];
    let on = |key: &str| config[key].as_bool().unwrap_or(!config[key].is_null());
    let needs_more =
        ["do_dab", "use_batch_labels", "domain_spec_batchnorm", "explicit_zero_prob", "pre_norm"];
    if case.json["kind"] != "transformer_model" || needs_more.iter().any(|key| on(key)) {
        return None;
    }
    let count = |key: &str| usize::try_from(config[key].as_u64().unwrap()).unwrap();
    let is_inner_product =
        config["mvc_decoder_style"].as_str().unwrap().starts_with("inner product");
    #[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    Some(ScgptConfig {
        d_model: count("d_model"),
        n_heads: count("nhead"),
        d_ff: count("d_hid"),
        n_layers: count("nlayers"),
        n_bins: count("n_input_bins"),
        pad_value: number(&config["pad_value"]),
        mask_value: number(&case.json["mask_value"]),
        value_encoding: match config["input_emb_style"].as_str().unwrap() {
            "continuous" => ValueEncoding::Continuous,
            "category" => ValueEncoding::Binned { n_inputs: count("n_input_bins") },
            "scaling" => ValueEncoding::Scaling,
            other => panic!("{}: input_emb_style {other}", case.name),
        },
        cell_pooling: match config["cell_emb_style"].as_str().unwrap() {
            "cls" => CellPooling::Cls,
            "avg-pool" => CellPooling::Mean,
            "w-pool" => CellPooling::Weighted,
            other => panic!("{}: cell_emb_style {other}", case.name),
        },
        padded_states: match case.json["backend"].as_str().unwrap() {
            "flash" => PaddedStates::PackedLayout,
            "plain" => PaddedStates::PlainLayout,
            other => panic!("{}: backend {other}", case.name),
        },
        gepc: is_inner_product && config["do_mvc"] == true,
        unknown_flag: false,
        ..ScgptConfig::new(count("ntoken"))
    })
}

fn check(name: &str, model: &Scgpt, encoded: &Encoded, expected: &Tensors, tolerance: [f64; 2]) {
    assert_close(
        &format!("{name} transformer_output"),
        &host(encoded.hidden.clone()),
        expected.f64("transformer_output"),
        tolerance,
    );
    assert_close(
        &format!("{name} cell_emb"),
        &host(encoded.cell.clone()),
        expected.f64("cell_emb"),
        tolerance,
    );
    assert_close(
        &format!("{name} mlm_output"),
        &host(model.predict(encoded)),
        expected.f64("mlm_output"),
        tolerance,
    );
    if let Some(prediction) = model.predict_from_cell(encoded) {
        assert_close(
            &format!("{name} mvc_output"),
            &host(prediction),
            expected.f64("mvc_output"),
            tolerance,
        );
    }
}

#[test]
fn golden_forward() {
    for case in cases(|case| config(case).is_some()) {
        let config = config(&case).unwrap();
        // The class head and other expression decoders of the file belong to later tasks.
        let weights = Weights::open(&case.path.join("params.safetensors")).unwrap();
        let (model, report) = weights.load(&config, &Device::flex(), Strictness::Partial).unwrap();
        assert!(
            report.missing.is_empty() && report.mismatched.is_empty(),
            "{}: {report:?}",
            case.name
        );
        assert!(
            report.unused.iter().all(|key| key.starts_with("mvc_decoder.")),
            "{}: {report:?}",
            case.name
        );
        let (inputs, expected) =
            (case.tensors("inputs.safetensors"), case.tensors("eval.safetensors"));
        let encoded = model.encode(&input(&inputs));
        check(&case.name, &model, &encoded, &expected, case.tolerance());
        if config.cell_pooling == CellPooling::Cls {
            check_cell_encoder(&case.name, model, &config, &inputs, &expected, case.tolerance());
        }
    }
}

/// The short cuts of inference give the same embeddings.
fn check_cell_encoder(
    name: &str,
    model: Scgpt,
    config: &ScgptConfig,
    inputs: &Tensors,
    expected: &Tensors,
    tolerance: [f64; 2],
) {
    let to_token = |&gene: &i64| i32::try_from(gene).unwrap();
    let lengths: Vec<usize> =
        inputs.i64("lens").iter().map(|&n| usize::try_from(n).unwrap()).collect();
    let cell = CellEncoder::new(model, config).embed(TokenRows {
        n_tokens: inputs.shape("gene_ids")[1],
        genes: &inputs.i64("gene_ids").iter().map(to_token).collect::<Vec<_>>(),
        values: &inputs.f32("values"),
        lengths: &lengths,
    });
    assert_close(&format!("{name} CellEncoder"), &cell, expected.f64("cell_emb"), tolerance);
}

#[test]
fn golden_checkpoint_directories() {
    for case in cases(|case| case.is("checkpoint") && case.path.join("best_model.pt").exists()) {
        let folder = ModelDir::open(&case.path).unwrap();
        folder.load(&Device::flex(), Strictness::Strict).unwrap();
        let padded_states = match case.json["layout"].as_str().unwrap() {
            "Wqkv" => PaddedStates::PackedLayout,
            _ => PaddedStates::PlainLayout,
        };
        let config = ScgptConfig { padded_states, ..folder.config().clone() };
        let (model, _) =
            folder.weights().load(&config, &Device::flex(), Strictness::Strict).unwrap();
        let encoded = model.encode(&input(&case.tensors("inputs.safetensors")));
        let expected = case.tensors("expected.safetensors");
        check(&case.name, &model, &encoded, &expected, case.tolerance());
        let genes = host(encoded.genes);
        assert_close(&case.name, &genes, expected.f64("token_embs"), case.tolerance());
    }
}

#[test]
fn golden_checkpoint_variants() {
    for case in cases(|case| case.is("checkpoint_variants")) {
        check_variants(&case);
    }
}

fn check_variants(case: &Case) {
    let inputs = case.tensors("inputs.safetensors");
    let files = case.json["files"].as_object().unwrap();
    assert!(!files.is_empty());
    for file in files.keys() {
        let weights = Weights::open(&case.path.join(file)).unwrap();
        let [vocab_size, _] = *weights.shape("encoder.embedding.weight").unwrap() else {
            panic!("{file}")
        };
        let (config, _) =
            ScgptConfig::from_reference(&case.path.join("args.json"), vocab_size).unwrap();
        let has = |key: &str| weights.shape(key).is_some();
        let config = ScgptConfig {
            gepc: has("mvc_decoder.W.weight"),
            unknown_flag: has("flag_encoder.weight"),
            // The expected states come from the packed layout.
            padded_states: PaddedStates::PackedLayout,
            ..config
        };
        let strictness =
            if file.contains("extra") { Strictness::Partial } else { Strictness::Strict };
        let (model, report) = weights.load(&config, &Device::flex(), strictness).unwrap();
        assert_eq!(report.is_complete(), strictness == Strictness::Strict, "{file}: {report:?}");
        let expected = match () {
            () if file.contains("bf16") => "expected_bf16.safetensors",
            () if file.contains("f16") => "expected_f16.safetensors",
            () => "expected.safetensors",
        };
        check(
            file,
            &model,
            &model.encode(&input(&inputs)),
            &case.tensors(expected),
            case.tolerance(),
        );
    }
}

#[test]
fn golden_checkpoint_bad() {
    for case in cases(|case| case.is("checkpoint_bad")) {
        check_bad(&case);
    }
}

fn check_bad(case: &Case) {
    let marker = Path::new(case.json["marker_file"].as_str().unwrap());
    assert!(!marker.exists(), "{} exists before the test", marker.display());
    let files = case.json["files"].as_object().unwrap();
    // Vocabularies are read by the data crate.
    for file in files.keys().filter(|file| !file.starts_with("vocab_")) {
        let path = case.path.join(file);
        let error = refuse(&path, file);
        eprintln!("{file}: {error}");
        let message = error.to_string();
        assert!(message.contains(file.as_str()), "the message names the file: {message}");
        assert!(error.hint().is_some());
        assert!(!marker.exists(), "{file} was executed");
    }
}

fn refuse(path: &Path, file: &str) -> Error {
    let good = scgpt_fixtures::repository().join("checkpoint_variants/args.json");
    if file.starts_with("args_") {
        return ScgptConfig::from_reference(path, 60).expect_err(file);
    }
    match Weights::open(path) {
        Err(error) => error,
        Ok(weights) => {
            let vocab_size = weights.shape("encoder.embedding.weight").map_or(60, |shape| shape[0]);
            let (config, _) = ScgptConfig::from_reference(&good, vocab_size).unwrap();
            weights.load(&config, &Device::flex(), Strictness::Strict).map(|_| ()).expect_err(file)
        }
    }
}
