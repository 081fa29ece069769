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

mod colouring;
mod curves;
mod frame;
mod heat;
mod lines;
mod network;
mod pairs;
mod palette;
mod points;
mod reliability;
mod scatter;

pub use self::{
    colouring::{Category, ColourValues, Colouring},
    curves::{Curve, CurvePoint},
    heat::HeatMap,
    lines::{Scale, Series},
    network::Cluster,
    pairs::Pair,
    palette::category_colours,
    points::PointMap,
    reliability::ConfidenceBin,
    scatter::Group,
};
pub(crate) use self::{
    curves::curves,
    heat::heat_map,
    lines::lines,
    network::network,
    pairs::pairs,
    palette::{Paint, STYLE},
    points::{Painted, PaintedMap},
    reliability::reliability,
    scatter::{point_map, range, scatter},
};
use crate::escape::escape;

/// Width of every drawing; the page scales it.
const WIDTH: f64 = 860.0;
/// Letters of a name in a legend or beside a bar, where they reach neither the edge nor the bars.
const NAME: usize = 26;

/// Letters of what is read aloud of a drawing.
const LABEL: usize = 600;

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

/// A drawing of that height; `label` is what it tells those who have it read aloud.
fn svg(height: f64, label: &str, body: &str) -> String {
    svg_of(height, "", label, body)
}

/// As [`svg`], with further attributes.
fn svg_of(height: f64, attributes: &str, label: &str, body: &str) -> String {
    let label = escape(&cut(label, LABEL));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\" {attributes}>{body}</svg>"
    )
}

/// Bars below each other, each between its name and its label, and in the colour that a category of `columns` by its
/// name has.
pub(crate) fn bars(bars: &[Bar], columns: &[Colouring]) -> String {
    /// Letters of a name; in the width that is left, bars can still be compared.
    const LETTERS: usize = 44;
    const STEP: f64 = 26.0;
    let names: Vec<String> = bars.iter().map(|bar| cut(&bar.name, LETTERS)).collect();
    let longest = names.iter().map(|name| width_of(name, 12.0)).fold(0.0, f64::max);
    let left = (longest + 16.0).max(212.0);
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let paints = palette::colours_of(bars.iter().map(|bar| &*bar.name), columns);
    let body: String = bars
        .iter()
        .zip(paints)
        .zip(&names)
        .enumerate()
        .map(|(index, ((bar, paint), shown))| {
            let colour =
                paint.map_or_else(String::new, |paint| format!(" style=\"fill:{}\"", paint.css()));
            let y = index as f64 * STEP;
            // Something is never drawn as nothing, nor nothing as something.
            let width = if bar.value > 0.0 {
                (bar.value / most * (WIDTH - left - 130.0)).max(1.0)
            } else {
                0.0
            };
            format!(
                "<g><title>{name}: {label}</title><text x=\"{:.1}\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"bar\"{colour} x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"16\" rx=\"2\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{}\">{label}</text></g>",
                left - 10.0,
                y + 16.0,
                escape(shown),
                y + 4.0,
                left + width + 8.0,
                y + 16.0,
                name = escape(&bar.name),
                label = escape(&bar.label),
            )
        })
        .collect();
    let says = bars.iter().map(|bar| format!("{} {}", bar.name, bar.label));
    let label = says.collect::<Vec<_>>().join(", ");
    svg(bars.len().max(1) as f64 * STEP + 2.0, &label, &body)
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
    let total: u64 = counts.iter().sum();
    let label = format!("{total} by {unit}, from {} to {}", short(first), short(last));
    svg(HEIGHT, &label, &body)
}

/// The width of a text in that size of type, by what letters of the usual typefaces take; rather more than less.
fn width_of(text: &str, size: f64) -> f64 {
    let of = |letter: char| match letter {
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | '|' | '/' | ' ' | '(' | ')' => 0.36,
        'm' | 'w' | 'M' | 'W' => 0.92,
        _ if letter.is_uppercase() => 0.72,
        _ => 0.58,
    };
    size * text.chars().map(of).sum::<f64>()
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
    fn long_names_of_types_are_whole_beside_their_bars() {
        let name = "CD8-positive, alpha-beta memory T cell";
        let bar = |name: &str| Bar { name: name.into(), value: 1.0, label: "1".into() };
        let drawn = bars(&[bar(name)], &[]);
        assert!(drawn.contains(&format!(">{name}</text>")), "{drawn}");
        let left = |drawn: &str| {
            let (_, rest) = drawn.split_once("<rect").unwrap();
            let (_, x) = rest.split_once(" x=\"").unwrap();
            x.split('"').next().unwrap().parse::<f64>().unwrap()
        };
        // The name has room, and bars of short names begin where they always did.
        assert!(left(&drawn) - 10.0 >= width_of(name, 12.0));
        assert!((left(&bars(&[bar("B")], &[])) - 212.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_not_drawn_as_something() {
        let none = Bar { name: "a".into(), value: 0.0, label: "0".into() };
        assert!(bars(&[none], &[]).contains("width=\"0.0\""));
    }
}
