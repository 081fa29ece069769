//! [`Error`]: why training stopped, where, and what to do about it.

use std::path::{Path, PathBuf};

use scgpt_data::{Advice, Setting, SettingProblem};

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and (see [`Error::hint`]) what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself or the network; every mistake is listed.
    #[error("invalid training configuration: {}", listed(.0))]
    Config(Vec<SettingProblem>),
    /// The run in the folder was made with another configuration.
    #[error("`{}` was made with another configuration: {}", run.display(), differences.join("; "))]
    OtherConfig {
        /// Folder of the run.
        run: PathBuf,
        /// One sentence per field that differs.
        differences: Vec<String>,
    },
    /// There is nothing to train on.
    #[error("{0}")]
    Data(String),
    /// A loss is not a number.
    #[error(
        "training diverged at step {step}: {} not finite{}",
        name_terms(terms),
        last_good.as_deref().map_or_else(String::new, |path| format!("; the last good checkpoint is `{}`", path.display()))
    )]
    Diverged {
        /// Number of the optimiser step.
        step: u64,
        /// The loss terms that are NaN or infinite, or the gradient.
        terms: Vec<String>,
        /// The newest checkpoint, from which to start again.
        last_good: Option<PathBuf>,
    },
    /// No checkpoint of a run can be used.
    #[error("`{}` has no usable checkpoint: {}", run.display(), if problems.is_empty() { "there is none".into() } else { problems.join("; ") })]
    NoCheckpoint {
        /// Folder of the run.
        run: PathBuf,
        /// What is wrong with the checkpoints there are.
        problems: Vec<String>,
    },
    /// A file of the run could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was being done, such as reading.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model could not be read or written.
    #[error(transparent)]
    Model(#[from] scgpt_model::Error),
    /// Reading cells failed.
    #[error(transparent)]
    Cells(#[from] scgpt_data::Error),
    /// The workers of a training cannot go on together.
    #[error("{0}")]
    Workers(String),
    /// A worker has other weights than the first.
    #[error("`{parameter}` of worker {worker} is not that of the first worker")]
    Drifted {
        /// Name of the parameter.
        parameter: String,
        /// Number of the worker, from 0.
        worker: usize,
    },
    /// The observer asked to stop; the state was saved.
    #[error("interrupted; the state is in `{}`", .0.display())]
    Interrupted(PathBuf),
}

impl Error {
    pub(crate) fn file(
        action: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::File { action, path: path.as_ref().into(), source: source.into() }
    }

    /// What the user can do about it, if that can be said.
    pub fn hint(&self) -> Option<String> {
        self.advice().map(|advice| advice.to_string())
    }

    /// As [`Error::hint`], but the settings that it names are data.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Config(_) => Some("correct the named fields of the training configuration".into()),
            Self::OtherConfig { .. } => Some(
                "continue with the configuration of the run (leave the options out), or choose another output".into(),
            ),
            Self::Data(_) | Self::Workers(_) => None,
            Self::Drifted { .. } => Some(
                Advice::from("leave out the machine of that worker, which computes otherwise than that of the first or has a fault, and continue by ")
                    + Setting("resume"),
            ),
            Self::Diverged { .. } => Some(
                Advice::from("lower the learning rate, lengthen the warm-up or strengthen gradient clipping, and begin anew by ")
                    + Setting("overwrite"),
            ),
            Self::NoCheckpoint { .. } => {
                Some(
                    Advice::from("start again without ")
                        + Setting("resume")
                        + ", and replace the run by "
                        + Setting("overwrite"),
                )
            }
            Self::File { .. } => Some("check that the folder exists, is writable and has space".into()),
            Self::Model(error) => error.hint().map(Advice::from),
            Self::Cells(error) => error.advice(),
            Self::Interrupted(_) => Some(Advice::from("continue by ") + Setting("resume")),
        }
    }
}

/// All mistakes in one line.
fn listed(problems: &[SettingProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn name_terms(terms: &[String]) -> String {
    let verb = if terms.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", terms.join(", "))
}
