//! [`LabelVerdict`]: what the held-out cells tell of the method that answers, and of those beside it.

use scgpt_data::{GeneVocab, Observer, Result};
use scgpt_eval::{
    LabelEvaluation, PredictedLabels,
    baseline::{ClassBaseline, ClassMethod},
};

use super::{
    Calibration, Choice, Method, MethodScores, held_out::HeldOut, judge::Judged, profiles::Profiles,
};

/// What the held-out cells tell of the method that answers.
pub(super) struct LabelVerdict {
    pub(super) seed: u64,
    /// The method that answers.
    pub(super) method: Method,
    pub(super) answers: Answers,
    /// The method as it was fitted, and the genes it knows; `None` for the network.
    pub(super) simple: Option<(ClassMethod, GeneVocab)>,
    /// What a network says of the test cells, if a simple method was chosen.
    pub(super) network: Option<Judged>,
    pub(super) baselines: Vec<ClassBaseline>,
    pub(super) choice: Option<Choice>,
}

/// What a method says, and how far it can be believed.
pub(super) struct Answers {
    pub(super) calibration: Calibration,
    pub(super) profiles: Profiles,
    pub(super) held_out: HeldOut,
    pub(super) judged: Option<Judged>,
    /// What it says of the validation cells.
    pub(super) said: Vec<u32>,
    /// Number of value bins by which profiles know cells.
    pub(super) n_bins: u16,
}

impl LabelVerdict {
    /// Scores of the method that answers, then those of the others, on the same cells.
    pub(super) fn methods(&self, observer: &dyn Observer) -> Result<Vec<MethodScores>> {
        let Some(judged) = &self.answers.judged else { return Ok(Vec::new()) };
        let first = judged.labels();
        let scores =
            |method, name: &str, of: &PredictedLabels<'_>, evaluation: &LabelEvaluation| {
                let lead = of.lead_over(&first, self.seed, observer)?;
                let unseen = of.unseen_area(observer)?;
                Ok(MethodScores::new(method, name, evaluation, lead, unseen))
            };
        let of_network = self.network.iter().map(|network| {
            let method = Method::Network;
            scores(Some(method), method.name(), &network.labels(), &network.evaluation)
        });
        let others =
            self.baselines.iter().filter(|it| it.method.map(Method::from) != Some(self.method));
        let of_simple = others.map(|baseline| {
            let of = PredictedLabels {
                predicted: &baseline.classes,
                strangeness: baseline.strangeness.as_deref(),
                ..first
            };
            let evaluation = LabelEvaluation::new(&of, self.seed, observer)?;
            scores(baseline.method.map(Method::from), &baseline.name, &of, &evaluation)
        });
        let name = self.method.name();
        std::iter::once(scores(Some(self.method), name, &first, &judged.evaluation))
            .chain(of_network)
            .chain(of_simple)
            .collect()
    }
}
