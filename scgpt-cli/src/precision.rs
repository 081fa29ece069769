//! [`PrecisionArgs`]: in which numbers cells go through a network.

use clap::Args;
use scgpt_model::InferencePrecision;
use serde::Serialize;

use crate::warnings::Warnings;

/// The option of commands that compute embeddings or states of cells.
#[derive(Clone, Copy, Debug, Args, Serialize)]
pub(crate) struct PrecisionArgs {
    /// Numbers that cells are computed in; bf16 is faster where the processor has tiles of it
    #[arg(long, value_enum, default_value_t, env = "SCGPT_PRECISION")]
    pub(crate) precision: InferencePrecision,
}

impl PrecisionArgs {
    /// Warns if cells are computed in another precision than was asked for.
    pub(crate) fn remark_on(self, computed: InferencePrecision, warnings: &mut Warnings) {
        if computed != self.precision {
            warnings.tell(format!(
                "cells are computed in f32, as {} is not faster here for this model and device: \
                 `scgpt inspect --system` says what the processor has",
                self.precision
            ));
        }
    }
}
