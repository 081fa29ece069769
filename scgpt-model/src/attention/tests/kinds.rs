//! Attention in linear time against its formula with every weight spelled out, in f64 on the host.

use burn::prelude::*;

use super::{
    super::{AttentionMask, attend, features, features::FeatureMap, means, shares},
    Case, Operator, worst,
};

const HEADS: usize = 2;
const WIDTH: usize = 6;
const RANK: usize = 5;

fn by_elu(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    features::attend(qkv, n_heads, mask, n, &FeatureMap::Elu)
}

fn by_random(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    features::attend(qkv, n_heads, mask, n, &FeatureMap::random(WIDTH, 4 * WIDTH, 7))
}

/// Weights of tokens in means, which are genes that differ: `[b, t, r]`.
fn weights([b, t]: [usize; 2], device: &Device) -> Tensor<3> {
    let weight = |i: usize| ((i * 7919 % 1000) as f32) / 250.0 - 2.0;
    let values: Vec<f32> = (0..b * t * RANK).map(weight).collect();
    Tensor::from_data(TensorData::new(values, [b, t, RANK]), device)
}

fn by_means(qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize) -> Tensor<3> {
    let [b, t, _] = qkv.dims();
    let shares = shares(&weights([b, t], &qkv.device()), mask);
    means::attend(qkv, n_heads, mask, n, shares)
}

fn cases() -> [Case; 3] {
    [
        Case::new([9, HEADS, WIDTH, 9], vec![9, 9], vec![9, 9]),
        Case::new([12, HEADS, WIDTH, 12], vec![4, 1, 12], vec![9, 5, 12]),
        Case::new([12, HEADS, WIDTH, 3], vec![2, 1], vec![7, 12]),
    ]
}

/// The context of every query by a weight of each key, `(q, k) → weight`, both `[k]`.
fn dense(case: &Case, weight: impl Fn(&[f64], &[f64]) -> f64) -> Vec<f64> {
    let qkv: Vec<f32> = case.qkv.clone().try_into_vec().unwrap();
    let (t, d) = (case.qkv.shape()[1], HEADS * WIDTH);
    let mut context = vec![0.0; case.mask.known().len() * case.n * d];
    for (cell, (&known, &used)) in std::iter::zip(case.mask.known(), case.mask.used()).enumerate() {
        let part = |token: usize, part: usize, head: usize| -> Vec<f64> {
            let first = (cell * t + token) * 3 * d + part * d + head * WIDTH;
            qkv[first..first + WIDTH].iter().map(|&x| f64::from(x)).collect()
        };
        for query in 0..used.min(case.n) {
            for head in 0..HEADS {
                let seen = (0..used).filter(|&key| key < known || key == query);
                let terms: Vec<(f64, Vec<f64>)> = seen
                    .map(|key| {
                        (weight(&part(query, 0, head), &part(key, 1, head)), part(key, 2, head))
                    })
                    .collect();
                let total: f64 = terms.iter().map(|(weight, _)| weight).sum();
                for column in 0..WIDTH {
                    let sum: f64 = terms.iter().map(|(w, value)| w * value[column]).sum();
                    context[(cell * case.n + query) * d + head * WIDTH + column] = sum / total;
                }
            }
        }
    }
    context
}

#[test]
fn linear_attention_is_its_formula() {
    let feature = |x: &f64| if *x > 0.0 { x + 1.0 } else { x.exp() };
    let weight = |q: &[f64], k: &[f64]| -> f64 {
        q.iter().zip(k).map(|(q, k)| feature(q) * feature(k)).sum()
    };
    for case in cases() {
        let [context, _] = case.answer(by_elu, &super::recording());
        assert!(worst(&context, &dense(&case, weight)) < 1e-5);
    }
}

