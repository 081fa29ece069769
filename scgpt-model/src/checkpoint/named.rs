//! The parameters of a network under their reference names.

use burn::{
    module::{ModuleMapper, ModuleVisitor, Param},
    prelude::*,
};

use super::keys::{ModulePath, ParameterName};
use crate::scgpt::Scgpt;

/// Looks at every parameter and running statistic, in the order of the network.
///
/// ```
/// use burn::{module::Param, prelude::*};
/// use scgpt_model::{ParameterName, ScgptConfig, VisitNamed};
///
/// /// Counts the weights of the transformer.
/// struct Counter(usize);
///
/// impl VisitNamed for Counter {
///     fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
///         if name.key.starts_with("transformer_encoder.") {
///             self.0 += parameter.val().shape().num_elements();
///         }
///     }
/// }
///
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let mut counter = Counter(0);
/// shape.init(&Device::flex())?.visit_named(&mut counter);
/// assert_eq!(counter.0, 4 * (16 * 16 + 16) + 2 * (16 * 16 + 16) + 2 * 2 * 16);
/// # Ok::<(), scgpt_model::Error>(())
/// ```
pub trait VisitNamed {
    /// Is called once for every parameter.
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>);
}

/// Replaces every parameter and running statistic, in the order of the network.
pub trait MapNamed {
    /// Is called once for every parameter, with the one it replaces.
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>>;
}

impl Scgpt {
    /// Draws the initial values that were not needed so far, in the order of the network, from the
    /// generator of the device. Until they are drawn, it is open which numbers a parameter gets.
    pub fn draw(&self) {
        self.visit_named(&mut Draw);
    }

    /// Visits all parameters with their names.
    pub fn visit_named(&self, visitor: &mut impl VisitNamed) {
        self.visit(&mut Walk { path: ModulePath::default(), inner: visitor });
    }

    /// Maps all parameters with their names.
    #[must_use]
    pub fn map_named(self, mapper: &mut impl MapNamed) -> Self {
        self.map(&mut Walk { path: ModulePath::default(), inner: mapper })
    }
}

struct Draw;

impl VisitNamed for Draw {
    fn visit<const D: usize>(&mut self, _: ParameterName, parameter: &Param<Tensor<D>>) {
        drop(parameter.val());
    }
}

struct Walk<'a, T> {
    path: ModulePath,
    inner: &'a mut T,
}

impl<V: VisitNamed> ModuleVisitor for Walk<'_, V> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.inner.visit(self.path.name(D), parameter);
    }
}

impl<M: MapNamed> ModuleMapper for Walk<'_, M> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.inner.map(self.path.name(D), parameter)
    }
}
