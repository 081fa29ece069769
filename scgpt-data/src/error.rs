//! [`Error`]: every way reading, aligning and tokenising can fail, with file, place and remedy.

use std::path::{Path, PathBuf};

use crate::{
    address::is_url,
    regular::Refusal,
    setting::{Advice, Setting, SettingProblem},
};

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of an [`Error`], of whichever library met it first.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with the data, where, and (see [`Error::hint`]) what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is missing, unreadable, or not what its name or its first bytes promise.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// What the storage library said.
        source: Source,
    },
    /// The file opened, but a place in it could not be read.
    #[error("`{}`: cannot read `{place}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Element path inside the file, for example `X/indptr`.
        place: String,
        /// What the storage library said.
        source: Source,
    },
    /// The file opened, but what it holds is not valid.
    #[error("`{}`: `{place}`: {problem}", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// Element path inside the file, for example `X/indices`.
        place: String,
        /// What was found and what was expected.
        problem: String,
        /// What to do about it.
        hint: Option<Advice>,
    },
    /// The file is whole, but of a kind that is not read.
    #[error("`{}`: {what}", path.display())]
    Unsupported {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        what: String,
        /// How to make something of it that is read.
        hint: Advice,
    },
    /// A name stands for features of two modalities.
    #[error("`{}`: `var`: {problem}", path.display())]
    Modalities {
        /// The file or folder.
        path: PathBuf,
        /// Which features, and which modalities.
        problem: String,
        /// What to do about it.
        hint: Advice,
    },
    /// The output could not be written; nothing was left behind.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: Source,
    },
    /// The output exists and overwriting was not asked for.
    #[error("`{}` exists", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The output is not to be replaced.
    #[error("`{}` is not written to: {problem}", path.display())]
    Protected {
        /// The file or folder.
        path: PathBuf,
        /// What would be lost.
        problem: String,
    },
    /// Another process writes the same output.
    #[error(
        "`{}` is being written by another scgpt{}",
        path.display(),
        if process.is_empty() { String::new() } else { format!(" (process {process})") }
    )]
    Busy {
        /// The file or folder.
        path: PathBuf,
        /// Number of the process, if it is known.
        process: String,
    },
    /// The vocabulary file is not a bijection `token -> 0..n`.
    #[error("vocabulary `{}`: {problem}", path.display())]
    Vocabulary {
        /// The vocabulary file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// Too few genes of the data are in the vocabulary.
    #[error(
        "only {matched} of {genes} genes are in the vocabulary ({:.1} %), which has {vocabulary}; the data has {}, the vocabulary {}",
        100.0 * *matched as f64 / (*genes).max(1) as f64,
        list(data_examples),
        list(vocab_examples)
    )]
    Coverage {
        /// Genes found in the vocabulary.
        matched: usize,
        /// Genes of the data.
        genes: usize,
        /// Genes of the vocabulary.
        vocabulary: usize,
        /// A few gene names of the data that were not found.
        data_examples: Vec<String>,
        /// A few tokens of the vocabulary.
        vocab_examples: Vec<String>,
    },
    /// Settings have values that cannot work; every mistake is listed.
    #[error("{}", listed(.0))]
    Settings(Vec<SettingProblem>),
    /// The cells, or what is asked of them, are of no use for the purpose.
    #[error("{0}")]
    Option(String),
    /// As [`Error::Option`], where something can be done about it.
    #[error("{problem}")]
    Unsuited {
        /// What cannot be done with what.
        problem: String,
        /// What can be done instead.
        remedy: Advice,
    },
    /// Temporary storage failed.
    #[error("cannot write the temporary file of embeddings")]
    Temporary(#[source] std::io::Error),
    /// A [`CellSource`](crate::CellSource) was told to stop.
    #[error("interrupted; nothing was written")]
    Cancelled,
}

impl From<SettingProblem> for Error {
    fn from(problem: SettingProblem) -> Self {
        Self::Settings(vec![problem])
    }
}

impl Error {
    /// An [`Error::Open`].
    pub fn open(path: impl AsRef<Path>, source: impl Into<Source>) -> Self {
        Self::Open { path: path.as_ref().into(), source: source.into() }
    }

    /// An [`Error::Read`]; of the file as a whole, an [`Error::Open`].
    pub fn read(
        path: impl AsRef<Path>,
        place: impl Into<String>,
        source: impl Into<Source>,
    ) -> Self {
        let (path, place, source) = (path.as_ref().into(), place.into(), source.into());
        if place.is_empty() {
            return Self::Open { path, source };
        }
        Self::Read { path, place, source }
    }

