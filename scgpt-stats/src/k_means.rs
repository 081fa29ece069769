//! [`k_means`]: centres of groups of cells.

use scgpt_data::{Observer, Result};

use crate::{neighbours::Neighbours, sampling::subsample};

/// How many centres are sought, and in how many rounds.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::{KMeans, k_means};
///
/// // Four cells on a line, two at each end.
/// let options = KMeans { k: 2, rounds: 5, seed: 0 };
/// let mut centres = k_means(&[0.0, 1.0, 10.0, 11.0], 1, &options, &Silent)?;
/// centres.sort_by(f32::total_cmp);
/// assert_eq!(centres, [0.5, 10.5]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KMeans {
    /// Number of centres; there are fewer if there are fewer cells.
    pub k: usize,
    /// Rounds in which every centre moves to the mean of the cells that are nearest to it.
    pub rounds: usize,
    /// Seed of the choice of cells at which the centres begin.
    pub seed: u64,
}

/// The centres of `rows`, `[n, d]` row-major, as `[k, d]`; a centre that loses its last cell stays
/// where it is.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If `d` does not divide the number of values.
///
/// # Reference
/// Lloyd 1982. Differs: begins at cells that are chosen by `seed` alone.
pub fn k_means(
    rows: &[f32],
    d: usize,
    options: &KMeans,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let KMeans { k, rounds, seed } = *options;
    let first = subsample(rows.len() / d.max(1), k, seed);
    let row = |&cell: &usize| &rows[cell * d..(cell + 1) * d];
    let mut centres: Vec<f32> = first.iter().flat_map(row).copied().collect();
    for _ in 0..rounds {
        let nearest = Neighbours::among(rows, &centres, d, 1, observer)?;
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
    Ok(centres)
}
