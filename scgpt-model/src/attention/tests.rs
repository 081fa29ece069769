//! The operator and its gradient against the dense −∞ mask and against composed operations.

mod dense;
mod kinds;

use burn::prelude::*;
use proptest::prelude::*;

use super::{
    AttentionMask, Format, MaskedAttention, attend, attend_in, composed, features::Normals,
};
use crate::config::ScgptConfig;

/// An attention operator.
type Operator = fn(Tensor<3>, usize, &AttentionMask, usize) -> Tensor<3>;

/// One question to an operator.
#[derive(Clone, Debug)]
struct Case {
    n_heads: usize,
    mask: AttentionMask,
    n: usize,
    qkv: TensorData,
    /// Of the context.
    gradient: TensorData,
}

impl Case {
    /// Cells of `t` tokens with `n_heads` heads `k` wide, asked at the first `n`; of a shape always the same.
    fn new([t, n_heads, k, n]: [usize; 4], known: Vec<usize>, used: Vec<usize>) -> Self {
        let (b, d) = (known.len(), n_heads * k);
        let mask = AttentionMask::generative(known, used, t);
        let mut normals = Normals { state: (b * t * d * n) as u64 };
        let mut random = |shape: [usize; 3], deviation: f64| {
            #[allow(clippy::cast_possible_truncation, reason = "f32 is what tensors hold")]
            let narrow = |number: f64| (number * deviation) as f32;
            let numbers = normals.vector(shape.iter().product());
            TensorData::new(numbers.into_iter().map(narrow).collect::<Vec<_>>(), shape)
        };
        Self { n_heads, mask, n, qkv: random([b, t, 3 * d], 1.5), gradient: random([b, n, d], 1.0) }
    }

    /// The context and the gradient of the packed projection.
    fn answer(&self, operator: Operator, device: &Device) -> [Vec<f32>; 2] {
        let qkv = Tensor::<3>::from_data(self.qkv.clone(), device).require_grad();
        let context = operator(qkv.clone(), self.n_heads, &self.mask, self.n);
        let gradient = Tensor::<3>::from_data(self.gradient.clone(), device);
        let gradients = (context.clone() * gradient).sum().backward();
        [context.inner(), qkv.grad(&gradients).unwrap()]
            .map(|tensor| tensor.into_data().try_into_vec().unwrap())
    }

    /// The same by the dense mask.
    fn expected(&self) -> [Vec<f64>; 2] {
        let [qkv, gradient] =
            [&self.qkv, &self.gradient].map(|data| data.clone().try_into_vec::<f32>().unwrap());
        let (t, d) = (self.qkv.shape()[1], self.qkv.shape()[2] / 3);
        let shape = [t, d, self.n_heads, self.n];
        let (context, gradient) = dense::attend(&qkv, &gradient, shape, &self.mask);
        [context, gradient]
    }
}

fn recording() -> Device {
    Device::flex().autodiff()
}

/// The worst difference relative to the largest entry, or to 1 if all are smaller.
fn worst(actual: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
    let differences = actual.iter().zip(expected).map(|(a, e)| (f64::from(*a) - e).abs());
    differences.map(|x| if x.is_nan() { f64::INFINITY } else { x }).fold(0.0, f64::max) / largest
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let expected = case.expected();
    // In f32 where the processor has no faster way of being as exact.
    let packed: Operator =
        |qkv, n_heads, mask, n| attend_in(Some(Format::Bf16x6), qkv, n_heads, mask, n);
    for (name, operator) in
        [("composed", composed::attend as Operator), ("operator", attend), ("packed", packed)]
    {
        let actual = case.answer(operator, &recording());
        for (what, actual, expected) in
            [("context", &actual[0], &expected[0]), ("gradient", &actual[1], &expected[1])]
        {
            let difference = worst(actual, expected);
            prop_assert!(difference < 1e-5, "{name}: {what} differs by {difference}");
        }
    }
    Ok(())
}

#[test]
fn operator_and_gradient_equal_the_dense_mask() {
    for (shape, known, used) in [
        ([7, 4, 2, 7], vec![7, 7], vec![7, 7]),
        ([7, 4, 2, 1], vec![7, 7], vec![7, 7]),
        ([37, 4, 4, 37], vec![37, 5, 1], vec![37, 30, 1]),
        ([230, 4, 16, 230], vec![100, 230, 1], vec![230, 230, 117]),
        ([230, 2, 16, 150], vec![100, 230, 1], vec![230, 230, 117]),
        // Several tiles of queries and of keys, of unequal sizes.
        ([300, 4, 8, 300], vec![299, 97, 96], vec![300, 200, 96]),
        ([601, 1, 8, 590], vec![577, 601, 2], vec![580, 601, 601]),
    ] {
        check(&Case::new(shape, known, used)).unwrap();
    }
}

