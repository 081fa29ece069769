//! A comparison of embeddings as a table and on a page.

use std::collections::BTreeMap;

use scgpt_report::{Bar, Page};

use super::{CellColumn, IntegrationComparison, IntegrationScores};
use crate::cell_colours::CellColours;

/// What the scores are called in tables.
const HEADING: [&str; 10] = [
    "NMI",
    "ARI",
    "ASW label",
    "ASW batch",
    "graph conn.",
    "batch var.",
    "PCR",
    "AvgBIO",
    "AvgBATCH",
    "overall",
];

/// One of the scores.
type Score = fn(&IntegrationScores) -> Option<f64>;

impl IntegrationComparison {
    /// A heading, and a row for each embedding: its name and its scores with three digits, `–` for one
    /// that is missing.
    pub fn table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let heading = ["embedding"].into_iter().chain(HEADING).collect();
        let score = |(_, score): (&str, Option<f64>)| {
            score.map_or_else(|| "–".to_owned(), |score| format!("{score:.3}"))
        };
        let rows = self.embeddings.iter().map(|embedding| {
            let scores = embedding.scores.named().into_iter().map(score);
            [embedding.name.clone()].into_iter().chain(scores).collect()
        });
        (heading, rows.collect())
    }

    /// Why scores are missing: a sentence for each reason, with the scores and embeddings for which
    /// it holds.
    pub fn missing(&self) -> Vec<String> {
        let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for embedding in &self.embeddings {
            for (score, reason) in &embedding.scores.missing {
                reasons.entry((reason.as_str(), score.as_str())).or_default().push(&embedding.name);
            }
        }
        let line = |((reason, score), names): ((&str, &str), Vec<&str>)| {
            format!("{score} of {}: {reason}", names.join(", "))
        };
        reasons.into_iter().map(line).collect()
    }

    /// Adds to the page the scores as a table and as bars, the maps, and how it was done. Maps have the
    /// names and columns of `colours`, too, of the cells that [`CellMap::sample`](crate::CellMap::sample) chooses by the seed of
    /// the options, if it has any.
    pub fn describe(&self, page: &mut Page, colours: &CellColours) {
        self.scores(page);
        self.maps(page, colours);
        let options = &self.options;
        let cells = self.embeddings.first().map_or(0, |one| one.scores.n_cells);
        let mut rows = vec![
            ("clusters", options.clustering.name().to_owned()),
            (
                "neighbours",
                format!("{}, the cell itself included, found exactly", options.n_neighbours),
            ),
            ("scored cells", format!("{cells} of {}", self.batch.codes().len())),
            ("seed", options.seed.to_string()),
        ];
        let best = self.embeddings.iter().filter_map(|one| {
            let scores = &one.scores;
            let (resolution, n) = scores.resolution.zip(scores.n_clusters)?;
            Some(format!("{}: {n} at {resolution:.1}", one.name))
        });
        let best: Vec<String> = best.collect();
        if !best.is_empty() {
            rows.push(("clusters at the best resolution", best.join("; ")));
        }
        page.section("Settings").table(&rows);
        page.text(
            "Scores are defined as in scib 1.1.7 (Luecken et al. 2022), computed by scgpt: NMI and ARI of \
             clusters and labels at the resolution with the highest NMI, silhouettes (ASW), connectivity of \
             labels in the neighbour graph, and the share of variance that batches explain (PCR: by how \
             much it fell). AvgBIO is the mean of NMI, ARI and ASW label, AvgBATCH that of ASW batch and \
             connectivity, overall 0.6 of the first and 0.4 of the second.",
        );
    }

    /// The table of scores, why some are missing, and three of them as bars.
    fn scores(&self, page: &mut Page) {
        let (heading, rows) = self.table();
        page.section("Scores");
        if let Some(verdict) = self.verdict() {
            page.text(&format!("{verdict}."));
        }
        page.columns(&heading, &rows);
        page.text("1 is best; of the variance of batches (batch var.), 0.");
        for missing in self.missing() {
            page.text(&format!("Not computed: {missing}."));
        }
        let charts: [(&str, Score); 3] = [
            ("AvgBIO: how well labels are kept.", |scores| scores.avg_bio),
            ("AvgBATCH: how well batches are mixed.", |scores| scores.avg_batch),
            ("Overall: 0.6 AvgBIO + 0.4 AvgBATCH.", |scores| scores.overall),
        ];
        for (caption, of) in charts {
            let bar = |(name, value): (&String, f64)| {
                let label = format!("{value:.3}");
                Bar { name: name.clone(), value: value.max(0.0), label }
            };
            let scored =
                self.embeddings.iter().filter_map(|one| Some((&one.name, of(&one.scores)?)));
            let bars: Vec<Bar> = scored.map(bar).collect();
            if !bars.is_empty() {
                page.bars(&bars, caption);
            }
        }
    }

    /// Each embedding that has a map, by labels and by batches.
    fn maps(&self, page: &mut Page, more: &CellColours) {
        page.section("Maps").text(
            "Neighbours in the embedding are near each other. Batches should overlap where the same \
             labels are; labels should not.",
        );
        let columns: Vec<&CellColumn> = self.label.iter().chain([&self.batch]).collect();
        for embedding in &self.embeddings {
            let Some(map) = &embedding.map else { continue };
            let mut colours = more.clone();
            for column in &columns {
                if colours.place(&column.key).is_none() {
                    colours.columns.push(column.colouring(map.cells()));
                }
            }
            for column in &columns {
                colours.first = colours.place(&column.key).unwrap_or(0);
                map.draw(page, &embedding.name, &colours);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;
    use scgpt_report::Page;
    use scgpt_stats::ClusterOptions;

    use crate::{
        CellColours, CellColumn, CellSpace, IntegrationComparison, Labels,
        baseline::{SpaceBaseline, SpaceMethod},
    };

    fn column(key: &str, of: impl Fn(usize) -> &'static str) -> CellColumn {
        let labels = Labels::new((0..90).map(|cell| Some(of(cell).to_owned())).collect());
        CellColumn::new(key, &labels).unwrap()
    }

    #[test]
    fn embeddings_stand_side_by_side() {
        let rows: Vec<f32> =
            (0..180_u16).map(|i| f32::from(i * i % 71 + i / 2 % 3 * 200)).collect();
        let label = column("cell_type", |cell| ["a", "b", "c"][cell % 3]);
        let batch = column("batch", |cell| if cell % 2 == 0 { "one" } else { "two" });
        let mut comparison =
            IntegrationComparison::new(Some(label), batch, ClusterOptions::default());
        let space = CellSpace::rows(&rows, 2);
        comparison.add("X_a", &space, &Silent).unwrap();
        let baselines =
            [SpaceBaseline::of_rows(SpaceMethod::Unintegrated, "Unintegrated", rows.clone(), 2)];
        comparison.add_baselines(&baselines, &Silent).unwrap();
        assert!(comparison.verdict().unwrap().contains("X_a ("));
        assert!(comparison.missing().is_empty() || comparison.missing()[0].contains("pcr"));
        let (heading, rows) = comparison.table();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.len() == heading.len()));
        let mut page = Page::new("t", "s");
        comparison.describe(&mut page, &CellColours::default());
        let html = page.to_html();
        assert_eq!(html.matches("<figure>").count(), 3 + 4);
        assert!(html.contains("X_a, coloured by batch") && html.contains("best of 10 resolutions"));
        let twin = serde_json::to_value(&comparison).unwrap();
        assert_eq!(twin["embeddings"][1]["is_baseline"], true);
        assert!(twin["embeddings"][0]["scores"]["nmi"].as_f64().unwrap() > 0.9);
    }

    #[test]
    fn constant_and_missing_labels_are_refused() {
        let of = |labels: &[Option<&str>]| {
            let labels = labels.iter().map(|label| label.map(str::to_owned)).collect();
            CellColumn::new("type", &Labels::new(labels)).unwrap_err().to_string()
        };
        assert!(of(&[Some("a"), Some("a")]).contains("has `a` for all cells"));
        assert!(of(&[Some("a"), None]).contains("1 cells have no label"));
    }
}