    /// An [`Error::Invalid`] without a hint.
    pub fn invalid(
        path: impl AsRef<Path>,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            path: path.as_ref().into(),
            place: place.into(),
            problem: problem.into(),
            hint: None,
        }
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(
        path: impl AsRef<Path>,
        what: impl Into<String>,
        remedy: impl Into<Advice>,
    ) -> Self {
        Self::Unsupported { path: path.as_ref().into(), what: what.into(), hint: remedy.into() }
    }

    /// The error for `what`, a format that this build of the crate was made without.
    #[cfg(not(all(
        feature = "h5ad",
        feature = "zarr",
        feature = "tenx",
        feature = "scbank",
        feature = "parquet"
    )))]
    pub(crate) fn left_out(path: &Path, what: &str, feature: &str) -> Self {
        Self::unsupported(
            path,
            format!("{what}: scgpt was built without feature `{feature}`"),
            format!("add `{feature}` to the features of scgpt-data"),
        )
    }

    /// An [`Error::Write`].
    pub fn write(path: impl AsRef<Path>, source: impl Into<Source>) -> Self {
        Self::Write { path: path.as_ref().into(), source: source.into() }
    }

    /// An [`Error::Protected`].
    pub fn protected(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Protected { path: path.as_ref().into(), problem: problem.into() }
    }

    /// An [`Error::Unsuited`].
    pub fn unsuited(problem: impl Into<String>, remedy: impl Into<Advice>) -> Self {
        Self::Unsuited { problem: problem.into(), remedy: remedy.into() }
    }

    /// Succeeds if there are no problems; else all of them are one error.
    ///
    /// # Errors
    /// [`Error::Settings`] if there is a problem.
    pub fn settings(problems: Vec<SettingProblem>) -> Result<()> {
        if problems.is_empty() { Ok(()) } else { Err(Self::Settings(problems)) }
    }

    /// Puts the name of the file before a problem with its cells; other errors stay as they are.
    pub fn in_file(path: &Path) -> impl Fn(Self) -> Self {
        let path = path.display().to_string();
        move |error| match error {
            Self::Option(problem) => Self::Option(format!("`{path}`: {problem}")),
            Self::Unsuited { problem, remedy } => {
                Self::Unsuited { problem: format!("`{path}`: {problem}"), remedy }
            }
            other => other,
        }
    }

    /// Whether something at a URL could not be fetched, whatever it is.
    pub(crate) fn is_transfer(&self) -> bool {
        match self {
            Self::Open { path, source } | Self::Read { path, source, .. } => {
                is_url(path) && source.is::<std::io::Error>()
            }
            _ => false,
        }
    }

    /// The same error with a remedy. Only [`Error::Invalid`] takes one; others stay as they are.
    #[must_use]
    pub fn with_hint(mut self, remedy: impl Into<Advice>) -> Self {
        if let Self::Invalid { hint, .. } = &mut self {
            *hint = Some(remedy.into());
        }
        self
    }

    /// What the user can do about it, if that can be said.
    pub fn hint(&self) -> Option<String> {
        self.advice().map(|advice| advice.to_string())
    }

    /// As [`Error::hint`], but the settings that it names are data.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Open { source, .. } => Some(
                Refusal::remedy(source.as_ref())
                    .unwrap_or("check the path, and that the file is complete (h5ad, AnnData-zarr, 10x .h5 or matrix.mtx folder)")
                    .into(),
            ),
            Self::Read { source, .. } => Some(
                Refusal::remedy(source.as_ref())
                    .unwrap_or("the file may be damaged or incomplete; save or copy it again from its source")
                    .into(),
            ),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::Unsuited { remedy: hint, .. }
            | Self::Modalities { hint, .. }
            | Self::Unsupported { hint, .. } => Some(hint.clone()),
            Self::Exists { .. } => {
                Some(Advice::from("choose another output, or replace this one by ") + Setting("overwrite"))
            },
            Self::Protected { .. } => {
                Some("choose another output; only what scgpt itself wrote is replaced".into())
            }
            Self::Busy { .. } => Some("wait until it has ended, or choose another output".into()),
            Self::Write { source, .. } => Some(
                Refusal::remedy(source.as_ref())
                    .unwrap_or("check that the folder exists, is writable and has space")
                    .into(),
            ),
            Self::Temporary(_) => Some("free some space beside the output".into()),
            Self::Vocabulary { .. } => Some("the file must be a JSON object that maps every token to its own index, 0..n without gaps".into()),
            Self::Coverage { matched, .. } => {
                let advice = Advice::from("name the column of `var` that holds gene symbols by ")
                    + Setting("gene_column")
                    + ", or check that model and data are of one species";
                Some(match matched {
                    0 => advice,
                    _ => advice + "; the few that there are suffice by " + Setting("min_genes") + " 0",
                })
            }
            _ => None,
        }
    }
}

/// `a`, `b`, … for messages.
fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}

/// All mistakes in one line.
fn listed(problems: &[SettingProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
