//! [`LabelSummary`]: labels that were told of cells whose truth is not known, type by type.

use scgpt_report::{Bar, Colouring, Page};

/// Bars of a figure; rarer labels are in the table alone.
const BARS: usize = 40;
/// Classes of a histogram of confidence, 5 % each.
const CLASSES: usize = 20;

/// Labels of cells, with what is known of their certainty; slices have an entry a cell.
///
/// ```
/// use scgpt_eval::LabelSummary;
/// use scgpt_report::Page;
///
/// let names = ["B", "T"].map(String::from);
/// let labels = LabelSummary {
///     names: &names,
///     codes: &[Some(0), Some(1), Some(1), None],
///     confidence: &[0.9, 0.8, 0.7, 0.0],
///     is_unknown: &[false, false, true, true],
///     markers: &[],
/// };
/// assert_eq!(labels.sizes(), [1, 2]);
/// labels.describe(&mut Page::new("Cells", ""), "type", &[]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LabelSummary<'a> {
    /// Names of the labels.
    pub names: &'a [String],
    /// The label of each cell, a place in `names`, if it has one.
    pub codes: &'a [Option<u32>],
    /// How sure each is, 0 to 1.
    pub confidence: &'a [f32],
    /// Whether each cell was said to be unlike all labels.
    pub is_unknown: &'a [bool],
    /// Genes that cells of a label express more than others, by its name.
    pub markers: &'a [(String, Vec<String>)],
}

impl LabelSummary<'_> {
    /// Number of cells of each label.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.names.len()];
        for code in self.codes.iter().flatten() {
            sizes[*code as usize] += 1;
        }
        sizes
    }

    /// A warning if most cells were called unknown: then labels tell little of the cells.
    pub fn caution(&self) -> Option<String> {
        let n = self.is_unknown.len();
        let unknown = self.is_unknown.iter().filter(|&&it| it).count();
        (2 * unknown > n).then(|| {
            format!(
                "{:.1} % of the cells are unknown, unlike everything that was learned: their labels are the nearest there \
                 were, and probably wrong",
                100.0 * unknown as f64 / n as f64
            )
        })
    }

    /// Adds to the page how many cells have each label, how sure that is and which genes tell them, and
    /// how sure labels are in all; a label is called a `what`, and has the colour of a map with these `columns`.
    pub fn describe(&self, page: &mut Page, what: &str, columns: &[Colouring]) {
        let sizes = self.sizes();
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&label| sizes[label] > 0).collect();
        order.sort_by_key(|&label| (std::cmp::Reverse(sizes[label]), &self.names[label]));
        let n = self.codes.len().max(1) as f64;
        let bar = |&label: &usize| Bar {
            name: self.names[label].clone(),
            value: sizes[label] as f64,
            label: format!("{} ({:.1} %)", sizes[label], 100.0 * sizes[label] as f64 / n),
        };
        let bars: Vec<Bar> = order.iter().take(BARS).map(bar).collect();
        let caption = format!("Cells of each {what}, by what was predicted.");
        page.category_bars(&bars, columns, &caption);
        let mut sums = vec![[0.0; 2]; sizes.len()];
        for ((code, &confidence), &is_unknown) in
            self.codes.iter().zip(self.confidence).zip(self.is_unknown)
        {
            let Some(code) = code else { continue };
            sums[*code as usize][0] += f64::from(confidence);
            sums[*code as usize][1] += f64::from(u8::from(is_unknown));
        }
        let row = |&label: &usize| {
            let of = sizes[label] as f64;
            let name = &self.names[label];
            let markers = self.markers.iter().find(|(other, _)| other == name);
            vec![
                name.clone(),
                sizes[label].to_string(),
                format!("{:.1} %", 100.0 * sizes[label] as f64 / n),
                format!("{:.2}", sums[label][0] / of),
                format!("{:.1} %", 100.0 * sums[label][1] / of),
                markers.map_or_else(String::new, |(_, genes)| genes.join(", ")),
            ]
        };
        let mut rows: Vec<Vec<String>> = order.iter().map(row).collect();
        let mut heading = vec![what, "cells", "share", "confidence", "unknown", "markers"];
        let mut said = "Confidence is a mean; unknown is the share of these cells that are unlike everything that was learned."
            .to_owned();
        if self.markers.is_empty() {
            heading.pop();
            for row in &mut rows {
                row.truncate(heading.len());
            }
        } else {
            said += " Markers are genes that the cells of the map with this label express more than all others: if they are \
                     not those of the label's name, doubt it.";
        }
        page.columns(&heading, &rows).text(&said);
        let mut counts = [0_u64; CLASSES];
        for (code, &confidence) in self.codes.iter().zip(self.confidence) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 20")]
            let class = (confidence.clamp(0.0, 1.0) * CLASSES as f32) as usize;
            if code.is_some() {
                counts[class.min(CLASSES - 1)] += 1;
            }
        }
        page.histogram(
            &counts,
            0.0,
            100.0 / CLASSES as f64,
            "confidence, per cent",
            &format!("Cells by how sure their {what} is."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_counted_and_most_unknown_cells_are_a_warning() {
        let names = ["B <1>", "T", "never"].map(String::from);
        let markers = [("T".to_owned(), vec!["CD3D".to_owned(), "IL7R".to_owned()])];
        let mut labels = LabelSummary {
            names: &names,
            codes: &[Some(0), Some(1), Some(1), None],
            confidence: &[0.9, 1.0, 0.7, 0.0],
            is_unknown: &[false, false, true, true],
            markers: &markers,
        };
        let mut page = Page::new("", "");
        let columns = [Colouring::labels("found", names.each_ref().map(|name| Some(&**name)))];
        labels.describe(&mut page, "type", &columns);
        let html = page.to_html();
        for part in [
            "style=\"fill:var(--c",
            "B &lt;1&gt;",
            "2 (50.0 %)",
            "CD3D, IL7R",
            ">0.85<",
            "95 to 99: 1",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("never"));
        assert_eq!(labels.caution(), None, "half is not most");
        labels.is_unknown = &[true, false, true, true];
        assert!(labels.caution().unwrap().contains("75.0 % of the cells are unknown"));
    }
}
