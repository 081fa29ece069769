//! The temperature at which answers are right as often as their probabilities say.

/// Bounds of the temperature; outside of them, logits are not those of a classifier.
const BOUNDS: [f64; 2] = [0.05, 20.0];
/// Steps of the search, each of which shortens the interval to 0.618 of its length.
const STEPS: usize = 60;

/// The temperature of least negative log likelihood, 1 without cells.
///
/// As in Platt 1999, the truth is taken to be right in all but one of `n + 2` cases, so that a few
/// cells whose answers are all right do not make the network certain. The likelihood has one
/// optimum, found by golden-section search over the logarithm.
pub(super) fn fit_temperature(logits: &[&[f32]], truth: &[u32]) -> f64 {
    if logits.is_empty() {
        return 1.0;
    }
    let doubt = 1.0 / (logits.len() + 2) as f64;
    let loss = |log: f64| -> f64 {
        let t = log.exp();
        let of_cell = |(logits, class): (&&[f32], &u32)| {
            let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let below = |logit: f32| f64::from(logit) - most;
            let sum: f64 = logits.iter().map(|&x| (below(x) / t).exp()).sum();
            let right = below(logits[*class as usize]);
            let wrong = logits.iter().map(|&x| below(x)).sum::<f64>() - right;
            let others = (logits.len() - 1).max(1) as f64;
            sum.ln() - ((1.0 - doubt) * right + doubt * wrong / others) / t
        };
        logits.iter().zip(truth).map(of_cell).sum()
    };
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let [mut low, mut high] = BOUNDS.map(f64::ln);
    for _ in 0..STEPS {
        let [left, right] = [high - golden * (high - low), low + golden * (high - low)];
        if loss(left) <= loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cells_that_are_right_leave_doubt() {
        let right: &[f32] = &[4.0, 0.0, 0.0];
        let certainty = |n: usize| {
            let t = fit_temperature(&vec![right; n], &vec![0; n]);
            1.0 / (1.0 + 2.0 * (-4.0 / t).exp())
        };
        assert!((certainty(8) - 0.9).abs() < 0.01, "{}", certainty(8));
        assert!(certainty(98) > 0.98 && certainty(98) < 0.995, "{}", certainty(98));
    }

    #[test]
    fn cells_that_are_wrong_leave_more() {
        let logits: Vec<&[f32]> = vec![&[4.0, 0.0]; 100];
        let truth: Vec<u32> = (0..100).map(|cell| u32::from(cell % 4 == 0)).collect();
        let t = fit_temperature(&logits, &truth);
        let said = 1.0 / (1.0 + (-4.0 / t).exp());
        assert!((said - 0.75).abs() < 0.01, "{said}");
    }
}
