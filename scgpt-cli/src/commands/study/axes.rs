//! [`Axis`]: what varies between runs, as a file says it.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use scgpt_data::similar_names;
use scgpt_eval::study::{AxisRole, StudyAxis};
use scgpt_tasks::{NetworkConfig, pretrain::PretrainConfig};
use scgpt_train::{Objectives, OptimizerConfig, TrainConfig};
use toml::{Table, Value};

use crate::{
    settings::{overlay, underscored},
    typed::keys,
};

/// Letters of a name of a value, which is part of the name of a folder.
const LETTERS: usize = 40;
/// The setting that chooses cells, and the one that says how many.
const WHERE: &str = "where";
const CELLS: &str = "cells";
const SEED: &str = "training.seed";

/// Something that varies.
pub(super) struct Axis {
    pub(super) name: String,
    role: AxisRole,
    pub(super) values: Vec<AxisValue>,
}

/// One of its values: a name, and the settings that it changes.
pub(super) struct AxisValue {
    pub(super) name: String,
    pub(super) settings: Table,
}

/// The tables of settings of pre-training, with the keys of each.
fn tables() -> [(&'static str, &'static [&'static str]); 5] {
    [
        ("", keys::<PretrainConfig>()),
        ("network", keys::<NetworkConfig>()),
        ("objectives", keys::<Objectives>()),
        ("training", keys::<TrainConfig>()),
        ("training.optimizer", keys::<OptimizerConfig>()),
    ]
}

/// Where a setting of pre-training is: `lr` is `training.optimizer.lr`.
fn place(name: &str) -> Result<String> {
    let name = &name.replace('-', "_");
    let mut all = Vec::new();
    for (table, keys) in tables() {
        for key in keys {
            let whole = if table.is_empty() { (*key).to_owned() } else { format!("{table}.{key}") };
            if name == key || *name == whole {
                return Ok(whole);
            }
            all.push(*key);
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let hint = similar_names(last, all.iter().copied()).hint();
    Err(anyhow!("`{name}` is no setting of pre-training{hint}"))
}

/// Whether a setting is a table of others.
fn is_table(place: &str) -> bool {
    tables().iter().any(|(table, _)| *table == place)
}

/// Settings as pre-training has them: those that were given by their last name alone are put where they are.
///
/// # Errors
/// If a setting does not exist; what is in a table of settings is checked when they are read.
pub(super) fn placed(settings: Table) -> Result<Table> {
    let mut placed = Table::new();
    for (name, value) in underscored(settings)? {
        let mut one = Table::new();
        set(&mut one, &place(&name)?, value);
        overlay(&mut placed, one);
    }
    Ok(placed)
}

/// Sets the value at a place, `training.optimizer.lr`.
fn set(table: &mut Table, place: &str, value: Value) {
    let Some((first, rest)) = place.split_once('.') else {
        table.insert(place.into(), value);
        return;
    };
    let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        set(inner, rest, value);
    }
}

impl Axis {
    /// All axes of a file, in the order in which runs are made: seeds vary slowest, so that what is there of a study that is
    /// not at its end can be compared, and numbers of cells fastest.
    ///
    /// # Errors
    /// Naming the axis, if it is no setting, or has no values.
    pub(super) fn all(table: Table) -> Result<Vec<Self>> {
        let mut axes = Vec::new();
        for (name, value) in table {
            let found = Self::of(&name, value).map_err(|error| anyhow!("`axes.{name}`: {error:#}"));
            axes.extend(found?);
        }
        let order = |axis: &Self| match axis.role {
            AxisRole::Seed => 0,
            AxisRole::Other => 1,
            AxisRole::Context => 2,
            AxisRole::Cells => 3,
        };
        axes.sort_by_key(order);
        let mut names = BTreeSet::new();
        if let Some(twice) = axes.iter().find(|axis| !names.insert(axis.name.clone())) {
            bail!("`axes`: there are two of the name `{}`", twice.name);
        }
        Ok(axes)
    }

    /// The axes that an entry stands for: several, if it is a table of settings.
    fn of(name: &str, value: Value) -> Result<Vec<Self>> {
        match (place(name), value) {
            (Ok(place), Value::Table(inner)) if is_table(&place) => {
                let deeper =
                    |(key, value): (String, Value)| Self::of(&format!("{place}.{key}"), value);
                let deeper = inner.into_iter().map(deeper).collect::<Result<Vec<_>>>()?;
                Ok(deeper.into_iter().flatten().collect())
            }
            (Ok(place), Value::Array(values)) => {
                let named = values.into_iter().map(|value| (said(&value), value));
                Ok(vec![Self::of_setting(&place, named.collect())?])
            }
            (Ok(place), Value::Table(named)) => {
                Ok(vec![Self::of_setting(&place, named.into_iter().collect())?])
            }
            (Err(_), Value::Table(alternatives)) => {
                Ok(vec![Self::of_alternatives(name, alternatives)?])
            }
            (Err(error), _) => Err(error),
            (Ok(_), other) => {
                bail!(
                    "expected a list of values, or a table of them by name, not a {}",
                    other.type_str()
                )
            }
        }
    }

    /// Values of one setting.
    fn of_setting(place: &str, values: Vec<(String, Value)>) -> Result<Self> {
        let role = match place {
            WHERE => AxisRole::Context,
            CELLS => AxisRole::Cells,
            SEED => AxisRole::Seed,
            _ => AxisRole::Other,
        };
        let value = |(name, value): (String, Value)| {
            let mut settings = Table::new();
            set(&mut settings, place, value);
            AxisValue { name, settings }
        };
        let name = place.rsplit('.').next().unwrap_or(place);
        Self::new(name, role, values.into_iter().map(value).collect())
    }

    /// Several settings at once, by a name of the user's own.
    fn of_alternatives(name: &str, alternatives: Table) -> Result<Self> {
        let mut values = Vec::new();
        for (alternative, settings) in alternatives {
            let Value::Table(settings) = settings else {
                // Neither a setting nor a table of settings: the former was probably meant.
                place(name)?;
                bail!("`{alternative}`: expected a table of settings");
            };
            let settings =
                placed(settings).map_err(|error| anyhow!("`{alternative}`: {error:#}"))?;
            values.push(AxisValue { name: alternative, settings });
        }
        let chooses = |value: &AxisValue| value.settings.contains_key(WHERE);
        let role = if values.iter().any(chooses) { AxisRole::Context } else { AxisRole::Other };
        Self::new(name, role, values)
    }

    fn new(name: &str, role: AxisRole, mut values: Vec<AxisValue>) -> Result<Self> {
        if values.is_empty() {
            bail!("there are no values");
        }
        let mut names = BTreeSet::new();
        for value in &mut values {
            value.name = plain(&value.name);
            if !names.insert(value.name.clone()) {
                bail!(
                    "two values have the name `{}`: give them names, {name} = {{ one = …, other = … }}",
                    value.name
                );
            }
        }
        Ok(Self { name: plain(name), role, values })
    }

    pub(super) fn outline(&self) -> StudyAxis {
        StudyAxis::new(&self.name, self.role, self.values.iter().map(|value| &value.name))
    }
}

/// A value as it is named.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A name of letters, digits and few signs, as those of folders are.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for it in name.chars() {
        if it.is_alphanumeric() || ".-".contains(it) {
            plain.push(it);
        } else if !plain.is_empty() && !plain.ends_with('_') {
            plain.push('_');
        }
    }
    let plain: String = plain.trim_end_matches('_').chars().take(LETTERS).collect();
    if plain.is_empty() { "none".into() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(toml: &str) -> Result<Vec<Axis>> {
        Axis::all(toml.parse().unwrap())
    }

    fn said_of(toml: &str) -> Vec<String> {
        let said = |axis: Axis| {
            let values: Vec<&str> = axis.values.iter().map(|value| value.name.as_str()).collect();
            format!("{} {:?}: {}", axis.name, axis.role, values.join(" "))
        };
        axes(toml).unwrap().into_iter().map(said).collect()
    }

    #[test]
    fn axes_are_settings_by_their_names_or_several_at_once() {
        let toml = "cells = [1000, 2000]\nseed = [1]\nlr = [1e-3, 1e-4]\nnetwork.d_model = [64]\n\
                    where = { blood = \"tissue = 'blood'\", all = '' }\n\
                    size = { small = { n-layers = 1 }, large = { network = { n_layers = 2 }, lr = 0.1 } }";
        assert_eq!(
            said_of(toml),
            [
                "seed Seed: 1",
                "lr Other: 0.001 0.0001",
                "d_model Other: 64",
                "size Other: large small",
                "where Context: all blood",
                "cells Cells: 1000 2000",
            ]
        );
        let all = axes(toml).unwrap();
        let large = &all[3].values[0].settings;
        assert_eq!(large["training"]["optimizer"]["lr"].as_float(), Some(0.1));
        assert_eq!(large["network"]["n_layers"].as_integer(), Some(2));
        let corpus = said_of("corpus = { a = { where = \"x = 'a'\" }, b = { where = '' } }");
        assert_eq!(corpus, ["corpus Context: a b"]);
        let conditions = said_of("where = [\"tissue = 'a b'\", 'n > 3']");
        assert_eq!(conditions, ["where Context: tissue_a_b n_3"]);
    }

    #[test]
    fn what_is_no_axis_is_refused_with_near_names() {
        for (toml, part) in [
            (
                "cell = [1]",
                "`axes.cell`: `cell` is no setting of pre-training; similar names: cells",
            ),
            ("network.d_modle = [1]", "similar names: d_model"),
            ("cells = 3", "`axes.cells`: expected a list of values, or a table of them by name"),
            ("cells = []", "`axes.cells`: there are no values"),
            ("cells = [3, 3]", "two values have the name `3`"),
            ("size = { a = { layers = 1 } }", "`axes.size`: `a`: `layers` is no setting"),
            ("whre = { a = 'x' }", "similar names: where"),
            ("seed = [1]\ntraining.seed = [2]", "two of the name `seed`"),
        ] {
            let Err(error) = axes(toml) else { panic!("{toml}") };
            assert!(format!("{error:#}").contains(part), "{toml}: {error:#}");
        }
    }
}
