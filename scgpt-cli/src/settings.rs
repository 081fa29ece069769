//! Settings of a training run: those of a recipe, changed by files, in one TOML table.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use scgpt_tasks::Recipe;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// `base`, overlaid by each of `files`; of `command`, which is named in errors.
pub(crate) fn layered<'p, T: Serialize + DeserializeOwned>(
    base: &T,
    files: impl IntoIterator<Item = &'p Path>,
    command: &str,
) -> Result<T> {
    let mut all = Table::try_from(base)?;
    let mut last = None;
    for path in files {
        overlay(&mut all, table(path)?);
        last = Some(path);
    }
    Value::Table(all).try_into().with_context(|| match last {
        Some(path) => {
            format!("`{}` has a setting that {command} does not take", path.display())
        }
        None => "settings".into(),
    })
}

/// The recipe to begin with: fine-tuning of the model that the flag or else the last of the files
/// names, or a new network.
pub(crate) fn recipe(flag: Option<&Path>, files: &[PathBuf]) -> Result<Recipe> {
    let mut model = None;
    for path in files {
        if let Some(Value::String(named)) = table(path)?.remove("model") {
            model = Some(PathBuf::from(named));
        }
    }
    Ok(Recipe::of(flag.or(model.as_deref()))?)
}

fn table(path: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    text.parse().with_context(|| format!("`{}` is not TOML", path.display()))
}

/// Replaces what `file` has; a schedule as a whole, since its kinds have different fields. Who says
/// how many epochs there are does not get more of them for the sake of a least number of steps.
fn overlay(table: &mut Table, file: Table) {
    if file.contains_key("epochs") {
        table.remove("least_steps");
    }
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
