//! [`Begin`]: how a run begins, and the flags that say so.

use clap::Args;
use scgpt_data::Existing;

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// In a folder of its own
    New,
    /// In place of what is in the folder
    Anew,
    /// Where an earlier one ended
    Resume,
}

/// Options of every command whose run can go on where it was ended.
#[derive(Debug, Args)]
pub(crate) struct BeginArgs {
    /// Go on from the newest usable checkpoint, with the settings of the run
    #[arg(long)]
    pub(crate) resume: bool,
    /// Begin anew in a folder that is in use
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
}

impl BeginArgs {
    /// What happens to an output that exists if no run goes on.
    pub(crate) fn existing(&self) -> Existing {
        Existing::replaced_if(self.force)
    }

    /// How the run is to begin; clap sees to it that at most one of the flags is given.
    pub(crate) fn begin(&self) -> Begin {
        match (self.resume, self.force) {
            (true, _) => Begin::Resume,
            (false, true) => Begin::Anew,
            (false, false) => Begin::New,
        }
    }
}
