//! Points on a plane as one picture: in groups of one colour, or along a scale of colours.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a drawing is a few kilobytes, and reads best in the order it is drawn"
)]

use std::collections::BTreeMap;

use super::{
    COLOURS,
    lines::linear_ticks,
    points::{Paint, Painted, PaintedMap},
    short, shortened, svg,
};
use crate::escape::escape;

/// Groups drawn apart; further groups are drawn as one.
const GROUPS: usize = 20;
/// The field of the points and where it begins; the legend is at its right.
const PLOT: f64 = 540.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 2.0;
/// Colours of a scale of numbers.
const STEPS: usize = 32;
/// Corners of that scale: viridis, which is even to the eye and to those who see few colours.
const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 45, 123],
    [59, 82, 139],
    [44, 114, 142],
    [33, 145, 140],
    [40, 174, 128],
    [94, 201, 98],
    [173, 220, 48],
    [253, 231, 37],
];

/// Points of one colour.
///
/// ```
/// use scgpt_report::{Group, Page};
///
/// let cells = [("B", [0.0, 1.0]), ("T", [4.0, 2.0]), ("T", [5.0, 2.5])];
/// let groups = Group::of(cells.map(|(name, place)| (name.to_owned(), place)));
/// assert_eq!(groups[0].name, "T");
/// Page::new("Map", "").scatter(&groups, ["UMAP 1", "UMAP 2"], "Cells by type.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Where they are, horizontal and vertical; one that is not finite is left out.
    pub points: Vec<[f32; 2]>,
}

impl Group {
    /// Gathers points by name into groups, the largest first: it gets the colour that is easiest to
    /// tell apart.
    pub fn of(points: impl IntoIterator<Item = (String, [f32; 2])>) -> Vec<Self> {
        let mut groups: BTreeMap<String, Vec<[f32; 2]>> = BTreeMap::new();
        for (name, point) in points {
            groups.entry(name).or_default().push(point);
        }
        let mut groups: Vec<Self> =
            groups.into_iter().map(|(name, points)| Self { name, points }).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.points.len()));
        groups
    }
}

/// Points of one look.
struct Layer {
    /// Their name in the legend, if they are in it.
    name: Option<String>,
    /// Whether the legend says how many they are, which says nothing of a step of a scale.
    is_counted: bool,
    colour: String,
    mark: Mark,
    points: Vec<[f32; 2]>,
}

impl Layer {
    fn new(name: String, paint: &Paint, points: Vec<[f32; 2]>) -> Self {
        let (colour, mark) = match paint {
            Paint::Palette(number) => {
                (format!("var(--c{})", number % COLOURS), Mark::of(number / COLOURS))
            }
            Paint::Fixed(colour) => (colour.clone(), Mark::Disc),
        };
        Self { name: Some(name), is_counted: true, colour, mark, points }
    }

    /// Points of which nothing is said but that they are there.
    fn grey(name: String, points: Vec<[f32; 2]>) -> Self {
        let colour = "var(--other)".into();
        Self { name: Some(name), is_counted: true, colour, mark: Mark::Disc, points }
    }
}

/// Groups in a square with the legend at its right.
pub(crate) fn scatter(groups: &[Group], axes: [&str; 2]) -> String {
    let layer = |(number, group): (usize, &Group)| {
        Layer::new(group.name.clone(), &Paint::Palette(number), group.points.clone())
    };
    draw(&gathered(groups.iter().enumerate().map(layer).collect()), axes)
}

/// A map by the column that is shown first.
pub(crate) fn point_map(map: &PaintedMap<'_>) -> String {
    let layers = match map.columns.get(map.first) {
        Some((_, Painted::Categories { legend, codes })) => {
            let points = members(&map.places, legend.len(), |point| codes[point]);
            let [points, unknown] = points;
            let layer = |((name, _, paint), points): (&(String, usize, Paint), _)| {
                Layer::new(name.clone(), paint, points)
            };
            let mut layers = gathered(legend.iter().zip(points).map(layer).collect());
            layers.extend(unknown.into_iter().map(|points| Layer::grey("missing".into(), points)));
            layers
        }
        Some((_, Painted::Numbers { scale, values })) => steps(map, *scale, values),
        None => vec![Layer::new("points".into(), &Paint::Palette(0), map.places.clone())],
    };
    draw(&layers, map.axes)
}

