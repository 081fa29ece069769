//! The frame of a plot: two axes with their ticks and names, and where numbers lie between them.

use crate::escape::escape;

/// Where the plot begins, and its width and height; the legend is at its right.
pub(super) const LEFT: f64 = 70.0;
pub(super) const TOP: f64 = 10.0;
pub(super) const PLOT: [f64; 2] = [520.0, 300.0];

/// The numbers at the ends of both axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Frame {
    pub(super) fn x_of(&self, x: f64) -> f64 {
        LEFT + within(x, self.x) * PLOT[0]
    }

    pub(super) fn y_of(&self, y: f64) -> f64 {
        TOP + (1.0 - within(y, self.y)) * PLOT[1]
    }

    /// The axes, with ticks at the given numbers.
    pub(super) fn draw(
        &self,
        x_ticks: &[(f64, String)],
        y_ticks: &[(f64, String)],
        names: &[String; 2],
    ) -> String {
        let bottom = TOP + PLOT[1];
        let mut body = String::new();
        for (y, label) in y_ticks {
            body += &format!(
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}h{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                PLOT[0],
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
        body += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text class=\"soft\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            LEFT + PLOT[0],
            LEFT + PLOT[0] / 2.0,
            bottom + 38.0,
            escape(&names[0]),
            TOP + PLOT[1] / 2.0,
            escape(&names[1]),
        );
        body
    }
}

/// The share of the way from the one end to the other.
fn within(value: f64, (low, high): (f64, f64)) -> f64 {
    (value - low) / (high - low)
}
