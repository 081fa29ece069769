//! Charts as SVG text.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a drawing is a few kilobytes, and reads best in the order it is drawn"
)]

use super::escape;

/// Width of every drawing; the page scales it.
const WIDTH: f64 = 860.0;
/// Colours before the rest shares one.
const COLOURS: usize = 12;

/// One bar of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Its value as text.
    pub label: String,
}

/// Points of one colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Where they are.
    pub points: Vec<[f32; 2]>,
}

fn svg(height: f64, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{body}</svg>")
}

pub(super) fn bars(bars: &[Bar]) -> String {
    const LEFT: f64 = 150.0;
    const STEP: f64 = 26.0;
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let body: String = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| {
            let y = index as f64 * STEP;
            let width = (bar.value / most * (WIDTH - LEFT - 130.0)).max(1.0);
            format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"bar\" x=\"{LEFT}\" y=\"{}\" width=\"{width:.1}\" height=\"16\" rx=\"2\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{}\">{}</text>",
                LEFT - 10.0,
                y + 16.0,
                escape(&bar.name),
                y + 4.0,
                LEFT + width + 8.0,
                y + 16.0,
                escape(&bar.label)
            )
        })
        .collect();
    svg(bars.len().max(1) as f64 * STEP + 2.0, &body)
}

pub(super) fn histogram(counts: &[u64], first: f64, width: f64, unit: &str) -> String {
    const HEIGHT: f64 = 230.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 45.0;
    let plot = HEIGHT - TOP - BOTTOM;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let step = (WIDTH - LEFT - 10.0) / counts.len().max(1) as f64;
    let mut body = String::new();
    for value in ticks(0.0, most as f64, 4) {
        let y = TOP + plot * (1.0 - value / most as f64);
        body += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 10.0,
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
        let x =
            LEFT + (value - first) / (last - first).max(f64::MIN_POSITIVE) * (WIDTH - LEFT - 10.0);
        body += &format!(
            "<text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            TOP + plot + 18.0,
            short(value)
        );
    }
    body += &format!(
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, WIDTH),
        HEIGHT - 6.0,
        escape(unit)
    );
    svg(HEIGHT, &body)
}

pub(super) fn scatter(groups: &[Group], axes: [&str; 2]) -> String {
    const PLOT: f64 = 560.0;
    const MARGIN: f64 = 30.0;
    let points = || groups.iter().flat_map(|group| &group.points);
    let range = |axis: usize| {
        let all = points().map(|point| f64::from(point[axis]));
        let (low, high) = all
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if high > low { (low, high) } else { (low.min(0.0) - 1.0, low.max(0.0) + 1.0) }
    };
    let (x_range, y_range) = (range(0), range(1));
    let place = |value: f32, (low, high): (f64, f64)| (f64::from(value) - low) / (high - low);
    // Many points are drawn small and translucent, few large.
    let n = points().count();
    let radius = if n > 2000 {
        1.6
    } else if n > 300 {
        2.4
    } else {
        4.0
    };
    let mut body =
        format!("<rect class=\"axis\" x=\"{MARGIN}\" y=\"2\" width=\"{PLOT}\" height=\"{PLOT}\"/>");
    for (index, group) in groups.iter().enumerate() {
        // A point is a line of no length with round ends: the shortest thing SVG can draw.
        let path: String = group
            .points
            .iter()
            .map(|&[x, y]| {
                let x = MARGIN + 12.0 + place(x, x_range) * (PLOT - 24.0);
                let y = 14.0 + (1.0 - place(y, y_range)) * (PLOT - 24.0);
                format!("M{x:.1} {y:.1}h0")
            })
            .collect();
        body += &format!(
            "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"{}\" stroke-linecap=\"round\" stroke-opacity=\".75\" fill=\"none\"><title>{}</title></path>",
            colour(index),
            2.0 * radius,
            escape(&group.name)
        );
        let y = 16.0 + index as f64 * 22.0;
        if y < PLOT {
            body += &format!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"6\" fill=\"{}\"/><text x=\"{}\" y=\"{y}\">{} <tspan class=\"soft\">{}</tspan></text>",
                PLOT + MARGIN + 22.0,
                y - 4.0,
                colour(index),
                PLOT + MARGIN + 36.0,
                escape(&group.name),
                group.points.len()
            );
        }
    }
    body += &format!(
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text class=\"soft\" transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        MARGIN + PLOT / 2.0,
        PLOT + 20.0,
        escape(axes[0]),
        PLOT / 2.0,
        escape(axes[1])
    );
    svg(PLOT + 28.0, &body)
}

fn colour(index: usize) -> String {
    if index < COLOURS { format!("var(--c{index})") } else { "var(--other)".into() }
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
    let mut ticks = Vec::new();
    let mut value = (low / step).ceil() * step;
    while value <= high && ticks.len() < 4 * n {
        ticks.push(value);
        value += step;
    }
    ticks
}

/// A number without needless digits.
fn short(value: f64) -> String {
    if value.abs() >= 1e6 {
        format!("{:.1}M", value / 1e6)
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
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
            (short(1_500_000.0), short(12.0), short(0.25)),
            ("1.5M".into(), "12".into(), "0.2".into())
        );
    }

    #[test]
    fn five_thousand_points_stay_small() {
        #[allow(clippy::cast_precision_loss, reason = "test data")]
        let points = (0..5000).map(|i| [i as f32, (i * 7 % 113) as f32]).collect();
        let drawn = scatter(&[Group { name: "all".into(), points }], ["x", "y"]);
        assert!(drawn.len() < 100_000, "{}", drawn.len());
    }
}
