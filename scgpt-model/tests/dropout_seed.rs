//! The seed of the device decides what dropout drops. The generator belongs to the process, so this
//! test has one of its own: beside another that draws, it could pass or fail by chance.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::prelude::*;
use scgpt_model::{AttentionMask, ModelInput, ScgptConfig};

#[test]
fn the_seed_of_the_device_decides_what_is_dropped() {
    let config =
        ScgptConfig { d_model: 32, n_heads: 2, d_ff: 48, n_layers: 2, ..ScgptConfig::new(60) };
    assert!(config.dropout > 0.0);
    let device = Device::flex().autodiff();
    let model = config.init(&device).unwrap();
    let input = ModelInput::new(
        Tensor::from_data(TensorData::new((0..40).collect::<Vec<i32>>(), [2, 20]), &device),
        Tensor::from_data(TensorData::new(vec![3.0_f32; 40], [2, 20]), &device),
        AttentionMask::padding(vec![20, 13], 20),
    );
    let draw = || model.encode(&input).hidden.into_data();
    let seeded = |seed: u64| {
        device.seed(seed);
        [draw(), draw()]
    };
    // Parameters are drawn when they are first used, and that is not what is asked here.
    draw();
    let [first, second] = seeded(5);
    assert_ne!(first, second);
    let [other, _] = seeded(6);
    assert_ne!(first, other);
    for _ in 0..3 {
        assert_eq!(seeded(5), [first.clone(), second.clone()]);
    }
}
