//! [`ResponseMethod`]: what responses are predicted by, the network or a simple method beside which it was judged.

use scgpt_data::{Advice, Setting};
use scgpt_eval::perturbation::{PerturbEvaluation, ResponseRule};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What responses are predicted by.
///
/// ```
/// use scgpt_tasks::perturb::{RespondOptions, ResponseMethod};
///
/// let mut options = RespondOptions::new(100);
/// options.method = ResponseMethod::Additive;
/// assert!(options.method.rule().is_some() && ResponseMethod::Network.rule().is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseMethod {
    /// The network.
    #[default]
    Network,
    /// The change of each gene alone, added up.
    Additive,
    /// A linear model of genes and conditions.
    Linear,
    /// The mean of what is known of the perturbed genes.
    #[cfg_attr(feature = "clap", value(alias = "mean"))]
    MatchingMean,
    /// The mean of all conditions that are known, whatever is asked for.
    TrainingMean,
    /// The controls as they are.
    NoChange,
    /// The best of all on the conditions that training kept to judge by.
    Best,
}

/// How good a method was on the conditions that training kept to judge by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JudgedMethod {
    /// The method.
    pub method: ResponseMethod,
    /// Pearson Δ over the twenty genes that respond most, averaged over the conditions.
    pub score: f64,
}

/// A method, and why it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChosenMethod {
    /// The method; never [`Best`](ResponseMethod::Best).
    pub method: ResponseMethod,
    /// Why, if it was chosen among several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl ResponseMethod {
    /// The rule of a simple method; `None` for the network, and where it has not been chosen yet.
    pub fn rule(self) -> Option<ResponseRule> {
        Some(match self {
            Self::Network | Self::Best => return None,
            Self::Additive => ResponseRule::Additive,
            Self::Linear => ResponseRule::Linear,
            Self::MatchingMean => ResponseRule::MatchingMean,
            Self::TrainingMean => ResponseRule::TrainingMean,
            Self::NoChange => ResponseRule::NoChange,
        })
    }

    /// The method of a rule.
    pub fn of(rule: ResponseRule) -> Self {
        match rule {
            ResponseRule::Additive => Self::Additive,
            ResponseRule::Linear => Self::Linear,
            ResponseRule::MatchingMean => Self::MatchingMean,
            ResponseRule::TrainingMean => Self::TrainingMean,
            ResponseRule::NoChange => Self::NoChange,
        }
    }

    /// Its name, as settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Additive => "additive",
            Self::Linear => "linear",
            Self::MatchingMean => "matching_mean",
            Self::TrainingMean => "training_mean",
            Self::NoChange => "no_change",
            Self::Best => "best",
        }
    }

    /// The method that is meant, the best of `judged` if that is asked for.
    ///
    /// # Errors
    /// If the best is asked for and there is nothing to choose by.
    pub(super) fn among(self, judged: Option<&[JudgedMethod]>) -> Result<ChosenMethod> {
        if self != Self::Best {
            return Ok(ChosenMethod { method: self, because: None });
        }
        let refused = |problem: &'static str| {
            let remedy = Advice::from("name a method by ") + Setting("method") + ", or train again";
            Err(Error::unsuited(problem, remedy))
        };
        let Some(judged) = judged else {
            return refused(
                "there is nothing to choose the best method by: the artefact is of an earlier version, which kept no \
                 scores of methods",
            );
        };
        if judged.is_empty() {
            return refused(
                "there is nothing to choose the best method by: training kept no conditions to judge by",
            );
        }
        let mut ranked: Vec<&JudgedMethod> = judged.iter().collect();
        // Of equals that which tells conditions apart.
        let score = |of: &JudgedMethod| PerturbEvaluation::choosable(of.score);
        ranked.sort_by_key(|of| of.method as u8);
        ranked.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let [best, next, ..] = ranked.as_slice() else {
            return refused(
                "there is nothing to choose the best method by: training judged the network alone",
            );
        };
        let because = format!(
            "{:.3} against {:.3} of `{}`, the next (Pearson Δ of the top 20, over the conditions that training kept to \
             judge by)",
            best.score,
            next.score,
            next.method.name()
        );
        Ok(ChosenMethod { method: best.method, because: Some(because) })
    }
}

impl JudgedMethod {
    /// The methods of an evaluation, of which the first is the network; none without an evaluation.
    pub(super) fn all(evaluation: Option<&PerturbEvaluation>) -> Vec<Self> {
        let methods = evaluation.map_or(&[][..], |evaluation| &evaluation.methods);
        let method = |name: &str| {
            let rule = ResponseRule::ALL.into_iter().find(|rule| rule.name() == name);
            rule.map_or(ResponseMethod::Network, ResponseMethod::of)
        };
        let judged = methods.iter().map(|of| Self {
            method: method(&of.name),
            score: of.mean(PerturbEvaluation::CHOSEN_BY),
        });
        // A score that could not be computed is none, and JSON has no way to write it.
        judged.filter(|of| of.score.is_finite()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_chosen_by_scores_or_not_at_all() {
        let judged = [(ResponseMethod::Network, 0.4), (ResponseMethod::Linear, 0.7)]
            .map(|(method, score)| JudgedMethod { method, score });
        let chosen = ResponseMethod::Best.among(Some(&judged)).unwrap();
        assert_eq!(chosen.method, ResponseMethod::Linear);
        assert!(chosen.because.unwrap().starts_with("0.700 against 0.400 of `network`"));
        let equal =
            [ResponseMethod::TrainingMean, ResponseMethod::Additive, ResponseMethod::MatchingMean]
                .map(|method| JudgedMethod { method, score: 0.5 });
        let chosen = ResponseMethod::Best.among(Some(&equal)).unwrap();
        assert_eq!(chosen.method, ResponseMethod::Additive);
        let named = ResponseMethod::Additive.among(None).unwrap();
        assert_eq!((named.method, named.because), (ResponseMethod::Additive, None));
        for (judged, why) in [
            (None, "earlier version"),
            (Some(&judged[..0]), "kept no conditions"),
            (Some(&judged[..1]), "alone"),
        ] {
            let refused = ResponseMethod::Best.among(judged).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }

    #[test]
    fn every_rule_is_a_method() {
        for rule in ResponseRule::ALL {
            assert_eq!(ResponseMethod::of(rule).rule(), Some(rule));
        }
    }
}
