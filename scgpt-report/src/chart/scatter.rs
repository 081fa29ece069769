//! Points on a plane as one picture: in groups of one colour, or along a scale of colours.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a drawing is a few kilobytes, and reads best in the order it is drawn"
)]

use std::collections::BTreeMap;

use super::{
    frame::{FIELD, Frame, LEFT},
    lines::linear_ticks,
    palette::{COLOURS, HUES, OPACITY, Paint, STEPS},
    points::{Painted, PaintedMap},
    short, shortened, svg_of,
};
use crate::escape::escape;

/// Groups drawn apart; further groups are drawn as one.
const GROUPS: usize = 20;
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
        let mark = match paint {
            Paint::Palette(number) => Mark::of(number % COLOURS / HUES),
            Paint::Fixed(_) => Mark::Disc,
        };
        Self { name: Some(name), is_counted: true, colour: paint.css(), mark, points }
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
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 15")]
        let step = (share.clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize;
        values[point].is_finite().then_some(step)
    };
    let [points, unknown] = members(&map.places, STEPS, step);
    let layer = |(step, points): (usize, Vec<[f32; 2]>)| {
        let value = low + (high - low) * step as f64 / (STEPS - 1) as f64;
        let name = (step.is_multiple_of(3) || step == STEPS - 1).then(|| short(value));
        let colour = format!("var(--r{step})");
        Layer { name, is_counted: false, colour, mark: Mark::Disc, points }
    };
    let mut layers: Vec<Layer> = points.into_iter().enumerate().map(layer).collect();
    layers.extend(unknown.into_iter().map(|points| Layer::grey("missing".into(), points)));
    layers
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
    let all: Vec<[f32; 2]> = layers.iter().flat_map(|layer| &layer.points).copied().collect();
    let (x, y) = (range(&all, 0), range(&all, 1));
    let frame = Frame::field(x, y);
    let ticks = (linear_ticks(x.0, x.1, 5), linear_ticks(y.0, y.1, 5));
    let mut body = frame.draw(&ticks.0, &ticks.1, &axes.map(str::to_owned));
    let size = size(all.iter().filter(|point| is_place(**point)).count());
    let is_grey = |layer: &Layer| layer.colour == "var(--other)";
    let numbered = || layers.iter().enumerate();
    let grey = numbered().filter(|(_, layer)| is_grey(layer));
    for (number, layer) in grey.chain(numbered().filter(|(_, layer)| !is_grey(layer))) {
        let path = layer.points.iter().filter(|point| is_place(**point));
        let path: String = path
            .map(|&[x, y]| layer.mark.at(frame.x_of(x.into()), frame.y_of(y.into()), size))
            .collect();
        body += &format!(
            "<g data-series=\"{number}\" stroke=\"{colour}\" fill=\"{}\" stroke-linecap=\"round\">{}<path d=\"{path}\" {}/></g>",
            layer.mark.fill(&layer.colour),
            named(layer),
            layer.mark.stroke(size, OPACITY),
            colour = layer.colour,
        );
    }
    let mut rows = 0_u32;
    for (number, layer) in numbered().filter(|(_, layer)| layer.name.is_some()) {
        body += &format!(
            "<g class=\"entry\" data-series=\"{number}\">{}</g>",
            entry(layer, 16.0 + f64::from(rows) * 22.0)
        );
        rows += 1;
    }
    let says = layers
        .iter()
        .filter(|layer| layer.is_counted)
        .filter_map(|layer| Some(format!("{} {}", layer.name.as_ref()?, layer.points.len())));
    let label = format!("{} and {}: {}", axes[0], axes[1], says.collect::<Vec<_>>().join(", "));
    svg_of(frame.height(f64::from(rows) * 22.0), "", &label, &body)
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
        layer.mark.at(LEFT + FIELD + 22.0, y - 4.0, 11.0),
        layer.mark.stroke(11.0, 1.0),
        LEFT + FIELD + 36.0,
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
    fn stroke(self, size: f64, opacity: f64) -> String {
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
        assert_eq!(drawn.matches("<g ").count(), 3 * GROUPS);
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
        assert!(drawn.contains("var(--r0)") && drawn.contains("var(--r15)"), "both ends");
        assert!(drawn.contains("missing: 1"));
        // Every third step, of which one is the last, and the missing.
        assert_eq!(drawn.matches("<tspan").count(), 6 + 1);
    }
}
