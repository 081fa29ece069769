//! Matrices as coloured cells.

use super::{WIDTH, cut, svg, width_of};
use crate::escape::escape;

/// A matrix with names, `[rows, columns]`.
///
/// ```
/// use scgpt_report::{HeatMap, Page};
///
/// let names = ["B".to_owned(), "T".to_owned()];
/// let map = HeatMap {
///     rows: &names,
///     columns: &names,
///     shades: vec![0.9, 0.1, 0.2, 0.8],
///     labels: ["9", "1", "2", "8"].map(String::from).to_vec(),
///     axes: ["true type", "predicted type"],
/// };
/// Page::new("Confusion", "").heat_map(&map, "Cells by true and predicted type.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap<'a> {
    /// Names of the rows.
    pub rows: &'a [String],
    /// Names of the columns.
    pub columns: &'a [String],
    /// How dark each cell is, from 0 to 1, row by row; below 0, down to −1, in another colour.
    pub shades: Vec<f64>,
    /// The text of each cell, row by row; drawn where there is room, and shown when pointed at.
    pub labels: Vec<String>,
    /// What the rows are and what the columns are.
    pub axes: [&'a str; 2],
}

/// Letters of the name of a row or column.
const NAME: usize = 30;
/// Most columns whose cells have room for a label.
const LABELLED: usize = 16;

/// Rows from top to bottom, columns from left to right; cells are squares that shrink to the width, and
/// where there are more than [`LABELLED`] columns, their labels are only shown when pointed at.
pub(crate) fn heat_map(map: &HeatMap<'_>) -> String {
    const TOP: f64 = 4.0;
    let widest = |names: &[String], size: f64| {
        names.iter().map(|name| width_of(&cut(name, NAME), size)).fold(0.0, f64::max)
    };
    // Room for the longest name, beside the name of the axis.
    let left = 36.0 + widest(map.rows, 12.0);
    let n = map.columns.len().max(1);
    let side = ((WIDTH - left - 10.0) / n as f64).min(44.0);
    let bottom = TOP + side * map.rows.len() as f64;
    let font = (side * 0.75).clamp(6.0, 12.0);
    let mut body = String::new();
    for (row, name) in map.rows.iter().enumerate() {
        let y = TOP + side * row as f64;
        body += &format!(
            "<text style=\"font-size:{font:.1}px\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\"><title>{}</title>{}</text>",
            left - 8.0,
            y + side / 2.0 + font / 3.0,
            escape(name),
            escape(&cut(name, NAME)),
        );
        for (column, other) in map.columns.iter().enumerate() {
            let at = row * map.columns.len() + column;
            let (shade, label) = (map.shades[at].clamp(-1.0, 1.0), &map.labels[at]);
            let class = if shade < 0.0 { "heat less" } else { "heat" };
            let shade = shade.abs();
            let x = left + side * column as f64;
            body += &format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" fill-opacity=\"{shade:.3}\">\
                 <title>{}, {}: {}</title></rect>",
                escape(name),
                escape(other),
                escape(label),
            );
            if n <= LABELLED && !label.is_empty() {
                body += &format!(
                    "<text class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    if shade > 0.55 { "on-heat" } else { "" },
                    x + side / 2.0,
                    y + side / 2.0 + 4.0,
                    escape(label),
                );
            }
        }
    }
    for (column, name) in map.columns.iter().enumerate() {
        body += &format!(
            "<text style=\"font-size:{font:.1}px\" transform=\"translate({:.1} {:.1}) rotate(-55)\" text-anchor=\"end\"><title>{}</title>{}</text>",
            left + side * (column as f64 + 0.5) + font / 3.0,
            bottom + 12.0,
            escape(name),
            escape(&cut(name, NAME)),
        );
    }
    // Names are turned by 55 degrees.
    let below = bottom + 14.0 + widest(map.columns, font) * 0.82;
    // Few rows are lower than the name of their axis is long: it begins at the top, and ends below them.
    let middle = f64::midpoint(TOP, bottom).max(TOP + width_of(map.axes[0], 12.0) / 2.0);
    body += &format!(
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"soft\" transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        left + side * n as f64 / 2.0,
        below + 14.0,
        escape(map.axes[1]),
        middle,
        escape(map.axes[0]),
    );
    let of = |row: usize| map.labels.get(row * n..).unwrap_or_default().iter().zip(map.columns);
    let says = map.rows.iter().enumerate().map(|(row, name)| {
        let cells = of(row).filter(|(label, _)| !label.is_empty());
        let cells: Vec<String> = cells.map(|(label, other)| format!("{other} {label}")).collect();
        format!("{name}: {}", cells.join(", "))
    });
    let says: Vec<String> = says.collect();
    let label = format!("{} by {}; {}", map.axes[0], map.axes[1], says.join("; "));
    svg(below + 22.0, &label, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_rows_is_whole_beside_a_single_one() {
        let one = ["STAT1+ctrl".to_owned()];
        let genes: Vec<String> = (0..40).map(|gene| format!("GENE{gene}")).collect();
        let map = HeatMap {
            rows: &one,
            columns: &genes,
            shades: vec![0.5; 40],
            labels: vec![String::new(); 40],
            axes: ["condition", "gene"],
        };
        let drawn = heat_map(&map);
        let (_, turned) = drawn.split_once("translate(12 ").unwrap();
        let middle: f64 = turned.split(')').next().unwrap().parse().unwrap();
        assert!(middle >= width_of("condition", 12.0) / 2.0, "{middle}");
    }

    #[test]
    fn every_cell_is_drawn_and_labels_where_there_is_room() {
        let names: Vec<String> = (0..20).map(|class| format!("<{class}>")).collect();
        let map = |n: usize| HeatMap {
            rows: &names[..n],
            columns: &names[..n],
            shades: vec![0.7; n * n],
            labels: vec!["5".into(); n * n],
            axes: ["true", "predicted"],
        };
        for (n, labelled) in [(3, 9), (20, 0)] {
            let drawn = heat_map(&map(n));
            assert_eq!(drawn.matches("<rect").count(), n * n);
            assert_eq!(drawn.matches("on-heat").count(), labelled);
            assert!(!drawn.contains("<0>") && drawn.contains("&lt;0&gt;"));
        }
    }
}
