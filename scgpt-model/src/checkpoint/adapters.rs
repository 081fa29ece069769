//! [`Adapters`]: what a fine-tuning changed, in a file that is small beside the checkpoint it began with.
//!
//! Besides the adapters the file holds every parameter that is not, bit for bit, that of the checkpoint:
//! heads, norms. It says by SHA-256 which checkpoint that is, and from both the weights are made again that
//! were published, bit for bit.

use std::{collections::BTreeSet, path::Path};

use burn::{module::Param, prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    ModelDir, Weights,
    keys::{LORA_A, LORA_B, ParameterName},
    named::VisitNamed,
    save::{NamedTensor, Tensors, write},
};
use crate::{
    error::{Error, Result},
    linear::add_product,
    scgpt::Scgpt,
};

/// The entry of the file's metadata that says what the file is.
const ABOUT: &str = "scgpt_adapters";
/// The version of what it says.
const FORMAT: u32 = 1;

/// The adapters of a network, taken out of it before they are merged into its weights.
#[derive(Clone, Debug)]
pub struct Adapters {
    scale: f64,
    /// Both matrices of every adapter, with their names.
    matrices: Vec<(String, Tensors)>,
}

/// What a file of adapters says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    /// SHA-256 of the weights of the checkpoint.
    base: String,
    /// The factor of the products.
    scale: f64,
    /// Parameters that are those of the checkpoint, with their adapters if they have any.
    of_base: Vec<String>,
}

/// An opened file of [`Adapters`].
///
/// ```no_run
/// use scgpt_model::{AdaptersFile, ModelDir, save_tensors};
///
/// let adapters = AdaptersFile::open("pbmc-types/adapters.safetensors".as_ref())?;
/// let tensors = adapters.merged(&ModelDir::open("scGPT_human")?)?;
/// save_tensors("pbmc-types/model.safetensors".as_ref(), tensors)?;
/// # Ok::<(), scgpt_model::Error>(())
/// ```
#[derive(Debug)]
pub struct AdaptersFile {
    weights: Weights,
    about: About,
}

impl Scgpt {
    /// Its adapters; `None` if it has none.
    pub fn adapters(&self) -> Option<Adapters> {
        let scale = self.encoder.blocks.first()?.attention.qkv.adapter.as_ref()?.scale();
        let mut matrices = Matrices::default();
        self.visit_named(&mut matrices);
        Some(Adapters { scale, matrices: matrices.0 })
    }
}

impl Adapters {
    /// Name of the file in a model directory.
    pub const FILE: &'static str = "adapters.safetensors";

    /// Writes them beside `model`, into whose weights they were merged, with all else that training made
    /// other than in `base`.
    ///
    /// # Errors
    /// If the checkpoint cannot be read or the file cannot be written; nothing is left behind.
    pub fn save(&self, path: &Path, model: &Scgpt, base: &ModelDir) -> Result<()> {
        let adapted = self.matrices.iter().filter_map(|(name, _)| weight_of(name)).collect();
        let (of_base, tensors) = (Vec::new(), self.matrices.clone());
        let mut changed =
            Changed { base: base.weights(), adapted, of_base, tensors, failure: None };
        model.visit_named(&mut changed);
        let Changed { of_base, tensors, failure, .. } = changed;
        if let Some(error) = failure {
            return Err(error);
        }
        let about = About { format: FORMAT, base: base.hash()?, scale: self.scale, of_base };
        let about = serde_json::to_string(&about).map_err(|error| Error::write(path, error))?;
        write(path, &tensors, Some((ABOUT, about)))
    }
}

