//! [`Artefact`]: everything that annotating needs, in one directory.
//!
//! It is a model directory whose network has a class head, with a record of the classes and of the calibration, the
//! profiles of what the cells of each class express, and some held-out cells, by which it is calibrated anew
//! where a query lacks genes.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::TieMode;
use scgpt_model::{InferencePrecision, Strictness};
use serde::{Deserialize, Serialize};

use super::{
    calibration::Calibration,
    held_out::{HELD_OUT, HeldOut},
    profiles::{PROFILES, Profiles},
};
use crate::{
    artefact::{ArtefactKind, OpenArtefact, read_part},
    embed::Embedder,
    error::Result,
    folder_kind::{ANNOTATION, FolderKind},
};

/// How the artefact is written.
pub(super) const KIND: ArtefactKind = ArtefactKind {
    record: ANNOTATION,
    format: 3,
    kind: FolderKind::Annotation,
    made_by: "scgpt annotate train",
};

/// What an artefact knows beyond its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtefactRecord {
    /// The column of `obs` whose labels it was trained on.
    pub label: String,
    /// Names of the classes, in the order of the class head.
    pub classes: Vec<String>,
    /// Number of cells of each class that it was trained on.
    pub counts: Vec<usize>,
    /// Most tokens per cell.
    pub max_length: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Seed of the choice of genes of cells with too many.
    pub seed: u64,
    /// What held-out cells tell of confidence, of plausible classes and of unknown cells.
    pub calibration: Calibration,
}

/// An artefact, ready to annotate.
///
/// ```no_run
/// use std::path::Path;
///
/// use burn::prelude::Device;
/// use scgpt_tasks::annotate::Artefact;
///
/// let artefact = Artefact::open(Path::new("immune.model"), &Device::default())?;
/// let record = artefact.record();
/// println!("`{}`, one of {}", record.label, record.classes.join(", "));
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Debug)]
pub struct Artefact {
    pub(super) embedder: Embedder,
    pub(super) record: ArtefactRecord,
    pub(super) profiles: Profiles,
    pub(super) held_out: HeldOut,
}

impl Artefact {
    /// Whether a folder holds such an artefact, as far as its record tells.
    pub fn is_at(folder: &Path) -> bool {
        KIND.is_at(folder)
    }

    /// Opens a directory made by [`Annotation`](super::Annotation).
    ///
    /// # Errors
    /// If a file is missing or was changed, the format is of another version, or the parts do not
    /// belong together.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let OpenArtefact { record, model, sha256 } = KIND.open::<ArtefactRecord>(folder)?;
        let embedder = Embedder::of_folder(&model, KIND.kind, device, Strictness::Strict)?;
        let embedder = embedder.with_hash(sha256);
        let n_classes = embedder.config().n_classes;
        KIND.check_number(folder, "classes", [record.classes.len(), n_classes])?;
        let profiles = read_part(&folder.join(PROFILES))?;
        let n_tokens = embedder.vocab().len();
        let held_out = HeldOut::read(&folder.join(HELD_OUT), n_classes, n_tokens)?;
        Ok(Self { embedder, record, profiles, held_out })
    }

    /// The same, but cells are computed in that precision where there is a faster way to do so.
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        Self { embedder: self.embedder.with_precision(precision), ..self }
    }

    /// The record: what the artefact knows beyond its model.
    pub fn record(&self) -> &ArtefactRecord {
        &self.record
    }
}
