//! [`FolderKind`]: what a folder holds.
//!
//! Models, artefacts, indices, shards and runs are all folders, and it is easy to name one for
//! another. An error on opening one therefore says not only what is missing but what is there in
//! its place, and which command takes it.

use std::path::Path;

use scgpt_data::Source;
use scgpt_model::ModelDir;

use crate::error::{Error, Result};

/// The file by which an artefact of `scgpt annotate train` is known.
pub(crate) const ANNOTATION: &str = "annotation.json";
/// The file by which an artefact of `scgpt integrate` is known.
pub(crate) const INTEGRATION: &str = "integration.json";
/// The file by which an integration without a network is known.
pub(crate) const SIMPLE_INTEGRATION: &str = "simple_integration.json";
/// The file by which an artefact of `scgpt perturb train` is known.
pub(crate) const PERTURBATION: &str = "perturbation.json";
/// The file by which an index of `scgpt map index` is known.
pub(crate) const INDEX: &str = "index.json";

/// The subfolder of an artefact's folder in which its training happens.
pub const TRAINING: &str = "training";

/// The file, in the folder of an artefact, by which a run is known that has not written everything
/// yet: while it is there, the other files need not belong together.
pub const UNFINISHED: &str = "training/unfinished.json";

/// What is at `path` instead of cells, if it is something that this program or the authors wrote: a model, an artefact,
/// an index, shards or a run.
pub fn instead_of_cells(path: &Path) -> Option<&'static str> {
    use FolderKind::{Cells, File, Other};
    let kind = FolderKind::of(path);
    (!matches!(kind, Cells | File | Other)).then(|| kind.describe())
}

/// The kinds of folders that the commands write and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderKind {
    /// A network with its vocabulary and nothing else.
    Model,
    /// An artefact of `scgpt annotate train`.
    Annotation,
    /// An artefact of `scgpt integrate`.
    Integration,
    /// What `scgpt integrate` leaves of a simple method, which has no network.
    SimpleIntegration,
    /// An artefact of `scgpt perturb train`.
    Perturbation,
    /// A training of an artefact that has not come to its end.
    Unfinished,
    /// An index of `scgpt map index`.
    Index,
    /// Token shards of `scgpt convert`.
    Shards,
    /// A run of `scgpt pretrain`.
    Run,
    /// A file or folder of cells.
    Cells,
    /// Some other file.
    File,
    /// None of these.
    Other,
}

impl FolderKind {
    /// The kind of what is at `path`, by the files that are there. The most telling ones come
    /// first: an artefact is a model, too, and a finished one keeps the folder of its training.
    pub(crate) fn of(path: &Path) -> Self {
        let has = |name: &str| path.join(name).exists();
        if path.is_file() {
            return if Source::recognises(path) { Self::Cells } else { Self::File };
        }
        [
            (has(ANNOTATION), Self::Annotation),
            (has(INTEGRATION), Self::Integration),
            (has(SIMPLE_INTEGRATION), Self::SimpleIntegration),
            (has(PERTURBATION), Self::Perturbation),
            (has(INDEX), Self::Index),
            (has(UNFINISHED), Self::Unfinished),
            (has("config.json") || has("args.json"), Self::Model),
            (has("gene_vocab.json") || has("zarr.json") || has(".zgroup"), Self::Cells),
            (has("manifest.json"), Self::Shards),
            (has("checkpoints"), Self::Run),
            (has(TRAINING), Self::Unfinished),
            (has("matrix.mtx") || has("matrix.mtx.gz"), Self::Cells),
        ]
        .into_iter()
        .find_map(|(is_it, kind)| is_it.then_some(kind))
        .unwrap_or(Self::Other)
    }

    /// Opens the model directory at `path`, and says whether it is that of an artefact.
    ///
    /// # Errors
    /// As [`open_model`].
    pub(crate) fn open(path: &Path) -> Result<(Self, ModelDir)> {
        use FolderKind::{Cells, File, Index, Run, Shards, SimpleIntegration, Unfinished};
        let kind = Self::of(path);
        if let Index | Shards | Run | Unfinished | Cells | File | SimpleIntegration = kind
            && let Some(error) = Self::Model.instead(path)
        {
            return Err(error);
        }
        if kind == Self::Annotation && !path.join("config.json").exists() {
            return Err(Error::Incompatible {
                path: path.into(),
                problem: "it is an artefact of a simple method, which has no network".into(),
                remedy: kind.meant(path).into(),
            });
        }
        Ok((kind, ModelDir::open(path)?))
    }

