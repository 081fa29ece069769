//! The layer in a format of the kernels against burn's.

use burn::{prelude::*, tensor::Distribution};

use super::{Format, Linear};

/// The output, and the gradients of input, weight and bias, of a loss that weighs outputs unequally.
fn answer(layer: &Linear, x: &TensorData, device: &Device) -> Vec<Vec<f32>> {
    let x = Tensor::<3>::from_data(x.clone(), device).require_grad();
    let out = layer.forward(x.clone());
    let gradients = (out.clone().sin() * out.clone()).sum().backward();
    let parameters = [
        x.grad(&gradients).map(|x| x.into_data()),
        layer.weight.val().grad(&gradients).map(|x| x.into_data()),
        layer.bias.as_ref().and_then(|bias| bias.val().grad(&gradients)).map(|x| x.into_data()),
    ];
    let all = std::iter::once(out.inner().into_data()).chain(parameters.into_iter().flatten());
    all.map(|data| data.try_into_vec().unwrap()).collect()
}

#[test]
fn it_equals_the_layer_of_burn() {
    let device = Device::flex().autodiff();
    for (d_in, d_out, has_bias) in [(32, 32, true), (48, 70, true), (70, 33, false)] {
        let mut layer = Linear::new(d_in, d_out, &device);
        layer.bias = layer.bias.filter(|_| has_bias);
        let x = Tensor::<3>::random([3, 17, d_in], Distribution::Normal(0.0, 1.0), &device);
        let x = x.into_data();
        let expected = answer(&layer, &x, &device);
        layer.compute_in(Some(Format::Bf16x6));
        assert!(layer.packed.is_some());
        let actual = answer(&layer, &x, &device);
        assert_eq!([actual.len(), expected.len()], [3 + usize::from(has_bias); 2]);
        for (actual, expected) in actual.iter().zip(&expected) {
            assert_eq!(actual.len(), expected.len());
            for (actual, expected) in actual.iter().zip(expected) {
                assert!((actual - expected).abs() < 2e-5 * expected.abs().max(1.0));
            }
        }
        layer.compute_in(None);
        assert_eq!(answer(&layer, &x, &device), expected);
    }
}

#[test]
fn what_does_not_learn_has_no_gradient() {
    let device = Device::flex().autodiff();
    let mut layer = Linear::new(32, 40, &device);
    layer.compute_in(Some(Format::Bf16));
    let x = Tensor::<3>::ones([1, 2, 32], &device).into_data();
    let learning = answer(&layer, &x, &device);
    let frozen = layer.no_grad();
    let still = answer(&frozen, &x, &device);
    assert_eq!([learning.len(), still.len()], [4, 2]);
    assert_eq!(learning[..2], still[..]);
}

#[test]
fn a_narrow_layer_stays_with_burn() {
    let mut layer = Linear::new(64, 1, &Device::flex());
    layer.compute_in(Some(Format::Bf16));
    assert!(layer.packed.is_none());
}

#[test]
#[should_panic(expected = "another width")]
fn an_input_of_another_width_is_refused() {
    let mut layer = Linear::new(64, 32, &Device::flex());
    layer.compute_in(Some(Format::Bf16));
    let _ = layer.forward(Tensor::<2>::zeros([1, 32], &Device::flex()));
}