#[test]
fn means_are_attended_to_as_tokens_are() {
    for case in cases() {
        let [context, _] = case.answer(by_means, &super::recording());
        // The same by exact attention to cells whose known tokens are the means.
        let (device, n) = (Device::flex(), case.n);
        let qkv = Tensor::<3>::from_data(case.qkv.clone(), &device);
        let [b, t, d3] = qkv.dims();
        let d = d3 / 3;
        let shares = shares(&weights([b, t], &device), &case.mask);
        let sums: Vec<f32> = shares.clone().sum_dim(2).into_data().try_into_vec().unwrap();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5));
        let means = shares.matmul(qkv.clone().narrow(2, d, 2 * d));
        let means = Tensor::cat(vec![Tensor::zeros([b, RANK, d], &device), means], 2);
        let known = case.mask.known();
        for query in 0..n {
            // One query at a time, as an unknown token behind the means; a known one sees no self.
            let token = qkv.clone().narrow(1, query, 1);
            let tokens = Tensor::cat(vec![means.clone(), token], 1);
            for cell in 0..b {
                if query >= case.mask.used()[cell] {
                    continue;
                }
                let one = tokens.clone().narrow(0, cell, 1);
                let (one, mask, at) = if query < known[cell] {
                    // The query's keys are hidden behind padding: it takes the place of a mean's query.
                    let queries = one.clone().narrow(1, RANK, 1).narrow(2, 0, d);
                    let rest = one.clone().narrow(1, 0, RANK).narrow(2, d, 2 * d);
                    let queries = queries.expand([1, RANK, d]);
                    let one = Tensor::cat(vec![queries, rest], 2);
                    (one, AttentionMask::padding(vec![RANK], RANK), 0)
                } else {
                    let mask = AttentionMask::generative(vec![RANK], vec![RANK + 1], RANK + 1);
                    (one, mask, RANK)
                };
                let expected = attend(one, HEADS, &mask, at + 1).narrow(1, at, 1);
                let expected: Vec<f32> = expected.into_data().try_into_vec().unwrap();
                let actual = &context[(cell * n + query) * d..][..d];
                for (actual, expected) in actual.iter().zip(&expected) {
                    assert!((actual - expected).abs() < 1e-5, "{actual} {expected}");
                }
            }
        }
    }
}

#[test]
fn a_mean_for_each_token_is_exact_attention() {
    let case = Case::new([7, HEADS, WIDTH, 7], vec![7, 7], vec![7, 7]);
    let own = |qkv: Tensor<3>, n_heads: usize, mask: &AttentionMask, n: usize| {
        let [b, t, _] = qkv.dims();
        let each = Tensor::<2>::eye(t, &qkv.device()) * 100.0;
        means::attend(qkv, n_heads, mask, n, shares(&each.unsqueeze::<3>().expand([b, t, t]), mask))
    };
    let [context, gradient] = case.answer(own, &super::recording());
    let [exact, of_exact] = case.expected();
    assert!(worst(&context, &exact) < 1e-5 && worst(&gradient, &of_exact) < 1e-5);
}

#[test]
fn random_features_come_near_to_exact_attention() {
    let gentle = |mut case: Case| {
        let qkv = Tensor::<3>::from_data(case.qkv.clone(), &Device::flex()) / 4.0;
        case.qkv = qkv.into_data();
        case
    };
    for case in cases().map(gentle) {
        let [exact, _] = case.expected();
        let error = |m: usize| -> f64 {
            let of_seed = |seed: u64| {
                let map = FeatureMap::random(WIDTH, m, seed);
                let qkv = Tensor::<3>::from_data(case.qkv.clone(), &Device::flex());
                let context = features::attend(qkv, HEADS, &case.mask, case.n, &map);
                let context: Vec<f32> = context.into_data().try_into_vec().unwrap();
                let squares = context.iter().zip(&exact).map(|(a, e)| (f64::from(*a) - e).powi(2));
                squares.sum::<f64>() / exact.len() as f64
            };
            ((0..8).map(of_seed).sum::<f64>() / 8.0).sqrt()
        };
        let [few, many, most] = [12, 384, 12_288].map(error);
        assert!(many < few / 2.0 && most < many / 3.0 && most < 4e-3, "{few} {many} {most}");
    }
}

