//! [`ChosenIntegration`]: the best of several methods, by the scores that verdicts are by.

use serde::Serialize;

use super::{method::IntegrateMethod, scored::IntegrationMethod};

/// A method that was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChosenIntegration {
    /// The method; never [`Best`](IntegrateMethod::Best).
    pub method: IntegrateMethod,
    /// By how much it is better than the next.
    pub because: String,
}

impl ChosenIntegration {
    /// The best of `methods` by the mean of AvgBIO and AvgBATCH that verdicts are by; `None` if fewer than two have
    /// one.
    pub(super) fn of(methods: &[IntegrationMethod]) -> Option<Self> {
        let mut ranked = ranked(methods);
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let [(best, score, _), (_, next, name), ..] = ranked.as_slice() else { return None };
        let because = format!("overall {score:.3} against {next:.3} of {name}, the next");
        Some(Self { method: *best, because })
    }
}

/// The simple method that is better than the first of `methods`, the best of those that can be asked for.
pub(super) fn better(methods: &[IntegrationMethod]) -> Option<IntegrateMethod> {
    let ours = methods.first()?.mean(|scores| scores.overall)?;
    let others = ranked(&methods[1..]).into_iter().filter(|(.., score, _)| *score >= ours);
    others.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(method, ..)| method)
}

/// Methods that can be asked for, with their scores and names.
pub(super) fn ranked(methods: &[IntegrationMethod]) -> Vec<(IntegrateMethod, f64, &str)> {
    let scored = methods
        .iter()
        .filter_map(|it| Some((it.asked_by?, it.mean(|scores| scores.overall)?, it.name.as_str())));
    scored.collect()
}

#[cfg(test)]
mod tests {
    use scgpt_eval::IntegrationScores;

    use super::*;

    fn method(
        name: &str,
        asked_by: Option<IntegrateMethod>,
        overall: Option<f64>,
    ) -> IntegrationMethod {
        let scores = vec![IntegrationScores { overall, ..IntegrationScores::default() }];
        IntegrationMethod { asked_by, ..IntegrationMethod::new(name, scores) }
    }

    #[test]
    fn the_best_that_can_be_asked_for_is_chosen() {
        let mut methods = vec![
            method("scGPT", Some(IntegrateMethod::Network), Some(0.7)),
            method("Unintegrated", None, Some(0.9)),
            method("Harmony", Some(IntegrateMethod::Harmony), Some(0.8)),
            method("ComBat", Some(IntegrateMethod::Combat), Some(0.75)),
        ];
        let chosen = ChosenIntegration::of(&methods).unwrap();
        assert_eq!(chosen.method, IntegrateMethod::Harmony);
        assert_eq!(chosen.because, "overall 0.800 against 0.750 of ComBat, the next");
        assert_eq!(better(&methods), Some(IntegrateMethod::Harmony));
        methods[0] = method("scGPT", Some(IntegrateMethod::Network), Some(0.85));
        assert_eq!(better(&methods), None, "what cannot be asked for is not offered");
        assert_eq!(ChosenIntegration::of(&methods).unwrap().method, IntegrateMethod::Network);
        for method in &mut methods {
            method.scores[0].overall = None;
        }
        assert_eq!((ChosenIntegration::of(&methods), better(&methods)), (None, None));
    }
}
