//! [`NamedGradients`]: the gradients of a backward pass, under the names of the parameters.

use std::collections::BTreeMap;

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, Gradients},
};
use scgpt_model::{ParameterName, Scgpt, VisitNamed};

/// Gradients by parameter name, each a flat vector. Since names are in order, a sum over them is
/// the same in every run.
///
/// One step without [`fit()`](crate::fit()):
///
/// ```
/// use burn::prelude::*;
/// use scgpt_model::{AttentionMask, ModelInput, NetworkPart, ScgptConfig};
/// use scgpt_train::{NamedGradients, Optimizer, OptimizerConfig};
///
/// let device = Device::flex().autodiff();
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let model = shape.init(&device)?;
/// let genes = Tensor::<2, Int>::from_data([[0, 7, 12]], &device);
/// let values = Tensor::<2>::from_data([[-2.0, 3.0, 50.0]], &device);
/// let input = ModelInput::new(genes, values, AttentionMask::padding(vec![3], 3));
///
/// let loss = model.predict(&model.encode(&input)).value.square().mean();
/// let mut gradients = NamedGradients::take(loss.backward(), &model);
/// if let Some(norm) = gradients.norm() {
///     gradients.clip(&norm, 1.0);
/// }
/// assert!(gradients.names().any(|name| NetworkPart::of(name) == Some(NetworkPart::Genes)));
/// let mut optimizer = Optimizer::new(&OptimizerConfig::default());
/// let model = optimizer.step(1e-4, model, &gradients);
/// # drop(model);
/// # Ok::<(), scgpt_model::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NamedGradients(BTreeMap<String, Tensor<1>>);

impl NamedGradients {
    /// The gradients of `model`'s parameters; those without one are absent.
    pub fn take(gradients: Gradients, model: &Scgpt) -> Self {
        let mut collector = Collector { gradients, found: BTreeMap::new() };
        model.visit_named(&mut collector);
        Self(collector.found)
    }

    /// Gradients by name, each flat.
    pub(crate) fn of(gradients: impl Iterator<Item = (String, Tensor<1>)>) -> Self {
        Self(gradients.collect())
    }

    /// The gradient of a parameter, flat, in burn's axis order (`[in, out]` for linear layers);
    /// `None` if it has none.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.0.get(name)
    }

    /// Names of the parameters, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and gradients in order, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor<1>)> {
        self.0.iter_mut().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Adds other gradients, such as those of another part of the same batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(mine) => mine + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
    }

    /// The Euclidean norm of all gradients together, `[1]`; `None` without gradients.
    pub fn norm(&self) -> Option<Tensor<1>> {
        self.0
            .values()
            .map(|gradient| gradient.clone().square().sum())
            .reduce(|a, b| a + b)
            .map(Tensor::sqrt)
    }

    /// Multiplies all gradients by `min(1, largest / (norm + 10⁻⁶))`, on the device.
    ///
    /// # Reference
    /// `torch.nn.utils.clip_grad_norm_`. Differs: none.
    pub fn clip(&mut self, norm: &Tensor<1>, largest: f64) {
        let factor = (norm.clone() + 1e-6).recip().mul_scalar(largest).clamp_max(1.0);
        self.scale(&factor);
    }

    /// Divides all gradients by the factor that was on the loss.
    pub(crate) fn unscale(&mut self, loss_scale: f64) {
        for gradient in self.0.values_mut() {
            *gradient = gradient.clone() / loss_scale;
        }
    }

    /// Multiplies all gradients by a number on the device, `[1]`.
    pub fn scale(&mut self, factor: &Tensor<1>) {
        for gradient in self.0.values_mut() {
            *gradient = gradient.clone() * factor.clone();
        }
    }
}

struct Collector {
    gradients: Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl VisitNamed for Collector {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = parameter.val().grad_remove(&mut self.gradients) {
            let n = gradient.shape().num_elements();
            // Gradients of a pass in 16 bits meet weights and moments in 32.
            self.found.insert(name.key, gradient.reshape([n]).cast(DType::F32));
        }
    }
}
