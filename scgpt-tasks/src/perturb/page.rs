//! The pages about a trained artefact and about a search.

use scgpt_data::number_of;
use scgpt_eval::perturbation::Retrieval;
use scgpt_report::{HeatMap, Page};

use super::{PerturbReport, Reversal, ReversedGroup};
use crate::training::{learning_curves, network_rows, settings};

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
            &self.curves,
            &[("pearson_delta", "Pearson Δ"), ("pearson", "Pearson")],
            "score",
            "Scores of the validation conditions.",
        );
        self.data(&mut page);
        page
    }

    /// Adds what was learned from, what was left out, and how the network was trained.
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
        rows.extend(network_rows(config.model.as_deref(), &self.learned.network));
        settings(page, "Data and settings", rows, &config.training, &self.learned);
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

    /// Adds the groups, only those whose truth is a candidate if there are any, against the
    /// candidates that any of them found.
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

/// Adds how often each method finds the true condition, if it is known.
///
/// Shares are of the conditions whose truth is among the candidates: that all of its genes were right, and that
/// at least one was, within the first so many candidates.
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
        "Of {}. Mean rank: how far down the list of candidates the truth is; 0 % is the first, 50 % chance.",
        number_of(first.groups, "condition")
    ));
}
