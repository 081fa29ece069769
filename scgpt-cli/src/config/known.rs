//! [`Known`]: what a file may say beside options, for a command that trains.

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
    /// Keys at the top of the file.
    pub(super) keys: &'static [&'static str],
    /// How deeper ones are called.
    defaults: Table,
}

impl Known {
    /// Those of a command by its words; none if it does not train.
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

    /// Where a key is that is not at the top.
    pub(super) fn elsewhere(&self, key: &str) -> Option<String> {
        elsewhere(&self.defaults, key)
    }
}
