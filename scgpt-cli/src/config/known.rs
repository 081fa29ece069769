//! [`Known`]: the settings that a file may have beside options, for a command that trains.

use anyhow::Result;
use scgpt_tasks::{
    Recipe,
    annotate::AnnotateConfig,
    integrate::IntegrateConfig,
    perturb::PerturbConfig,
    pretrain::{Preset, PretrainConfig},
};
use serde::{Serialize, de::DeserializeOwned};
use toml::Table;

use crate::{settings::elsewhere, typed::keys};

/// The settings of a training.
pub(super) struct Known {
    /// Keys of the top table.
    pub(super) keys: &'static [&'static str],
    /// A table with all settings and their defaults, for the names of deeper keys.
    defaults: Table,
}

impl Known {
    /// The settings of a command, given by its words; `None` if it does not train.
    pub(super) fn of_command(names: &[String]) -> Result<Option<Self>> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let recipe = Recipe::Scratch;
        Ok(Some(match *names {
            ["pretrain"] => Self::of::<PretrainConfig>(&Preset::Laptop.config())?,
            ["annotate", "train"] => Self::of(&AnnotateConfig::of(recipe))?,
            ["integrate"] => Self::of(&IntegrateConfig::of(recipe))?,
            ["perturb", "train"] => Self::of(&PerturbConfig::of(recipe))?,
            _ => return Ok(None),
        }))
    }

    fn of<T: Serialize + DeserializeOwned>(defaults: &T) -> Result<Self> {
        Ok(Self { keys: keys::<T>(), defaults: Table::try_from(defaults)? })
    }

    /// Where a key is that is not in the top table.
    pub(super) fn elsewhere(&self, key: &str) -> Option<String> {
        elsewhere(&self.defaults, key)
    }
}
