//! [`ModelDir`]: a model on disk, native or as released, loaded strictly.

mod adapters;
mod extend;
mod keys;
mod load;
mod named;
mod part;
mod save;
mod torch;
mod weights;

use std::{
    io::BufReader,
    path::{Path, PathBuf},
};

use burn::prelude::Device;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::{
    adapters::{Adapters, AdaptersFile},
    extend::GeneRows,
    keys::ParameterName,
    load::{LoadReport, Strictness},
    named::{MapNamed, VisitNamed},
    part::NetworkPart,
    save::{save_tensors, write_model_dir},
    weights::Weights,
};
use crate::{
    config::{GepcStyle, ScgptConfig, ValueEncoding},
    error::{Error, Result},
    preprocess::Preprocess,
    scgpt::Scgpt,
};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const PREPROCESS: &str = "preprocess.json";
const VOCABULARY: &str = "vocab.json";
const ARGS: &str = "args.json";
const RELEASED_WEIGHTS: &str = "best_model.pt";

/// A model directory: configuration, preprocessing, weights, vocabulary.
///
/// Either native (`config.json`, `preprocess.json`, `model.safetensors`, `vocab.json`) or as
/// released with the reference implementation (`args.json`, `best_model.pt` or
/// `model.safetensors`, `vocab.json`), or as its mirrors for `transformers` have it (`config.json`
/// with the keys of `args.json`, `model.safetensors`; the vocabulary is to be put beside them).
///
/// ```no_run
/// use burn::prelude::Device;
/// use scgpt_model::{ModelDir, Strictness};
///
/// let folder = ModelDir::open("models/scGPT_human")?;
/// println!("{} layers", folder.config().n_layers);
/// let (model, report) = folder.load(&Device::default(), Strictness::Strict)?;
/// assert!(report.is_complete());
/// # drop(model);
/// # Ok::<(), scgpt_model::Error>(())
/// ```
#[derive(Debug)]
pub struct ModelDir {
    path: PathBuf,
    config: ScgptConfig,
    preprocess: Preprocess,
    weights: Weights,
}

impl ModelDir {
    /// Opens a directory: reads its configuration and the index of its weights.
    ///
    /// # Errors
    /// If a file is missing, unreadable, unsafe or inconsistent.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let has = |name: &str| path.join(name).is_file();
        if !path.is_dir() {
            let what = if path.exists() { "a file, expected a folder" } else { "no such folder" };
            return Err(Error::read(path, what));
        }
        let parts = [
            ("configuration", [CONFIG, ARGS]),
            ("weights", [WEIGHTS, RELEASED_WEIGHTS]),
            ("vocabulary", [VOCABULARY, VOCABULARY]),
        ];
        let found: Vec<&str> =
            parts.iter().flat_map(|(_, names)| names).copied().filter(|name| has(name)).collect();
        for (part, names @ [first, second]) in parts {
            if names.iter().any(|name| found.contains(name)) {
                continue;
            }
            let expected = if first == second {
                format!("`{first}`")
            } else {
                format!("`{first}` or `{second}`")
            };
            let there = match found.first() {
                Some(name) => format!(", though it has `{name}`"),
                None => String::new(),
            };
            return Err(Error::read(path, format!("it has no {part}{there}: expected {expected}")));
        }
        let weights_name = if has(RELEASED_WEIGHTS) && (has(ARGS) || !has(WEIGHTS)) {
            RELEASED_WEIGHTS
        } else {
            WEIGHTS
        };
        let file = path.join(if has(CONFIG) { CONFIG } else { ARGS });
        let is_native = has(CONFIG) && read_json::<Value>(&file)?.get("embsize").is_none();
        let weights = Weights::open(&path.join(if is_native { WEIGHTS } else { weights_name }))?;
        let (config, preprocess) = if is_native {
            let config: ScgptConfig = read_json(&file)?;
            config.validate().map_err(|error| error.in_file(&file))?;
            (config, read_json(&path.join(PREPROCESS))?)
        } else {
            released(&file, &weights)?
        };
        Ok(Self { path: path.into(), config, preprocess, weights })
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration of the network.
    pub fn config(&self) -> &ScgptConfig {
        &self.config
    }

    /// What the model expects of its input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The index of the weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Path of the vocabulary file.
    pub fn vocab_path(&self) -> PathBuf {
        self.path.join(VOCABULARY)
    }

    /// SHA-256 of the weights file, hexadecimal.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn hash(&self) -> Result<String> {
        let path = self.weights.path();
        let file = std::fs::File::open(path).map_err(|error| Error::read(path, error))?;
        let mut hasher = Sha256::new();
        std::io::copy(&mut BufReader::with_capacity(1 << 17, file), &mut hasher)
            .map_err(|error| Error::read(path, error))?;
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// The network with its weights.
    ///
    /// # Errors
    /// See [`Weights::load`].
    pub fn load(&self, device: &Device, strictness: Strictness) -> Result<(Scgpt, LoadReport)> {
        self.weights.load(&self.config, device, strictness)
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    serde_json::from_str(&text).map_err(|source| Error::Document { path: path.into(), source })
}

/// Configuration and preprocessing of a released checkpoint.
fn released(args: &Path, weights: &Weights) -> Result<(ScgptConfig, Preprocess)> {
    let genes = weights.shape(keys::GENE_TABLE).and_then(|shape| shape.first().copied());
    let vocab_size = genes.ok_or_else(|| {
        Error::checkpoint(weights.path(), format!("it has no tensor `{}`", keys::GENE_TABLE))
    })?;
    let (mut config, preprocess) = ScgptConfig::from_reference(args, vocab_size)?;
    // Which heads were saved, and how many value bins, are facts of the file, not of the flags of
    // a past training run.
    config.gepc = weights.shape(keys::GEPC_HEAD).is_some().then(GepcStyle::default);
    config.unknown_flag = weights.shape(keys::UNKNOWN_FLAG).is_some();
    if let ValueEncoding::Binned { n_inputs } = &mut config.value_encoding
        && let Some(&[rows, _]) = weights.shape(keys::VALUE_TABLE)
    {
        *n_inputs = rows;
    }
    Ok((config, preprocess))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_a_configuration_are_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        save_tensors(&at(WEIGHTS), vec![("a".into(), vec![1], vec![0.0])]).unwrap();
        std::fs::write(at(VOCABULARY), "{}").unwrap();
        let open = |config: &str| {
            std::fs::write(at(CONFIG), config).unwrap();
            ModelDir::open(folder.path()).unwrap_err()
        };
        let config = ScgptConfig { n_layers: 0, ..ScgptConfig::new(10) };
        let error = open(&serde_json::to_string(&config).unwrap());
        let Error::Config { path: Some(path), problems } = &error else { panic!("{error}") };
        assert_eq!((path, problems[0].field), (&at(CONFIG), "n_layers"));
        let error = open("{\"n_layer\": 3}");
        assert!(matches!(&error, Error::Document { path, .. } if *path == at(CONFIG)), "{error}");
    }
}
