//! The fused operators against burn's operations.

use burn::{
    nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig},
    prelude::*,
    tensor::{
        Distribution,
        activation::{self, relu},
    },
};
use proptest::prelude::*;

use super::{
    add_bias, add_norm,
    flex::{self, Drop},
    leaky_relu, relu_drop,
};

fn recording() -> Device {
    Device::flex().autodiff()
}

fn random(shape: [usize; 3]) -> Tensor<3> {
    Tensor::random(shape, Distribution::Normal(0.5, 2.0), &recording())
}

fn no_dropout() -> Dropout {
    DropoutConfig::new(0.0).init()
}

fn norm(d: usize) -> LayerNorm {
    let mut norm = LayerNormConfig::new(d).init(&recording());
    let random = || Tensor::random([d], Distribution::Normal(1.0, 0.5), &recording());
    norm.gamma = norm.gamma.map(|_| random().require_grad());
    norm.beta = norm.beta.map(|beta| beta.map(|_| random().require_grad()));
    norm
}

/// The value of `f(inputs)` and the gradients of the inputs, given one gradient of the value.
fn answer<const N: usize>(
    inputs: [Tensor<3>; N],
    norm: &LayerNorm,
    weights: &Tensor<3>,
    f: impl Fn([Tensor<3>; N]) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let inputs = inputs.map(|input| input.detach().require_grad());
    let out = f(inputs.clone());
    let gradients = (out.clone() * weights.clone()).sum().backward();
    let parameters = [&norm.gamma, norm.beta.as_ref().unwrap()];
    let parameters = parameters.into_iter().filter_map(|p| p.val().grad(&gradients));
    let values = |data: TensorData| data.try_into_vec::<f32>().unwrap();
    std::iter::once(values(out.into_data()))
        .chain(inputs.iter().map(|input| values(input.grad(&gradients).unwrap().into_data())))
        .chain(parameters.map(|gradient| values(gradient.into_data())))
        .collect()
}

fn close(actual: &[Vec<f32>], expected: &[Vec<f32>]) -> Result<(), TestCaseError> {
    prop_assert_eq!(actual.len(), expected.len());
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        prop_assert_eq!(actual.len(), expected.len());
        let largest = expected.iter().fold(1.0_f32, |largest, x| largest.max(x.abs()));
        for (a, e) in actual.iter().zip(expected) {
            prop_assert!((a - e).abs() <= 2e-5 * largest, "answer {}: {} for {}", index, a, e);
        }
    }
    Ok(())
}

/// The factors of one draw, `[b, t, d]`: the operator on ones.
fn factors(shape: [usize; 3], drop: Drop) -> Tensor<3> {
    flex::relu_drop(Tensor::ones(shape, &recording()), Some(drop))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    // Of few columns, some row has almost no variance, and its gradient is rounding errors.
    #[test]
    fn add_norm_equals_burn(b in 1..4_usize, t in 1..90_usize, d in 8..70_usize) {
        let (inputs, weights, norm) =
            ([random([b, t, d]), random([b, t, d])], random([b, t, d]), norm(d));
        let fused = answer(inputs.clone(), &norm, &weights, |[x, update]| {
            add_norm(x, update, &norm, (&no_dropout()).into())
        });
        let burn = answer(inputs.clone(), &norm, &weights, |[x, update]| norm.forward(x + update));
        prop_assert_eq!(fused.len(), 5);
        close(&fused, &burn)?;

        let drop = Drop::with_seed(0.3, 7);
        let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().unwrap().val());
        let fused = answer(inputs.clone(), &norm, &weights, |[x, update]| {
            flex::add_norm(x, update, gamma.clone(), beta.clone(), Some(drop))
        });
        let factors = factors([b, t, d], drop);
        let burn = answer(inputs, &norm, &weights, |[x, update]| {
            norm.forward(x + update * factors.clone())
        });
        close(&fused, &burn)?;
    }

    #[test]
    fn relu_drop_equals_burn(b in 1..4_usize, t in 1..90_usize, f in 1..70_usize) {
        let (x, weights, norm) = (random([b, t, f]), random([b, t, f]), norm(f));
        let fused = answer([x.clone()], &norm, &weights, |[x]| relu_drop(x, (&no_dropout()).into()));
        let burn = answer([x.clone()], &norm, &weights, |[x]| relu(x));
        prop_assert_eq!(&fused, &burn);

        let drop = Drop::with_seed(0.3, 7);
        let fused = answer([x.clone()], &norm, &weights, |[x]| flex::relu_drop(x, Some(drop)));
        let factors = factors([b, t, f], drop);
        let burn = answer([x], &norm, &weights, |[x]| relu(x) * factors.clone());
        close(&fused, &burn)?;
    }

    #[test]
    fn biases_and_leaky_relu_are_those_of_burn(b in 1..4_usize, t in 1..90_usize, d in 1..70_usize) {
        let (x, weights, norm) = (random([b, t, d]), random([b, t, d]), norm(d));
        let bias = norm.gamma.val();
        let fused = answer([x.clone()], &norm, &weights, |[x]| add_bias(x, bias.clone()));
        let burn = answer([x.clone()], &norm, &weights, |[x]| {
            (x.reshape([b * t, d]) + bias.clone().unsqueeze()).reshape([b, t, d])
        });
        prop_assert_eq!(fused.len(), 3);
        prop_assert_eq!(&fused, &burn);
        let fused = answer([x.clone()], &norm, &weights, |[x]| leaky_relu(x, 0.01));
        let burn = answer([x], &norm, &weights, |[x]| activation::leaky_relu(x, 0.01));
        prop_assert_eq!(fused, burn);
    }
}

