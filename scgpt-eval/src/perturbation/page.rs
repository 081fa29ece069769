//! An evaluation of responses on a page.

use scgpt_report::{Page, Pair};

use super::{
    JudgedResponse, MethodResponses, NotJudged, PerturbEvaluation, scores::RESPONSE_SCORES,
};

/// Conditions whose genes are drawn.
const DRAWN: usize = 6;

impl NotJudged {
    /// Rows of a table.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let names = |names: &[String]| match names {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        vec![
            ("predicted, but not in the truth", names(&self.without_truth)),
            ("in the truth, but not predicted", names(&self.not_predicted)),
            ("trained on in the split", names(&self.trained_on)),
            ("cells of the truth without values", self.without_values[0].to_string()),
            ("predicted cells without values", self.without_values[1].to_string()),
            ("genes of the truth", self.genes_of_truth.to_string()),
            ("genes of the predictions", self.genes_of_predictions.to_string()),
            ("perturbed genes not measured", names(&self.unmeasured)),
        ]
    }
}

impl PerturbEvaluation {
    /// The evaluation as a page of its own.
    pub fn page(&self, file: &str) -> Page {
        let mut page = Page::new("Predicted responses", file);
        page.numbers(&[
            ("conditions", self.conditions.len().to_string()),
            ("genes", self.genes.to_string()),
        ]);
        self.describe(&mut page);
        if let Some(left_out) = &self.left_out {
            page.section("What was not judged").table(&left_out.rows());
        }
        page
    }

    /// Adds to the page the scores beside those of simple methods, and the genes that respond most.
    pub fn describe(&self, page: &mut Page) {
        let mut heading = vec!["method"];
        heading.extend(Self::SHOWN.iter().map(|(_, name)| *name));
        page.section("Against simple methods").columns(&heading, &self.rows());
        page.warnings(self.collapse().as_slice());
        if let Some(verdict) = self.verdict() {
            page.text(&verdict.replace('`', ""));
        }
        page.text(
            "Δ is the change against the controls; top 20: the genes that differ most in the truth, dropouts aside; \
             centroid: changes against the mean of the training conditions instead, so that what all perturbations \
             have in common earns nothing. Centroid accuracy and discrimination: the share of the other conditions \
             that are farther from the prediction than its own (0.5 is chance). The last row is what half of the \
             cells say of the other half: a measure of the noise, which a method that learns from more cells can \
             pass. In brackets, 95 % intervals.",
        );
        self.subgroups(page);
        self.genes(page);
        self.all_scores(page);
    }

    /// Adds every score of every method, a row each.
    fn all_scores(&self, page: &mut Page) {
        let methods: Vec<_> = self.methods.iter().chain(&self.ceiling).collect();
        let names = methods.iter().map(|method| method.name.as_str());
        let heading: Vec<&str> = std::iter::once("score").chain(names).collect();
        let row = |(score, less_is_better): &(&str, bool)| {
            let name =
                score.replace('_', " ") + if *less_is_better { " (less is better)" } else { "" };
            let means = methods.iter().map(|method| format!("{:.3}", method.mean(score)));
            std::iter::once(name).chain(means).collect()
        };
        let rows: Vec<Vec<String>> = RESPONSE_SCORES.iter().map(row).collect();
        page.section("All scores").columns(&heading, &rows);
        page.text("Delta: changes against the controls. de: the 20 genes that differ most; non dropout: those that are expressed in the condition, or in neither it nor the controls.");
    }

    /// Adds one score by how much of a condition was seen in training; nothing if that is not
    /// known.
    fn subgroups(&self, page: &mut Page) {
        let Some(first) = self.methods.first().filter(|first| !first.subgroups.is_empty()) else {
            return;
        };
        let names: Vec<&str> = first.subgroups.keys().map(String::as_str).collect();
        let words: Vec<String> = names.iter().map(|name| in_words(name)).collect();
        let heading: Vec<&str> =
            std::iter::once("method").chain(words.iter().map(String::as_str)).collect();
        let row = |method: &MethodResponses| {
            let score = |name: &&str| {
                let scores = &method.subgroups[*name];
                format!("{:.3}", scores["pearson_delta_non_dropout"])
            };
            std::iter::once(method.name.clone()).chain(names.iter().map(score)).collect()
        };
        let rows: Vec<Vec<String>> = self.methods.iter().chain(&self.ceiling).map(row).collect();
        page.section("By how much was seen").columns(&heading, &rows);
        page.text("Pearson Δ of the top 20, by what of a condition was in training.");
    }

    /// Draws true and predicted changes of the top genes of some conditions.
    fn genes(&self, page: &mut Page) {
        page.section("Genes that respond most");
        let step = self.judged.len().div_ceil(DRAWN).max(1);
        for (judged, predicted) in self.judged.iter().zip(&self.predicted).step_by(step) {
            let pairs = self.pairs(judged, predicted);
            let caption = format!(
                "{}: true change of the mean logarithm (disc) and predicted one (ring) of the 20 genes that differ most.",
                judged.name
            );
            page.pairs(&pairs, "change against control", &caption);
        }
    }

    /// True and predicted changes of the genes that respond most in a condition.
    fn pairs(&self, judged: &JudgedResponse, predicted: &[f64]) -> Vec<Pair> {
        let of = |&gene: &usize| Pair {
            name: self.names[gene].clone(),
            truth: judged.truth[gene] - judged.control[gene],
            predicted: predicted[gene] - judged.control[gene],
        };
        judged.de.non_dropout.iter().map(of).collect()
    }
}

/// What a group of conditions has of what was trained on: the names are those of the splits of GEARS.
fn in_words(group: &str) -> String {
    match group {
        "unseen_single" => "one gene, not seen".into(),
        "seen_single" => "one gene, seen".into(),
        "combo_seen0" => "two genes, neither seen".into(),
        "combo_seen1" => "two genes, one seen".into(),
        "combo_seen2" => "two genes, both seen".into(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_conditions_are_told_in_words() {
        assert_eq!(in_words("unseen_single"), "one gene, not seen");
        assert_eq!(in_words("combo_seen1"), "two genes, one seen");
        assert_eq!(in_words("three_seen0"), "three seen0");
    }
}
