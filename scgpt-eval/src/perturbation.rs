//! Responses of cells to perturbations: which perturbation each cell had, and how good predictions
//! are.
//!
//! [`Design`] reads the conditions of the cells, [`Split`] says which of them are trained on, and
//! [`prepare()`] writes such cells as GEARS has them. A *response* is the mean profile of the cells of a
//! condition, `[g]`, after log1p; its *change* is its difference from the mean of the controls of the
//! same cell type. [`Moments`] holds the means of all conditions after one pass over the cells.
//!
//! [`ResponseJudge`] scores predicted responses. Scores of changes matter most: a profile
//! correlates with any other of the same cells at 0.9 and more, so that the correlation of profiles
//! says little. Beside the predictions stand [`response_baselines`], which know only the responses
//! trained on, and a ceiling: how well one half of the cells predicts the other.

mod baselines;
mod condition;
mod de;
mod design;
mod genes;
mod judge;
mod moments;
mod page;
mod prepare;
mod retrieval;
mod scores;
mod split;
mod values;
mod verdict;

pub use self::{
    baselines::{KnownResponses, ResponseBaseline, ResponseRule, response_baselines},
    condition::{CONTROL, Condition, singles, singles_and_pairs},
    de::DeGenes,
    design::{ConditionGroup, Design, DesignOptions},
    genes::{gene_column, gene_names},
    judge::{
        EvaluateOptions, NotJudged, PerturbEvaluation, Predictions, ResponseJudge,
        evaluate_responses,
    },
    moments::Moments,
    prepare::{PrepareOptions, Prepared, prepare},
    retrieval::{Rankings, Retrieval},
    scores::{JudgedResponse, MethodResponses},
    split::{Split, SplitMode},
    values::check_values,
};
