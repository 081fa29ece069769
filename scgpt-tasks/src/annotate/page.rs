//! The page about a trained artefact: scores beside those of simple methods, what the held-out
//! cells tell of its confidence, a map, curves, cells and settings.

use scgpt_report::Page;

use super::{AnnotateReport, ClassSize, Method, MethodScores};
use crate::training::{
    Learned, THINNING_CURVE, learning_curves, network_rows, settings, size_line,
};

impl AnnotateReport {
    /// The report as a page.
    pub fn page(&self) -> Page {
        let data = &self.data;
        let mut page = Page::new("Cell type annotation", &data.path);
        let [training, _, test] = data.totals();
        let mut numbers = vec![
            ("types", data.classes.len().to_string()),
            ("cells trained on", training.to_string()),
            ("cells to judge", test.to_string()),
        ];
        if let Some(ours) = self.methods.first() {
            numbers.push(("accuracy", format!("{:.3}", ours.accuracy.mean)));
            numbers.push(("macro F1", format!("{:.3}", ours.macro_f1.mean)));
        }
        page.numbers(&numbers);
        match &self.evaluation {
            Some(evaluation) => {
                page.text(match self.method {
                    Method::Network => {
                        "All scores are of cells that the network neither learned from nor was selected or calibrated by."
                    }
                    _ => "All scores are of cells by which nothing was fitted, tuned, chosen or calibrated.",
                });
                self.compare(&mut page);
                evaluation.describe(&mut page);
                if let Some(raw) = &self.uncalibrated {
                    page.text(&format!(
                        "Without its temperature of {:.2}, {} would have a calibration error of {:.3}.",
                        self.calibration.temperature,
                        self.method.subject(),
                        raw.error
                    ));
                }
            }
            None => {
                page.text(&format!("No cells were kept to judge {}.", self.method.subject()));
            }
        }
        if let Some(map) = &self.map {
            map.describe(page.section("Map"), &self.colours);
        }
        if let Some(curves) = &self.curves {
            learning_curves(
                &mut page,
                curves,
                &[
                    ("class", "cross-entropy"),
                    ("accuracy", "accuracy"),
                    ("macro_f1", "macro F1"),
                    THINNING_CURVE,
                ],
                "score",
                "Scores of the validation cells.",
            );
        }
        if let Some(thinned) = self.learned.as_ref().and_then(|learned| learned.thinned) {
            page.text(&thinned.sentence());
        }
        self.cells(&mut page);
        match &self.learned {
            Some(learned) => self.settings(&mut page, learned),
            None => {
                page.section("Settings").table(&[
                    ("method", self.method.name().into()),
                    ("temperature", format!("{:.2}", self.calibration.temperature)),
                    ("seed", self.config.training.seed.to_string()),
                ]);
            }
        }
        page
    }

    /// Adds scores of the method that answers and of those beside it on the same cells, and which of them
    /// is better.
    fn compare(&self, page: &mut Page) {
        let mut columns = vec!["method", "accuracy", "macro F1"];
        if !self.data.unseen.is_empty() {
            columns.push("unseen types (AUC)");
        }
        let row = |method: &MethodScores| {
            let unseen = method.unseen.map_or_else(String::new, |area| area.to_string());
            let [accuracy, f1] = [method.accuracy, method.macro_f1].map(|score| score.to_string());
            [method.name.clone(), accuracy, f1, unseen].into_iter().take(columns.len()).collect()
        };
        let rows: Vec<Vec<String>> = self.methods.iter().map(row).collect();
        page.section(match self.method {
            Method::Network => "Against simple methods",
            _ => "Against other methods",
        });
        page.columns(&columns, &rows);
        if let Some(choice) = &self.choice {
            page.text(&format!("Chosen as the best: {}.", choice.sentence()));
        }
        if let Some(verdict) = self.verdict() {
            page.text(&verdict);
        }
        page.text(match self.methods.first().map_or(0, |method| method.repeats.len()) {
            1 => "In brackets, 95 % intervals by a bootstrap over the judged cells.".to_owned(),
            n => format!(
                "Means of {n} repeats with other cells to learn from; in brackets, 95 % intervals by Student's t. \
                 All that follows is of the first repeat, which is the artefact."
            ),
        }.as_str());
    }

    /// Adds how many cells of each type are in which part, and which were left out.
    fn cells(&self, page: &mut Page) {
        let data = &self.data;
        let row = |class: &ClassSize| size_line(&class.name, class.parts());
        let rows: Vec<Vec<String>> = data.classes.iter().chain(&data.unseen).map(row).collect();
        page.section("Cells").text(&format!("Genes: {}.", data.genes.line()));
        page.columns(&["type", "trained on", "to calibrate", "to judge"], &rows);
        let mut left_out = Vec::new();
        if data.unlabelled > 0 {
            left_out.push(("without label", data.unlabelled.to_string()));
        }
        if data.without_genes > 0 {
            left_out.push(("without known gene", data.without_genes.to_string()));
        }
        if !data.dropped.is_empty() {
            left_out.push(("types with too few cells", data.dropped.join(", ")));
        }
        if !left_out.is_empty() {
            page.text("Left out:").table(&left_out);
        }
    }

    /// Adds where the network came from, what it learned and how long.
    fn settings(&self, page: &mut Page, learned: &Learned) {
        let config = &self.config;
        let mut rows = network_rows(config.model.as_deref(), &learned.network).to_vec();
        rows.extend([
            ("batch", format!("{} cells", config.batch_size)),
            ("tokens per cell", format!("at most {}", config.max_length)),
            ("temperature", format!("{:.2}", self.calibration.temperature)),
        ]);
        if self.method != Method::Network {
            rows.push((
                "method",
                format!("{}: the network is not part of the artefact", self.method.name()),
            ));
        }
        settings(page, "Settings", rows, &config.training, learned);
    }
}
