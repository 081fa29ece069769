//! A network whose products are of bf16 numbers, and its gradients, against the same in f32.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::{module::Param, prelude::*, tensor::Gradients};
use scgpt_kernels::{Cpu, InstructionSet};
use scgpt_model::{
    AttentionMask, Format, GepcStyle, ModelInput, ParameterName, Scgpt, ScgptConfig, VisitNamed,
    has_kernels, packed_format,
};

/// Tiles of the processor, or with the same bits in portable code.
fn install_tiles() {
    let processor = Cpu::with(InstructionSet::Amx);
    let tiles = processor.unwrap_or_else(|_| Cpu::with(InstructionSet::Software).unwrap());
    tiles.install().unwrap();
}

/// Gradients by name.
struct Found(Gradients, Vec<(String, Vec<f32>)>);

impl VisitNamed for Found {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = parameter.val().grad_remove(&mut self.0) {
            self.1.push((name.key, gradient.into_data().try_into_vec().unwrap()));
        }
    }
}

/// Cells of ten tokens, of which some are unknown and some padding.
fn input(device: &Device) -> ModelInput {
    let genes: Vec<i32> = (0..30).map(|i| (i * 7) % 50).collect();
    let values: Vec<f32> = (0..30_u8).map(|i| f32::from((i * 11) % 51)).collect();
    let mask = AttentionMask::generative(vec![6, 10, 1], vec![9, 10, 4], 10);
    let genes = Tensor::from_data(TensorData::new(genes, [3, 10]), device);
    ModelInput::new(genes, Tensor::from_data(TensorData::new(values, [3, 10]), device), mask)
}

/// All predictions, and the gradients of a loss on them.
fn answer(model: &Scgpt, device: &Device) -> Vec<(String, Vec<f32>)> {
    let encoded = model.encode(&input(device));
    let value = model.predict(&encoded).value;
    let from_cell = model.predict_from_cell(&encoded).unwrap().value;
    let all = Tensor::cat(vec![value, from_cell], 1);
    let mut found = Found((all.clone().tanh().sum() / 60.0).backward(), Vec::new());
    model.visit_named(&mut found);
    found.1.push(("predictions".into(), all.into_data().try_into_vec().unwrap()));
    found.1
}

/// `1 − cosine`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    1.0 - product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[test]
fn predictions_and_gradients_are_near_those_in_f32() {
    install_tiles();
    let device = Device::flex().autodiff();
    let shape = ScgptConfig {
        d_model: 64,
        n_heads: 4,
        d_ff: 96,
        n_layers: 3,
        dropout: 0.0,
        gepc: Some(GepcStyle::InnerProduct),
        unknown_flag: true,
        ..ScgptConfig::new(60)
    };
    device.seed(3);
    let model = shape.init(&device).unwrap();
    let expected = answer(&model, &device);
    for (format, most) in [(Format::Bf16x6, 1e-9), (Format::Bf16x3, 1e-7), (Format::Bf16, 2e-3)] {
        assert_eq!(packed_format(format, &device), Some(format));
        let packed = model.clone().computing_in(format);
        let actual = answer(&packed, &device);
        assert_eq!(actual.len(), expected.len());
        assert_ne!(actual, expected, "{format} has been used");
        for ((name, actual), (same, expected)) in actual.iter().zip(&expected) {
            assert_eq!(name, same);
            // Some have no gradient but what rounding leaves: the bias of keys cancels out.
            if expected.iter().any(|x| x.abs() > 1e-6) {
                let distance = distance(actual, expected);
                assert!(distance < most, "{format}: {name} is {distance:e} off");
            }
        }
        assert_eq!(answer(&packed, &device), actual, "what is packed is used again");
    }
    assert!(has_kernels(&device) && packed_format(Format::F32, &device).is_none());
    assert_eq!(answer(&model.computing_in(Format::F32), &device), expected);
}
