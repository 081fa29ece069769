//! Parity of the network and of checkpoint loading with the reference implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod reference;

use std::path::Path;

use burn::prelude::*;
use reference::{at_used, generative_input, host, ints, order, side_by_side};
use scgpt_fixtures::{Case, Tensors, assert_close, cases};
use scgpt_model::{
    CellEncoder, CellPooling, Conditions, Encoded, Error, ModelDir, ModelInput, PaddedStates,
    Scgpt, ScgptConfig, Strictness, TokenBatchView, Weights,
};

fn input(tensors: &Tensors) -> ModelInput {
    let shape = tensors.shape("gene_ids");
    let lengths = reference::counts(&tensors.i64("lens"));
    ModelInput::new(
        ints(tensors, "gene_ids", &reference::device()),
        reference::floats(tensors, "values", &reference::device()),
        scgpt_model::AttentionMask::padding(lengths, shape[1]),
    )
}

fn check(name: &str, model: &Scgpt, encoded: &Encoded, expected: &Tensors, tolerance: [f64; 2]) {
    let close = |key: &str, actual: Vec<f32>| {
        assert_close(&format!("{name} {key}"), &actual, expected.f64(key), tolerance);
    };
    if expected.has("transformer_output") {
        close("transformer_output", host(encoded.hidden.clone()));
        close("cell_emb", host(encoded.cell.clone()));
    }
    let by_token = model.predict(encoded);
    close("mlm_output", host(by_token.value));
    assert_eq!(by_token.nonzero.is_some(), expected.has("mlm_zero_probs"), "{name}");
    if let Some(probability) = by_token.nonzero {
        close("mlm_zero_probs", host(probability));
    }
    let by_cell = model.predict_from_cell(encoded);
    if let Some(by_cell) = by_cell {
        close("mvc_output", host(by_cell.value));
        if let Some(probability) = by_cell.nonzero {
            close("mvc_zero_probs", host(probability));
        }
    }
    if let Some(classes) = model.classify(encoded)
        && expected.has("cls_output")
    {
        close("cls_output", host(classes));
    }
    if let Some(batches) = model.tell_batches(encoded) {
        close("dab_output", host(batches));
    }
}

#[test]
fn golden_forward() {
    let kinds = ["transformer_model", "multiomic_model", "perturbation_generator"];
    let is_forward = |case: &Case| kinds.iter().any(|&kind| case.json["kind"] == kind);
    for case in cases(|case| is_forward(case) && case.path.join("eval.safetensors").exists()) {
        let device = reference::device();
        let (model, config) = reference::model(&case, "params.safetensors", &device);
        let (inputs, expected) =
            (case.tensors("inputs.safetensors"), case.tensors("eval.safetensors"));
        let input = reference::input(&case, &inputs, &device);
        let encoded = model.encode(&input);
        check(&case.name, &model, &encoded, &expected, case.tolerance());
        let is_cls = config.cell_pooling == CellPooling::Cls;
        if is_cls && model.perturbations.is_none() && inputs.has("lens") {
            let network = (model, &config, input.conditions.domain);
            check_cell_encoder(&case.name, network, &inputs, &expected, case.tolerance());
        }
    }
}

/// Expression of every gene of a data set, or of those that some cell expresses.
#[test]
fn golden_perturbation_of_all_genes() {
    for case in cases(|case| case.json["kind"] == "perturbation_generator") {
        if !case.path.join("eval.safetensors").exists() {
            continue;
        }
        let device = reference::device();
        let (model, _) = reference::model(&case, "params.safetensors", &device);
        let inputs = case.tensors("inputs.safetensors");
        let expected = case.tensors("eval.safetensors");
        let [b, g]: [usize; 2] = inputs.shape("dataset_values").try_into().unwrap();
        let values = inputs.f32("dataset_values");
        let flags = inputs.i64("dataset_pert_flags");
        let tokens = inputs.i64("dataset_gene_ids");
        let expressed: Vec<usize> =
            (0..g).filter(|&gene| (0..b).any(|cell| values[cell * g + gene] != 0.0)).collect();
        for (key, genes) in [
            ("pred_perturb_all", (0..g).collect::<Vec<_>>()),
            ("pred_perturb_batch_wise", expressed),
        ] {
            let n = genes.len();
            let rows = |at: &dyn Fn(usize, usize) -> i64| -> Tensor<2, Int> {
                let data: Vec<i64> =
                    (0..b).flat_map(|cell| genes.iter().map(move |&gene| at(cell, gene))).collect();
                Tensor::from_data(TensorData::new(data, [b, n]), &device)
            };
            let chosen: Vec<f32> = (0..b)
                .flat_map(|cell| {
                    genes.iter().map(|&gene| values[cell * g + gene]).collect::<Vec<_>>()
                })
                .collect();
            let input = ModelInput {
                conditions: Conditions {
                    perturbations: Some(rows(&|cell, gene| flags[cell * g + gene])),
                    ..Conditions::default()
                },
                ..ModelInput::new(
                    rows(&|_, gene| tokens[gene]),
                    Tensor::from_data(TensorData::new(chosen, [b, n]), &device),
                    scgpt_model::AttentionMask::padding(vec![n; b], n),
                )
            };
            let predicted = host(model.predict(&model.encode(&input)).value);
            let mut all = vec![0.0; b * g];
            for cell in 0..b {
                for (index, &gene) in genes.iter().enumerate() {
                    all[cell * g + gene] = predicted[cell * n + index];
                }
            }
            assert_close(
                &format!("{} {key}", case.name),
                &all,
                expected.f64(key),
                case.tolerance(),
            );
        }
    }
}

