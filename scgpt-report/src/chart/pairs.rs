//! True and predicted numbers side by side: what a prediction misses is the line between the two.

use super::{WIDTH, shortened, svg};
use crate::escape::escape;

/// A number and its prediction.
///
/// ```
/// use scgpt_report::{Page, Pair};
///
/// let pair = Pair { name: "CD69".into(), truth: 1.2, predicted: 0.9 };
/// Page::new("Response", "").pairs(&[pair], "change, log1p", "Genes that respond most.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// What the two numbers are of, such as a gene.
    pub name: String,
    /// The true number.
    pub truth: f64,
    /// The predicted number.
    pub predicted: f64,
}

/// A row for each pair on an axis that always has zero, so that a wrong sign is seen.
pub(crate) fn pairs(pairs: &[Pair], axis: &str) -> String {
    const LEFT: f64 = 212.0;
    const RIGHT: f64 = 30.0;
    const STEP: f64 = 18.0;
    let numbers = || pairs.iter().flat_map(|pair| [pair.truth, pair.predicted]);
    let low = numbers().fold(0.0, f64::min);
    let high = numbers().fold(0.0, f64::max);
    let span = (high - low).max(1e-9);
    let x = |number: f64| LEFT + (number - low) / span * (WIDTH - LEFT - RIGHT);
    let bottom = pairs.len() as f64 * STEP + 8.0;
    let mut body = format!(
        "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{bottom}\"/>",
        x(0.0)
    );
    for (row, pair) in pairs.iter().enumerate() {
        let y = row as f64 * STEP + STEP / 2.0;
        let (truth, predicted) = (x(pair.truth), x(pair.predicted));
        body += &format!(
            "<g><title>{name}: true {:.3}, predicted {:.3}</title>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <line class=\"grid\" x1=\"{truth:.1}\" x2=\"{predicted:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
             <circle class=\"true\" cx=\"{truth:.1}\" cy=\"{y}\" r=\"4.5\"/>\
             <circle class=\"said\" cx=\"{predicted:.1}\" cy=\"{y}\" r=\"4.5\"/></g>",
            pair.truth,
            pair.predicted,
            LEFT - 10.0,
            y + 4.0,
            escape(&shortened(&pair.name)),
            name = escape(&pair.name),
        );
    }
    // An end that lies at zero would be written over it.
    let ends = [low, high].into_iter().filter(|end| (x(*end) - x(0.0)).abs() > 40.0);
    for tick in ends.chain([0.0]) {
        body += &format!(
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick:.2}</text>",
            x(tick),
            bottom + 14.0
        );
    }
    body += &format!(
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 32.0,
        escape(axis)
    );
    let says = pairs.iter().map(|pair| {
        format!("{}: true {:.3}, predicted {:.3}", pair.name, pair.truth, pair.predicted)
    });
    svg(bottom + 38.0, &says.collect::<Vec<_>>().join("; "), &body)
}
