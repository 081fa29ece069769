//! [`Checkpoint`]: the model that is trained further.

use std::{path::Path, sync::Arc};

use scgpt_data::GeneVocab;
use scgpt_model::ModelDir;

use crate::{error::Result, usage::Usage};

/// The model directory of a network that is trained further. A task opens it once; whatever it asks of the
/// model, and every repeat of the training, has it from here.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(super) folder: Arc<ModelDir>,
    /// The genes it knows.
    pub(crate) vocab: GeneVocab,
}

impl Checkpoint {
    /// Opens the model directory `path`, if there is one, for a use.
    ///
    /// # Errors
    /// If it cannot be opened, or is of no use so.
    pub(crate) fn open(path: Option<&Path>, usage: Usage) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let folder = usage.open(path)?;
        let vocab = GeneVocab::from_json(folder.vocab_path())?;
        Ok(Some(Self { folder: Arc::new(folder), vocab }))
    }
}
