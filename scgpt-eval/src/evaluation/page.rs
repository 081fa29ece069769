//! An evaluation on a page.

use scgpt_report::{ConfidenceBin, HeatMap, Page};

use super::LabelEvaluation;

impl LabelEvaluation {
    /// Adds to the page the confusion of types, scores by class, reliability, sets and unknown
    /// cells.
    pub fn describe(&self, page: &mut Page) {
        self.confusion(page);
        self.by_class(page);
        if let Some(calibration) = &self.calibration {
            let drawn = |bin: &scgpt_stats::ReliabilityBin| ConfidenceBin {
                n: bin.n,
                confidence: bin.confidence,
                accuracy: bin.accuracy,
            };
            let bins: Vec<ConfidenceBin> = calibration.bins.iter().map(drawn).collect();
            page.section("Confidence").reliability(
                &bins,
                &format!(
                    "Cells by confidence: on the diagonal, cells of confidence 0.8 are right in 80 % of the cases. \
                     Discs are as large as they have cells; lines are 95 % intervals. Expected calibration error {:.3}.",
                    calibration.error
                ),
            );
        }
        if let Some(coverage) = &self.coverage {
            page.text(&format!(
                "Sets of plausible types hold the true one of {:.1} % of the cells, with {:.2} types on average.",
                100.0 * coverage.overall,
                coverage.mean_size
            ));
        }
        if let Some(unknown) = &self.unknown {
            page.text(&format!(
                "{:.1} % of the cells of known types are called unknown; {:.1} % of the others are right.",
                100.0 * unknown.known_rejected,
                100.0 * unknown.accuracy_kept
            ));
            if unknown.n_other > 0 {
                let area = unknown.area.map_or_else(String::new, |area| {
                    format!(" They are told from known types with an area under the ROC curve of {area:.3}.")
                });
                page.text(&format!(
                    "Of {} cells of types that could not be predicted, {:.1} % are called unknown.{area}",
                    unknown.n_other,
                    100.0 * unknown.other_rejected
                ));
            }
        }
    }

    /// Draws true against predicted types, as shares of the true ones.
    fn confusion(&self, page: &mut Page) {
        let names: Vec<String> =
            self.scores.classes.iter().map(|class| class.name.clone()).collect();
        let share = |row: &Vec<u64>| -> Vec<f64> {
            let n = row.iter().sum::<u64>().max(1) as f64;
            row.iter().map(|&cells| cells as f64 / n).collect()
        };
        let label = |&cells: &u64| if cells == 0 { String::new() } else { cells.to_string() };
        let map = HeatMap {
            rows: &names,
            columns: &names,
            shades: self.scores.confusion.iter().flat_map(share).collect(),
            labels: self.scores.confusion.iter().flatten().map(label).collect(),
            axes: ["true type", "predicted type"],
        };
        page.section("Confusion").heat_map(
            &map,
            "Cells by true and predicted type; the darker, the larger the share of the true type.",
        );
    }

    /// Draws precision, recall and F1 of each type, the most frequent first.
    fn by_class(&self, page: &mut Page) {
        let mut classes: Vec<_> = self.scores.classes.iter().collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.support));
        let rows: Vec<Vec<String>> = classes
            .iter()
            .map(|class| {
                let mut row = vec![class.name.clone(), class.support.to_string()];
                row.extend(
                    [class.precision, class.recall, class.f1].map(|score| format!("{score:.3}")),
                );
                row
            })
            .collect();
        page.section("Types").columns(&["type", "cells", "precision", "recall", "F1"], &rows);
    }
}