/// The points of each of `n` parts, and those that belong to none, unless there are no such.
fn members(
    places: &[[f32; 2]],
    n: usize,
    part: impl Fn(usize) -> Option<usize>,
) -> [Vec<Vec<[f32; 2]>>; 2] {
    let (mut parts, mut none) = (vec![Vec::new(); n], Vec::new());
    for (point, &place) in places.iter().enumerate() {
        part(point).map_or(&mut none, |part| &mut parts[part]).push(place);
    }
    [parts, Some(none).into_iter().filter(|none| !none.is_empty()).collect()]
}

/// Numbers as steps of the scale of colours, some of which are named.
fn steps(map: &PaintedMap<'_>, scale: [f32; 2], values: &[f32]) -> Vec<Layer> {
    let [low, high] = scale.map(f64::from);
    let step = |point: usize| {
        let share = (f64::from(values[point]) - low) / (high - low).max(f64::MIN_POSITIVE);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 31")]
        let step = (share.clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize;
        values[point].is_finite().then_some(step)
    };
    let [points, unknown] = members(&map.places, STEPS, step);
    let layer = |(step, (colour, points)): (usize, (String, Vec<[f32; 2]>))| {
        let value = low + (high - low) * step as f64 / (STEPS - 1) as f64;
        let name = (step.is_multiple_of(4) || step == STEPS - 1).then(|| short(value));
        Layer { name, is_counted: false, colour, mark: Mark::Disc, points }
    };
    let mut layers: Vec<Layer> = ramp().into_iter().zip(points).enumerate().map(layer).collect();
    layers.extend(unknown.into_iter().map(|points| Layer::grey("missing".into(), points)));
    layers
}

/// The colours of a scale of numbers, from the least to the largest.
pub(crate) fn ramp() -> Vec<String> {
    let colour = |step: usize| {
        let place = step as f64 / (STEPS - 1) as f64 * (VIRIDIS.len() - 1) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let corner = (place.floor() as usize).min(VIRIDIS.len() - 2);
        let mixed = [0, 1, 2].map(|channel| {
            let [from, to] = [0, 1].map(|next| f64::from(VIRIDIS[corner + next][channel]));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            let channel = (from + (to - from) * (place - corner as f64)).round() as u8;
            channel
        });
        format!("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2])
    };
    (0..STEPS).map(colour).collect()
}

/// All but the largest layers as one, in grey. It lies lowest, and every layer before the next:
/// callers give the largest first, so that the rare are not hidden.
fn gathered(mut layers: Vec<Layer>) -> Vec<Layer> {
    if layers.len() > GROUPS {
        let rest = layers.split_off(GROUPS - 1);
        let points = rest.iter().flat_map(|layer| &layer.points).copied().collect();
        layers.push(Layer::grey(format!("{} others", rest.len()), points));
    }
    layers
}

/// The range of an axis, which is never empty.
pub(crate) fn range(points: &[[f32; 2]], axis: usize) -> (f64, f64) {
    let all = points.iter().filter(|point| is_place(**point)).map(|point| f64::from(point[axis]));
    let (low, high) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if high > low { (low, high) } else { (low.min(0.0) - 1.0, low.max(0.0) + 1.0) }
}

/// Layers in a square. Axes are scaled apart, each to the range of its finite values. A layer is one
/// path whatever its size, which browsers draw far faster than circles.
fn draw(layers: &[Layer], axes: [&str; 2]) -> String {
    const PADDING: f64 = 12.0;
    let all: Vec<[f32; 2]> = layers.iter().flat_map(|layer| &layer.points).copied().collect();
    let place = |value: f64, (low, high): (f64, f64)| {
        PADDING + (value - low) / (high - low) * (PLOT - 2.0 * PADDING)
    };
    let (x_range, y_range) = (range(&all, 0), range(&all, 1));
    let x_of = |value: f64| LEFT + place(value, x_range);
    let y_of = |value: f64| TOP + PLOT - place(value, y_range);
    let bottom = TOP + PLOT;

    let mut body = format!(
        "<rect class=\"axis\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{PLOT}\" height=\"{PLOT}\"/>"
    );
    for (value, label) in linear_ticks(x_range.0, x_range.1, 5) {
        body += &format!(
            "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 18.0,
            x = x_of(value),
        );
    }
    for (value, label) in linear_ticks(y_range.0, y_range.1, 5) {
        body += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {y:.1}h-5\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            y_of(value) + 4.0,
            y = y_of(value),
        );
    }
    body += &format!(
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text class=\"soft\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        LEFT + PLOT / 2.0,
        bottom + 38.0,
        escape(axes[0]),
        TOP + PLOT / 2.0,
        escape(axes[1])
    );
    let size = size(all.iter().filter(|point| is_place(**point)).count());
    let is_grey = |layer: &&Layer| layer.colour == "var(--other)";
    for layer in layers.iter().filter(is_grey).chain(layers.iter().filter(|it| !is_grey(it))) {
        let path = layer.points.iter().filter(|point| is_place(**point));
        let path: String =
            path.map(|&[x, y]| layer.mark.at(x_of(x.into()), y_of(y.into()), size)).collect();
        body += &format!(
            "<g stroke=\"{colour}\" fill=\"{}\" stroke-linecap=\"round\">{}<path d=\"{path}\" {}/></g>",
            layer.mark.fill(&layer.colour),
            named(layer),
            layer.mark.stroke(size, ".75"),
            colour = layer.colour,
        );
    }
    for (row, layer) in layers.iter().filter(|layer| layer.name.is_some()).enumerate() {
        body += &entry(layer, 16.0 + row as f64 * 22.0);
    }
    svg(bottom + 44.0, &body)
}

/// The title of a layer, which is shown where it is pointed at.
fn named(layer: &Layer) -> String {
    let n = layer.points.len();
    let title = |name: &String| format!("<title>{}: {n}</title>", escape(name));
    layer.name.as_ref().map_or_else(String::new, title)
}

/// A line of the legend, at that height.
fn entry(layer: &Layer, y: f64) -> String {
    let name = layer.name.as_deref().unwrap_or_default();
    let n = if layer.is_counted { layer.points.len().to_string() } else { String::new() };
    format!(
        "<g stroke=\"{colour}\" fill=\"{}\" stroke-linecap=\"round\"><path d=\"{}\" {}/></g>\
         <text x=\"{}\" y=\"{y}\">{} <tspan class=\"soft\">{n}</tspan></text>",
        layer.mark.fill(&layer.colour),
        layer.mark.at(LEFT + PLOT + 22.0, y - 4.0, 11.0),
        layer.mark.stroke(11.0, "1"),
        LEFT + PLOT + 36.0,
        escape(&shortened(name)),
        colour = layer.colour,
    )
}

/// The size of points: many are drawn small and translucent, few large.
fn size(n: usize) -> f64 {
    match n {
        0..=300 => 8.0,
        301..=2000 => 4.8,
        2001..=20_000 => 3.2,
        _ => 2.0,
    }
}

/// The shape of points, which tells groups of one colour apart. The script of pages has the same.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Disc,
    Triangle,
    Diamond,
}

