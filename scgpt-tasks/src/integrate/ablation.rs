//! [`Ablated`]: what each objective contributes, by training without it.
//!
//! Everything else is as it was, the seed and the parts of the cells among it, so that what differs
//! in the scores is due to the part that was left out, or to chance in one training.

use scgpt_data::CellSource;
use scgpt_eval::IntegrationScores;
use scgpt_model::InputNorm;
use scgpt_train::Objectives;
use serde::Serialize;

use super::{IntegrateConfig, experiment::Cells, score::SpaceJudge};
use crate::error::Result;

/// The integration without one of its parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ablated {
    /// Name of the part that was left out.
    pub without: String,
    /// Scores of the network that learned without it.
    pub scores: IntegrationScores,
}

/// A part: its name, the name of its folder, and how settings lose it.
type Part = (&'static str, &'static str, fn(&mut IntegrateConfig));

const PARTS: [Part; 7] = [
    ("GEP", "gep", |config| {
        config.objectives = Objectives { gep: 0.0, gep_zero: 0.0, ..config.objectives };
    }),
    ("GEPC", "gepc", |config| {
        config.objectives = Objectives { gepc: 0.0, gepc_zero: 0.0, ..config.objectives };
    }),
    ("zero probabilities", "zeros", |config| {
        config.objectives = Objectives { gep_zero: 0.0, gepc_zero: 0.0, ..config.objectives };
    }),
    ("ECS", "ecs", |config| config.objectives.ecs = 0.0),
    ("DAR", "dar", |config| config.objectives.dar = 0.0),
    ("domain-specific batch norm", "norm", |config| config.input_norm = InputNorm::None),
    ("batch labels", "labels", |config| config.batch_labels = false),
];

impl Cells<'_> {
    /// Trains without each part that the settings have, as far as something is left to learn then.
    pub(super) fn ablate(
        &self,
        source: &mut dyn CellSource,
        judge: &SpaceJudge,
    ) -> Result<Vec<Ablated>> {
        let (whole, session) = (self.integration.config, self.session);
        let mut ablated = Vec::new();
        for (without, folder, leave_out) in PARTS {
            let mut config = whole.clone();
            leave_out(&mut config);
            if config == *whole || !config.objectives.has_any() {
                continue;
            }
            // A metric of a part that is gone selects nothing.
            config.training.select_by = None;
            let trial = session.trial(&self.with(config), source, &session.run.part(folder))?;
            let rows = trial.verdict.all_rows()?;
            let scores = judge.judge(&rows, trial.trained.network.d_model, session.observer)?;
            ablated.push(Ablated { without: without.into(), scores });
        }
        Ok(ablated)
    }
}
