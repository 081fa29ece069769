//! Cell embedding → class scores.

use burn::{
    nn::{LayerNorm, LayerNormConfig},
    prelude::*,
    tensor::{
        DType,
        activation::{leaky_relu, relu},
    },
};

use crate::linear::Linear;

/// Scores the classes (cell types, batches) of a cell.
///
/// # Reference
/// `model.py`, `ClsDecoder`. Differs: none.
#[derive(Module, Debug)]
pub struct ClassHead {
    /// The layers before the last, `d → d` each.
    pub layers: Vec<ClassLayer>,
    /// The last layer, `d → y`.
    pub out: Linear,
}

/// `LN(relu(W x))`: the norm comes after the activation.
#[derive(Module, Debug)]
pub struct ClassLayer {
    /// The linear layer, `d → d`.
    pub linear: Linear,
    /// The layer norm of the result, over its width.
    pub norm: LayerNorm,
}

impl ClassHead {
    /// A freshly initialised head of `n_layers` linear layers, the last to `n_classes`.
    pub fn new(d_model: usize, n_classes: usize, n_layers: usize, device: &Device) -> Self {
        let layer = |_| ClassLayer {
            linear: Linear::new(d_model, d_model, device),
            norm: LayerNormConfig::new(d_model).init(device),
        };
        Self {
            layers: (1..n_layers).map(layer).collect(),
            out: Linear::new(d_model, n_classes, device),
        }
    }

    /// Scores every class for every cell.
    ///
    /// # Shapes
    /// - cell: `[b, d]`
    /// - output: `[b, y]`, logits
    pub fn forward(&self, cell: Tensor<2>) -> Tensor<2> {
        self.with_slope(cell, 0.0)
    }

    /// What the last layer sees of every cell.
    ///
    /// # Shapes
    /// - cell: `[b, d]`
    /// - output: `[b, d]`
    pub fn hidden(&self, cell: Tensor<2>) -> Tensor<2> {
        self.hidden_with_slope(cell, 0.0)
    }

    /// As [`forward`](Self::forward), with a leaky ReLU of that slope.
    pub(super) fn with_slope(&self, cell: Tensor<2>, slope: f64) -> Tensor<2> {
        self.out.forward(self.hidden_with_slope(cell, slope)).cast(DType::F32)
    }

    fn hidden_with_slope(&self, cell: Tensor<2>, slope: f64) -> Tensor<2> {
        let activate = |x| if slope == 0.0 { relu(x) } else { leaky_relu(x, slope) };
        self.layers
            .iter()
            .fold(cell, |x, layer| layer.norm.forward(activate(layer.linear.forward(x))))
    }
}
