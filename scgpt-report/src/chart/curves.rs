//! Curves over sizes: means with their intervals, and the laws that were fitted to them.

use super::{
    frame::{Frame, LEFT, PLOT, TOP},
    lines::{FREE, Scale, is_place, range},
    palette::HUES,
    short, shortened, svg_of,
};
use crate::escape::escape;

/// A named curve over sizes.
///
/// ```
/// use scgpt_report::{Curve, CurvePoint, Page};
///
/// let point = |size, mean| CurvePoint { size, mean, low: mean - 0.1, high: mean + 0.1 };
/// let curve = Curve {
///     name: "blood".into(),
///     points: vec![point(1e3, 3.0), point(1e4, 2.0)],
///     fit: Vec::new(),
/// };
/// Page::new("Study", "").curves(&[curve], ["cells", "error"], "Error by size.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by ascending size; what is not finite, or of no positive size, is left out.
    pub points: Vec<CurvePoint>,
    /// Sizes and values of a law, by ascending size; drawn dashed.
    pub fit: Vec<[f64; 2]>,
}

/// A mean at a size, with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The size, on a logarithmic axis.
    pub size: f64,
    /// The mean.
    pub mean: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Discs with bars for their intervals, thin lines between them, and dashed laws.
pub(crate) fn curves(curves: &[Curve], axes: [&str; 2]) -> String {
    let size = |size: f64| Scale::Logarithmic.of(size);
    let of = |curve: &Curve| -> Vec<[f64; 2]> {
        let ends =
            curve.points.iter().flat_map(|at| [at.low, at.mean, at.high].map(|y| [at.size, y]));
        ends.chain(curve.fit.iter().copied()).map(|[x, y]| [size(x), y]).collect()
    };
    let places: Vec<Vec<[f64; 2]>> = curves.iter().map(of).collect();
    let (x, y) = (range(&places, 0, FREE), range(&places, 1, FREE));
    let frame = Frame::ruled(x, y);
    let named = [format!("{} (logarithmic)", axes[0]), axes[1].to_owned()];
    let ticks = (Scale::Logarithmic.ticks(x.0, x.1), Scale::Linear.ticks(y.0, y.1));
    let mut body = frame.draw(&ticks.0, &ticks.1, &named);
    let path = |places: &mut dyn Iterator<Item = [f64; 2]>| {
        let mut path = String::new();
        for [x, y] in places.map(|[x, y]| [size(x), y]).filter(|place| is_place(*place)) {
            let command = if path.is_empty() { 'M' } else { 'L' };
            path += &format!("{command}{:.1} {:.1}", frame.x_of(x), frame.y_of(y));
        }
        path
    };
    for (index, curve) in curves.iter().enumerate() {
        let mut marks = String::new();
        for at in &curve.points {
            let ends =
                [[size(at.size), at.low], [size(at.size), at.high], [size(at.size), at.mean]];
            if !ends.iter().all(|place| is_place(*place)) {
                continue;
            }
            let x = frame.x_of(size(at.size));
            let [low, high, mean] = ends.map(|[_, y]| frame.y_of(y));
            marks += &format!(
                "<path d=\"M{x:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6\"/><path d=\"M{x:.1} {mean:.1}h0\" stroke-width=\"7\"/>",
                x - 3.0,
                x - 3.0,
            );
        }
        let y = TOP + 6.0 + index as f64 * 22.0;
        body += &format!(
            "<g stroke=\"var(--c{})\" stroke-linecap=\"round\" fill=\"none\"><title>{name}</title><g data-series=\"{index}\">\
             <path data-line=\"{name}\" d=\"{}\" stroke-width=\"1\" stroke-opacity=\".6\"/><path d=\"{}\" stroke-width=\"1.6\" stroke-dasharray=\"6 5\"/>{marks}</g>\
             <g class=\"entry\" data-series=\"{index}\"><path d=\"M{} {:.1}h0\" stroke-width=\"9\"/><text stroke=\"none\" x=\"{}\" y=\"{y:.1}\">{}</text></g></g>",
            index % HUES,
            path(&mut curve.points.iter().map(|at| [at.size, at.mean])),
            path(&mut curve.fit.iter().copied()),
            LEFT + PLOT[0] + 24.0,
            y - 4.0,
            LEFT + PLOT[0] + 38.0,
            escape(&shortened(&curve.name)),
            name = escape(&curve.name),
        );
    }
    let legend = curves.len() as f64 * 22.0;
    let says = curves.iter().filter_map(|curve| {
        let last = curve.points.iter().rev().find(|at| is_place([size(at.size), at.mean]))?;
        Some(format!("{} ends at {}", curve.name, short(last.mean)))
    });
    let label = format!("{} by {}: {}", axes[1], axes[0], says.collect::<Vec<_>>().join(", "));
    svg_of(frame.height(legend), &frame.attributes([true, false]), &label, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_intervals_and_laws_are_drawn() {
        let point = |size, mean| CurvePoint { size, mean, low: mean - 1.0, high: mean + 1.0 };
        let points =
            vec![point(1e3, 20.0), point(1e4, 15.0), point(0.0, 9.0), point(1e5, f64::NAN)];
        let curve = Curve { name: "<b>".into(), points, fit: vec![[1e3, 20.0], [1e5, 12.0]] };
        let drawn = curves(&[curve], ["cells", "error"]);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf") && drawn.contains("&lt;b&gt;"));
        assert_eq!(drawn.matches("stroke-width=\"7\"").count(), 2);
        assert!(drawn.contains("cells (logarithmic)") && drawn.contains(">10000<"), "{drawn}");
        // The larger size lies at the right, the smaller error below.
        let law = drawn.split("stroke-dasharray").next().unwrap().rsplit("d=\"M").next().unwrap();
        let numbers: Vec<f64> =
            law.split(['L', ' ', '"']).take(4).map(|it| it.parse().unwrap()).collect();
        assert!(numbers[0] < numbers[2] && numbers[1] < numbers[3], "{law}");
        assert!(curves(&[], ["", ""]).contains("<svg"));
    }
}
