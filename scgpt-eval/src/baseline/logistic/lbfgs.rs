//! [`minimise`]: finds where a smooth function is least.

use scgpt_data::Result;
use scgpt_stats::dot;

/// Most steps, and most lengths of a step that are tried.
const STEPS: usize = 100;
const LENGTHS: usize = 40;
/// Steps from which curvature is estimated.
const REMEMBERED: usize = 10;
/// Length of the gradient at which the search stops.
const TOLERANCE: f64 = 1e-3;
/// How much a step must gain, and how steep the function may stay, as shares of the slope (Wolfe).
const LEAST_GAIN: f64 = 1e-4;
const STEEPEST: f64 = 0.9;

/// Finds where the function `f`, which returns its value and its gradient, is least, beginning at
/// `start`.
///
/// # Reference
/// Limited-memory BFGS: Nocedal and Wright, algorithm 7.4; lengths of steps by bisection until the
/// weak Wolfe conditions hold (Lewis and Overton 2013).
pub(super) fn minimise(
    f: impl Fn(&[f64]) -> Result<(f64, Vec<f64>)>,
    start: Vec<f64>,
) -> Result<Vec<f64>> {
    let mut place = start;
    let (mut value, mut gradient) = f(&place)?;
    // Steps, changes of the gradient, and the reciprocals of their products; the oldest first.
    let mut past: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..STEPS {
        let steepness = dot(&gradient, &gradient).sqrt();
        if steepness < TOLERANCE {
            break;
        }
        let way = direction(&gradient, &past);
        let slope = dot(&gradient, &way);
        // Of the first step nothing is known but the way.
        let mut length = if past.is_empty() { 1.0 / steepness } else { 1.0 };
        let (mut short, mut long) = (0.0, f64::INFINITY);
        let mut next = None;
        for _ in 0..LENGTHS {
            let there: Vec<f64> = place.iter().zip(&way).map(|(x, d)| x + length * d).collect();
            let (reached, of_there) = f(&there)?;
            // What is no number is too far, too.
            let has_gained = reached <= value + LEAST_GAIN * length * slope;
            if !has_gained {
                long = length;
            } else if dot(&of_there, &way) < STEEPEST * slope {
                short = length;
            } else {
                next = Some((there, reached, of_there));
                break;
            }
            length = if long.is_finite() { f64::midpoint(short, long) } else { 2.0 * length };
        }
        // No step gains more than rounding takes.
        let Some((there, reached, of_there)) = next else { break };
        let step: Vec<f64> = there.iter().zip(&place).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = of_there.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let product = dot(&step, &change);
        if past.len() == REMEMBERED {
            past.remove(0);
        }
        // Positive, as the slope got flatter.
        past.push((step, change, 1.0 / product));
        (place, value, gradient) = (there, reached, of_there);
    }
    Ok(place)
}

/// The direction downhill, by the curvature that past steps met.
fn direction(gradient: &[f64], past: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut way: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut weights = Vec::with_capacity(past.len());
    for (step, change, reciprocal) in past.iter().rev() {
        let weight = reciprocal * dot(step, &way);
        way.iter_mut().zip(change).for_each(|(d, y)| *d -= weight * y);
        weights.push(weight);
    }
    if let Some((_, change, reciprocal)) = past.last() {
        let scale = 1.0 / (reciprocal * dot(change, change));
        for d in &mut way {
            *d *= scale;
        }
    }
    for ((step, change, reciprocal), weight) in past.iter().zip(weights.into_iter().rev()) {
        let turn = weight - reciprocal * dot(change, &way);
        way.iter_mut().zip(step).for_each(|(d, s)| *d += turn * s);
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let rosenbrock = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            Ok((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b]))
        };
        let found = minimise(rosenbrock, vec![-1.2, 1.0]).unwrap();
        assert!(found.iter().all(|x| (x - 1.0).abs() < 1e-3), "{found:?}");
        let there = vec![1.0, 1.0];
        assert_eq!(minimise(rosenbrock, there.clone()).unwrap(), there);
    }
}
