//! Charts as SVG text.
//!
//! Every drawing is [`WIDTH`] units wide, and its colours are those of the style sheet, so that it
//! changes with the page's theme. Coordinates have one decimal, which is below a pixel: a page of
//! many points stays small. Names are cut to fit, and shown whole when they are pointed at.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a drawing is a few kilobytes, and reads best in the order it is drawn"
)]

mod heat;
mod lines;
mod network;
mod pairs;
mod reliability;

use std::collections::BTreeMap;

use self::lines::linear_ticks;
pub use self::{
    heat::HeatMap,
    lines::{Scale, Series},
    network::Cluster,
    pairs::Pair,
    reliability::ConfidenceBin,
};
pub(crate) use self::{
    heat::heat_map, lines::lines, network::network, pairs::pairs, reliability::reliability,
};
use crate::escape::escape;

/// Width of every drawing; the page scales it.
const WIDTH: f64 = 860.0;
/// Colours of the style sheet.
const COLOURS: usize = 10;
/// Groups drawn apart: every colour once as discs and once as crosses. Further groups are drawn
/// as one.
const GROUPS: usize = 2 * COLOURS;
/// Letters of a name in a legend or beside a bar, where they reach neither the edge nor the bars.
const NAME: usize = 26;

/// One bar of a chart.
///
/// ```
/// use scgpt_report::{Bar, Page};
///
/// let bar = Bar { name: "B cells".into(), value: 0.25, label: "25 %".into() };
/// assert!(Page::new("Types", "").bars(&[bar], "Share of each type.").to_html().contains("25 %"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Its length, in any unit that all bars share; 0 or less draws no bar.
    pub value: f64,
    /// Its value as text, with its unit.
    pub label: String,
}

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

/// A drawing of that height, as an image to those who have it read aloud.
fn svg(height: f64, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{body}</svg>")
}

/// Bars below each other, each between its name and its label.
pub(crate) fn bars(bars: &[Bar]) -> String {
    const LEFT: f64 = 180.0;
    const STEP: f64 = 26.0;
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let body: String = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| {
            let y = index as f64 * STEP;
            // Something is never drawn as nothing, nor nothing as something.
            let width = if bar.value > 0.0 {
                (bar.value / most * (WIDTH - LEFT - 130.0)).max(1.0)
            } else {
                0.0
            };
            format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\"><title>{}</title>{}</text>\
                 <rect class=\"bar\" x=\"{LEFT}\" y=\"{}\" width=\"{width:.1}\" height=\"16\" rx=\"2\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{}\">{}</text>",
                LEFT - 10.0,
                y + 16.0,
                escape(&bar.name),
                escape(&shortened(&bar.name)),
                y + 4.0,
                LEFT + width + 8.0,
                y + 16.0,
                escape(&bar.label)
            )
        })
        .collect();
    svg(bars.len().max(1) as f64 * STEP + 2.0, &body)
}

/// Counts as columns side by side. A class is titled from its first to its last whole value, since
/// what is counted by classes, such as tokens or genes of a cell, is whole.
pub(crate) fn histogram(counts: &[u64], first: f64, width: f64, unit: &str) -> String {
    const HEIGHT: f64 = 230.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 45.0;
    const RIGHT: f64 = WIDTH - 24.0;
    let plot = HEIGHT - TOP - BOTTOM;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let step = (RIGHT - LEFT) / counts.len().max(1) as f64;
    let mut body = String::new();
    for value in ticks(0.0, most as f64, 4) {
        let y = TOP + plot * (1.0 - value / most as f64);
        body += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            RIGHT,
            LEFT - 8.0,
            y + 4.0,
            short(value)
        );
    }
    for (index, &count) in counts.iter().enumerate() {
        let height = plot * count as f64 / most as f64;
        let begin = first + index as f64 * width;
        body += &format!(
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{} to {}: {count}</title></rect>",
            LEFT + index as f64 * step,
            TOP + plot - height,
            (step - 1.0).max(0.5),
            short(begin),
            short(begin + width - 1.0)
        );
    }
    let last = first + width * counts.len() as f64;
    for value in ticks(first, last, 8) {
        let x = LEFT + (value - first) / (last - first).max(f64::MIN_POSITIVE) * (RIGHT - LEFT);
        body += &format!(
            "<text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            TOP + plot + 18.0,
            short(value)
        );
    }
    body += &format!(
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 6.0,
        escape(unit)
    );
    svg(HEIGHT, &body)
}

