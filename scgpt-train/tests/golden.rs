//! Parity of losses, gradients, schedules and optimiser steps with the reference implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "golden/heads.rs"]
mod heads;
#[path = "golden/losses.rs"]
mod losses;
#[path = "../../scgpt-model/tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeMap;

use burn::{module::Param, prelude::*};
use reference::{host, labels};
use scgpt_fixtures::{Case, Tensors, assert_close, cases};
use scgpt_model::{ModelInput, ParameterName, Scgpt, VisitNamed};
use scgpt_train::{
    LossTerms, NamedGradients, Objectives, Optimizer, OptimizerConfig, Progress, Schedule, Targets,
};
use serde_json::Value;

/// The reference's names of our terms, in the names of each kind of case.
const NAMES: [(&str, &[&str]); 9] = [
    ("gep", &["gep", "mse", "gen"]),
    ("gep_zero", &["gep_nzlp", "nzlp", "gen_nzlp"]),
    ("gepc", &["gepc", "mvc"]),
    ("gepc_zero", &["gepc_nzlp", "mvc_nzlp"]),
    ("cell_prompt", &["gen_cell_prompt"]),
    ("ecs", &["ecs"]),
    ("class", &["cls"]),
    ("dar", &["dab"]),
    ("contrastive", &["cce"]),
];

fn theirs(ours: &str, losses: &Value) -> Option<f64> {
    let (_, names) = NAMES.iter().find(|(name, _)| *name == ours).unwrap();
    names.iter().find_map(|name| losses[name].as_f64())
}

/// The weight of ECS in the total, where the case does not say it.
fn ecs_weight(case: &Case) -> f64 {
    let usual = if case.json["kind"] == "perturbation_generator" { 1.0 } else { 10.0 };
    let said = ["loss_weights", "weights"].map(|key| case.json[key]["ecs"].as_f64());
    said.into_iter().flatten().next().unwrap_or(usual)
}

/// The objectives that a case has losses of.
fn objectives(case: &Case, losses: &Value) -> Objectives {
    let weight = |ours: &str| f64::from(u8::from(theirs(ours, losses).is_some()));
    let ecs = ecs_weight(case);
    Objectives {
        gep: weight("gep"),
        gep_zero: weight("gep_zero"),
        gepc: weight("gepc"),
        gepc_zero: weight("gepc_zero"),
        cell_prompt: weight("cell_prompt"),
        ecs: ecs * weight("ecs"),
        ecs_threshold: case.json["config"]["ecs_threshold"].as_f64().unwrap_or(0.3),
        dar: weight("dar"),
        class: weight("class"),
        contrastive: 10.0 * weight("contrastive"),
    }
}

/// Classes of cells that have no tensor of them: as the case lists them, else in turn.
fn classes_of(case: &Case, n_cells: usize) -> Vec<i64> {
    if let Some(labels) = case.json["celltype_labels"].as_array() {
        return labels.iter().map(|label| label.as_i64().unwrap()).collect();
    }
    let n_classes = case.json["config"]["n_cls"].as_i64().unwrap_or(1);
    (0..i64::try_from(n_cells).unwrap()).map(|cell| cell % n_classes).collect()
}

fn targets(case: &Case, tensors: &Tensors, input: &ModelInput, device: &Device) -> Targets {
    let optional = |name: &str| tensors.has(name).then(|| labels(tensors, name, device));
    let domains = optional("dab_labels").or_else(|| optional("batch_labels"));
    let [b, t] = input.genes.dims();
    let classes = optional("celltype_labels").or_else(|| {
        let labels = classes_of(case, b);
        Some(Tensor::from_data(TensorData::new(labels, [b]), device))
    });
    let floats = |data: Vec<f32>| Tensor::from_data(TensorData::new(data, [b, t]), device);
    if tensors.has("gen_targets") {
        let (order, known, used) = reference::order(tensors, true);
        let p = tensors.shape("pcpt_genes")[1];
        let g = tensors.shape("gen_genes")[1];
        let all = tensors.f32("gen_targets");
        let value = |row: usize| match order[row].checked_sub(p) {
            Some(at) => all[row / t * g + at],
            None => 0.0,
        };
        let is_target =
            |row: usize| f32::from(u8::from((known[row / t]..used[row / t]).contains(&(row % t))));
        return Targets {
            values: floats((0..b * t).map(value).collect()),
            is_target: floats((0..b * t).map(is_target).collect()),
            classes,
            class_weights: None,
            domains,
        };
    }
    let mask_value = case.json["mask_value"].as_f64();
    #[allow(clippy::float_cmp, reason = "a marker, not a measurement")]
    let is_masked = |&value: &f32| mask_value.is_none_or(|mask| f64::from(value) == mask);
    let values = tensors.f32("values");
    Targets {
        values: reference::floats(tensors, "target_values", device),
        is_target: floats(values.iter().map(|v| f32::from(u8::from(is_masked(v)))).collect()),
        classes,
        class_weights: None,
        domains,
    }
}