impl Mark {
    /// The mark of the first, second and further rounds of colours.
    fn of(round: usize) -> Self {
        [Self::Disc, Self::Triangle, Self::Diamond][round.min(2)]
    }

    /// The path of one point. A disc is a line of no length with round ends: the shortest thing
    /// SVG can draw.
    fn at(self, x: f64, y: f64, size: f64) -> String {
        let half = size * 0.6;
        match self {
            Self::Disc => format!("M{x:.1} {y:.1}h0"),
            Self::Triangle => {
                format!("M{x:.1} {:.1}l{half:.1} {size}h-{:.1}z", y - half, 2.0 * half)
            }
            Self::Diamond => {
                format!(
                    "M{x:.1} {:.1}l{half:.1} {half:.1}l-{half:.1} {half:.1}l-{half:.1}-{half:.1}z",
                    y - half
                )
            }
        }
    }

    /// What fills a point of that colour.
    fn fill(self, colour: &str) -> &str {
        if matches!(self, Self::Disc) { "none" } else { colour }
    }

    /// The attributes of a path of points of that size.
    fn stroke(self, size: f64, opacity: &str) -> String {
        match self {
            Self::Disc => format!("stroke-width=\"{size:.1}\" stroke-opacity=\"{opacity}\""),
            _ => format!("stroke=\"none\" fill-opacity=\"{opacity}\""),
        }
    }
}