/// Expression from a cell embedding in the place of `<cls>`.
#[test]
fn golden_cell_prompt() {
    for case in cases(|case| case.path.join("generate.safetensors").exists()) {
        let device = reference::device();
        let (mut model, _) = reference::model(&case, "params.safetensors", &device);
        let inputs = case.tensors("inputs.safetensors");
        let expected = case.tensors("generate.safetensors");
        // This part was computed after a training step had moved the running statistics.
        if case.path.join("buffers_after_train_step.safetensors").exists() {
            reference::set_statistics(&mut model, &case);
        }
        let mut input = reference::input(&case, &inputs, &device);
        input.conditions.prompt = Some(reference::floats(&expected, "cell_emb", &device));
        let no_mask = {
            let [b, t] = input.genes.dims();
            scgpt_model::AttentionMask::padding(vec![t; b], t)
        };
        let without = ModelInput { values: None, ..input.clone() };
        let without_mask = ModelInput { mask: no_mask, ..without.clone() };
        for (key, input) in [
            ("with_values", &input),
            ("without_values", &without),
            ("without_values_no_mask", &without_mask),
        ] {
            let predicted = host(model.predict(&model.encode(input)).value);
            let what = format!("{} {key}", case.name);
            assert_close(&what, &predicted, expected.f64(key), case.tolerance());
        }
    }
}

#[test]
fn golden_generative() {
    for case in cases(|case| case.json["kind"] == "generative_model") {
        check_generative(&case);
    }
}

fn check_generative(case: &Case) {
    let device = reference::device();
    let (model, config) = reference::model(case, "params.safetensors", &device);
    let inputs = case.tensors("inputs.safetensors");
    let expected = case.tensors("eval.safetensors");
    let input = generative_input(case, &inputs, &device, true);
    let (order, _, used) = order(&inputs, true);
    let (b, d) = (used.len(), config.d_model);
    let ours: Vec<usize> = (0..b).flat_map(|_| 0..order.len() / b).collect();
    let at_tokens = |what: &str, actual: Vec<f32>, parts: &[&str], width: usize| {
        assert_close(
            &format!("{} {what}", case.name),
            &at_used(&actual, width, &ours, &used),
            &at_used(&side_by_side(&expected, parts, b), width, &order, &used),
            case.tolerance(),
        );
    };
    let of_cells = |what: &str, actual: Vec<f32>| {
        let what_case = format!("{} {what}", case.name);
        assert_close(&what_case, &actual, expected.f64(what), case.tolerance());
    };
    let encoded = model.encode(&input);
    at_tokens("hidden", host(encoded.hidden.clone()), &["pcpt_hidden", "gen_hidden"], d);
    of_cells("cell_emb", host(encoded.cell.clone()));
    of_cells("cls_output", host(model.classify(&encoded).unwrap()));
    let predicted = model.predict(&encoded);
    at_tokens("preds", host(predicted.value), &["pcpt_preds", "gen_preds"], 1);
    if let Some(probability) = predicted.nonzero {
        at_tokens("zero_probs", host(probability), &["zero_probs"], 1);
    }
    if let Some(by_cell) = model.predict_from_cell(&encoded) {
        at_tokens("mvc_output", host(by_cell.value), &["mvc_output"], 1);
        if let Some(probability) = by_cell.nonzero {
            at_tokens("mvc_zero_probs", host(probability), &["mvc_zero_probs"], 1);
        }
    }

    // All rows projected.
    let weights = Weights::open(&case.path.join("params.safetensors")).unwrap();
    let uniform = ScgptConfig { project_unknown: true, ..config };
    let (uniform, _) = weights.load(&uniform, &device, Strictness::Strict).unwrap();
    at_tokens("uniform_hidden", host(uniform.encode(&input).hidden), &["uniform_hidden"], d);

    // The known tokens alone.
    let known = model.encode(&generative_input(case, &inputs, &device, false));
    of_cells("pcpt_only_cell_emb", host(known.cell.clone()));

    // A cell prompt.
    let prompt = reference::floats(&expected, "prompt_cell_emb", &device);
    let conditions = Conditions { prompt: Some(prompt), ..input.conditions.clone() };
    let prompted = model.encode(&ModelInput { conditions, ..input.clone() });
    let predicted = host(model.predict(&prompted).value);
    at_tokens("prompt preds", predicted, &["prompt_pcpt_preds", "prompt_gen_preds"], 1);
}

