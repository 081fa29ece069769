//! Attention in linear time: `φ(q) φ(k)ᵀ v`, whose sums over known keys are computed once.

use std::{f64::consts::TAU, sync::Arc};

use burn::{prelude::*, tensor::activation::relu};

use super::{
    AttentionMask,
    composed::{heads, joined},
};

/// Added to random features, so that no weight is zero.
const LEAST: f32 = 1e-6;

/// A map of queries and keys to features that are not negative.
#[derive(Clone, Debug)]
pub(super) enum FeatureMap {
    /// `elu(x) + 1`.
    Elu,
    /// `exp(ωᵀx − |x|² / 2)` for random ω, of which blocks of `k` are orthogonal: the products of
    /// features are, in expectation, exponentials of products. Of all heads and blocks the same.
    Random(Arc<Directions>),
}

/// Random directions ω, `[k, m]` row-major.
#[derive(Debug)]
pub(super) struct Directions {
    pub(super) values: Vec<f32>,
    shape: [usize; 2],
}

/// See [`super::attend`]. The context of a query is one product with a sum over known keys, to which an
/// unknown query adds its own term.
pub(super) fn attend(
    qkv: Tensor<3>,
    n_heads: usize,
    mask: &AttentionMask,
    n: usize,
    map: &FeatureMap,
) -> Tensor<3> {
    let device = qkv.device();
    let [queries, keys, values] = heads(qkv, n_heads, n);
    let (queries, keys) = map.apply(queries, keys, mask); // [b, h, n, m], [b, h, t, m]
    let known = match mask.unknown_keys(&device) {
        Some(is_unknown) => {
            let is_unknown = is_unknown.swap_dims(2, 3).expand(keys.dims());
            keys.clone().mask_fill(is_unknown, 0.0)
        }
        None => keys.clone(),
    };
    let total = known.clone().sum_dim(2).swap_dims(2, 3); // [b, h, m, 1]
    let sums = known.swap_dims(2, 3).matmul(values.clone()); // [b, h, m, k]
    let mut context = queries.clone().matmul(sums); // [b, h, n, k]
    let mut weight = queries.clone().matmul(total); // [b, h, n, 1]
    if mask.is_generative() {
        let own = (queries * keys.narrow(2, 0, n)).sum_dim(3);
        let own = own.mask_fill(mask.hides_self(n, &device), 0.0);
        context = context + own.clone() * values.narrow(2, 0, n);
        weight = weight + own;
    }
    joined(context / weight, mask)
}

impl FeatureMap {
    /// Random features of vectors that are `k` wide, of a seed.
    pub(super) fn random(k: usize, m: usize, seed: u64) -> Self {
        Self::Random(Arc::new(Directions::new(k, m, seed)))
    }

    fn apply(
        &self,
        queries: Tensor<4>,
        keys: Tensor<4>,
        mask: &AttentionMask,
    ) -> (Tensor<4>, Tensor<4>) {
        let directions = match self {
            Self::Elu => return (elu(queries), elu(keys)),
            Self::Random(directions) => directions,
        };
        let queries = directions.exponents(queries);
        // What all features of a query, or of all keys, share cancels out.
        let largest = queries.clone().max_dim(3).detach();
        let queries = (queries - largest).exp() + LEAST;
        let is_padding = mask.is_padding(&keys.device());
        let keys = directions.exponents(keys);
        let keys = keys.clone().mask_fill(is_padding.expand(keys.dims()), f32::NEG_INFINITY);
        let largest = keys.clone().max_dim(3).max_dim(2).detach();
        (queries, (keys - largest).exp() + LEAST)
    }
}

/// `elu(x) + 1`: `x + 1`, and `exp(x)` where that is less than one.
fn elu(x: Tensor<4>) -> Tensor<4> {
    relu(x.clone()) + x.clamp_max(0.0).exp()
}

impl Directions {
    fn new(k: usize, m: usize, seed: u64) -> Self {
        let mut normals = Normals { state: seed };
        let mut values = vec![0.0; k * m];
        let mut block: Vec<Vec<f64>> = Vec::new();
        for column in 0..m {
            if block.len() == k {
                block.clear();
            }
            let mut direction = normals.vector(k);
            for other in &block {
                let shared = product(&direction, other);
                direction.iter_mut().zip(other).for_each(|(x, o)| *x -= shared * o);
            }
            let length = product(&direction, &direction).sqrt();
            for x in &mut direction {
                *x /= length;
            }
            // As long as one that is drawn without looking at the others.
            let drawn = normals.vector(k);
            let length = product(&drawn, &drawn).sqrt();
            for (row, x) in direction.iter().enumerate() {
                #[allow(clippy::cast_possible_truncation, reason = "f32 is what tensors hold")]
                let value = (x * length) as f32;
                values[row * m + column] = value;
            }
            block.push(direction);
        }
        Self { values, shape: [k, m] }
    }

    /// `ωᵀx − |x|² / 2`, where x is scaled by the fourth root of its width: then products of two are
    /// scaled by the root.
    fn exponents(&self, x: Tensor<4>) -> Tensor<4> {
        let data = TensorData::new(self.values.clone(), self.shape);
        let directions = Tensor::<2>::from_data(data, &x.device()).cast(x.dtype());
        let x = x / (self.shape[0] as f64).powf(0.25);
        let half = x.clone().square().sum_dim(3) / 2.0;
        x.matmul(directions.unsqueeze()) - half
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Normal numbers of a seed, the same on every machine: SplitMix64 by Box and Muller.
pub(super) struct Normals {
    pub(super) state: u64,
}

impl Normals {
    pub(super) fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()).collect()
    }

    /// Above 0, up to 1.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        ((x >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}