#[test]
fn features_of_a_seed_are_orthogonal_and_stay() {
    let FeatureMap::Random(directions) = FeatureMap::random(4, 8, 1) else { unreachable!() };
    let column = |m: usize| -> Vec<f64> {
        (0..4).map(|row| f64::from(directions.values[row * 8 + m])).collect()
    };
    let product =
        |a: usize, b: usize| -> f64 { column(a).iter().zip(column(b)).map(|(a, b)| a * b).sum() };
    for (a, b) in [(0, 1), (0, 3), (2, 3), (4, 7), (5, 6)] {
        assert!(product(a, b).abs() < 1e-5);
    }
    assert!(product(0, 4).abs() > 1e-3, "blocks are drawn apart");
    // The mean square of 4 normal numbers.
    let all = (0..8).map(|m| product(m, m)).sum::<f64>() / 8.0;
    assert!((1.5..8.0).contains(&all), "{all}");
    let FeatureMap::Random(again) = FeatureMap::random(4, 8, 1) else { unreachable!() };
    let FeatureMap::Random(other) = FeatureMap::random(4, 8, 2) else { unreachable!() };
    assert_eq!(directions.values, again.values);
    assert_ne!(directions.values, other.values);
}

#[test]
fn gradients_equal_finite_differences() {
    const STEP: f32 = 1e-2;
    let case = Case::new([5, HEADS, WIDTH, 4], vec![3, 1], vec![5, 4]);
    for operator in [by_elu as Operator, by_random, by_means] {
        let [_, gradient] = case.answer(operator, &super::recording());
        let qkv: Vec<f32> = case.qkv.clone().try_into_vec().unwrap();
        let loss = |index: usize, step: f32| -> f32 {
            let mut moved = qkv.clone();
            moved[index] += step;
            let data = TensorData::new(moved, case.qkv.shape().clone());
            let moved = Tensor::<3>::from_data(data, &Device::flex());
            let weights = Tensor::<3>::from_data(case.gradient.clone(), &Device::flex());
            (operator(moved, case.n_heads, &case.mask, case.n) * weights).sum().into_scalar()
        };
        for (index, gradient) in gradient.into_iter().enumerate() {
            let slope = (loss(index, STEP) - loss(index, -STEP)) / (2.0 * STEP);
            let most = 3e-3 * gradient.abs().max(1.0);
            assert!((slope - gradient).abs() < most, "entry {index}: {slope} {gradient}");
        }
    }
}

#[test]
fn the_order_of_known_tokens_does_not_matter() {
    let t = 11;
    let case = Case::new([t, HEADS, WIDTH, 1], vec![8], vec![10]);
    let qkv = Tensor::<3>::from_data(case.qkv, &Device::flex());
    let mask = case.mask;
    let order = Tensor::<1, Int>::from_data([0, 5, 3, 7, 1, 2, 6, 4, 8, 9, 10], &Device::flex());
    let weights = weights([1, t], &Device::flex());
    let moved = [qkv.clone(), weights.clone()].map(|x| x.select(1, order.clone()));
    let answers = |qkv: Tensor<3>, weights: Tensor<3>| {
        let n = 1;
        let means = means::attend(qkv.clone(), HEADS, &mask, n, shares(&weights, &mask));
        [by_elu(qkv.clone(), HEADS, &mask, n), by_random(qkv, HEADS, &mask, n), means]
            .map(|x| x.into_data().try_into_vec::<f32>().unwrap())
    };
    let [moved_qkv, moved_weights] = moved;
    for (one, other) in answers(qkv, weights)
        .into_iter()
        .flatten()
        .zip(answers(moved_qkv, moved_weights).into_iter().flatten())
    {
        assert!((one - other).abs() < 1e-5);
    }
}

#[test]
fn padding_says_nothing_and_changes_nothing() {
    let case = Case::new([9, HEADS, WIDTH, 9], vec![4, 6], vec![7, 6]);
    for operator in [by_elu as Operator, by_random, by_means] {
        let [context, gradient] = case.answer(operator, &super::recording());
        let mut other = case.clone();
        let mut qkv: Vec<f32> = other.qkv.clone().try_into_vec().unwrap();
        let d = HEADS * WIDTH;
        for (cell, &used) in case.mask.used().iter().enumerate() {
            let rows = |width: usize| (cell * 9 + used) * width..(cell + 1) * 9 * width;
            assert!(context[rows(d)].iter().chain(&gradient[rows(3 * d)]).all(|x| *x == 0.0));
            qkv[rows(3 * d)].fill(50.0);
        }
        other.qkv = TensorData::new(qkv, case.qkv.shape().clone());
        let [same, _] = other.answer(operator, &super::recording());
        assert_eq!(context, same);
    }
}
