//! A class head that begins fitted: before its first step the network classifies as a linear discriminant of
//! its embeddings does.
//!
//! A head that is drawn has everything to learn from a few hundred cells, and of a type with five of them it
//! learns nothing. What the embeddings already say of the types can be computed instead:
//!
//! ```text
//! training cells ─ network as it begins ─ embeddings [n, d]
//!     ─ hidden layers that let them through ─ standardised ─ linear discriminant ─ the last layer
//! ```
//!
//! A hidden layer is `LN(relu(W x + b))`. With the identity for `W` and the largest number of a normalised
//! state, √d, for every `b`, ReLU lets all through and the norm takes `b` off again.

use burn::prelude::{Tensor, TensorData};
use scgpt_data::{Observer, Result};
use scgpt_model::{ClassHead, host_values};
use scgpt_stats::Discriminant;

use crate::training::{set, weights};

/// The head that classifies as the discriminant of `cells`, embeddings `[n, d]` of cells with these
/// `classes`, of which each is as frequent as its entry in `priors`.
pub(super) fn fitted(
    mut head: ClassHead,
    cells: &[f32],
    classes: &[u32],
    priors: &[f64],
    observer: &dyn Observer,
) -> Result<ClassHead> {
    let device = head.out.weight.device();
    let (n, width) = (classes.len(), cells.len() / classes.len());
    let cells = Tensor::from_data(TensorData::new(cells.to_vec(), [n, width]), &device);
    let largest = (width as f64).sqrt();
    for layer in &mut head.layers {
        set(&mut layer.linear.weight, Tensor::eye(width, &device));
        if let Some(bias) = &mut layer.linear.bias {
            set(bias, Tensor::full([width], largest, &device));
        }
    }
    let mut hidden = head.hidden(cells);
    if let Some(norm) = head.layers.last_mut().map(|layer| &mut layer.norm) {
        // What the last layer sees has mean 0 and deviation 1, so that its weights are of the usual size.
        let (variance, mean) = hidden.clone().var_mean_bias(0); // [1, d]
        let factor = variance.sqrt().clamp_min(1e-6).recip();
        let offset = mean * factor.clone() * -1.0;
        hidden = hidden * factor.clone() + offset.clone();
        set(&mut norm.gamma, factor.squeeze_dim(0));
        if let Some(beta) = &mut norm.beta {
            set(beta, offset.squeeze_dim(0));
        }
    }
    let found = Discriminant::new(&host_values(hidden), classes, priors, observer)?;
    let y = priors.len();
    // `[y, d]` there, `[d, y]` here; laid out anew, as one that was read from a file, whose products have the same bits.
    let out: Tensor<2> = weights(found.weights(), [y, width], &device).transpose();
    set(&mut head.out.weight, Tensor::from_data(out.into_data(), &device));
    if let Some(bias) = &mut head.out.bias {
        set(bias, weights(found.biases(), [y], &device));
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;
    use scgpt_data::{Keyed, Purpose, Silent};

    use super::*;

    #[test]
    fn a_fitted_head_tells_a_small_class_from_a_large_one() {
        let (device, width, n) = (Device::flex(), 16, 200);
        let key = Keyed::new(4, Purpose::Simulate, 0, 0);
        let classes: Vec<u32> = (0..n).map(|cell| u32::from(cell % 20 == 0)).collect();
        #[allow(clippy::cast_possible_truncation, reason = "as narrow as embeddings")]
        let number = |at: usize| key.normal(2 * at as u64) as f32;
        // All cells have much in common; the classes differ along one number.
        let common = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let apart = |i: usize, class: u32| if i == 3 && class == 1 { 1.0 } else { 0.0 };
        let cell = |at: usize| {
            let (i, class) = (at % width, classes[at / width]);
            0.1 * number(at) + common(i) + apart(i, class)
        };
        let cells: Vec<f32> = (0..n * width).map(cell).collect();
        let head = ClassHead::new(width, 2, 3, &device);
        let head = fitted(head, &cells, &classes, &[190.0, 10.0], &Silent).unwrap();
        let rows = Tensor::from_data(TensorData::new(cells, [n, width]), &device);
        // The last layer sees numbers of mean 0 and deviation 1.
        let (variance, mean) = head.hidden(rows.clone()).var_mean_bias(0);
        let variances = host_values(variance);
        assert!(variances.iter().all(|x| (x - 1.0).abs() < 1e-2), "{variances:?}");
        assert!(host_values(mean).iter().all(|x| x.abs() < 1e-2));
        let logits = host_values(head.forward(rows));
        for (logits, class) in logits.chunks(2).zip(&classes) {
            assert_eq!(u32::from(logits[1] > logits[0]), *class, "{logits:?}");
        }
    }
}
