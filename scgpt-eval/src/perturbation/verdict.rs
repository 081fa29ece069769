//! The result of an evaluation of responses, in a table and a sentence.

use super::{MethodResponses, PerturbEvaluation, ResponseRule};

impl PerturbEvaluation {
    /// Scores that tables show.
    pub(super) const SHOWN: [(&'static str, &'static str); 6] = [
        ("pearson_delta", "Pearson Δ"),
        ("pearson_delta_non_dropout", "Pearson Δ, top 20"),
        ("pearson_delta_centroid", "Pearson Δ, centroid"),
        ("centroid_accuracy", "centroid accuracy"),
        ("discrimination", "discrimination"),
        ("mse_non_dropout", "MSE, top 20"),
    ];

    /// A row for each method, and for the ceiling: its name, and the shown scores with their intervals.
    pub fn rows(&self) -> Vec<Vec<String>> {
        self.methods
            .iter()
            .chain(&self.ceiling)
            .map(|method| {
                let score = |(score, _): &(&str, &str)| method.scores[score].to_string();
                std::iter::once(method.name.clone()).chain(Self::SHOWN.iter().map(score)).collect()
            })
            .collect()
    }

    /// The [`rows`](Self::rows) as a table in Markdown.
    pub fn table(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut heading = vec!["method".to_owned()];
        heading.extend(Self::SHOWN.iter().map(|(_, name)| (*name).to_owned()));
        let rule = vec!["---".to_owned(); heading.len()];
        let rows: String = self.rows().iter().map(|row| line(row)).collect();
        line(&heading) + &line(&rule) + &rows
    }

    /// The score that methods are chosen by: Pearson Δ over the twenty genes that respond most.
    pub const CHOSEN_BY: &'static str = "pearson_delta_non_dropout";

    /// A score as methods are chosen by it: what differs by less than a millionth is equal. Where no perturbed gene was
    /// seen before, sums of single genes and means of all are one.
    pub fn choosable(score: f64) -> f64 {
        (score * 1e6).round()
    }

    /// The best of the simple methods, if there are any; of equals the last, which tells conditions apart.
    fn best_baseline(&self) -> Option<&MethodResponses> {
        let score = |of: &MethodResponses| Self::choosable(of.mean(Self::CHOSEN_BY));
        self.methods.get(1..)?.iter().max_by(|a, b| score(a).total_cmp(&score(b)))
    }

    /// The simple method that is better than the predictions by more than chance, if one is.
    pub fn better(&self) -> Option<ResponseRule> {
        let best = self.best_baseline()?;
        let is_better =
            best.scores[Self::CHOSEN_BY].low > self.methods.first()?.mean(Self::CHOSEN_BY);
        ResponseRule::ALL.into_iter().find(|rule| is_better && rule.name() == best.name)
    }

    /// A sentence on whether the predictions are better than simple methods, if there are any to
    /// compare them with.
    pub fn verdict(&self) -> Option<String> {
        let (first, best) = (self.methods.first()?, self.best_baseline()?);
        let [ours, theirs] = [first, best].map(|method| method.mean(Self::CHOSEN_BY));
        Some(if first.scores[Self::CHOSEN_BY].low > theirs {
            format!(
                "{} is better than `{}` ({ours:.3} against {theirs:.3}, Pearson Δ of the top 20).",
                first.name, best.name
            )
        } else if self.better().is_some() {
            format!(
                "`{}` is better than {} ({theirs:.3} against {ours:.3}, Pearson Δ of the top 20): for these conditions the simple method is the one to use.",
                best.name, first.name
            )
        } else {
            format!(
                "{} ({ours:.3}) and `{}` ({theirs:.3}, Pearson Δ of the top 20) are about equally good here.",
                first.name, best.name
            )
        })
    }

    /// A warning if the predictions for different conditions are nearly the same.
    pub fn collapse(&self) -> Option<String> {
        let first =
            self.methods.first().filter(|first| first.has_collapsed(self.truth_similarity))?;
        Some(format!(
            "the predicted changes of different conditions are nearly the same (mean correlation {:.2}; of the true ones {:.2}): the predictions tell that something was perturbed, not what",
            first.similarity, self.truth_similarity
        ))
    }
}
