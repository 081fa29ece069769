//! [`SampleArgs`]: which sample each of several inputs is of.

use anyhow::{Result, bail};
use clap::Args;

/// Options of commands that read the cells of several files as one.
#[derive(Clone, Debug, Args)]
pub(crate) struct SampleArgs {
    /// The sample of each input, in their order, such as lane1,lane2: the cell AAAC-1 becomes AAAC-1-lane1, and the
    /// column sample of obs has the names
    #[arg(
        id = "sample",
        long = "sample",
        value_name = "NAMES",
        value_delimiter = ',',
        env = "SCGPT_SAMPLE"
    )]
    names: Vec<String>,
}

impl SampleArgs {
    /// Whether samples are named.
    pub(crate) fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// As [`of_inputs`](Self::of_inputs), where no two inputs measure the same cells: then each has a sample of its own.
    pub(crate) fn of_each(&self, n: usize) -> Result<Vec<Option<&str>>> {
        let is_twice = |(place, name): &(usize, &String)| self.names[..*place].contains(name);
        if let Some((_, name)) = self.names.iter().enumerate().find(is_twice) {
            bail!(
                "--sample names `{name}` twice: cells of both would be called alike; name each input otherwise, such as \
                 {name}-1,{name}-2"
            );
        }
        self.of_inputs(n)
    }

    /// The sample of each of `n` inputs, `None` if none is named.
    pub(crate) fn of_inputs(&self, n: usize) -> Result<Vec<Option<&str>>> {
        if !self.are_named() {
            return Ok(vec![None; n]);
        }
        if self.names.len() != n {
            bail!(
                "--sample names {} samples, but there are {n} inputs: name that of each, in their order",
                self.names.len()
            );
        }
        if self.names.iter().any(|name| name.trim().is_empty()) {
            bail!(
                "--sample has a name that is empty: name the sample of each input, such as lane1,lane2"
            );
        }
        Ok(self.names.iter().map(|name| Some(name.as_str())).collect())
    }
}
