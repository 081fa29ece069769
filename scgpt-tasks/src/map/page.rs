//! The page about mapped cells: what their neighbours say of them, and how far these are.

use scgpt_data::{CellSource, Observer, RowSpool};
use scgpt_eval::{CellColours, ColourChoice, LabelSummary, Neighbourhood};
use scgpt_report::Page;

use super::{IndexManifest, MappedCells, MappedLabels};
use crate::error::Result;

/// Classes of the histogram of distances.
const CLASSES: usize = 30;

impl MappedCells {
    /// A warning if most cells are farther from the reference than its own cells are from each other.
    pub fn caution(&self) -> Option<String> {
        let none = MappedLabels::default();
        self.summary(self.labels.first().unwrap_or(&none), &[]).caution()
    }

    /// The cells as a page: a map by their embeddings `rows`, which begins with the first column that is
    /// added, sizes, certainty and markers of their labels, and distances to the reference. The map is the UMAP, if one
    /// was `found`.
    ///
    /// # Errors
    /// If cells or embeddings cannot be read, or a colour that is asked for is not there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        rows: &RowSpool,
        (index, found): (&IndexManifest, Option<&Neighbourhood>),
        choice: &ColourChoice<'_>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let map = Neighbourhood::map_of(found, rows, 0, observer)?;
        let colours = CellColours::choose(source, map.cells(), choice)?;
        let path = source.summary().path.display().to_string();
        let mut page = Page::new("Mapped cells", &path);
        let n = self.is_unknown.len();
        let unknown = self.is_unknown.iter().filter(|&&is_unknown| is_unknown).count();
        page.numbers(&[
            ("cells", n.to_string()),
            ("unknown", format!("{:.1} %", 100.0 * unknown as f64 / n.max(1) as f64)),
            ("cells of the reference", index.n_cells.to_string()),
            ("columns of labels", self.labels.len().to_string()),
        ]);
        page.warnings(self.caution().as_slice());
        page.section("Map");
        map.draw(&mut page, "Cells by their embeddings", &colours);
        for (column, labels) in self.labels.iter().enumerate() {
            // Markers were looked for by the first column.
            let markers = if column == 0 { &colours.markers[..] } else { &[] };
            page.section(&format!("Labels of {}", labels.column));
            self.summary(labels, markers).describe(&mut page, &labels.column, &colours.columns);
        }
        self.distances(&mut page);
        Ok(page)
    }

    fn summary<'a>(
        &'a self,
        labels: &'a MappedLabels,
        markers: &'a [(String, Vec<String>)],
    ) -> LabelSummary<'a> {
        LabelSummary {
            names: &labels.names,
            codes: &labels.codes,
            confidence: &labels.confidence,
            is_unknown: &self.is_unknown,
            markers,
        }
    }

    /// How far cells are from the reference, in thousandths of the largest distance there can be.
    fn distances(&self, page: &mut Page) {
        let farthest = self.strangeness.iter().copied().fold(1e-3, f32::max);
        let mut counts = [0_u64; CLASSES];
        for &distance in &self.strangeness {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 30")]
            let class = (distance / farthest * CLASSES as f32) as usize;
            counts[class.min(CLASSES - 1)] += 1;
        }
        let width = f64::from(farthest) * 1000.0 / CLASSES as f64;
        page.section("Distance").histogram(
            &counts,
            0.0,
            width,
            "mean distance to the nearest ten cells of the reference, in thousandths",
            "Cells by how far the reference is; embeddings have length 1, so at most 2 000.",
        );
    }
}
