//! Tensors of a file into the parameters of a network, with nothing silent.

use std::collections::BTreeSet;

use burn::{module::Param, prelude::*};
use serde::Serialize;

use super::{
    Weights,
    keys::{self, ParameterName},
    named::MapNamed,
    part::NetworkPart,
};
use crate::{
    config::ScgptConfig,
    error::{Error, Result},
    scgpt::Scgpt,
};

/// What to do when weights and configuration do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Loading fails.
    #[default]
    Strict,
    /// What fits is loaded, the rest stays as initialised, and the report names it.
    Partial,
}

/// What became of every tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Names of the tensors that were copied into the network.
    pub loaded: Vec<String>,
    /// Names of the parameters of the network that the file lacks.
    pub missing: Vec<String>,
    /// Parameters whose tensor has another shape: `name: found [..], expected [..]`.
    pub mismatched: Vec<String>,
    /// Names of the tensors of task heads that this network does not have.
    pub heads: Vec<String>,
    /// Names of the other tensors for which the network has no place.
    pub unused: Vec<String>,
}

impl LoadReport {
    /// Whether every parameter was found and every tensor used or known to be a task head.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unused.is_empty()
    }

    fn problem(&self) -> String {
        let part = |what: &str, names: &[String]| match names {
            [] => None,
            [only] => Some(format!("{what} `{only}`")),
            [first, .., last] => {
                Some(format!("{what} {} tensors (`{first}` … `{last}`)", names.len()))
            }
        };
        let parts = [
            part("missing", &self.missing),
            part("other shape for", &self.mismatched),
            part("no place for", &self.unused),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

impl Weights {
    /// A network of that configuration with these weights.
    ///
    /// # Errors
    /// If the configuration is invalid, a tensor is unreadable or holds NaN or infinity, or, when
    /// `strictness` is [`Strictness::Strict`], if any is missing, of another shape, or unused
    /// although it belongs to no task head.
    pub fn load(
        &self,
        config: &ScgptConfig,
        device: &Device,
        strictness: Strictness,
    ) -> Result<(Scgpt, LoadReport)> {
        self.load_into(config.init(device)?, strictness)
    }

    /// As [`load`](Self::load), into a network that is there, whose parameters need not be drawn.
    ///
    /// # Errors
    /// Those of [`load`](Self::load) but for the configuration.
    pub fn load_into(&self, model: Scgpt, strictness: Strictness) -> Result<(Scgpt, LoadReport)> {
        let (model, report) = self.walk(model, Tensors::Read)?;
        if strictness == Strictness::Strict {
            self.complete(&report)?;
        }
        Ok((model, report))
    }

    /// What [`load`](Self::load) would report, by names and shapes alone: no value is read.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn compare(&self, config: &ScgptConfig) -> Result<LoadReport> {
        // Parameters are lazy: nothing is drawn.
        Ok(self.walk(config.init(&Device::default())?, Tensors::Compared)?.1)
    }

    /// Checks that every parameter of the network of that configuration is here in its shape,
    /// except for the parameters of the parts that are `new` to the checkpoint.
    ///
    /// # Errors
    /// If the configuration is invalid, or something of another part is missing or of another shape.
    pub fn check(&self, config: &ScgptConfig, new: &[NetworkPart]) -> Result<()> {
        let mut report = self.compare(config)?;
        let is_old = |key: &String| NetworkPart::of(key).is_none_or(|part| !new.contains(&part));
        report.missing.retain(is_old);
        report.mismatched.retain(is_old);
        report.unused.clear();
        self.complete(&report)
    }

    fn complete(&self, report: &LoadReport) -> Result<()> {
        if report.is_complete() {
            return Ok(());
        }
        Err(Error::Mismatch { path: self.path().into(), problem: report.problem() })
    }

    /// The network, whose parameters are compared with the tensors here and, if `tensors` are read,
    /// replaced by them.
    fn walk(&self, model: Scgpt, tensors: Tensors) -> Result<(Scgpt, LoadReport)> {
        let mut loader = Loader {
            weights: self,
            tensors,
            unused: self.names().filter(|key| !keys::is_idle(key)).map(String::from).collect(),
            report: LoadReport::default(),
            failure: None,
        };
        let model = model.map_named(&mut loader);
        let Loader { unused, mut report, failure, .. } = loader;
        if let Some(error) = failure {
            return Err(error);
        }
        let is_head = |key: &String| NetworkPart::of(key).is_some_and(NetworkPart::is_task_head);
        (report.heads, report.unused) = unused.into_iter().partition(is_head);
        Ok((model, report))
    }
}

/// How much of a file's tensors is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tensors {
    /// Names and shapes alone.
    Compared,
    /// Their values too.
    Read,
}

/// Walks the network and replaces each parameter by the tensor of its name.
struct Loader<'a> {
    weights: &'a Weights,
    tensors: Tensors,
    unused: BTreeSet<String>,
    report: LoadReport,
    failure: Option<Error>,
}

impl MapNamed for Loader<'_> {
    fn map<const D: usize>(
        &mut self,
        ParameterName { key, is_transposed }: ParameterName,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        if self.failure.is_some() {
            return param;
        }
        let Some(shape) = self.weights.shape(&key) else {
            self.report.missing.push(key);
            return param;
        };
        self.unused.remove(&key);
        let ours = param.lazy_shape();
        let mut expected: Vec<usize> = (0..D).map(|axis| ours[axis]).collect();
        if is_transposed {
            expected.reverse();
        }
        if shape != expected {
            self.report.mismatched.push(format!("{key}: found {shape:?}, expected {expected:?}"));
            return param;
        }
        if self.tensors == Tensors::Compared {
            self.report.loaded.push(key);
            return param;
        }
        match self.weights.read(&key) {
            Ok(values) => {
                let device = param.lazy_device();
                let tensor = Tensor::<D>::from_data(TensorData::new(values, expected), &device);
                let tensor = if is_transposed { contiguous(tensor.transpose()) } else { tensor };
                self.report.loaded.push(key);
                Param::from_tensor(tensor)
            }
            Err(error) => {
                self.failure = Some(error);
                param
            }
        }
    }
}

/// The same tensor laid out contiguously, so that no later product has to do it.
fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    Tensor::from_data(tensor.into_data(), &device)
}