/// The short cuts of inference give the same embeddings.
fn check_cell_encoder(
    name: &str,
    (model, config, domain): (Scgpt, &ScgptConfig, usize),
    inputs: &Tensors,
    expected: &Tensors,
    tolerance: [f64; 2],
) {
    let to_token = |&gene: &i64| i32::try_from(gene).unwrap();
    let lengths: Vec<usize> =
        inputs.i64("lens").iter().map(|&n| usize::try_from(n).unwrap()).collect();
    let cell = CellEncoder::new(model, config).embed(TokenBatchView {
        n_tokens: inputs.shape("gene_ids")[1],
        genes: &inputs.i64("gene_ids").iter().map(to_token).collect::<Vec<_>>(),
        values: &inputs.f32("values"),
        lengths: &lengths,
        domain,
    });
    assert_close(&format!("{name} CellEncoder"), &cell, expected.f64("cell_emb"), tolerance);
}

#[test]
fn golden_checkpoint_directories() {
    for case in cases(|case| case.is("checkpoint") && case.path.join("best_model.pt").exists()) {
        let folder = ModelDir::open(&case.path).unwrap();
        folder.load(&reference::device(), Strictness::Strict).unwrap();
        let padded_states = match case.json["layout"].as_str().unwrap() {
            "Wqkv" => PaddedStates::PackedLayout,
            _ => PaddedStates::PlainLayout,
        };
        let config = ScgptConfig { padded_states, ..folder.config().clone() };
        let (model, _) =
            folder.weights().load(&config, &reference::device(), Strictness::Strict).unwrap();
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
            gepc: has("mvc_decoder.W.weight").then(Default::default),
            unknown_flag: has("flag_encoder.weight"),
            // The expected states come from the packed layout.
            padded_states: PaddedStates::PackedLayout,
            ..config
        };
        let strictness =
            if file.contains("extra") { Strictness::Partial } else { Strictness::Strict };
        let (model, report) = weights.load(&config, &reference::device(), strictness).unwrap();
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

/// The layout of classes for `transformers`: other names of parts, a prefix, and the keys of `args.json` in
/// `config.json`.
#[test]
fn golden_checkpoint_as_transformers_has_it() {
    for case in cases(|case| case.is("checkpoint_variants")) {
        check_as_transformers_has_it(&case);
    }
}

fn check_as_transformers_has_it(case: &Case) {
    let saved = case.tensors("wqkv.safetensors");
    let renamed = |name: &str| {
        let parts = [
            ("encoder.", "scgpt.gene_encoder."),
            ("value_encoder.", "scgpt.value_encoder."),
            ("transformer_encoder.", "scgpt.transformer."),
            ("decoder.", "scgpt.expr_decoder."),
        ];
        let (part, hub) = parts.iter().find(|(part, _)| name.starts_with(part))?;
        Some(name.replacen(part, hub, 1).replace("Wqkv.", "in_proj_"))
    };
    let tensors = saved
        .names()
        .filter_map(|name| Some((renamed(name)?, saved.shape(name).to_vec(), saved.f32(name))));
    let tensors: Vec<_> = tensors.collect();
    assert_eq!(tensors.len(), 3 + 6 + 2 * 12 + 6);
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    scgpt_model::save_tensors(&at("model.safetensors"), tensors).unwrap();
    std::fs::copy(case.path.join("vocab.json"), at("vocab.json")).unwrap();
    let config = r#"{"architectures": ["ScGPTModel"], "embsize": 16, "nlayers": 2, "nhead": 2, "d_hid": 24,
        "vocab_size": 30, "pad_token_id": 27, "dropout": 0.2}"#;
    std::fs::write(at("config.json"), config).unwrap();

    let folder = ModelDir::open(place.path()).unwrap();
    assert!(folder.config().gepc.is_none() && !folder.config().unknown_flag);
    let config =
        ScgptConfig { padded_states: PaddedStates::PackedLayout, ..folder.config().clone() };
    let (model, report) =
        folder.weights().load(&config, &reference::device(), Strictness::Strict).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let inputs = case.tensors("inputs.safetensors");
    let expected = case.tensors("expected.safetensors");
    let encoded = model.encode(&input(&inputs));
    for (key, actual) in [
        ("transformer_output", host(encoded.hidden.clone())),
        ("cell_emb", host(encoded.cell.clone())),
        ("mlm_output", host(model.predict(&encoded).value)),
    ] {
        assert_close(key, &actual, expected.f64(key), case.tolerance());
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
            weights
                .load(&config, &reference::device(), Strictness::Strict)
                .map(|_| ())
                .expect_err(file)
        }
    }
}