#[test]
fn a_constant_beside_a_recorded_update_is_no_obstacle() {
    let norm = norm(16);
    let x = random([1, 5, 16]).inner();
    let update = random([1, 5, 16]).require_grad();
    let add = |add: &dyn Fn() -> Tensor<3>| {
        let gradients = add().square().sum().backward();
        update.grad(&gradients).unwrap()
    };
    let fused = add(&|| add_norm(x.clone(), update.clone(), &norm, (&no_dropout()).into()));
    let burn = add(&|| norm.forward(x.clone() + update.clone()));
    let worst: f32 = (fused - burn).abs().max().into_scalar();
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let shape = [2, 500, 300];
    let factors = factors(shape, Drop::with_seed(0.2, 3));
    let dropped: f32 = factors.clone().equal_elem(0.0).float().mean().into_scalar();
    let mean: f32 = factors.clone().mean().into_scalar();
    assert!((dropped - 0.2).abs() < 3e-3 && (mean - 1.0).abs() < 4e-3, "{dropped} {mean}");
    // No column and no row is dropped more often than chance has it: five deviations.
    for (axes, length) in [([0, 1], 1000.0_f32), ([0, 2], 600.0)] {
        let dropped = factors.clone().equal_elem(0.0).float();
        let share = dropped.mean_dims(&axes);
        let worst: f32 = (share - 0.2).abs().max().into_scalar();
        assert!(worst < 5.0 * (0.16 / length).sqrt(), "{axes:?}: {worst}");
    }
}

// That the seed of the device decides is shown in `tests/dropout_seed.rs`, as other tests of this
// process share the generator.
#[test]
fn a_draw_is_a_function_of_its_seed_each_is_another_and_inference_never_drops() {
    let shape = [1, 20, 20];
    let of = |seed: u64| factors(shape, Drop::with_seed(0.4, seed)).into_data();
    assert_eq!(of(5), of(5));
    assert_ne!(of(5), of(6));
    let dropout = DropoutConfig::new(0.4).init();
    let draw =
        |device: &Device| relu_drop(Tensor::ones(shape, device), (&dropout).into()).into_data();
    assert_ne!(draw(&recording()), draw(&recording()));
    assert_eq!(draw(&Device::flex()), Tensor::<3>::ones(shape, &Device::flex()).into_data());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (inputs, weights, norm) =
        ([random([2, 200, 32]), random([2, 200, 32])], random([2, 200, 32]), norm(32));
    let drop = Drop::with_seed(0.2, 1);
    let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().unwrap().val());
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            answer(inputs.clone(), &norm, &weights, |[x, update]| {
                flex::add_norm(x, update, gamma.clone(), beta.clone(), Some(drop))
            })
        })
    });
    assert_eq!(one, three);
}
