//! [`write_effective`]: writes the options in force beside an output that was made by them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::output::{companion, write_text};

/// End of the name of the file with the options in force, after the name of the output.
pub(crate) const EFFECTIVE: &str = "config.toml";

/// Writes the options in force beside an output, so that `--config` repeats the run.
pub(crate) fn write_effective(
    output: &Path,
    command: &str,
    options: &impl Serialize,
) -> Result<()> {
    let path = companion(output, EFFECTIVE);
    let options = toml::to_string(options).context("options as TOML")?;
    Ok(write_text(
        &path,
        &format!("# scgpt {command}, version {}\n{options}", env!("CARGO_PKG_VERSION")),
    )?)
}
