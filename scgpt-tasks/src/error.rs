//! [`Error`]: the layers below, and what data cannot answer.

use scgpt_data::{Advice, Setting, SettingProblem};

/// A `Result` whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing cells failed, or the cells or the settings are of no use for the purpose.
    #[error(transparent)]
    Data(#[from] scgpt_data::Error),
    /// The model could not be read or written.
    #[error(transparent)]
    Model(scgpt_model::Error),
    /// Training stopped.
    #[error(transparent)]
    Train(scgpt_train::Error),
    /// Vocabulary and weights are of different models.
    #[error(
        "`vocab.json` has {vocabulary} tokens, special tokens included, but the gene table of the weights has {table} rows"
    )]
    Vocabulary {
        /// Number of tokens in the vocabulary.
        vocabulary: usize,
        /// Number of rows in the gene table.
        table: usize,
    },
    /// The data has too few of the genes that the model was made for.
    #[error(
        "the data has {matched} of the {of_model} genes {whose} ({:.1} %), too few to say anything of its cells",
        100.0 * *matched as f64 / (*of_model).max(1) as f64
    )]
    Genes {
        /// Number of genes of the model that the data has.
        matched: usize,
        /// Number of genes of the model.
        of_model: usize,
        /// Which genes of the model were counted, in words.
        whose: &'static str,
    },
    /// This process is a [worker](scgpt_train::Workers) that has done its part; the first one has the network.
    #[error("this worker has done its part, and the first has the network")]
    Followed,
    /// A file of a trained artefact is missing or damaged.
    #[error("`{}`: {problem}", path.display())]
    Artefact {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A trained artefact is sound, but cannot be used for this.
    #[error("`{}`: {problem}", path.display())]
    Incompatible {
        /// The artefact.
        path: std::path::PathBuf,
        /// What does not fit.
        problem: String,
        /// What can be done instead.
        remedy: Advice,
    },
}

impl From<scgpt_model::Error> for Error {
    /// Problems of a configuration that is in no file are problems of the task's settings.
    fn from(error: scgpt_model::Error) -> Self {
        match error {
            scgpt_model::Error::Config { path: None, problems } => {
                let problems = problems.into_iter();
                let problems = problems.map(|it| setting(it.field).wrong(it.problem)).collect();
                scgpt_data::Error::Settings(problems).into()
            }
            error => Self::Model(error),
        }
    }
}

impl From<SettingProblem> for Error {
    fn from(problem: SettingProblem) -> Self {
        scgpt_data::Error::from(problem).into()
    }
}

/// What a training hears of its task.
impl From<Error> for scgpt_train::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Train(error) => error,
            Error::Data(error) => error.into(),
            other => Self::Data(other.to_string()),
        }
    }
}

impl From<scgpt_train::Error> for Error {
    fn from(error: scgpt_train::Error) -> Self {
        match error {
            scgpt_train::Error::Cells(error) => error.into(),
            scgpt_train::Error::Model(error) => error.into(),
            error => Self::Train(error),
        }
    }
}

impl Error {
    /// Whether the observer asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Data(scgpt_data::Error::Cancelled)
                | Self::Train(scgpt_train::Error::Interrupted(_))
        )
    }

    /// The error for cells, or a question about them, with which nothing can be done.
    pub(crate) fn option(problem: impl Into<String>) -> Self {
        scgpt_data::Error::Option(problem.into()).into()
    }

    /// As [`option`](Self::option), where something else can be done instead.
    pub(crate) fn unsuited(problem: impl Into<String>, remedy: impl Into<Advice>) -> Self {
        scgpt_data::Error::unsuited(problem, remedy).into()
    }

    /// What the user can do about it, if that can be said.
    pub fn hint(&self) -> Option<String> {
        self.advice().map(|advice| advice.to_string())
    }

    /// As [`Error::hint`], but the settings that it names are data.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Data(error) => error.advice(),
            Self::Model(error) => error.hint().map(Advice::from),
            Self::Train(error) => error.advice(),
            Self::Vocabulary { .. } => {
                Some("use the `vocab.json` that came with the weights".into())
            }
            Self::Genes { .. } => Some(
                Advice::from(
                    "give the cells with all genes that were measured, name the column of `var` with gene symbols by ",
                ) + Setting("gene_column")
                    + ", or do it all the same by "
                    + Setting("min_genes")
                    + " 0",
            ),
            Self::Artefact { .. } => Some(
                "an artefact is one directory: copy it as a whole, and leave its files as they are"
                    .into(),
            ),
            Self::Followed => None,
            Self::Incompatible { remedy, .. } => Some(remedy.clone()),
        }
    }
}

/// The setting of a task by which a field of the network is set.
fn setting(field: &'static str) -> Setting {
    Setting(match field {
        "n_layers" => "network.n_layers",
        "n_heads" => "network.n_heads",
        "d_model" => "network.d_model",
        "d_ff" => "network.d_ff",
        "dropout" => "network.dropout",
        "n_bins" => "network.n_bins",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use scgpt_model::ScgptConfig;

    use super::*;

    #[test]
    fn what_a_network_cannot_be_is_a_setting_unless_it_is_in_a_file() {
        let config = ScgptConfig { n_heads: 7, ..ScgptConfig::new(10) };
        let problem = || config.validate().unwrap_err();
        let expected = "is 512, not divisible by `n_heads` (7)";
        for error in [Error::from(problem()), scgpt_train::Error::from(problem()).into()] {
            let Error::Data(scgpt_data::Error::Settings(problems)) = error else {
                panic!("{error}")
            };
            assert_eq!(problems, [Setting("network.d_model").wrong(expected)]);
        }
    }
}
