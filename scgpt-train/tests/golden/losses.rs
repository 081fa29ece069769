//! Every loss on its own, with its gradient.

use burn::prelude::*;
use scgpt_fixtures::{Case, Tensors, assert_close, cases};
use scgpt_train::{
    contrastive, cross_entropy, elastic_cell_similarity, masked_relative_error,
    masked_squared_error, negative_log_bernoulli,
};
use serde_json::Value;

use crate::{heads, reference::host};

#[test]
fn golden_losses() {
    for case in cases(|case| case.name == "losses" || case.is("loss_terms")) {
        let tensors = case.tensors("tensors.safetensors");
        let mut n_checked = 0;
        for entry in case.json["cases"].as_array().unwrap() {
            check(&case, entry, &tensors);
            n_checked += 1;
        }
        assert!(n_checked > 15, "{n_checked} terms");
    }
}

fn check(case: &Case, entry: &Value, tensors: &Tensors) {
    let device = crate::reference::device().autodiff();
    let of = |role: &str| entry["inputs"][role].as_str().unwrap();
    let shaped = |role: &str| -> Tensor<2> {
        let values = tensors.f32(of(role));
        let shape = tensors.shape(of(role));
        let columns = shape.last().copied().unwrap_or(1);
        let rows = values.len() / columns;
        Tensor::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let labels = |role: &str| -> Tensor<1, Int> {
        let values = tensors.i64(of(role));
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &device)
    };
    let (roles, inputs): (Vec<&str>, Vec<Tensor<2>>) = ["input", "emb", "emb1", "emb2", "logits"]
        .into_iter()
        .filter(|role| entry["inputs"][role].is_string())
        .map(|role| (role, shaped(role).require_grad()))
        .unzip();
    let input = |index: usize| inputs[index].clone();
    let note = entry["note"].as_str().unwrap();
    let loss = match entry["kind"].as_str().unwrap() {
        "masked_mse" => masked_squared_error(input(0), shaped("target"), shaped("mask")),
        "masked_relative_error" => {
            masked_relative_error(input(0), shaped("target"), shaped("mask"))
        }
        "neg_log_bernoulli" => negative_log_bernoulli(input(0), shaped("target"), shaped("mask")),
        "ecs" => {
            let name = entry["name"].as_str().unwrap();
            let threshold = name.strip_prefix("ecs_thr").map_or(0.3, |text| text.parse().unwrap());
            elastic_cell_similarity(input(0), threshold)
        }
        "cce" => contrastive(input(0), input(1)),
        "cross_entropy" => cross_entropy(input(0), labels("labels"), None),
        "dab" => return heads::check_discriminator(case, entry, tensors),
        "mvc_decoder" => return heads::check_gepc(case, entry, tensors),
        other => panic!("{}: no check of {other}", case.name),
    };
    let what = format!("{} {}", case.name, entry["name"]);
    let tolerance = |part: &str| {
        ["rtol", "atol"].map(|key| case.json["tolerance"][part][key].as_f64().unwrap())
    };
    // The reference has no number where nothing is masked; ours is 0.
    let expected = entry["value"].as_f64().unwrap_or(0.0);
    assert_close(&what, &host(loss.clone()), &[expected], tolerance("value"));
    let mut gradients = loss.backward();
    for (role, input) in roles.iter().zip(&inputs) {
        let Some(name) = entry["grads"][role].as_str() else { continue };
        let gradient = input.grad_remove(&mut gradients);
        let n = tensors.f64(name).len();
        let gradient = gradient.map_or_else(|| vec![0.0; n], host);
        assert!(gradient.iter().all(|x| x.is_finite()), "{what}: {gradient:?}");
        if !note.contains("need not match") {
            assert_close(
                &format!("{what} {role}"),
                &gradient,
                tensors.f64(name),
                tolerance("grads"),
            );
        }
    }
}
