//! The page about predicted responses: how large they are, in which genes, and whether the condition was
//! seen in training.

use scgpt_report::{Bar, HeatMap, Page};
use scgpt_stats::difference;

use super::{Responses, predict::mean};
use crate::error::Result;

/// Conditions and genes of the heat map, and bars of a figure.
const CONDITIONS: usize = 40;
const GENES: usize = 40;

impl Responses {
    /// The responses as a page about the artefact at `path`, of which `trained` are the conditions that
    /// it learned from.
    ///
    /// # Errors
    /// If the predicted cells cannot be read.
    pub fn page(&self, path: &str, trained: &[String]) -> Result<Page> {
        let mut page = Page::new("Predicted responses", path);
        let is_seen = |name: &String| trained.contains(name);
        let unseen = self.conditions.iter().filter(|it| !is_seen(&it.condition)).count();
        let mut numbers = vec![
            ("conditions", self.conditions.len().to_string()),
            ("not seen in training", unseen.to_string()),
            ("cells of each", self.cells_each().to_string()),
            ("genes", self.genes.len().to_string()),
        ];
        if !self.cell_type.is_empty() {
            numbers.push(("cell type", self.cell_type.clone()));
        }
        page.numbers(&numbers);
        page.text(
            "A response is the mean logarithm of a gene in the predicted cells, less that in the control cells that they              start from. The report of training says how near predictions are to measured responses, for conditions that were \
             not seen.",
        );
        if let Some(chosen) = &self.method {
            let because =
                chosen.because.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            page.text(&format!("Predicted by: {}{because}.", chosen.method.name()));
        }
        page.section("Size");
        let bar = |it: &super::Response| Bar {
            name: it.condition.clone(),
            value: it.mean_change,
            label: format!("{:.4}", it.mean_change),
        };
        let mut order: Vec<&super::Response> = self.conditions.iter().collect();
        order.sort_by(|a, b| b.mean_change.total_cmp(&a.mean_change));
        let bars: Vec<Bar> = order.iter().take(CONDITIONS).map(|it| bar(it)).collect();
        page.bars(&bars, "Mean size of the changes of all genes, the largest responses first.");
        self.genes(&mut page)?;
        let change = |(gene, change): &(String, f64)| format!("{gene} {change:+.2}");
        let row = |it: &&super::Response| {
            vec![
                it.condition.clone(),
                if is_seen(&it.condition) { "yes" } else { "no" }.into(),
                it.unmeasured.join(", "),
                format!("{:.4}", it.mean_change),
                it.most_changed.iter().take(6).map(change).collect::<Vec<_>>().join(", "),
            ]
        };
        let rows: Vec<Vec<String>> = order.iter().map(row).collect();
        page.section("Conditions").columns(
            &[
                "condition",
                "seen in training",
                "not measured",
                "mean change",
                "genes that change most",
            ],
            &rows,
        );
        Ok(page)
    }

    /// Draws the genes that change most in the first conditions.
    fn genes(&self, page: &mut Page) -> Result<()> {
        let (n, g) = (self.cells_each(), self.genes.len());
        let shown = &self.conditions[..self.conditions.len().min(CONDITIONS)];
        let mut columns: Vec<usize> = Vec::new();
        // By turns, so that every condition has its first genes.
        let most = shown.iter().map(|it| it.most_changed.len()).max().unwrap_or(0);
        for (gene, _) in
            (0..most).flat_map(|turn| shown.iter().filter_map(move |it| it.most_changed.get(turn)))
        {
            let place = self.genes.iter().position(|other| other == gene);
            columns.extend(place.filter(|place| columns.len() < GENES && !columns.contains(place)));
        }
        let mut changes = Vec::with_capacity(shown.len() * columns.len());
        let mut rows = Vec::new();
        for condition in 0..shown.len() {
            self.cells.read_rows(condition * n, n, &mut rows)?;
            let change = difference(&mean(&rows, g), &self.control);
            changes.extend(columns.iter().map(|&gene| change[gene]));
        }
        let largest = changes.iter().map(|change| change.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let names: Vec<String> = shown.iter().map(|it| it.condition.clone()).collect();
        let genes: Vec<String> = columns.iter().map(|&gene| self.genes[gene].clone()).collect();
        let map = HeatMap {
            rows: &names,
            columns: &genes,
            shades: changes.iter().map(|change| change / largest).collect(),
            labels: changes.iter().map(|change| format!("{change:+.2}")).collect(),
            axes: ["condition", "gene"],
        };
        let left = self.conditions.len() - shown.len();
        let more = if left > 0 {
            format!("; {left} further conditions are in the table")
        } else {
            String::new()
        };
        page.section("Genes").heat_map(
            &map,
            &format!("Changes of the genes that change most, up in blue, down in orange{more}."),
        );
        Ok(())
    }
}