/// Shape and orientation of every parameter, by name.
#[derive(Default)]
struct Parameters(BTreeMap<String, (Vec<usize>, bool, Vec<f32>)>);

impl VisitNamed for Parameters {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        let tensor = parameter.val();
        let shape = tensor.dims().to_vec();
        let values = if name.is_transposed { host(tensor.transpose()) } else { host(tensor) };
        self.0.insert(name.key, (shape, name.is_transposed, values));
    }
}

impl Parameters {
    fn of(model: &Scgpt) -> Self {
        let mut parameters = Self::default();
        model.visit_named(&mut parameters);
        parameters
    }

    /// A gradient in the axis order of the file.
    fn oriented(&self, name: &str, gradient: &Tensor<1>) -> Vec<f32> {
        let (shape, is_transposed, _) = &self.0[name];
        if *is_transposed {
            host(gradient.clone().reshape([shape[0], shape[1]]).transpose())
        } else {
            host(gradient.clone())
        }
    }
}

fn gradients(terms: &LossTerms, model: &Scgpt) -> NamedGradients {
    NamedGradients::take(terms.total().unwrap().backward(), model)
}

/// `rel_to_tensor_max · max |b| + rel_to_global_max · grad_global_max`.
fn assert_gradients(
    case: &Case,
    expected: &Tensors,
    prefix: &str,
    model: &Scgpt,
    actual: &NamedGradients,
) {
    let tolerance = &case.json["tolerance"]["grads"];
    let [of_tensor, of_all] =
        ["rel_to_tensor_max", "rel_to_global_max"].map(|key| tolerance[key].as_f64().unwrap());
    let largest = case.json["tolerance"]["grad_global_max"]
        .as_f64()
        .or(case.json["grad_global_max"].as_f64())
        .unwrap();
    let parameters = Parameters::of(model);
    for name in expected.names().filter(|name| name.starts_with(prefix)) {
        let b = expected.f64(name);
        let name = &packed(&name[prefix.len()..]);
        let zeros = vec![0.0; b.len()];
        let a = actual.get(name).map_or(zeros, |gradient| parameters.oriented(name, gradient));
        let peak = b.iter().fold(0.0_f64, |peak, x| peak.max(x.abs()));
        let atol = of_tensor * peak + of_all * largest;
        assert_close(&format!("{} gradient of {name}", case.name), &a, b, [0.0, atol]);
    }
    for name in case.json["grad_none"].as_array().into_iter().flatten() {
        assert!(actual.get(name.as_str().unwrap()).is_none(), "{}: gradient of {name}", case.name);
    }
}

/// The packed spelling of a name of the plain layout.
fn packed(name: &str) -> String {
    name.replace("self_attn.in_proj_", "self_attn.Wqkv.")
}

#[test]
fn golden_gradients() {
    for case in cases(|case| case.path.join("grads.safetensors").exists()) {
        check_gradients(&case);
    }
}

