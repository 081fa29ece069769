//! [`IntegrationMethod`]: a method, and how well its embedding keeps types apart and mixes batches.

use scgpt_eval::IntegrationScores;
use serde::Serialize;

use super::method::IntegrateMethod;

/// The name of the cells without any integration among the methods.
pub(super) const UNINTEGRATED: &str = "Unintegrated";

/// The scores of one method: how well its embedding keeps types apart and mixes batches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IntegrationMethod {
    /// Name of the method.
    pub name: String,
    /// The setting by which it can be asked for, if it can.
    #[serde(skip)]
    pub asked_by: Option<IntegrateMethod>,
    /// Its scores, one for each repeat.
    pub scores: Vec<IntegrationScores>,
    /// What a reader should know of how it came to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl IntegrationMethod {
    /// A method of which nothing else is to be said, and that cannot be asked for.
    pub(super) fn new(name: &str, scores: Vec<IntegrationScores>) -> Self {
        Self { name: name.into(), asked_by: None, scores, note: None }
    }

    /// The mean of a score over the repeats; `None` if it could not be computed.
    pub fn mean(&self, of: impl Fn(&IntegrationScores) -> Option<f64>) -> Option<f64> {
        let sum: Option<f64> = self.scores.iter().map(of).sum();
        sum.map(|sum| sum / self.scores.len().max(1) as f64)
    }

    /// Compares how much of the variance batches explain in all `methods` with the unintegrated
    /// cells.
    pub(super) fn compare(methods: &mut [Self]) {
        let unintegrated = methods.iter().find(|method| method.name == UNINTEGRATED);
        let Some(before) = unintegrated.and_then(|method| method.scores.first()).cloned() else {
            return;
        };
        for scores in methods.iter_mut().flat_map(|method| &mut method.scores) {
            scores.against(&before);
        }
    }
}
