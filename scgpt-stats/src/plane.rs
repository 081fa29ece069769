//! [`principal_plane`]: cells on the plane of their two leading principal components.

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};

/// Rounds of subspace iteration; more than enough for a picture.
const ROUNDS: usize = 30;

/// The positions of `rows`, `[n, d]` row-major, along their first two principal components, and the
/// share of variance that each component explains.
///
/// By subspace iteration on the centred rows; the sign of an axis is such that its largest loading
/// is positive, so the same rows always give the same map.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
pub fn principal_plane(
    rows: &[f32],
    d: usize,
    observer: &dyn Observer,
) -> Result<(Vec<[f32; 2]>, [f64; 2])> {
    let n = rows.len() / d.max(1);
    if n == 0 {
        return Ok((Vec::new(), [0.0; 2]));
    }
    let mut mean = vec![0.0; d];
    for row in rows.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n as f64);
    }
    let project = |axis: &[f64]| -> Vec<f64> {
        let offset: f64 = mean.iter().zip(axis).map(|(m, a)| m * a).sum();
        let dot = |row: &[f32]| row.iter().zip(axis).map(|(&x, a)| f64::from(x) * a).sum::<f64>();
        rows.par_chunks_exact(d).map(|row| dot(row) - offset).collect()
    };
    let total: f64 = rows
        .chunks_exact(d)
        .flat_map(|row| row.iter().zip(&mean).map(|(&x, m)| (f64::from(x) - m).powi(2)))
        .sum();
    let mut axes: Vec<Vec<f64>> = Vec::new();
    for component in 0..2_u64 {
        let key = Keyed::new(0, Purpose::Simulate, component, 0);
        let mut axis: Vec<f64> = (0..d as u64).map(|i| key.uniform(i) - 0.5).collect();
        for _ in 0..ROUNDS {
            observer.check_cancelled()?;
            orthonormalise(&mut axis, &axes);
            // One multiplication by the covariance: Xᵀ (X a), with X centred.
            let scores = project(&axis);
            let sum: f64 = scores.iter().sum();
            axis = mean.iter().map(|m| -m * sum).collect();
            for (row, score) in rows.chunks_exact(d).zip(&scores) {
                axis.iter_mut().zip(row).for_each(|(a, &x)| *a += score * f64::from(x));
            }
        }
        orthonormalise(&mut axis, &axes);
        let largest =
            axis.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        scale(&mut axis, largest.signum());
        axes.push(axis);
    }
    let [x, y] = [project(&axes[0]), project(&axes[1])];
    let share =
        |scores: &[f64]| scores.iter().map(|s| s * s).sum::<f64>() / total.max(f64::MIN_POSITIVE);
    #[allow(clippy::cast_possible_truncation, reason = "positions in a picture")]
    let points = x.iter().zip(&y).map(|(&x, &y)| [x as f32, y as f32]).collect();
    Ok((points, [share(&x), share(&y)]))
}

/// Makes `axis` orthogonal to `others` and of length 1; an axis of a space without further
/// dimensions becomes zero.
fn orthonormalise(axis: &mut [f64], others: &[Vec<f64>]) {
    for other in others {
        let dot: f64 = axis.iter().zip(other).map(|(a, b)| a * b).sum();
        axis.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
    }
    let length = axis.iter().map(|a| a * a).sum::<f64>().sqrt();
    scale(axis, if length > 1e-12 { 1.0 / length } else { 0.0 });
}

fn scale(axis: &mut [f64], factor: f64) {
    for a in axis {
        *a *= factor;
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn axes_of_most_variance_are_found() {
        // Spread 3 along (1, 1, 0) / √2, spread 1 along z, nothing else.
        let key = Keyed::new(1, Purpose::Simulate, 0, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows: Vec<f32> = (0..500)
            .flat_map(|i| {
                let [a, b] = [key.uniform(2 * i) as f32 - 0.5, key.uniform(2 * i + 1) as f32 - 0.5];
                [3.0 * a + 7.0, 3.0 * a, b]
            })
            .collect();
        let (points, [first, second]) = principal_plane(&rows, 3, &Silent).unwrap();
        assert!(first > 0.9 && (first + second - 1.0).abs() < 1e-6, "{first} {second}");
        let spread = |axis: usize| points.iter().map(|p| p[axis].abs()).fold(0.0, f32::max);
        assert!((spread(0) - 1.5 * 2f32.sqrt()).abs() < 0.1 && (spread(1) - 0.5).abs() < 0.05);
        assert_eq!(points, principal_plane(&rows, 3, &Silent).unwrap().0);
    }

    #[test]
    fn planted_clusters_stay_apart() {
        let key = Keyed::new(2, Purpose::Simulate, 0, 0);
        // Cluster k lies 5 along axis k of 8; noise of width 1 on every axis.
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows: Vec<f32> = (0..300 * 8_u64)
            .map(|i| {
                let centre = if i % 8 == i / 8 % 3 { 5.0 } else { 0.0 };
                centre + key.uniform(i) as f32 - 0.5
            })
            .collect();
        let (points, _) = principal_plane(&rows, 8, &Silent).unwrap();
        let distance =
            |a: usize, b: usize| (points[a][0] - points[b][0]).hypot(points[a][1] - points[b][1]);
        for (a, b) in (0..300).flat_map(|a| (0..a).map(move |b| (a, b))) {
            assert_eq!(distance(a, b) < 3.0, a % 3 == b % 3, "cells {a} and {b}");
        }
    }

    #[test]
    fn constant_rows_are_a_point() {
        let (points, shares) = principal_plane(&[1.0; 12], 3, &Silent).unwrap();
        assert!(points.iter().all(|p| p.iter().all(|x| x.abs() < 1e-5)));
        assert!(shares.iter().all(|share| share.is_finite()));
    }

    #[test]
    fn every_round_asks_whether_to_go_on() {
        let rows: Vec<f32> = (0..90_u8).map(f32::from).collect();
        assert_eq!(questions(|observer| principal_plane(&rows, 3, observer)), 2 * ROUNDS);
    }
}
