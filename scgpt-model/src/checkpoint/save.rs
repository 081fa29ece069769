//! Writes model directories and safetensors files with the reference's key names.

use std::{borrow::Cow, collections::HashMap, fs, path::Path};

use burn::{module::Param, prelude::*};
use safetensors::{Dtype, View};

use super::{
    CONFIG, PREPROCESS, VOCABULARY, WEIGHTS, Weights, keys::ParameterName, named::VisitNamed,
};
use crate::{
    config::ScgptConfig,
    error::{Error, Result},
    preprocess::Preprocess,
    scgpt::Scgpt,
};

/// A tensor on its way into a file.
#[derive(Clone, Debug)]
pub(super) struct Tensors {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensors {
    /// A parameter with the axis order of the reference.
    pub(super) fn of<const D: usize>(name: &ParameterName, parameter: &Param<Tensor<D>>) -> Self {
        let tensor = parameter.val();
        let tensor = if name.is_transposed { tensor.transpose() } else { tensor };
        let shape = tensor.dims().to_vec();
        let bytes = tensor.into_data().convert::<f32>().bytes().to_vec();
        Self { dtype: Dtype::F32, shape, bytes }
    }

    /// Whether a file has the same tensor under that name, bit for bit once it is f32.
    ///
    /// # Errors
    /// If it cannot be read there.
    pub(super) fn is_in(&self, weights: &Weights, name: &str) -> Result<bool> {
        if weights.shape(name) != Some(&self.shape) {
            return Ok(false);
        }
        let bytes = weights.read(name)?.into_iter().flat_map(f32::to_le_bytes);
        Ok(bytes.eq(self.bytes.iter().copied()))
    }
}

impl View for &Tensors {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Weights {
    /// Writes all tensors, task heads included, as safetensors in the packed spelling; Python
    /// reads the file with `safetensors.torch.load_file`.
    ///
    /// # Errors
    /// If a tensor cannot be read or the file cannot be written; nothing is left behind.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors: Vec<(String, Tensors)> = self
            .names()
            .map(|name| {
                let (dtype, shape, bytes) = self.raw(name)?;
                Ok((name.to_owned(), Tensors { dtype, shape, bytes }))
            })
            .collect::<Result<_>>()?;
        write(path, &tensors, None)
    }
}

impl Scgpt {
    /// Writes the parameters as f32 safetensors with the reference's key names and axis order.
    ///
    /// # Errors
    /// If the file cannot be written; nothing is left behind.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut parameters = Parameters::default();
        self.visit_named(&mut parameters);
        write(path, &parameters.0, None)
    }
}

/// Fills `folder`, which does not exist yet, with a native model directory: configuration,
/// preprocessing, weights (written by `weights`, which is given the path of their file),
/// vocabulary, and a model card that tells its `origin`.
///
/// # Errors
/// If `folder` exists, or a file cannot be read or written; what was written until then is left to
/// the caller.
pub fn write_model_dir(
    folder: &Path,
    config: &ScgptConfig,
    preprocess: &Preprocess,
    vocabulary: &Path,
    origin: &str,
    weights: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    fs::create_dir(folder).map_err(|error| Error::write(folder, error))?;
    let json = |value: Result<String, serde_json::Error>| {
        value.map_err(|error| Error::write(folder, error))
    };
    write_text(&folder.join(CONFIG), &json(serde_json::to_string_pretty(config))?)?;
    write_text(&folder.join(PREPROCESS), &json(serde_json::to_string_pretty(preprocess))?)?;
    write_text(&folder.join("README.md"), &card(config, preprocess, origin))?;
    let copy = folder.join(VOCABULARY);
    let text = fs::read(vocabulary).map_err(|error| Error::read(vocabulary, error))?;
    fs::write(&copy, text).map_err(|error| Error::write(&copy, error))?;
    weights(&folder.join(WEIGHTS))
}

fn card(config: &ScgptConfig, preprocess: &Preprocess, origin: &str) -> String {
    format!(
        "# scGPT model\n\n{origin}\n\n\
         - network: {} gene tokens, {} layers, {} heads, {} wide (`config.json`)\n\
         - input: raw counts, {} value bins per cell (0 is zero), at most {} tokens; `<cls>` carries {} \
         (`preprocess.json`)\n\
         - weights: `model.safetensors`, names as in the reference implementation\n",
        config.vocab_size,
        config.n_layers,
        config.n_heads,
        config.d_model,
        config.n_bins,
        preprocess.max_length,
        preprocess.cls_value
    )
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Error::write(path, error))
}

/// Name, shape and elements.
pub(super) type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// Writes f32 tensors (name, shape, elements) as safetensors.
///
/// # Errors
/// If the file cannot be written; nothing is left behind.
pub fn save_tensors(path: &Path, tensors: Vec<NamedTensor>) -> Result<()> {
    let tensors: Vec<(String, Tensors)> = tensors
        .into_iter()
        .map(|(name, shape, values)| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, Tensors { dtype: Dtype::F32, shape, bytes })
        })
        .collect();
    write(path, &tensors, None)
}

/// Writes the file, with an entry of its metadata if there is any, under a name of its own first, so that
/// it appears whole or not at all.
pub(super) fn write(
    path: &Path,
    tensors: &[(String, Tensors)],
    about: Option<(&str, String)>,
) -> Result<()> {
    let about = about.map(|(name, text)| HashMap::from([(name.to_owned(), text)]));
    let views = tensors.iter().map(|(name, tensor)| (name, tensor));
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fill = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".scgpt-");
        // A temporary file is private to its writer; this one is as readable as any other.
        #[cfg(unix)]
        let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        builder.permissions(permissions);
        let file = builder.tempfile_in(folder)?;
        let permissions = file.as_file().metadata()?.permissions();
        safetensors::serialize_to_file(views, about, file.path())?;
        fs::set_permissions(file.path(), permissions)?;
        file.persist(path)?;
        Ok(())
    };
    fill().map_err(|error| Error::write(path, error))
}

/// All parameters of a network under their reference names, in its order.
#[derive(Default)]
struct Parameters(Vec<(String, Tensors)>);

impl VisitNamed for Parameters {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        let tensor = Tensors::of(&name, parameter);
        self.0.push((name.key, tensor));
    }
}