/// Any shape, with ragged counts.
fn cases() -> impl Strategy<Value = Case> {
    (1..70_usize, 1..4_usize, 1..20_usize)
        .prop_flat_map(|(t, n_heads, k)| {
            let cells = prop::collection::vec((1..=t, 1..=t), 1..4);
            (Just([t, n_heads, k]), 1..=t, cells, any::<bool>())
        })
        .prop_map(|([t, n_heads, k], n, cells, padding_attends)| {
            let (known, used) = cells.iter().map(|&(a, b)| (a.min(b), a.max(b))).unzip();
            let case = Case::new([t, n_heads, k, n], known, used);
            if padding_attends {
                Case { mask: case.mask.with_attending_padding(), ..case }
            } else {
                case
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn operator_and_gradient_equal_the_dense_mask_for_any_shape(case in cases()) {
        check(&case)?;
    }
}

#[test]
fn gradient_equals_finite_differences() {
    const STEP: f32 = 1e-2;
    let case = Case::new([5, 2, 3, 4], vec![3, 1], vec![5, 4]);
    let [_, gradient] = case.answer(attend, &recording());
    let qkv: Vec<f32> = case.qkv.clone().try_into_vec().unwrap();
    let loss = |index: usize, step: f32| -> f32 {
        let mut moved = qkv.clone();
        moved[index] += step;
        let moved = Tensor::<3>::from_data(
            TensorData::new(moved, case.qkv.shape().clone()),
            &Device::flex(),
        );
        let weights = Tensor::<3>::from_data(case.gradient.clone(), &Device::flex());
        (attend(moved, case.n_heads, &case.mask, case.n) * weights).sum().into_scalar()
    };
    for (index, gradient) in gradient.into_iter().enumerate() {
        let slope = (loss(index, STEP) - loss(index, -STEP)) / (2.0 * STEP);
        assert!((slope - gradient).abs() < 2e-3, "entry {index}: {slope} against {gradient}");
    }
}

#[test]
#[cfg(feature = "flex")]
fn recording_changes_nothing() {
    let case = Case::new([300, 2, 8, 270], vec![200, 300], vec![280, 300]);
    let plain = Tensor::<3>::from_data(case.qkv.clone(), &Device::flex());
    let plain: Vec<f32> =
        attend(plain, case.n_heads, &case.mask, case.n).into_data().try_into_vec().unwrap();
    assert_eq!(plain, case.answer(attend, &recording())[0]);
}

#[test]
fn padding_has_no_gradient() {
    let case = Case::new([9, 2, 4, 9], vec![4, 6], vec![7, 6]);
    let [context, gradient] = case.answer(attend, &recording());
    for (cell, &used) in case.mask.used().iter().enumerate() {
        let rows = |values: &[f32], width: usize| {
            values[(cell * 9 + used) * width..(cell + 1) * 9 * width].to_vec()
        };
        assert!(rows(&context, 8).into_iter().chain(rows(&gradient, 24)).all(|x| x == 0.0));
    }
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let case = Case::new([40, 2, 8, 33], vec![20, 40], vec![35, 40]);
    let checkpointing = recording().gradient_checkpointing();
    assert_eq!(case.answer(attend, &recording()), case.answer(attend, &checkpointing));
}

#[test]
fn a_cell_does_not_depend_on_its_batch() {
    let (t, n_heads, k) = (320, 2, 8);
    let together = Case::new([t, n_heads, k, t], vec![320, 150, 80], vec![320, 290, 100]);
    let alone = {
        let first = |data: &TensorData| {
            let tensor = Tensor::<3>::from_data(data.clone(), &Device::flex());
            tensor.narrow(0, 1, 1).narrow(1, 0, 290).into_data()
        };
        Case {
            n_heads,
            mask: AttentionMask::generative(vec![150], vec![290], 290),
            n: 290,
            qkv: first(&together.qkv),
            gradient: first(&together.gradient),
        }
    };
    let [together, alone] = [&together, &alone].map(|case| case.answer(attend, &recording()));
    for ((together, alone), width) in together.iter().zip(&alone).zip([16, 48]) {
        assert_eq!(&together[t * width..][..290 * width], alone);
    }
}

#[test]
#[cfg(feature = "flex")]
fn the_number_of_threads_changes_nothing() {
    let case = Case::new([600, 4, 8, 600], vec![600, 330], vec![600, 590]);
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| case.answer(attend, &recording()))
    });
    assert_eq!(one, three);
}

#[test]
#[should_panic(expected = "another [b, t]")]
fn a_foreign_mask_is_refused() {
    let qkv = Tensor::<3>::zeros([1, 4, 24], &Device::flex());
    let _ = attend(qkv, 2, &AttentionMask::padding(vec![3], 3), 4);
}

#[test]
fn new_layers_start_as_those_of_the_plain_layout() {
    let device = Device::flex();
    let d = 64;
    let config = ScgptConfig { d_model: d, n_heads: 4, ..ScgptConfig::new(10) };
    let layer = MaskedAttention::new(&config, &device);
    // Uniform: within the bound and close to it, around zero, with a third of its square as variance.
    let bounds = [(6.0 / (4 * d) as f64).sqrt(), (1.0 / d as f64).sqrt()];
    for (projection, bound) in [&layer.qkv, &layer.out].into_iter().zip(bounds) {
        let weights: Vec<f32> = projection.weight.val().into_data().try_into_vec().unwrap();
        let n = weights.len() as f64;
        let largest = weights.iter().fold(0.0, |most, w| f64::from(w.abs()).max(most));
        assert!(largest <= bound * 1.0001 && largest > bound * 0.99, "{largest} of {bound}");
        let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
        let variance = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 * bound / (3.0 * n).sqrt(), "{mean}");
        assert!((3.0 * variance / bound.powi(2) - 1.0).abs() < 0.1, "{variance}");
        let bias = projection.bias.as_ref().unwrap().val().into_data();
        assert_eq!(bias.try_into_vec::<f32>().unwrap(), vec![0.0; projection.weight.dims()[1]]);
    }
    let [first, second, third] = [0, 1, 2].map(|part| {
        let part = layer.qkv.weight.val().narrow(1, part * d, d).into_data();
        part.try_into_vec::<f32>().unwrap()
    });
    assert!(first != second && second != third, "queries, keys and values are drawn apart");
}
