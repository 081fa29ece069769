//! Curves over a common axis, such as losses over the steps of a run of days: long curves are thinned
//! without losing a peak, and axes have ticks that can be told apart however narrow their range is.
#![allow(
    clippy::format_push_string,
    reason = "a drawing is a few kilobytes, and reads best in the order it is drawn"
)]

use super::{
    frame::{Frame, LEFT, PLOT, TOP},
    palette::HUES,
    short, shortened, svg_of, ticks,
};
use crate::escape::escape;

/// Share of the height that stays free above and below the curves.
pub(super) const FREE: f64 = 0.04;
/// Points from which on a curve is long.
const MANY: usize = 1500;
/// Dashes of the first, second and third round of colours.
const DASHES: [&str; 3] = ["none", "7 5", "2 5"];

/// A named curve.
///
/// ```
/// use scgpt_report::{Page, Scale, Series};
///
/// let loss = Series { name: "training".into(), points: vec![[0.0, 2.0], [1.0, 0.5]] };
/// Page::new("Run", "").lines(&[loss], ["epoch", "loss"], Scale::Logarithmic, "Loss by epoch.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by ascending first coordinate; one that is not finite interrupts the curve.
    pub points: Vec<[f64; 2]>,
}

/// The scale of a vertical axis.
///
/// Losses and learning rates that fall by powers of ten are best drawn on a logarithmic one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equal distances.
    #[default]
    Linear,
    /// Equal ratios are equal distances; what is not positive is left out.
    Logarithmic,
}

impl Scale {
    /// Where a value is; not finite if it is nowhere.
    pub(super) fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic if value > 0.0 => value.log10(),
            Self::Logarithmic => f64::NAN,
        }
    }

    /// Round values between two places, with those places.
    pub(super) fn ticks(self, low: f64, high: f64) -> Vec<(f64, String)> {
        match self {
            // Powers of ten, unless they are too few; then the axis is almost linear anyway.
            Self::Logarithmic if high.floor() - low.ceil() >= 2.0 => {
                let step = ((high - low) / 6.0).ceil();
                let powers = (0..7).map(|k| low.ceil() + f64::from(k) * step);
                let within = powers.filter(|&power| power <= high);
                within.map(|power| (power, brief(10f64.powf(power)))).collect()
            }
            Self::Logarithmic => {
                let (low, high) = (10f64.powf(low), 10f64.powf(high));
                let factors = |power: i32| [1.0, 2.0, 5.0].map(|x| x * 10f64.powi(power));
                let round = (-300..300).flat_map(factors).filter(|x| (low..=high).contains(x));
                let round: Vec<f64> = round.collect();
                let values = if round.len() < 3 { ticks(low, high, 5) } else { round };
                values.into_iter().filter(|&x| x > 0.0).map(|x| (x.log10(), brief(x))).collect()
            }
            Self::Linear => linear_ticks(low, high, 5),
        }
    }
}

