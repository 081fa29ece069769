//! [`Adapter`]: a narrow product beside a weight, which learns in its place.

use std::sync::{Arc, OnceLock};

use burn::{
    module::Param,
    nn::Initializer,
    prelude::*,
    tensor::{TensorData, module::linear},
};
use scgpt_kernels::Format;

use super::{Lora, Packed};
use crate::host::host_values;

/// `s (x A) B`, added to what the layer gives.
///
/// With `B` at zero, as it begins, it adds nothing. The weight beside it is not to change, so it is packed
/// once, however many copies of the network there are.
#[derive(Module, Debug)]
pub struct Adapter {
    /// `[d_in, r]`.
    pub a: Param<Tensor<2>>,
    /// `[r, d_out]`.
    pub b: Param<Tensor<2>>,
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    packed: Arc<OnceLock<Option<Packed>>>,
}

impl Adapter {
    /// An adapter of a weight of that shape, of zeros.
    pub(super) fn new(lora: Lora, [d_in, d_out]: [usize; 2], device: &Device) -> Self {
        let zeros = |shape: [usize; 2]| Initializer::Zeros.init(shape, device);
        let (a, b) = (zeros([d_in, lora.rank]), zeros([lora.rank, d_out]));
        Self { a, b, scale: lora.scale, packed: Arc::default() }
    }

    /// The factor `s`.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// `s (x A) B`.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(linear(x, self.a.val(), None), self.b.val(), None) * self.scale
    }

    /// The forms of the weight beside it, which all copies share.
    pub(super) fn packed(&self, format: Format, shape: [usize; 2]) -> Option<Packed> {
        let packed = self.packed.get_or_init(|| Packed::new(format, shape));
        packed.clone().filter(|packed| packed.format() == format)
    }

    /// `W + s A B`.
    pub(super) fn merged(&self, weight: Tensor<2>) -> Tensor<2> {
        let (shape @ [_, d_out], device) = (weight.dims(), weight.device());
        let mut sum = host_values(weight);
        let (a, b) = (host_values(self.a.val()), host_values(self.b.val()));
        add_product(&mut sum, &a, &b, d_out, self.scale);
        Tensor::from_data(TensorData::new(sum, shape), &device)
    }
}

/// `w + s a b`, into `w`. Products are summed in f64 and in order: the sum is the same on every machine, and
/// that of the transposed matrices.
///
/// # Shapes
/// - w: `[n, m]`
/// - a: `[n, r]`
/// - b: `[r, m]`
pub(crate) fn add_product(w: &mut [f32], a: &[f32], b: &[f32], m: usize, scale: f64) {
    let rank = (b.len() / m.max(1)).max(1);
    let mut sums = vec![0.0_f64; m];
    for (row, a) in w.chunks_mut(m.max(1)).zip(a.chunks(rank)) {
        sums.fill(0.0);
        for (&a, b) in a.iter().zip(b.chunks(m.max(1))) {
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += f64::from(a) * f64::from(b);
            }
        }
        for (w, sum) in row.iter_mut().zip(&sums) {
            #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
            let sum = (f64::from(*w) + scale * sum) as f32;
            *w = sum;
        }
    }
}
