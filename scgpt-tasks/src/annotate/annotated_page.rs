//! The page about annotated cells: what they are, how sure that is, and which genes bear it out.

use scgpt_data::CellSource;
use scgpt_eval::{CellColours, ColourChoice, LabelSummary, Neighbourhood};
use scgpt_report::Page;

use super::{Annotated, ArtefactRecord};
use crate::error::Result;

impl Annotated {
    /// A warning if most cells are unlike everything that was learned.
    pub fn caution(&self) -> Option<String> {
        let columns = self.columns();
        columns.summary(&self.classes, &[]).caution()
    }

    /// The cells as a page: a map, which begins with the first column that is added, sizes, certainty
    /// and markers of the predicted types, and what they were predicted by. The map is the UMAP, if one was `found`.
    ///
    /// # Errors
    /// If cells or embeddings cannot be read, or a colour that is asked for is not there.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        record: &ArtefactRecord,
        choice: &ColourChoice<'_>,
        found: Option<&Neighbourhood>,
    ) -> Result<Page> {
        let columns = self.columns();
        let map = Neighbourhood::map_of(found, &self.embeddings, record.seed)?;
        let colours = CellColours::choose(source, map.cells(), choice)?;
        let summary = columns.summary(&self.classes, &colours.markers);
        let path = source.summary().path.display().to_string();
        let mut page = Page::new("Annotated cells", &path);
        let n = self.cells.len().max(1) as f64;
        let sure = columns.confidence.iter().map(|&it| f64::from(it)).sum::<f64>() / n;
        let plausible = self.cells.iter().map(|cell| cell.set.len()).sum::<usize>() as f64 / n;
        page.numbers(&[
            ("cells", self.cells.len().to_string()),
            ("types found", summary.sizes().iter().filter(|&&size| size > 0).count().to_string()),
            ("unknown", format!("{:.1} %", 100.0 * self.unknown_share())),
            ("mean confidence", format!("{sure:.2}")),
            ("plausible types a cell", format!("{plausible:.2}")),
            ("genes of the artefact", format!("{:.0} %", 100.0 * self.report.known_genes.share())),
        ]);
        page.warnings(summary.caution().as_slice());
        page.section("Map");
        map.draw(&mut page, "Cells by the embeddings that tell types apart", &colours);
        page.section("Types");
        summary.describe(&mut page, "type", &colours.columns);
        let mut rows = vec![
            ("column that was learned", record.label.clone()),
            ("types that were learned", record.classes.join(", ")),
            ("genes", self.report.genes_line()),
            ("values", self.report.input_state.to_string()),
            ("precision", self.report.precision.to_string()),
        ];
        rows.extend(self.held_out_accuracy.map(|accuracy| {
            let share =
                format!("{:.0} % of held-out cells by the genes there are", 100.0 * accuracy);
            ("right", share)
        }));
        page.section("Settings").table(&rows);
        Ok(page)
    }

    /// What was found, a column each.
    fn columns(&self) -> Columns {
        Columns {
            codes: self.cells.iter().map(|cell| cell.class).collect(),
            confidence: self.cells.iter().map(|cell| cell.confidence).collect(),
            is_unknown: self.cells.iter().map(|cell| cell.is_unknown).collect(),
        }
    }
}

/// Answers of all cells.
struct Columns {
    codes: Vec<Option<u32>>,
    confidence: Vec<f32>,
    is_unknown: Vec<bool>,
}

impl Columns {
    fn summary<'a>(
        &'a self,
        names: &'a [String],
        markers: &'a [(String, Vec<String>)],
    ) -> LabelSummary<'a> {
        let Self { codes, confidence, is_unknown } = self;
        LabelSummary { names, codes, confidence, is_unknown, markers }
    }
}
