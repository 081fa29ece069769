//! Confidence against accuracy: the reliability diagram (Guo et al. 2017), in which a calibrated
//! classifier lies on the diagonal and one too sure of itself below it.

use super::{svg, ticks};

/// Standard deviations of a 95 % interval.
const Z: f64 = 1.96;

/// Cells of similar confidence; one without cells is not drawn.
///
/// ```
/// use scgpt_report::{Page, ConfidenceBin};
///
/// let bin = ConfidenceBin { n: 120, confidence: 0.85, accuracy: 0.81 };
/// Page::new("Calibration", "").reliability(&[bin], "Confidence against accuracy.");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConfidenceBin {
    /// Number of cells.
    pub n: usize,
    /// Their mean confidence, 0 to 1.
    pub confidence: f64,
    /// Share of them that are right.
    pub accuracy: f64,
}

/// Bins as discs against the diagonal, as large as they have cells, each with the 95 % interval of
/// its accuracy.
pub(crate) fn reliability(bins: &[ConfidenceBin]) -> String {
    const LEFT: f64 = 250.0;
    const TOP: f64 = 12.0;
    const SIDE: f64 = 340.0;
    const BOTTOM: f64 = TOP + SIDE;
    let x_of = |value: f64| LEFT + SIDE * value;
    let y_of = |value: f64| BOTTOM - SIDE * value;
    let mut body = format!(
        "<rect class=\"axis\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\"/>"
    );
    for value in ticks(0.0, 1.0, 5) {
        body += &format!(
            "<path class=\"axis\" d=\"M{x:.1} {BOTTOM}v5M{LEFT} {y:.1}h-5\"/>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{value:.1}</text>\
             <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>",
            BOTTOM + 18.0,
            LEFT - 8.0,
            y_of(value) + 4.0,
            x = x_of(value),
            y = y_of(value),
        );
    }
    body += &format!(
        "<path class=\"grid\" stroke-dasharray=\"4 4\" d=\"M{LEFT} {BOTTOM}L{} {TOP}\"/>",
        LEFT + SIDE
    );
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(0).max(1) as f64;
    for bin in bins.iter().filter(|bin| bin.n > 0) {
        let [low, high] = wilson(bin);
        body += &format!(
            "<path stroke=\"var(--c0)\" d=\"M{:.1} {:.1}V{:.1}\"/>\
             <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\" fill=\"var(--c0)\" fill-opacity=\".85\">\
             <title>{} cells: confidence {:.2}, accuracy {:.2}</title></circle>",
            x_of(bin.confidence),
            y_of(low),
            y_of(high),
            x_of(bin.confidence),
            y_of(bin.accuracy),
            3.0 + 7.0 * (bin.n as f64 / most).sqrt(),
            bin.n,
            bin.confidence,
            bin.accuracy,
        );
    }
    body += &format!(
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">confidence</text>\
         <text class=\"soft\" transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\">accuracy</text>",
        LEFT + SIDE / 2.0,
        BOTTOM + 38.0,
        LEFT - 44.0,
        TOP + SIDE / 2.0,
    );
    let says = bins.iter().filter(|bin| bin.n > 0).map(|bin| {
        format!("confidence {:.2}: accuracy {:.2} of {}", bin.confidence, bin.accuracy, bin.n)
    });
    svg(BOTTOM + 44.0, &says.collect::<Vec<_>>().join("; "), &body)
}

/// The interval of Wilson 1927 of a bin's accuracy, `p` of `n` cells:
/// `(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)`. Unlike the normal one it stays within 0 and
/// 1, and has a width where all or none are right.
fn wilson(bin: &ConfidenceBin) -> [f64; 2] {
    let (n, p) = (bin.n as f64, bin.accuracy);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    [-half, half].map(|half| (middle + half) / (1.0 + Z * Z / n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_wilson() {
        // statsmodels.stats.proportion.proportion_confint(9, 10, method="wilson").
        let [low, high] = wilson(&ConfidenceBin { n: 10, confidence: 0.9, accuracy: 0.9 });
        assert!((low - 0.5958).abs() < 1e-3 && (high - 0.9821).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn only_bins_with_cells_are_drawn() {
        let bin = |n, confidence, accuracy| ConfidenceBin { n, confidence, accuracy };
        let drawn = reliability(&[bin(0, 0.0, 0.0), bin(4, 0.55, 0.5), bin(9, 0.95, 0.9)]);
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains("9 cells: confidence 0.95, accuracy 0.90"));
        assert!(!reliability(&[]).contains("NaN"));
    }
}