    /// Its name with an article, for messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Model => "a model that was trained for no task",
            Self::Annotation => "an artefact of `scgpt annotate train`",
            Self::Integration => "an artefact of `scgpt integrate`",
            Self::SimpleIntegration => "an integration by a simple method, without a network",
            Self::Perturbation => "an artefact of `scgpt perturb train`",
            Self::Unfinished => "an unfinished training",
            Self::Index => "an index of `scgpt map index`",
            Self::Shards => "a folder of token shards",
            Self::Run => "a run of `scgpt pretrain`",
            Self::Cells => "cells",
            Self::File => "a file",
            Self::Other => "neither a model nor anything else that this program writes",
        }
    }

    /// The command that takes such a folder, in words.
    pub(crate) fn meant(self, path: &Path) -> String {
        let said = match self {
            Self::Model => "embed cells with it by `scgpt embed`, or train it for a task",
            Self::Annotation => "annotate cells with it by `scgpt annotate predict`",
            Self::Integration => "embed further cells of its batches with it by `scgpt integrate`",
            Self::SimpleIntegration => "put further cells into its space by `scgpt integrate`",
            Self::Perturbation => "ask it by `scgpt perturb predict` or `scgpt perturb reverse`",
            Self::Unfinished => "let the command that began it resume it",
            Self::Index => "find labels in it by `scgpt map query`",
            Self::Shards => "learn from them by `scgpt pretrain`, whose run has a `model`",
            Self::Run => {
                let path = path.display();
                return format!(
                    "name `{path}/model`, or let `scgpt pretrain` resume the run if it is not there yet"
                );
            }
            Self::Cells => {
                "cells are the input of a command, not its model; perhaps both are swapped"
            }
            Self::File => {
                "models, artefacts, indices and shards are folders: name the folder, not a file in it"
            }
            Self::Other => "name the folder of a model, an artefact or an index",
        };
        said.into()
    }

    /// The command that makes such a folder, in words.
    pub(crate) fn made(self) -> &'static str {
        match self {
            Self::Annotation => "make an artefact with `scgpt annotate train`",
            Self::Integration => "make an artefact with `scgpt integrate`",
            Self::Perturbation => "make an artefact with `scgpt perturb train`",
            Self::Index => "make an index with `scgpt map index`",
            Self::Shards => "make token shards with `scgpt convert`",
            _ => "name a model directory, such as `scgpt pretrain` makes or the authors released",
        }
    }

    /// The error that says what is at `path` in the place of something of this kind; `None` if that
    /// has no known kind.
    pub(crate) fn instead(self, path: &Path) -> Option<Error> {
        let found = Self::of(path);
        if found == self || found == Self::Other || !path.exists() {
            return None;
        }
        let expected = match self {
            Self::Model => "a model",
            _ => self.describe(),
        };
        Some(Error::Incompatible {
            path: path.into(),
            problem: format!("it is {}, expected {expected}", found.describe()),
            remedy: match (self, found) {
                (Self::Model, Self::Run) => found.meant(path).into(),
                _ => format!("{}; {}", found.meant(path), self.made()).into(),
            },
        })
    }
}

/// Opens a model directory, which may be that of an artefact. The error for anything else says what
/// it is.
///
/// ```
/// use scgpt_tasks::open_model;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("index.json"), "{}")?;
/// let error = open_model(folder.path()).unwrap_err();
/// assert!(error.to_string().contains("an index of `scgpt map index`"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If `path` is no such directory, or a file in it is missing, unreadable, unsafe or inconsistent.
pub fn open_model(path: &Path) -> Result<ModelDir> {
    Ok(FolderKind::open(path)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |files: &[&str]| {
            let place = tempfile::tempdir_in(folder.path()).unwrap();
            for file in files {
                let path = place.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "{}").unwrap();
            }
            FolderKind::of(place.path())
        };
        for (files, expected) in [
            (&["config.json", "vocab.json"][..], FolderKind::Model),
            (&["args.json"], FolderKind::Model),
            (&["config.json", "annotation.json"], FolderKind::Annotation),
            (&["config.json", "integration.json"], FolderKind::Integration),
            (&["config.json", "perturbation.json"], FolderKind::Perturbation),
            (&["simple_integration.json", "report.json"], FolderKind::SimpleIntegration),
            (&["training"], FolderKind::Unfinished),
            // An artefact that was being replaced: its weights may be new and its vocabulary old.
            (&["config.json", "vocab.json", UNFINISHED], FolderKind::Unfinished),
            (&["config.json", "annotation.json", UNFINISHED], FolderKind::Annotation),
            (&["index.json", "labels.u32"], FolderKind::Index),
            (&["manifest.json", "vocab.json"], FolderKind::Shards),
            (&["manifest.json", "gene_vocab.json"], FolderKind::Cells),
            (&["checkpoints", "log.jsonl", "config.toml"], FolderKind::Run),
            (&[".zgroup"], FolderKind::Cells),
            (&[], FolderKind::Other),
        ] {
            assert_eq!(kind(files), expected, "{files:?}");
        }
        assert!(open_model(&folder.path().join("none")).is_err());
    }

    #[test]
    fn what_is_there_instead_is_named_with_the_command_that_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), "{}").unwrap();
        let error = open_model(folder.path()).unwrap_err();
        assert!(error.to_string().contains("an index of `scgpt map index`, expected a model"));
        assert!(error.hint().unwrap().contains("scgpt map query"));
        assert!(FolderKind::Index.instead(folder.path()).is_none());
        assert!(FolderKind::Annotation.instead(folder.path()).is_some());
    }
}
