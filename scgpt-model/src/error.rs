//! [`Error`]: an invalid configuration or checkpoint, with file, place and remedy.

use std::path::{Path, PathBuf};

use crate::problem::FieldProblem;

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a model directory, and (see [`Error::hint`]) what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself; every mistake is listed.
    #[error("invalid model configuration{}: {}", at(path.as_deref()), listed(problems))]
    Config {
        /// The file it came from, if any.
        path: Option<PathBuf>,
        /// One entry a mistake.
        problems: Vec<FieldProblem>,
    },
    /// A configuration file is not what its name promises.
    #[error("`{}` is no configuration", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The network, or what it is given, cannot generate; every reason is listed.
    #[error("nothing can be generated: {}", .0.join("; "))]
    Generate(Vec<String>),
    /// A file of the model directory is missing or unreadable.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The weights file is not one that can be trusted or understood.
    #[error("`{}` is not a usable checkpoint: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// The weights do not fit the configuration and a partial load was not asked for.
    #[error("`{}` does not fit its configuration: {problem}", path.display())]
    Mismatch {
        /// The weights file.
        path: PathBuf,
        /// Missing, mismatched and unused tensors.
        problem: String,
    },
    /// A layer was asked for that the network does not have.
    #[error("the network has {n_layers} layers, numbered from 0 to {}, but none {layer}", n_layers.saturating_sub(1))]
    Layer {
        /// The layer that was asked for, counted from 0.
        layer: usize,
        /// Number of layers that the network has.
        n_layers: usize,
    },
    /// The output could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn read(
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Read { path: path.as_ref().into(), source: source.into() }
    }

    pub(crate) fn write(
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Write { path: path.as_ref().into(), source: source.into() }
    }

    pub(crate) fn checkpoint(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.as_ref().into(), problem: problem.into() }
    }

    /// The same error, of a configuration that was read from a file.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Config { problems, .. } => Self::Config { path: Some(file.into()), problems },
            other => other,
        }
    }

    /// What the user can do about it, if that can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config { .. } | Self::Document { .. } => {
                Some("correct the named fields; a released checkpoint has them in `args.json`")
            }
            Self::Read { .. } => Some(
                "a model directory holds `config.json` + `model.safetensors` + `vocab.json`, or the released \
                 `args.json` + `best_model.pt` + `vocab.json`",
            ),
            Self::Checkpoint { .. } => Some(
                "download the file again and compare its size; only tensors saved by `torch.save(state_dict)` or \
                 safetensors are read, and no code inside a file is ever run",
            ),
            Self::Mismatch { .. } => Some(
                "check that weights and configuration belong together; a partial load takes what fits and leaves the \
                 rest as initialised",
            ),
            Self::Generate(_) => None,
            Self::Layer { .. } => Some("choose one of them; the last is the usual choice"),
            Self::Write { .. } => Some("check that the folder exists, is writable and has space"),
        }
    }
}

/// All mistakes in one line.
fn listed(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn at(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" in `{}`", path.display()))
}