impl AdaptersFile {
    /// Opens a file of adapters.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self> {
        let weights = Weights::open(path)?;
        let bad = |problem: String| Error::checkpoint(path, problem);
        let text = weights.about(ABOUT).ok_or_else(|| bad("it holds no adapters".into()))?;
        let about: About = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if about.format != FORMAT {
            let format = about.format;
            return Err(bad(format!("it is of format {format}, but this version reads {FORMAT}")));
        }
        Ok(Self { weights, about })
    }

    /// Whether opened weights are adapters, of use only with the checkpoint they were made from.
    pub fn is_one(weights: &Weights) -> bool {
        weights.about(ABOUT).is_some()
    }

    /// The weights of the network, adapters merged: name, shape and elements of each.
    ///
    /// # Errors
    /// If they belong to another checkpoint than `base`, or something is missing or of another shape.
    pub fn merged(&self, base: &ModelDir) -> Result<Vec<NamedTensor>> {
        let bad = |problem: String| Error::checkpoint(self.weights.path(), problem);
        let found = base.hash()?;
        if found != self.about.base {
            return Err(bad(format!(
                "it belongs to a checkpoint whose SHA-256 is {}, but that of `{}` is {found}",
                self.about.base,
                base.weights().path().display()
            )));
        }
        let shape = |of: &Weights, name: &str| {
            let shape = of.shape(name).map(<[usize]>::to_vec);
            shape.ok_or_else(|| bad(format!("`{name}` is in none of the two files")))
        };
        let mut merged = Vec::new();
        for name in &self.about.of_base {
            let (dims, mut values) = (shape(base.weights(), name)?, base.weights().read(name)?);
            let [a, b] = [LORA_A, LORA_B].map(|part| adapter_of(name, part));
            if let (Some(a_dims), Some(b_dims)) = (self.weights.shape(&a), self.weights.shape(&b)) {
                let (&[d_out, d_in], &[rank, a_in], &[b_out, b_rank]) =
                    (dims.as_slice(), a_dims, b_dims)
                else {
                    return Err(bad(format!("the adapter of `{name}` is no pair of matrices")));
                };
                if [d_in, d_out, rank] != [a_in, b_out, b_rank] || rank == 0 {
                    let problem = format!("{a_dims:?} and {b_dims:?} for {dims:?}");
                    return Err(bad(format!("the adapter of `{name}` is {problem}")));
                }
                let (a, b) = (self.weights.read(&a)?, self.weights.read(&b)?);
                add_product(&mut values, &b, &a, d_in, self.about.scale);
            }
            merged.push((name.clone(), dims, values));
        }
        for name in self.weights.names().filter(|name| !is_adapter(name)) {
            let (dims, values) = (shape(&self.weights, name)?, self.weights.read(name)?);
            merged.push((name.to_owned(), dims, values));
        }
        Ok(merged)
    }
}

/// Whether a parameter is a matrix of an adapter.
fn is_adapter(name: &str) -> bool {
    weight_of(name).is_some()
}

/// The weight beside the adapter that has a matrix of that name.
fn weight_of(name: &str) -> Option<String> {
    let layer = [LORA_A, LORA_B]
        .into_iter()
        .find_map(|part| name.strip_suffix(".weight")?.strip_suffix(part))?;
    Some(format!("{layer}weight"))
}

/// The name of a matrix of the adapter of a weight.
fn adapter_of(weight: &str, part: &str) -> String {
    let layer = weight.strip_suffix("weight").unwrap_or(weight);
    format!("{layer}{part}.weight")
}

/// Gathers the matrices of adapters.
#[derive(Default)]
struct Matrices(Vec<(String, Tensors)>);

impl VisitNamed for Matrices {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if is_adapter(&name.key) {
            let tensor = Tensors::of(&name, parameter);
            self.0.push((name.key, tensor));
        }
    }
}

/// Gathers the parameters that are not those of a checkpoint, one at a time.
struct Changed<'a> {
    base: &'a Weights,
    /// Weights that are those of the checkpoint but for their adapters.
    adapted: BTreeSet<String>,
    of_base: Vec<String>,
    tensors: Vec<(String, Tensors)>,
    failure: Option<Error>,
}

impl VisitNamed for Changed<'_> {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if self.failure.is_some() {
            return;
        }
        if self.adapted.contains(&name.key) {
            return self.of_base.push(name.key);
        }
        let tensor = Tensors::of(&name, parameter);
        match tensor.is_in(self.base, &name.key) {
            Ok(true) => self.of_base.push(name.key),
            Ok(false) => self.tensors.push((name.key, tensor)),
            Err(error) => self.failure = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_and_its_weight_find_each_other() {
        for weight in ["transformer_encoder.layers.3.self_attn.Wqkv.weight", "a.linear1.weight"] {
            for part in [LORA_A, LORA_B] {
                assert_eq!(weight_of(&adapter_of(weight, part)).as_deref(), Some(weight));
            }
            assert!(!is_adapter(weight));
        }
        assert_eq!(adapter_of("a.b.weight", LORA_A), "a.b.lora_A.weight");
    }
}
