//! [`Artefact`]: everything that annotating needs, in one directory.
//!
//! It is a model directory whose network has a class head, or the vocabulary of a simple method, with a record of the classes and of the calibration, the
//! profiles of what the cells of each class express, and some held-out cells, by which it is calibrated anew
//! where a query lacks genes.

use std::{collections::BTreeMap, path::Path};

use burn::prelude::Device;
use scgpt_data::TieMode;
use scgpt_model::{InferencePrecision, Strictness};
use scgpt_report::{ColourValues, Colouring, category_colours};
use serde::{Deserialize, Serialize};

use super::{
    calibration::Calibration,
    classifier::{Classifier, METHOD, SimpleClassifier},
    held_out::{HELD_OUT, HeldOut},
    method::Method,
    profiles::{PROFILES, Profiles},
};
use crate::{
    artefact::{ArtefactKind, OpenArtefact, VOCABULARY, hash, read_part},
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
    /// What tells the types: a network, or a simple method.
    #[serde(default)]
    pub method: Method,
    /// The column of `obs` whose labels it was trained on.
    pub label: String,
    /// Names of the classes, in the order of the class head.
    pub classes: Vec<String>,
    /// The colour of each class, as `#rrggbb`, by its name: that of the cells that were learned from. None of more
    /// classes than colours tell apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub colours: BTreeMap<String, String>,
    /// Number of cells of each class that it was trained on.
    pub counts: Vec<usize>,
    /// Most tokens per cell.
    pub max_length: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Number of value bins by which profiles know cells; `None` if it is that of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_bins: Option<u16>,
    /// Seed of the choice of genes of cells with too many.
    pub seed: u64,
    /// What held-out cells tell of confidence, of plausible classes and of unknown cells.
    pub calibration: Calibration,
}

impl ArtefactRecord {
    /// The colour of each class, as `#rrggbb`, by its name. Where the record has none, classes have those that they have
    /// together on any page, so that cells of a few of them agree with those of others.
    pub fn class_colours(&self) -> Vec<(String, String)> {
        if !self.colours.is_empty() {
            return self.colours.clone().into_iter().collect();
        }
        let all = Colouring::labels(&self.label, self.classes.iter().map(|it| Some(&**it)));
        let colours = category_colours(std::slice::from_ref(&all)).swap_remove(0);
        let ColourValues::Categories { categories, .. } = all.values else { return Vec::new() };
        categories.into_iter().map(|it| it.name).zip(colours).collect()
    }
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
    pub(super) classifier: Classifier,
    pub(super) record: ArtefactRecord,
    pub(super) profiles: Profiles,
    pub(super) held_out: HeldOut,
    /// SHA-256 of the record, which has those of all other files.
    sha256: String,
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
        let (record, hashes) = KIND.open_record::<ArtefactRecord>(folder)?;
        let n_classes = record.classes.len();
        let (record, classifier) = if record.method == Method::Network {
            let OpenArtefact { record, model, sha256 } = KIND.open_model(folder, record, hashes)?;
            let embedder = Embedder::of_folder(&model, KIND.kind, device, Strictness::Strict)?;
            let embedder = embedder.with_hash(sha256);
            KIND.check_number(folder, "classes", [n_classes, embedder.config().n_classes])?;
            (record, Classifier::Network(Box::new(embedder)))
        } else {
            if let Some(missing) =
                [METHOD, VOCABULARY].iter().find(|name| !hashes.contains_key(**name))
            {
                return Err(KIND.mismatch(folder, format!("it does not list `{missing}`")));
            }
            let simple = SimpleClassifier::open(folder, record.method, record.n_bins, n_classes)?;
            (record, Classifier::Simple(Box::new(simple)))
        };
        let profiles = read_part(&folder.join(PROFILES))?;
        let n_tokens = classifier.vocab().len();
        let held_out = HeldOut::read(&folder.join(HELD_OUT), n_classes, n_tokens)?;
        let sha256 = hash(&folder.join(ANNOTATION))?;
        Ok(Self { classifier, record, profiles, held_out, sha256 })
    }

    /// The same, but cells are computed in that precision where there is a faster way to do so.
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        Self { classifier: self.classifier.with_precision(precision), ..self }
    }

    /// SHA-256 by which the artefact is known, hexadecimal.
    pub fn hash(&self) -> &str {
        &self.sha256
    }

    /// The record: what the artefact knows beyond its model.
    pub fn record(&self) -> &ArtefactRecord {
        &self.record
    }
}
