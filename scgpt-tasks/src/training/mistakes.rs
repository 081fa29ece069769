//! [`Mistakes`]: everything that is wrong with the settings of a training, told at once.

use std::ops::RangeInclusive;

use scgpt_data::{Advice, Setting, SettingProblem};
use scgpt_train::{Objectives, TrainConfig};

use super::NewGenes;
use crate::error::{Error, Result};

/// Number of cells that may be computed at once: at least one, and no more than any device has room
/// for. A mistyped number should be an error that names the setting, not a machine without memory.
pub(crate) const BATCH: RangeInclusive<usize> = 1..=65_536;
/// Most genes, or tokens of a cell, that a setting may ask for: more than any assay measures.
pub(crate) const TOKENS: usize = 1 << 20;

/// Mistakes in settings, in the order in which they are told. Those that the network and the
/// training configuration find themselves are not among them.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<SettingProblem>);

impl Mistakes {
    /// The mistakes that were found in settings before, to tell others with them.
    ///
    /// # Errors
    /// If what was found is no mistake in settings.
    pub(crate) fn found(checked: Result<()>) -> Result<Self> {
        match checked {
            Ok(()) => Ok(Self::default()),
            Err(Error::Data(scgpt_data::Error::Settings(problems))) => Ok(Self(problems)),
            Err(other) => Err(other),
        }
    }

    /// Adds what is wrong with the value of a field: "is 0, so no class would be learned".
    pub(crate) fn add(&mut self, field: &'static str, problem: impl Into<Advice>) {
        self.0.push(Setting(field).wrong(problem));
    }

    /// Adds the fields whose numbers are outside their limits.
    pub(crate) fn check_numbers<const N: usize>(
        &mut self,
        fields: [(&'static str, usize, RangeInclusive<usize>); N],
    ) {
        for (field, value, limits) in fields {
            let (least, most) = limits.into_inner();
            if value < least {
                self.add(field, format!("is {value}, expected at least {least}"));
            } else if value > most {
                self.add(field, format!("is {value}, expected at most {most}"));
            }
        }
    }

    /// Adds a number of cells computed at once that cannot work.
    pub(crate) fn check_batch(&mut self, field: &'static str, cells: usize) {
        self.check_numbers([(field, cells, BATCH)]);
    }

    /// Adds the fields whose values are not shares, or shares that leave nothing.
    pub(crate) fn check_shares<const N: usize>(&mut self, fields: [(&'static str, f64); N]) {
        for (field, share) in fields {
            if !(0.0..1.0).contains(&share) {
                self.add(field, format!("is {share}, expected 0 up to below 1"));
            }
        }
    }

    /// Adds new genes where there is no model to which they could be new.
    pub(crate) fn check_new_genes(&mut self, new_genes: NewGenes, has_model: bool) {
        if !has_model && !new_genes.are_left_out() {
            let problem = "is for genes that a checkpoint does not know: give ";
            self.add("new_genes", Advice::from(problem) + Setting("model"));
        }
    }

    /// Adds adapters where there is no checkpoint whose weights they could be beside.
    pub(crate) fn check_lora(&mut self, training: &TrainConfig, has_model: bool) {
        if training.lora.is_some() && !has_model {
            self.add(
                "lora",
                Advice::from("is for the weights of a checkpoint: give ") + Setting("model"),
            );
        }
    }

    /// Adds objectives that a task cannot learn: cell prompts, and hidden values if none is hidden.
    pub(crate) fn check_objectives(&mut self, objectives: &Objectives, hidden_share: f64) {
        let Objectives { gep, gep_zero, gepc, gepc_zero, cell_prompt, .. } = *objectives;
        if cell_prompt > 0.0 {
            self.add("objectives.cell_prompt", "is an objective of pre-training");
        }
        if gep + gep_zero + gepc + gepc_zero > 0.0 && hidden_share == 0.0 {
            let problem = "is 0, but the objectives `gep` and `gepc` learn hidden values: try 0.4";
            self.add("hidden_share", problem);
        }
    }

    /// Returns all of them as one error.
    ///
    /// # Errors
    /// [`Error::Settings`](scgpt_data::Error::Settings) if there is a mistake.
    pub(crate) fn tell(self) -> Result<()> {
        Ok(scgpt_data::Error::settings(self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_and_limits_are_none() {
        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([("batch_size", 1, BATCH), ("max_length", TOKENS, 2..=TOKENS)]);
        mistakes.check_shares([("hidden_share", 0.0), ("validation_share", 0.999)]);
        mistakes.check_objectives(&Objectives { class: 1.0, ..Objectives::default() }, 0.0);
        mistakes.tell().unwrap();

        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([("batch_size", 0, BATCH), ("max_length", TOKENS + 1, 2..=TOKENS)]);
        mistakes.check_shares([("test_share", 1.0), ("validation_share", f64::NAN)]);
        mistakes.check_objectives(&Objectives { gepc_zero: 1.0, ..Objectives::default() }, 0.0);
        let mut mistakes = Mistakes::found(mistakes.tell()).unwrap();
        mistakes.check_batch("predict_batch", 0);
        let message = mistakes.tell().unwrap_err().to_string();
        for field in [
            "`batch_size` is 0",
            "max_length",
            "test_share",
            "validation_share",
            "hidden_share",
            "`predict_batch` is 0",
        ] {
            assert!(message.contains(field), "{message}");
        }
        assert!(Mistakes::found(Err(Error::option("another error"))).is_err());
    }
}
