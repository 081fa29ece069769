//! Responses of cells to perturbations: which cells had what done to them, and how good predictions are.

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
    baselines::{KnownResponses, ResponseBaseline, response_baselines},
    condition::{CONTROL, Condition, singles, singles_and_pairs},
    de::DeGenes,
    design::{Design, DesignOptions, Group},
    genes::{gene_column, gene_names},
    judge::{
        EvaluateOptions, NotJudged, PerturbEvaluation, Predictions, ResponseJudge,
        evaluate_responses,
    },
    moments::Moments,
    prepare::{PrepareOptions, Prepared, prepare},
    retrieval::{Rankings, Retrieval},
    scores::{ConditionScores, JudgedResponse, MethodResponses, RESPONSE_SCORES},
    split::{Split, SplitMode},
    values::{check_predicted, check_values},
};