fn check_gradients(case: &Case) {
    let device = reference::device().autodiff();
    let (model, config) = reference::model(case, "params.safetensors", &device);
    let tensors = case.tensors("inputs.safetensors");
    let input = reference::input(case, &tensors, &device);
    let targets = targets(case, &tensors, &input, &device);
    let losses = &case.json["losses"];
    let objectives = objectives(case, losses);
    objectives.check(&config).unwrap();

    let terms = objectives.terms(&model, &input, &targets);
    let values = host(terms.stacked().unwrap());
    for (term, value) in terms.names().zip(values) {
        let mut expected = theirs(term.name(), losses).unwrap();
        let has_weight = ["multiomic_model", "generative_model"].iter().any(|&kind| case.is(kind));
        if term.name() == "ecs" && has_weight {
            expected /= ecs_weight(case);
        }
        assert_close(
            &format!("{} {}", case.name, term.name()),
            &[value],
            &[expected],
            [1e-4, 2e-5],
        );
    }
    let total = host(terms.total().unwrap());
    let expected = case.json["total_loss"].as_f64().unwrap();
    assert_close(&format!("{} total", case.name), &total, &[expected], [1e-4, 2e-5]);

    let gradients = gradients(&terms, &model);
    let expected = case.tensors("grads.safetensors");
    assert_gradients(case, &expected, "", &model, &gradients);
    check_train_outputs(case, &model, &input);
    check_statistics(case);
    if case.path.join("grads_dab_only.safetensors").exists() {
        let only = Objectives { dar: 1.0, ..Objectives::default() };
        let reversed = only.terms(&model, &input, &targets);
        let expected = case.tensors("grads_dab_only.safetensors");
        let mut reversed = self::gradients(&reversed, &model);
        assert_gradients(case, &expected, "reversed.", &model, &reversed);
        // Without the reversal, everything before the discriminator has the opposite sign.
        for (name, gradient) in reversed.iter_mut() {
            if !name.starts_with("grad_reverse_discriminator.") {
                *gradient = -gradient.clone();
            }
        }
        assert_gradients(case, &expected, "plain.", &model, &reversed);
    }
}

/// What the network says in training mode.
fn check_train_outputs(case: &Case, model: &Scgpt, input: &ModelInput) {
    let expected = case.tensors("train.safetensors");
    let encoded = model.encode(input);
    let close = |key: &str, actual: Vec<f32>| {
        if expected.has(key) {
            assert_close(
                &format!("{} train {key}", case.name),
                &actual,
                expected.f64(key),
                case.tolerance(),
            );
        }
    };
    close("transformer_output", host(encoded.hidden.clone()));
    close("cell_emb", host(encoded.cell.clone()));
    if !expected.has("mlm_output") {
        return;
    }
    let by_token = model.predict(&encoded);
    close("mlm_output", host(by_token.value));
    if let Some(probability) = by_token.nonzero {
        close("mlm_zero_probs", host(probability));
    }
    if let Some(by_cell) = model.predict_from_cell(&encoded) {
        close("mvc_output", host(by_cell.value));
        if let Some(probability) = by_cell.nonzero {
            close("mvc_zero_probs", host(probability));
        }
    }
}

/// Moves running statistics by the batches that have passed, as a training step does.
fn move_statistics(model: &Scgpt) {
    if let Some(norm) = &model.input_norm {
        norm.run(&norm.take_statistics());
    }
}

/// The running statistics after one pass in training mode.
fn check_statistics(case: &Case) {
    let path = case.path.join("buffers_after_train_step.safetensors");
    if !path.exists() {
        return;
    }
    let device = reference::device().autodiff();
    let (model, _) = reference::model(case, "params.safetensors", &device);
    let _ = model.encode(&reference::input(case, &case.tensors("inputs.safetensors"), &device));
    move_statistics(&model);
    let model = model.valid();
    let parameters = Parameters::of(&model);
    let expected = Tensors::read(path);
    for name in expected.names().filter(|name| !name.ends_with("num_batches_tracked")) {
        let what = format!("{} {name}", case.name);
        assert_close(&what, &parameters.0[name].2, expected.f64(name), case.tolerance());
    }
}

#[test]
fn golden_training() {
    for case in cases(|case| case.name.contains("training_")) {
        check_training(&case);
    }
}

