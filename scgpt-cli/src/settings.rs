//! Settings of a training run: those of a recipe, changed by files, in one TOML table.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// `base`, overlaid by each of `files`; of `command`, which is named in errors.
pub(crate) fn layered<'p, T: Serialize + DeserializeOwned>(
    base: &T,
    files: impl IntoIterator<Item = &'p Path>,
    command: &str,
) -> Result<T> {
    let mut table = Table::try_from(base)?;
    let mut last = None;
    for path in files {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let file: Table =
            text.parse().with_context(|| format!("`{}` is not TOML", path.display()))?;
        overlay(&mut table, file);
        last = Some(path);
    }
    Value::Table(table).try_into().with_context(|| match last {
        Some(path) => {
            format!("`{}` has a setting that {command} does not take", path.display())
        }
        None => "settings".into(),
    })
}

/// Replaces what `file` has; a schedule as a whole, since its kinds have different fields.
fn overlay(table: &mut Table, file: Table) {
    for (key, value) in file {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) if key != "schedule" => {
                overlay(inner, value);
            }
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// A number format of a name such as `bf16`.
pub(crate) fn precision(name: &str) -> Result<scgpt_train::Precision> {
    serde_json::from_value(name.into())
        .with_context(|| format!("--precision {name}: expected f32, bf16 or f16"))
}
