//! Settings of a training: those of a recipe, changed by files, in one TOML table.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use scgpt_data::similar_names;
use scgpt_tasks::Recipe;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::typed::{Misfit, keys, typed};

/// Reads a file, with all keys spelled with underscores: `batch-size` becomes `batch_size`.
///
/// # Errors
/// If it cannot be read, is not TOML, or has a key in both spellings.
pub(crate) fn table(path: &Path) -> Result<Table> {
    underscored(as_written(path)?).with_context(|| format!("`{}`", path.display()))
}

/// Reads a file as it is.
///
/// # Errors
/// If it cannot be read, or is not TOML.
pub(crate) fn as_written(path: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    text.parse().with_context(|| format!("`{}` is not TOML", path.display()))
}

/// The same with all keys spelled with underscores.
///
/// # Errors
/// If a key is there in both spellings.
pub(crate) fn underscored(table: Table) -> Result<Table> {
    let mut renamed = Table::new();
    for (key, value) in table {
        let value = match value {
            Value::Table(inner) => Value::Table(underscored(inner)?),
            value => value,
        };
        let name = key.replace('-', "_");
        if renamed.insert(name.clone(), value).is_some() {
            bail!("`{name}` is given twice");
        }
    }
    Ok(renamed)
}

/// The settings `base`, overridden by those in each of `files`, which may also have `options` of
/// the command.
pub(crate) fn layered<T: Serialize + DeserializeOwned>(
    base: &T,
    files: &[impl AsRef<Path>],
    options: &[String],
) -> Result<T> {
    let defaults = Table::try_from(base)?;
    let mut all = defaults.clone();
    let mut settings = typed(all.clone())?;
    let keys = keys::<T>();
    for path in files {
        let path = path.as_ref();
        let mut file = table(path)?;
        file.retain(|key, _| keys.contains(&key) || !options.iter().any(|it| it == key));
        overlay(&mut all, file);
        settings = fitted(all.clone(), &defaults)
            .map_err(|misfit| anyhow!("`{}`: {misfit}", path.display()))?;
    }
    Ok(settings)
}

/// Settings from a table; `defaults` has all names, for what was probably meant by another one.
///
/// # Errors
/// A message that names the key.
pub(crate) fn fitted<T: DeserializeOwned>(table: Table, defaults: &Table) -> Result<T, String> {
    typed(table).map_err(|misfit| format!("{misfit}{}", hint(&misfit, defaults)))
}

/// What was probably meant by a key that does not exist.
fn hint(misfit: &Misfit, defaults: &Table) -> String {
    let Some((key, keys)) = &misfit.unknown else { return String::new() };
    let at_the_top = defaults.contains_key(key).then(|| key.clone());
    match at_the_top.or_else(|| elsewhere(defaults, key)) {
        Some(place) => format!("; it is `{place}`"),
        None => similar_names(key, keys.iter().copied()).hint(),
    }
}

/// Where a key is, if it is in one of the tables within a table.
pub(crate) fn elsewhere(table: &Table, key: &str) -> Option<String> {
    let inner = table.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
    let mut places = inner.filter_map(|(name, inner)| {
        let place = inner.contains_key(key).then(|| key.to_owned());
        Some(format!("{name}.{}", place.or_else(|| elsewhere(inner, key))?))
    });
    places.next()
}

/// The recipe with which settings begin: fine-tuning of the model that the flag or else the last of
/// the files names, or a new network.
pub(crate) fn recipe(flag: Option<&Path>, files: &[PathBuf]) -> Result<Recipe> {
    Ok(Recipe::of(named("model", flag, files)?.as_deref())?)
}

/// The path that the flag or else the last of the files gives for a key.
pub(crate) fn named(key: &str, flag: Option<&Path>, files: &[PathBuf]) -> Result<Option<PathBuf>> {
    let mut found = None;
    for path in files {
        if let Some(Value::String(named)) = table(path)?.remove(key) {
            found = Some(PathBuf::from(named));
        }
    }
    Ok(flag.map(Path::to_owned).or(found))
}

/// Replaces the values in `table` by those in `file`; a schedule is replaced as a whole, since its
/// kinds have different fields. If a number of epochs is given, there are no more epochs for the
/// sake of a least number of steps.
pub(crate) fn overlay(table: &mut Table, file: Table) {
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
