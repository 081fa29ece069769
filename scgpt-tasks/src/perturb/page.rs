//! The pages about a trained artefact, an evaluation, and a search.

use super::{
    PerturbReport, Retrieval, Reversal, ReversedGroup,
    judge::{NotJudged, PerturbEvaluation},
    scores::{JudgedResponse, RESPONSE_SCORES},
};
use crate::{
    report::{HeatMap, Page, Pair},
    training::{learning_curves, network_rows, training_rows},
};

/// Conditions whose genes are drawn.
const DRAWN: usize = 6;

impl PerturbReport {
    /// The report as a page.
    pub fn page(&self) -> Page {
        let mut page = Page::new("Responses to perturbations", &self.path);
        page.numbers(&[
            ("cells", self.cells.to_string()),
            ("controls", self.controls.to_string()),
            ("genes", self.genes.matched.to_string()),
            ("conditions trained on", self.split.train.len().to_string()),
            ("conditions judged", self.split.test.len().to_string()),
        ]);
        match &self.evaluation {
            Some(evaluation) => {
                page.text("All scores are of conditions that the network neither learned from nor was selected by.");
                evaluation.describe(&mut page);
            }
            None => {
                page.text("No conditions were kept to judge the network.");
            }
        }
        learning_curves(
            &mut page,
            &self.training,
            &self.validation,
            &[("pearson_delta", "Pearson Δ"), ("pearson", "Pearson")],
            ("score", "Scores of the validation conditions."),
        );
        self.data(&mut page);
        page
    }

    fn data(&self, page: &mut Page) {
        let some = |names: &[String]| match names.len() {
            0 => "none".to_owned(),
            n if n > 12 => format!("{n}, such as {}", names[..12].join(", ")),
            _ => names.join(", "),
        };
        let config = &self.config;
        let mut rows = vec![
            ("genes", self.genes.line()),
            ("genes unknown to the model", self.genes.unmatched.to_string()),
            ("perturbed genes not measured", some(&self.unmeasured)),
            ("conditions left out", some(&self.dropped)),
            ("cells without known genes", self.without_genes.to_string()),
            ("cells on either side of a pair", config.pool.to_string()),
            ("genes a step", config.genes_per_step.to_string()),
        ];
        rows.extend(network_rows(config.model.as_deref(), &self.network));
        rows.extend(training_rows(&config.training, self.steps, self.best.as_ref()));
        page.warnings(self.advice.as_slice());
        page.section("Data and settings").table(&rows);
    }
}

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

    fn describe(&self, page: &mut Page) {
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

    fn subgroups(&self, page: &mut Page) {
        let Some(first) = self.methods.first().filter(|first| !first.subgroups.is_empty()) else {
            return;
        };
        let names: Vec<&str> = first.subgroups.keys().map(String::as_str).collect();
        let heading: Vec<&str> = std::iter::once("method").chain(names.iter().copied()).collect();
        let row = |method: &super::MethodResponses| {
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

    /// True and predicted changes of the top genes of some conditions.
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

    fn pairs(&self, judged: &JudgedResponse, predicted: &[f64]) -> Vec<Pair> {
        let of = |&gene: &usize| Pair {
            name: self.names[gene].clone(),
            truth: judged.truth[gene] - judged.control[gene],
            predicted: predicted[gene] - judged.control[gene],
        };
        judged.de.non_dropout.iter().map(of).collect()
    }
}

impl Reversal {
    /// The search as a page.
    pub fn page(&self, file: &str) -> Page {
        let mut page = Page::new("Which perturbation explains these cells", file);
        page.numbers(&[
            ("groups of cells", self.groups.len().to_string()),
            ("candidates", self.candidates.to_string()),
        ]);
        found(&mut page, "How often the truth is found", &self.methods);
        found(&mut page, "Conditions that were not trained on", &self.held_out);
        self.retrieval(&mut page);
        let rows: Vec<Vec<String>> = self
            .groups
            .iter()
            .map(|group| {
                let name = |(name, _): &(String, f64)| name.clone();
                let votes: Vec<String> = group
                    .votes
                    .iter()
                    .take(5)
                    .map(|(name, share)| format!("{name} ({:.0} %)", 100.0 * share))
                    .collect();
                let near: Vec<String> = group.ranked.iter().take(5).map(name).collect();
                let rank = group
                    .rank
                    .map_or_else(String::new, |[votes, near]| format!("{votes} / {near}"));
                vec![
                    group.group.clone(),
                    group.cells.to_string(),
                    votes.join(", "),
                    near.join(", "),
                    rank,
                ]
            })
            .collect();
        page.section("What was found").columns(
            &["cells", "number", "by votes", "by mean profile", "rank of the truth"],
            &rows,
        );
        page
    }

    /// Groups, those whose truth is a candidate if there are such, against the candidates that any of
    /// them found.
    fn retrieval(&self, page: &mut Page) {
        const MOST: usize = 40;
        let is_known = self.groups.iter().any(|group| group.rank.is_some());
        let shown = self.groups.iter().filter(|group| group.rank.is_some() || !is_known);
        let groups: Vec<&ReversedGroup> = shown.take(MOST).collect();
        let rows: Vec<String> = groups.iter().map(|group| group.group.clone()).collect();
        // The truth of each row first: what is right lies on a line.
        let truths = groups.iter().filter_map(|group| group.truth.clone());
        let mut columns: Vec<String> = truths.collect();
        let found = groups.iter().flat_map(|group| group.votes.iter().take(3));
        for (name, _) in found {
            if !columns.contains(name) && columns.len() < MOST {
                columns.push(name.clone());
            }
        }
        let share = |row: usize, name: &String| {
            let votes = &groups[row].votes;
            votes.iter().find(|(other, _)| other == name).map_or(0.0, |(_, share)| *share)
        };
        let cells: Vec<f64> = (0..rows.len())
            .flat_map(|row| columns.iter().map(move |name| share(row, name)).collect::<Vec<_>>())
            .collect();
        let most = cells.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let map = HeatMap {
            rows: &rows,
            columns: &columns,
            shades: cells.iter().map(|share| share / most).collect(),
            labels: cells.iter().map(|share| format!("{:.0} %", 100.0 * share)).collect(),
            axes: ["cells", "candidate"],
        };
        page.section("Retrieval")
            .heat_map(&map, "Share of the cells' votes that each candidate gets; if the truth is known, it is on the diagonal.");
    }
}

/// How often each method finds the truth, if it is known.
fn found(page: &mut Page, title: &str, methods: &[Retrieval]) {
    let Some(first) = methods.first() else { return };
    let k = first.hits.len();
    let at = [1, k.div_ceil(2), k];
    let exact = at.iter().map(|k| format!("right in first {k}"));
    let partial = at.iter().map(|k| format!("one gene right in first {k}"));
    let titles: Vec<String> = exact.chain(partial).collect();
    let mut heading = vec!["method"];
    heading.extend(titles.iter().map(String::as_str));
    heading.push("mean rank");
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let row = |method: &Retrieval| {
        let mut row = vec![method.name.clone()];
        row.extend(at.iter().map(|k| percent(method.hits[k - 1])));
        row.extend(at.iter().map(|k| percent(method.partial_hits[k - 1])));
        row.push(percent(method.mean_rank));
        row
    };
    page.section(title).columns(&heading, &methods.iter().map(row).collect::<Vec<_>>());
    page.text(&format!(
        "Of {} conditions. Mean rank: how far down the list of candidates the truth is; 0 % is the first, 50 % chance.",
        first.groups
    ));
}
