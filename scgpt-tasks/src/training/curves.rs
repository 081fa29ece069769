//! Learning curves on a page: losses of every step, and what the validations found.

use std::collections::BTreeMap;

use scgpt_report::{Page, Scale, Series};
use scgpt_train::{Term, ValidationRecord};

use super::Curves;

/// Draws training losses, then the named metrics of the validations, on an axis with a caption.
pub(crate) fn learning_curves(
    page: &mut Page,
    curves: &Curves,
    metrics: &[(&str, &str)],
    axis: &str,
    caption: &str,
) {
    let mut losses: BTreeMap<Term, Vec<[f64; 2]>> = BTreeMap::new();
    for record in &curves.training {
        for (term, loss) in &record.terms {
            losses.entry(*term).or_default().push([record.step as f64, *loss]);
        }
    }
    let series: Vec<Series> = losses
        .into_iter()
        .map(|(term, points)| Series { name: term.name().into(), points: smooth(&points) })
        .collect();
    page.section("Learning").lines(
        &series,
        ["optimiser step", "loss"],
        Scale::Logarithmic,
        "Training losses, as running means.",
    );
    validation_curves(page, &curves.validation, metrics, axis, caption);
}

/// Draws those of the named metrics that the validations have, on an axis with a caption.
///
/// A metric that no validation has, such as the scores of labels where there are none, is left out, and so is the
/// whole chart if there is none of them.
pub(crate) fn validation_curves(
    page: &mut Page,
    validation: &[ValidationRecord],
    metrics: &[(&str, &str)],
    axis: &str,
    caption: &str,
) {
    let of = |name: &str| -> Vec<[f64; 2]> {
        let point = |record: &ValidationRecord| {
            let metric = record.metrics.iter().find(|metric| metric.name == name)?;
            Some([record.step as f64, metric.value])
        };
        validation.iter().filter_map(point).collect()
    };
    let series: Vec<Series> = metrics
        .iter()
        .map(|(metric, name)| Series { name: (*name).into(), points: of(metric) })
        .filter(|series| !series.points.is_empty())
        .collect();
    if !series.is_empty() {
        page.lines(&series, ["optimiser step", axis], Scale::Linear, caption);
    }
}

/// Means over a fortieth of the curve, so that a trend can be seen.
fn smooth(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let width = (points.len() / 40).max(1);
    points
        .chunks(width)
        .map(|chunk| {
            let n = chunk.len() as f64;
            [0, 1].map(|axis| chunk.iter().map(|point| point[axis]).sum::<f64>() / n)
        })
        .collect()
}
