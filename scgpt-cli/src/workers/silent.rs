//! [`Silent`]: in the place of a host that is told by another process.

use std::{ffi::OsString, io, sync::Arc};

use crate::host::{Host, Progress};

/// A host to whom nothing is said; it may still stop the command.
pub(super) struct Silent(Arc<dyn Host>);

impl Silent {
    pub(super) fn of(host: Arc<dyn Host>) -> Arc<dyn Host> {
        Arc::new(Self(host))
    }
}

impl Host for Silent {
    fn begin(&self, writes: bool, _: bool) -> anyhow::Result<()> {
        self.0.begin(writes, true)
    }

    fn tell(&self, _: &str) {}

    fn print(&self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn usage(&self, _: &clap::Error) {}

    fn progress(&self, _: Progress<'_>) {}

    fn is_watched(&self) -> bool {
        false
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn takes_slots(&self) -> bool {
        self.0.takes_slots()
    }

    fn program(&self) -> io::Result<Vec<OsString>> {
        self.0.program()
    }
}