/// The curves, each in a colour and dash of its own for 30 of them.
pub(in super::super) fn lines(series: &[Series], axes: [&str; 2], scale: Scale) -> String {
    let places: Vec<Vec<[f64; 2]>> = series
        .iter()
        .map(|series| series.points.iter().map(|&[x, y]| [x, scale.of(y)]).collect())
        .collect();
    let (x, y) = (range(&places, 0, 0.0), range(&places, 1, FREE));
    let frame = Frame::ruled(x, y);
    let (x_of, y_of) = (|x| frame.x_of(x), |y| frame.y_of(y));
    let mark = if scale == Scale::Logarithmic { " (logarithmic)" } else { "" };
    let named = [axes[0].to_owned(), format!("{}{mark}", axes[1])];
    let mut body = frame.draw(&linear_ticks(x.0, x.1, 6), &scale.ticks(y.0, y.1), &named);
    for (index, (series, places)) in series.iter().zip(&places).enumerate() {
        let y = TOP + 6.0 + index as f64 * 22.0;
        let last = series.points.iter().rev().find(|point| is_place(**point));
        let name = escape(&series.name);
        body += &format!(
            "<g stroke=\"var(--c{})\" stroke-linecap=\"round\" stroke-linejoin=\"round\" fill=\"none\"><title>{name}</title>\
             <path data-series=\"{index}\" data-line=\"{name}\" d=\"{}\" stroke-width=\"{}\" stroke-dasharray=\"{dash}\"/>\
             <g class=\"entry\" data-series=\"{index}\"><path d=\"M{} {:.1}h20\" stroke-width=\"2.4\" stroke-dasharray=\"{dash}\"/>\
             <text stroke=\"none\" x=\"{}\" y=\"{y:.1}\">{} <tspan class=\"soft\">{}</tspan></text></g></g>",
            index % HUES,
            path(places, &x_of, &y_of),
            // The noise of a long curve fills an area; thin lines leave the others visible.
            if places.len() > MANY { 1.3 } else { 1.8 },
            LEFT + PLOT[0] + 20.0,
            y - 4.0,
            LEFT + PLOT[0] + 48.0,
            escape(&shortened(&series.name)),
            last.map_or_else(String::new, |last| last_value(last[1])),
            dash = DASHES[index / HUES % DASHES.len()],
        );
    }
    let says = series.iter().filter_map(|series| {
        let last = series.points.iter().rev().find(|point| is_place(**point))?;
        Some(format!("{} ends at {}", series.name, last_value(last[1])))
    });
    let label = format!("{} over {}: {}", axes[1], axes[0], says.collect::<Vec<_>>().join(", "));
    let legend = series.len() as f64 * 22.0;
    let attributes = frame.attributes([false, scale == Scale::Logarithmic]);
    svg_of(frame.height(legend), &attributes, &label, &body)
}

/// The path through all places; a place without neighbours is a dot.
///
/// A long curve has many points a pixel: of each column the first, lowest, highest and last are
/// drawn, which looks the same.
fn path(places: &[[f64; 2]], x_of: &dyn Fn(f64) -> f64, y_of: &dyn Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for run in places.split(|place| !is_place(*place)).filter(|run| !run.is_empty()) {
        let mut command = 'M';
        for column in run.chunk_by(|a, b| x_of(b[0]).floor() <= x_of(a[0]).floor()) {
            let order = |&a: &usize, &b: &usize| column[a][1].total_cmp(&column[b][1]);
            let all = 0..column.len();
            let lowest = all.clone().min_by(order).unwrap_or(0);
            let highest = all.max_by(order).unwrap_or(0);
            let mut drawn = [0, lowest, highest, column.len() - 1];
            drawn.sort_unstable();
            for (position, &point) in drawn.iter().enumerate() {
                if position > 0 && drawn[position - 1] == point {
                    continue;
                }
                let [x, y] = column[point];
                path += &format!("{command}{:.1} {:.1}", x_of(x), y_of(y));
                command = 'L';
            }
        }
        if run.len() == 1 {
            // A circle around the place, as a line of no length would be a speck.
            path += "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0";
        }
    }
    path
}

/// The values of one axis, with `free` of their range on both sides.
pub(super) fn range(places: &[Vec<[f64; 2]>], axis: usize, free: f64) -> (f64, f64) {
    let all = places.iter().flatten().filter(|place| is_place(**place)).map(|place| place[axis]);
    let (low, high) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if high > low {
        let free = free * (high - low);
        (low - free, high + free)
    } else if low.is_finite() {
        // One value: in the middle.
        let around = 0.5 * if low == 0.0 { 1.0 } else { low.abs() };
        (low - around, low + around)
    } else {
        (0.0, 1.0)
    }
}

/// Whether a place can be drawn; one that is not finite interrupts its curve.
pub(super) fn is_place(place: [f64; 2]) -> bool {
    place.iter().all(|x| x.is_finite())
}

