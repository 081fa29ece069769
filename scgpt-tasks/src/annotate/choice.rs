//! [`Choice`]: which method is right about most validation cells.

use scgpt_data::{Observer, Result};
use scgpt_eval::PredictedLabels;
use scgpt_stats::Interval;
use serde::Serialize;

use super::method::Method;

/// The method that was chosen among a network and simple methods, by the validation cells: those that judge
/// the result had no part in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The method that was chosen.
    pub method: Method,
    /// Number of validation cells.
    pub cells: usize,
    /// The methods, the best first, with the share of the validation cells that each is right about.
    pub accuracies: Vec<(Method, f64)>,
    /// By how much the accuracy of the best is above that of the next, with an interval by a bootstrap
    /// over the cells.
    pub lead: Interval,
}

impl Choice {
    /// The method that is right about most cells; of equals the first, so that the cheaper ones come
    /// first. `said` has for each method what it said of the cells, whose classes are `truth`.
    pub(super) fn of(
        said: &[(Method, &[u32])],
        truth: &[u32],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Option<Self>> {
        let labels = |predicted| PredictedLabels { truth, predicted, ..PredictedLabels::default() };
        let right = |said: &[u32]| said.iter().zip(truth).filter(|(a, b)| a == b).count();
        let mut ranked: Vec<&(Method, &[u32])> = said.iter().collect();
        ranked.sort_by_key(|(_, said)| std::cmp::Reverse(right(said)));
        let [best, next, ..] = *ranked.as_slice() else { return Ok(None) };
        let share = |(method, said): &&(Method, &[u32])| {
            (*method, right(said) as f64 / truth.len().max(1) as f64)
        };
        Ok(Some(Self {
            method: best.0,
            cells: truth.len(),
            accuracies: ranked.iter().map(share).collect(),
            lead: labels(best.1).lead_over(&labels(next.1), seed, observer)?,
        }))
    }

    /// The choice in a sentence.
    pub fn sentence(&self) -> String {
        let said = |(method, share): &(Method, f64)| format!("{} {share:.3}", method.name());
        let accuracies: Vec<String> = self.accuracies.iter().map(said).collect();
        let (next, Interval { mean, low, high }) = (self.accuracies[1].0, self.lead);
        format!(
            "{}, by {} validation cells ({}): ahead of {} by {mean:.3} ({low:.3} to {high:.3})",
            self.method.name(),
            self.cells,
            accuracies.join(", "),
            next.name(),
        )
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn the_best_is_chosen_and_of_equals_the_first() {
        let truth = [0, 1, 0, 1];
        let said: [(Method, &[u32]); 3] = [
            (Method::Logistic, &[0, 1, 1, 1]),
            (Method::Centroid, &[0, 0, 0, 0]),
            (Method::Network, &[0, 1, 0, 0]),
        ];
        let choice = Choice::of(&said, &truth, 0, &Silent).unwrap().unwrap();
        assert_eq!((choice.method, choice.accuracies[1].0), (Method::Logistic, Method::Network));
        assert!(choice.lead.mean.abs() < 1e-12 && choice.lead.low < 0.0);
        let better: &[u32] = &[0, 1, 0, 1];
        let choice = Choice::of(&[said[0], said[1], (Method::Network, better)], &truth, 0, &Silent)
            .unwrap()
            .unwrap();
        assert_eq!(choice.method, Method::Network);
        let sentence = choice.sentence();
        assert!(
            sentence.starts_with("scGPT, by 4 validation cells (scGPT 1.000, logistic"),
            "{sentence}"
        );
        assert!(sentence.contains("ahead of logistic regression by 0.250 ("), "{sentence}");
    }
}