/// Points in a square with the legend at its right. Axes are scaled apart, each to the range of its
/// finite values. A group is one path whatever its size, which browsers draw far faster than circles.
pub(crate) fn scatter(groups: &[Group], axes: [&str; 2]) -> String {
    const PLOT: f64 = 540.0;
    const LEFT: f64 = 70.0;
    const TOP: f64 = 2.0;
    const PADDING: f64 = 12.0;
    let points = || groups.iter().flat_map(|group| &group.points).filter(|point| is_place(**point));
    let range = |axis: usize| {
        let all = points().map(|point| f64::from(point[axis]));
        let (low, high) = all
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if high > low { (low, high) } else { (low.min(0.0) - 1.0, low.max(0.0) + 1.0) }
    };
    let place = |value: f64, (low, high): (f64, f64)| {
        PADDING + (value - low) / (high - low) * (PLOT - 2.0 * PADDING)
    };
    let (x_range, y_range) = (range(0), range(1));
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

    // Many points are drawn small and translucent, few large.
    let n = points().count();
    let size = if n > 2000 {
        3.2
    } else if n > 300 {
        4.8
    } else {
        8.0
    };
    let (apart, rest) =
        groups.split_at(if groups.len() > GROUPS { GROUPS - 1 } else { groups.len() });
    let others = Group {
        name: format!("{} others", rest.len()),
        points: rest.iter().flat_map(|group| &group.points).copied().collect(),
    };
    // The grey of the others lies lowest, and every group before the next: callers give the largest
    // first, so that the rare are not hidden.
    let others = (!rest.is_empty()).then_some((apart.len(), &others));
    for (index, group) in others.into_iter().chain(apart.iter().enumerate()) {
        let (colour, mark) = if index < apart.len() {
            let mark = if index < COLOURS { Mark::Disc } else { Mark::Cross };
            (format!("--c{}", index % COLOURS), mark)
        } else {
            ("--other".into(), Mark::Disc)
        };
        let path: String = group
            .points
            .iter()
            .filter(|point| is_place(**point))
            .map(|&[x, y]| mark.at(x_of(x.into()), y_of(y.into()), size))
            .collect();
        let y = 16.0 + index as f64 * 22.0;
        body += &format!(
            "<g stroke=\"var({colour})\" stroke-linecap=\"round\" fill=\"none\"><title>{}: {n}</title>\
             <path d=\"{path}\" stroke-width=\"{:.1}\" stroke-opacity=\".75\"/><path d=\"{}\" stroke-width=\"{:.1}\"/>\
             <text stroke=\"none\" x=\"{}\" y=\"{y}\">{} <tspan class=\"soft\">{n}</tspan></text></g>",
            escape(&group.name),
            mark.stroke(size),
            mark.at(LEFT + PLOT + 22.0, y - 4.0, 11.0),
            mark.stroke(11.0),
            LEFT + PLOT + 36.0,
            escape(&shortened(&group.name)),
            n = group.points.len(),
        );
    }
    svg(bottom + 44.0, &body)
}

/// The shape of points, which tells groups of one colour apart.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// A filled circle.
    Disc,
    /// Two crossing lines.
    Cross,
}

impl Mark {
    /// The path of one point. A disc is a line of no length with round ends: the shortest thing
    /// SVG can draw.
    fn at(self, x: f64, y: f64, size: f64) -> String {
        match self {
            Self::Disc => format!("M{x:.1} {y:.1}h0"),
            Self::Cross => {
                format!("M{:.1} {y:.1}h{size}M{x:.1} {:.1}v{size}", x - size / 2.0, y - size / 2.0)
            }
        }
    }

    /// The width of the line that draws a point of that size.
    fn stroke(self, size: f64) -> f64 {
        match self {
            Self::Disc => size,
            Self::Cross => size / 3.0,
        }
    }
}

/// Whether a point can be drawn; one that is not finite would end its path.
fn is_place(point: [f32; 2]) -> bool {
    point.iter().all(|x| x.is_finite())
}

/// The first letters of a long name.
fn shortened(name: &str) -> String {
    cut(name, NAME)
}

/// At most `letters` of a name.
fn cut(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.into();
    }
    name.chars().take(letters - 1).chain(['…']).collect()
}

/// About `n` round values between `low` and `high`.
fn ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let rough = ((high - low) / n.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&step| step >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil();
    // Three tenths are a little more than 0.3.
    let end = high + 1e-9 * step;
    (0..4 * n).map(|i| (first + i as f64) * step).take_while(|&value| value <= end).collect()
}

/// A number without needless digits.
fn short(value: f64) -> String {
    if value.abs() >= 1e6 {
        return format!("{:.1}M", value / 1e6);
    }
    // Two digits beyond the first that is not zero.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 9")]
    let digits = (1.0 - value.abs().max(1e-8).log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 97.0, 4), [0.0, 50.0]);
        assert_eq!(ticks(1.0, 1201.0, 8), [200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0]);
        assert_eq!(
            (short(1_500_000.0), short(12.0), short(0.25), short(-0.02)),
            ("1.5M".into(), "12".into(), "0.25".into(), "-0.02".into())
        );
    }

    #[test]
    fn further_groups_are_one_and_every_point_is_counted() {
        let groups: Vec<Group> = (0..26_u8)
            .map(|i| Group {
                name: format!("<{i}> {}", "long ".repeat(9)),
                points: vec![[f32::from(i), 1.0], [0.0, f32::from(i)]],
            })
            .collect();
        let drawn = scatter(&groups, ["x", "y"]);
        assert_eq!(drawn.matches("<g ").count(), GROUPS);
        assert!(drawn.contains("7 others: 14"));
        // Discs and crosses of 26 groups of two points, and one of each group in the legend.
        assert_eq!(drawn.matches("h0").count(), 2 * (10 + 7) + 11);
        assert_eq!(drawn.matches("v8").count() + drawn.matches("v11").count(), 2 * 9 + 9);
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
        let none = Bar { name: "a".into(), value: 0.0, label: "0".into() };
        assert!(bars(&[none]).contains("width=\"0.0\""));
    }

    #[test]
    fn five_thousand_points_stay_small() {
        #[allow(clippy::cast_precision_loss, reason = "test data")]
        let points = (0..5000).map(|i| [i as f32, (i * 7 % 113) as f32]).collect();
        let drawn = scatter(&[Group { name: "all".into(), points }], ["x", "y"]);
        assert!(drawn.len() < 100_000, "{}", drawn.len());
    }
}
