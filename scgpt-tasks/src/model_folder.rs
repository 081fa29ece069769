//! [`write_model`]: writes a network as a model directory.

use std::path::Path;

use scgpt_data::{Existing, OutputKind, Place};
use scgpt_model::{Adapters, Preprocess, ScgptConfig, write_model_dir};

use crate::{artefact::MODEL_FILES, error::Result, start_vectors::START};

/// Model directories as this program writes them.
pub(crate) const MODEL: OutputKind = OutputKind {
    name: "a model directory",
    is_one: |folder| MODEL_FILES.iter().all(|name| folder.join(name).is_file()),
    holds: |entry| {
        let name = entry.file_name().unwrap_or_default();
        MODEL_FILES.iter().chain(&["README.md", START, Adapters::FILE]).any(|file| name == *file)
    },
};

/// Writes a native model directory: configuration, preprocessing, weights (written by `weights`,
/// which is given the path of their file), vocabulary, and a model card that tells its `origin`.
///
/// The folder appears whole or not at all. If `existing` allows it, it replaces another model directory, and
/// nothing else.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_data::Existing;
/// use scgpt_model::{Preprocess, ScgptConfig};
/// use scgpt_tasks::{open_model, write_model};
///
/// let folder = tempfile::tempdir()?;
/// let (vocabulary, model) = (folder.path().join("genes.json"), folder.path().join("model"));
/// std::fs::write(&vocabulary, r#"{"<pad>":0,"<cls>":1,"<eoc>":2,"CD3D":3,"MS4A1":4}"#)?;
///
/// let config = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(5) };
/// let network = config.init(&Device::flex())?;
/// let preprocess = Preprocess { max_length: 64, cls_value: 0.0 };
/// let save = |file: &std::path::Path| network.save(file);
/// let existing = Existing::Refuse;
/// write_model(&model, existing, &config, &preprocess, &vocabulary, "an example", save)?;
/// assert_eq!(open_model(&model)?.config(), &config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If `folder` exists and is not to be replaced, or a file cannot be read or written.
pub fn write_model(
    folder: &Path,
    existing: Existing,
    config: &ScgptConfig,
    preprocess: &Preprocess,
    vocabulary: &Path,
    origin: &str,
    weights: impl FnOnce(&Path) -> scgpt_model::Result<()>,
) -> Result<()> {
    let place = Place::folder(folder, existing, MODEL)?;
    write_model_dir(&place.path(), config, preprocess, vocabulary, origin, weights)?;
    Ok(place.publish()?)
}
