//! The parameters of a network under their reference names.

use burn::{
    module::{ModuleMapper, ModuleVisitor, Param},
    prelude::*,
};

use super::keys::ModulePath;
use crate::scgpt::Scgpt;

/// The name of a parameter in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName {
    /// Its key in the state dict of the reference.
    pub key: String,
    /// Whether the checkpoint holds the matrix transposed: `[out, in]`, where burn has `[in, out]`.
    pub is_transposed: bool,
}

/// Looks at every parameter and running statistic, in the order of the network.
pub trait VisitNamed {
    /// Called once a parameter.
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>);
}

/// Replaces every parameter and running statistic, in the order of the network.
pub trait MapNamed {
    /// Called once a parameter.
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>>;
}

impl Scgpt {
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