fn check_training(case: &Case) {
    let json = &case.json;
    let device = reference::device().autodiff();
    let (mut model, _) = reference::model(case, "init.safetensors", &device);
    let recipe = &json["optimizer"];
    let config = OptimizerConfig {
        lr: recipe["lr"].as_f64().unwrap(),
        epsilon: recipe["eps"].as_f64().unwrap() as f32,
        ..OptimizerConfig::default()
    };
    let mut optimizer = Optimizer::new(&config);
    let gamma = json["scheduler"]["gamma"].as_f64().unwrap();
    let schedule = Schedule::EpochStep { gamma, every: 1 };
    let n_batches = json["n_batches"].as_u64().unwrap();
    let components = &json["components"][0];
    let losses = if components.is_object() { components.clone() } else { weights(json) };
    let objectives = objectives(case, &losses);
    for step in 0..json["steps"].as_u64().unwrap() {
        let tensors = case.tensors(&format!("batch{}.safetensors", step % n_batches));
        let input = reference::input(case, &tensors, &device);
        let targets = targets(case, &tensors, &input, &device);
        let terms = objectives.terms(&model, &input, &targets);
        move_statistics(&model);
        let at = |key: &str| json[key][usize::try_from(step).unwrap()].as_f64().unwrap();
        let tolerance = &json["tolerance"]["losses"];
        let tolerance = ["rtol", "atol"].map(|key| tolerance[key].as_f64().unwrap());
        let total = host(terms.total().unwrap());
        assert_close(&format!("{} loss {step}", case.name), &total, &[at("losses")], tolerance);

        let mut gradients = gradients(&terms, &model);
        let norm = gradients.norm().unwrap();
        let rtol = json["tolerance"]["grad_norms"]["rtol"].as_f64().unwrap();
        let what = format!("{} norm {step}", case.name);
        assert_close(&what, &host(norm.clone()), &[at("grad_norms")], [rtol, 0.0]);
        gradients.clip(&norm, json["clip_grad_norm"].as_f64().unwrap());

        let progress = Progress { step, epoch: step / n_batches, total_steps: 0 };
        let lr = config.lr * schedule.factor(progress);
        assert!((lr - at("lrs")).abs() < 1e-12, "{} lr {step}: {lr}", case.name);
        model = optimizer.step(lr, model, &gradients);
        if step == 0 {
            check_parameters(case, &model, "after_first_step.safetensors", config.lr);
        }
    }
    let steps = json["steps"].as_f64().unwrap();
    check_parameters(case, &model, "final.safetensors", config.lr * steps);
}

fn weights(json: &Value) -> Value {
    json["weights"].clone()
}

fn check_parameters(case: &Case, model: &Scgpt, file: &str, moved: f64) {
    let tolerance = &case.json["tolerance"]["final"];
    let [atol, bias_atol] = ["atol", "wqkv_bias_atol"].map(|key| tolerance[key].as_f64().unwrap());
    let expected = case.tensors(file);
    let parameters = Parameters::of(&model.valid());
    let d = usize::try_from(case.json["config"]["d_model"].as_u64().unwrap()).unwrap();
    let without_gradient = case.json["zero_gradient_parameters"].as_array().unwrap();
    for name in expected.names().filter(|name| parameters.0.contains_key(*name)) {
        let (actual, expected) = (&parameters.0[name].2, expected.f64(name));
        let what = format!("{} {file} {name}", case.name);
        if name.ends_with("self_attn.Wqkv.bias") || name.ends_with("in_proj_bias") {
            let keys = d..2 * d;
            assert_close(&what, &actual[keys.clone()], &expected[keys], [0.0, bias_atol]);
            for rest in [0..d, 2 * d..3 * d] {
                assert_close(&what, &actual[rest.clone()], &expected[rest], [0.0, atol]);
            }
        } else if without_gradient.iter().any(|other| other == name) {
            assert_close(&what, actual, expected, [0.0, moved]);
        } else {
            assert_close(&what, actual, expected, [0.0, atol]);
        }
    }
    assert!(expected.names().filter(|name| parameters.0.contains_key(*name)).count() > 20);
}

#[test]
fn golden_schedules() {
    for case in cases(|case| case.name.contains("lr_schedules")) {
        for (key, entry) in case.json.as_object().unwrap() {
            let Some(values) = entry["values"].as_array() else { continue };
            let base = entry["base"].as_f64().unwrap();
            let schedule = match entry["interval"].as_u64() {
                Some(every) => {
                    Schedule::EpochStep { gamma: entry["gamma"].as_f64().unwrap(), every }
                }
                None => Schedule::WarmupCosine {
                    warmup: entry["warmup_ratio_or_step"].as_f64().unwrap(),
                },
            };
            let total_steps = entry["total_steps"].as_u64().unwrap_or(0);
            for (step, value) in (0..).zip(values) {
                let lr = base * schedule.factor(Progress { step, epoch: step, total_steps });
                let expected = value.as_f64().unwrap();
                assert!(
                    (lr - expected).abs() <= 1e-12 + 1e-6 * expected,
                    "{} {key} {step}: {lr}, expected {expected}",
                    case.name
                );
            }
        }
    }
}
