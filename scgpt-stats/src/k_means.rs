//! [`k_means`]: centres of cells.

use crate::{neighbours::Neighbours, sampling::subsample};

/// `k` centres of `rows`, `[n, d]`, from a keyed choice of cells by some rounds of k-means (Lloyd
/// 1982); a centre without cells stays. Fewer if there are fewer cells; none if stopped.
pub fn k_means(
    rows: &[f32],
    d: usize,
    k: usize,
    (rounds, seed): (usize, u64),
    is_cancelled: &dyn Fn() -> bool,
) -> Option<Vec<f32>> {
    let first = subsample(rows.len() / d.max(1), k, seed);
    let row = |&cell: &usize| &rows[cell * d..(cell + 1) * d];
    let mut centres: Vec<f32> = first.iter().flat_map(row).copied().collect();
    for _ in 0..rounds {
        if is_cancelled() {
            return None;
        }
        let nearest = Neighbours::among(rows, &centres, d, 1);
        let mut sums = vec![0.0_f64; centres.len()];
        let mut counts = vec![0_usize; first.len()];
        for (row, near) in rows.chunks_exact(d).zip(nearest.cells()) {
            let centre = near[0].1;
            counts[centre] += 1;
            let sum = &mut sums[centre * d..(centre + 1) * d];
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for (centre, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let place = centre * d..(centre + 1) * d;
            for (centre, sum) in centres[place.clone()].iter_mut().zip(&sums[place]) {
                #[allow(clippy::cast_possible_truncation, reason = "stored as f32")]
                let mean = (sum / count as f64) as f32;
                *centre = mean;
            }
        }
    }
    Some(centres)
}
