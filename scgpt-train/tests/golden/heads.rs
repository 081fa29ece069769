//! The heads on their own: gene and cell embeddings in, predictions and gradients out.

use burn::{module::Param, prelude::*};
use scgpt_fixtures::{Case, Tensors, assert_close};
use scgpt_model::{GepcStyle, MapNamed, ParameterName, Scgpt, ScgptConfig};
use scgpt_train::cross_entropy;
use serde_json::Value;

use crate::reference::host;

/// Puts the tensors of an entry in the place of a head's parameters.
struct Fill<'a> {
    tensors: &'a Tensors,
    prefix: &'static str,
    entry: String,
}

impl MapNamed for Fill<'_> {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let Some(rest) = name.key.strip_prefix(self.prefix) else { return parameter };
        let key = format!("{}.params.{rest}", self.entry);
        let device = parameter.lazy_device();
        let shape = self.tensors.shape(&key).to_vec();
        let tensor =
            Tensor::<D>::from_data(TensorData::new(self.tensors.f32(&key), shape), &device);
        Param::from_tensor(if name.is_transposed { tensor.transpose() } else { tensor })
    }
}

fn network(config: &ScgptConfig, device: &Device, fill: &mut Fill<'_>) -> Scgpt {
    config.init(device).unwrap().map_named(fill)
}

fn config(d_model: usize) -> ScgptConfig {
    ScgptConfig { d_model, n_heads: 1, d_ff: 4, n_layers: 1, ..ScgptConfig::new(4) }
}

fn leaf<const D: usize>(tensors: &Tensors, name: &str, device: &Device) -> Tensor<D> {
    let shape = tensors.shape(name).to_vec();
    Tensor::from_data(TensorData::new(tensors.f32(name), shape), device).require_grad()
}

/// The discriminator's loss, and its gradient behind the reversal and without it.
pub(crate) fn check_discriminator(case: &Case, entry: &Value, tensors: &Tensors) {
    let device = crate::reference::device().autodiff();
    let name = entry["name"].as_str().unwrap();
    let cell = leaf::<2>(tensors, &format!("{name}.emb"), &device);
    let n_domains = tensors.shape("dab.params.out_layer.bias")[0];
    let d_model = cell.dims()[1];
    let mut fill = Fill { tensors, prefix: "grad_reverse_discriminator.", entry: "dab".into() };
    let config = ScgptConfig { dar: true, n_domains, ..config(d_model) };
    let model = network(&config, &device, &mut fill);
    let labels = crate::reference::labels(tensors, &format!("{name}.labels"), &device);
    let logits = model.dar.unwrap().forward(cell.clone());
    let loss = cross_entropy(logits, labels, None);
    let (value, gradient) = tolerances(case);
    assert_close(name, &host(loss.clone()), &[entry["value"].as_f64().unwrap()], value);
    let found = host(cell.grad(&loss.backward()).unwrap());
    // What is expected without the reversal is what we find behind it, with the other sign.
    let sign = if name.ends_with("no_reverse") { -1.0 } else { 1.0 };
    let expected: Vec<f64> =
        tensors.f64(&format!("{name}.grad.emb")).iter().map(|x| sign * x).collect();
    assert_close(&format!("{name} gradient"), &found, &expected, gradient);
}

/// The four styles of the cell decoder.
pub(crate) fn check_gepc(case: &Case, entry: &Value, tensors: &Tensors) {
    let device = crate::reference::device().autodiff();
    let name = entry["name"].as_str().unwrap();
    let cell = leaf::<2>(tensors, &format!("{name}.cell_emb"), &device);
    let genes = leaf::<3>(tensors, &format!("{name}.gene_embs"), &device);
    let style = match name {
        _ if name.contains("detach") => GepcStyle::InnerProductDetached,
        _ if name.contains("concat") => GepcStyle::Concat,
        _ if name.contains("sum") => GepcStyle::Sum,
        _ => GepcStyle::InnerProduct,
    };
    let config = ScgptConfig {
        gepc: Some(style),
        zero_probability: name.ends_with("_zero"),
        ..config(cell.dims()[1])
    };
    let mut fill = Fill { tensors, prefix: "mvc_decoder.", entry: name.into() };
    let head = network(&config, &device, &mut fill).gepc.unwrap();
    let predicted = head.forward(cell.clone(), genes.clone());
    let (value, gradient) = tolerances(case);
    let weight = crate::reference::floats(tensors, &format!("{name}.weight"), &device);
    let out = format!("{name}.out.pred");
    assert_close(&out, &host(predicted.value.clone()), tensors.f64(&out), value);
    let mut loss = (predicted.value * weight.clone()).sum();
    if let Some(probability) = predicted.nonzero {
        let out = format!("{name}.out.zero_probs");
        assert_close(&out, &host(probability.clone()), tensors.f64(&out), value);
        loss = loss + (probability * weight).sum() * 2.0;
    }
    // The sum cancels: its error is that of its largest terms in f32.
    let [rtol, atol] = value;
    let sum = [entry["value"].as_f64().unwrap()];
    assert_close(name, &host(loss.clone()), &sum, [rtol, 10.0 * atol]);
    let gradients = loss.backward();
    let key = format!("{name}.grad.cell_emb");
    assert_close(&key, &host(cell.grad(&gradients).unwrap()), tensors.f64(&key), gradient);
    let key = format!("{name}.grad.gene_embs");
    match genes.grad(&gradients) {
        Some(found) if tensors.has(&key) => {
            assert_close(&key, &host(found), tensors.f64(&key), gradient);
        }
        found => assert!(
            found.is_none_or(|found| host(found).iter().all(|x| x.abs() < 1e-12)),
            "{name}: gene vectors learn"
        ),
    }
}

fn tolerances(case: &Case) -> ([f64; 2], [f64; 2]) {
    let of = |part: &str| {
        ["rtol", "atol"].map(|key| case.json["tolerance"][part][key].as_f64().unwrap())
    };
    (of("value"), of("grads"))
}