/// Whether a point can be drawn; one that is not finite would end its path.
fn is_place(point: [f32; 2]) -> bool {
    point.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Colouring, PointMap};

    #[test]
    fn further_groups_are_one_and_every_point_is_counted() {
        let groups: Vec<Group> = (0..26_u8)
            .map(|i| Group {
                name: format!("<{i}> {}", "long ".repeat(9)),
                points: vec![[f32::from(i), 1.0], [0.0, f32::from(i)]],
            })
            .collect();
        let drawn = scatter(&groups, ["x", "y"]);
        // Each once as points and once in the legend.
        assert_eq!(drawn.matches("<g ").count(), 2 * GROUPS);
        assert!(drawn.contains("7 others: 14"));
        // Discs and triangles of 26 groups of two points, and one of each group in the legend.
        assert_eq!(drawn.matches("h0").count(), 2 * (10 + 7) + 11);
        assert_eq!(drawn.matches('z').count(), 2 * 9 + 9);
        assert!(drawn.contains("&lt;3&gt; long") && drawn.contains('…') && !drawn.contains("<3>"));
        assert_eq!(scatter(&groups[..GROUPS], ["x", "y"]).matches("others").count(), 0);
    }

    #[test]
    fn what_is_nowhere_is_not_drawn() {
        let points = vec![[f32::NAN, 0.0], [1.0, 2.0], [f32::INFINITY, 3.0]];
        let drawn = scatter(&[Group { name: "a".into(), points }], ["x", "y"]);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        assert_eq!(drawn.matches("h0").count(), 2);
        assert!(!scatter(&[], ["x", "y"]).contains("NaN"));
    }

    #[test]
    fn five_thousand_points_stay_small() {
        #[allow(clippy::cast_precision_loss, reason = "test data")]
        let points = (0..5000).map(|i| [i as f32, (i * 7 % 113) as f32]).collect();
        let drawn = scatter(&[Group { name: "all".into(), points }], ["x", "y"]);
        assert!(drawn.len() < 100_000, "{}", drawn.len());
    }

    #[test]
    fn numbers_are_a_scale_not_groups() {
        #[allow(clippy::cast_precision_loss, reason = "test data")]
        let values: Vec<f32> = (0..981).map(|i| i as f32 / 7.0).chain([f32::NAN]).collect();
        let places: Vec<[f32; 2]> = values.iter().map(|_| [1.0, 2.0]).collect();
        let columns = [Colouring::numbers("dose", values)];
        let map =
            PointMap { places: &places, names: &[], axes: ["x", "y"], columns: &columns, first: 0 };
        let drawn = point_map(&PaintedMap::new(&map));
        assert!(drawn.contains("#440154") && drawn.contains("#fde725"), "both ends");
        assert!(drawn.contains("missing: 1"));
        // Every fourth step, the last and the missing.
        assert_eq!(drawn.matches("<tspan").count(), 8 + 1 + 1);
        assert_eq!(ramp().len(), STEPS);
    }
}