/// Round values and their labels, all of large ones in thousands or millions, with the digits that
/// tell them apart.
pub(super) fn linear_ticks(low: f64, high: f64, n: usize) -> Vec<(f64, String)> {
    let most = low.abs().max(high.abs());
    let (unit, letter) = match most {
        1e6.. => (1e6, "M"),
        1e5.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let ticks = ticks(low, high, n);
    let step = ticks.get(1).map_or(1.0, |second| (second - ticks[0]) / unit);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
    let digits = (-(1.001 * step).log10().floor()).clamp(0.0, 3.0) as usize;
    let label = |value: f64| match brief(value / unit) {
        zero if zero == "0" => zero,
        number if ticks.len() < 2 || step < 1e-3 => number + letter,
        _ => format!("{:.digits$}{letter}", value / unit),
    };
    ticks.iter().map(|&value| (value, label(value))).collect()
}

/// A number with three digits, as losses are compared.
fn last_value(value: f64) -> String {
    match value.abs() {
        1e-3..1e3 => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 5")]
            let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 5.0) as usize;
            format!("{value:.digits$}")
        }
        _ => brief(value),
    }
}

/// A number without needless digits, small ones with an exponent.
fn brief(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if value.abs() >= 1e-3 {
        return short(value);
    }
    let text = format!("{value:.1e}");
    text.replace(".0e", "e").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: Vec<[f64; 2]>) -> Series {
        Series { name: name.into(), points }
    }

    #[test]
    fn gaps_interrupt_and_lone_points_are_dots() {
        let gap = vec![[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 1.0]];
        let drawn = lines(&[series("a <b>", gap)], ["step", "loss"], Scale::Linear);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf") && drawn.contains("a &lt;b&gt;"));
        assert_eq!(drawn.matches("a2.5").count(), 2);
        // The last value is in the legend.
        assert!(drawn.contains("<tspan class=\"soft\">1.00</tspan>"));
    }

    #[test]
    fn logarithmic_axes_have_round_ticks_and_no_room_for_zero() {
        let rates = vec![[0.0, 0.0], [1.0, 1e-5], [2.0, 1e-2]];
        let drawn = lines(&[series("rate", rates)], ["step", "rate"], Scale::Logarithmic);
        assert!(
            !drawn.contains("NaN") && drawn.contains(">1e\u{2212}5<") && drawn.contains(">0.01<")
        );
        let labels = |low: f64, high: f64| -> Vec<String> {
            let ticks = Scale::Logarithmic.ticks(low.log10(), high.log10());
            ticks.into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(0.9, 30.0), ["1", "2", "5", "10", "20"]);
        assert_eq!(labels(0.605, 0.695), ["0.62", "0.64", "0.66", "0.68"]);
    }

    #[test]
    fn long_curves_stay_small_and_keep_their_peaks() {
        let points = (0..100_000).map(f64::from).map(|i| [i, (i * 0.7).sin()]).collect();
        let mut long = series("long", points);
        long.points[50_000][1] = 9.0;
        let drawn = lines(&[long], ["", ""], Scale::Linear);
        assert!(drawn.len() < 60_000, "{}", drawn.len());
        // The peak is the highest place of the drawing: 4 % of 300 · 1.08 below the top.
        assert!(drawn.contains(&format!(" {:.1}", TOP + 300.0 * FREE / (1.0 + 2.0 * FREE))));
    }

    #[test]
    fn neighbouring_ticks_differ() {
        let labels = |low, high| -> Vec<String> {
            linear_ticks(low, high, 5).into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(24.9, 25.17), ["24.9", "25.0", "25.1"]);
        assert_eq!(labels(-0.1, 1.0), ["0", "0.5", "1.0"]);
        assert_eq!(labels(0.0, 250_000.0), ["0", "50k", "100k", "150k", "200k", "250k"]);
        assert_eq!(labels(0.0, 3e-4), ["0", "1e\u{2212}4", "2e\u{2212}4", "3e\u{2212}4"]);
    }

    #[test]
    fn nothing_and_constants_are_drawn() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            for points in [
                vec![],
                vec![[1.0, 5.0]],
                vec![[0.0, 0.0], [1.0, 0.0]],
                vec![[0.0, 1.0], [1.0, 1.0]],
            ] {
                let drawn = lines(&[series("a", points)], ["x", "y"], scale);
                assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            }
            assert!(lines(&[], ["x", "y"], scale).contains("<svg"));
        }
    }
}
