//! The frame of a plot: two axes with their ticks and names, and where numbers lie between them.

use crate::escape::escape;

/// Where the plot begins; the legend is at its right.
pub(super) const LEFT: f64 = 70.0;
pub(super) const TOP: f64 = 10.0;
/// Width and height of a plot of curves.
pub(super) const PLOT: [f64; 2] = [520.0, 300.0];
/// Side of a field of points, and how far points stay away from it.
pub(super) const FIELD: f64 = 540.0;
const MARGIN: f64 = 12.0;

/// The numbers at the ends of both axes, and how large the plot is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    size: [f64; 2],
    /// Ticks of the vertical axis are lines across; otherwise the plot is boxed.
    is_ruled: bool,
}

impl Frame {
    /// Of curves: as wide as the page allows, with a line at each tick.
    pub(super) fn ruled(x: (f64, f64), y: (f64, f64)) -> Self {
        Self { x, y, size: PLOT, is_ruled: true }
    }

    /// Of points: a square around them.
    pub(super) fn field(x: (f64, f64), y: (f64, f64)) -> Self {
        let wider = |(low, high): (f64, f64)| {
            let free = (high - low) * MARGIN / (FIELD - 2.0 * MARGIN);
            (low - free, high + free)
        };
        Self { x: wider(x), y: wider(y), size: [FIELD; 2], is_ruled: false }
    }

    pub(super) fn x_of(&self, x: f64) -> f64 {
        LEFT + within(x, self.x) * self.size[0]
    }

    pub(super) fn y_of(&self, y: f64) -> f64 {
        TOP + (1.0 - within(y, self.y)) * self.size[1]
    }

    /// Height of a drawing with its axis, of which the legend takes `legend`.
    pub(super) fn height(&self, legend: f64) -> f64 {
        (TOP + self.size[1] + 44.0).max(TOP + legend)
    }

    /// The axes, with ticks at the given numbers.
    pub(super) fn draw(
        &self,
        x_ticks: &[(f64, String)],
        y_ticks: &[(f64, String)],
        names: &[String; 2],
    ) -> String {
        let [width, height] = self.size;
        let (right, bottom) = (LEFT + width, TOP + height);
        let mut body = String::new();
        for (y, label) in y_ticks {
            body += &format!(
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}h{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                if self.is_ruled { width } else { -5.0 },
                LEFT - 8.0,
                self.y_of(*y) + 4.0,
                y = self.y_of(*y),
            );
        }
        for (x, label) in x_ticks {
            body += &format!(
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                bottom + 18.0,
                x = self.x_of(*x),
            );
        }
        let others = if self.is_ruled { String::new() } else { format!("V{TOP}H{LEFT}") };
        body += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}{others}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text class=\"soft\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            LEFT + width / 2.0,
            bottom + 38.0,
            escape(&names[0]),
            TOP + height / 2.0,
            escape(&names[1]),
        );
        body
    }

    /// What the page's script needs to tell the numbers at a place: where the plot is, and the numbers
    /// at its ends, logarithms where an axis has them.
    pub(super) fn attributes(&self, are_logarithms: [bool; 2]) -> String {
        let [width, height] = self.size;
        let axis = |(low, high): (f64, f64), is_logarithm: bool| {
            format!("{low} {high}{}", if is_logarithm { " log" } else { "" })
        };
        format!(
            "data-plot=\"{LEFT} {TOP} {width} {height}\" data-x=\"{}\" data-y=\"{}\"",
            axis(self.x, are_logarithms[0]),
            axis(self.y, are_logarithms[1]),
        )
    }
}

/// The share of the way from the one end to the other.
fn within(value: f64, (low, high): (f64, f64)) -> f64 {
    (value - low) / (high - low)
}
