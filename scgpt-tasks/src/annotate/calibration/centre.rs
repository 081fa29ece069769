//! [`Centre`]: where the cells of a class are.

use serde::{Deserialize, Serialize};

/// Cells of mean spread that each class is thought to have beside its own: the spread of a few cells
/// says little.
const PRIOR: f64 = 5.0;

/// The middle of the training cells of a class, and how far they are from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Centre {
    /// Mean embedding, of unit length.
    mean: Vec<f32>,
    /// Cells it was made from.
    n_cells: usize,
    /// Expected distance of a cell of the class, one minus the cosine with the mean.
    spread: f64,
}

impl Centre {
    /// Of embeddings `[n, d]` of unit length.
    #[allow(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    pub(in super::super) fn around(d: usize, rows: &[f32]) -> Self {
        let mut sum = vec![0.0_f64; d];
        for row in rows.chunks_exact(d) {
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let mean = sum.iter().map(|x| (x / length) as f32).collect();
        let n_cells = rows.len() / d.max(1);
        let centre = Self { mean, n_cells, spread: 0.0 };
        let total: f64 = rows.chunks_exact(d).map(|row| centre.off_mean(row)).sum();
        // The mean is nearer to its own cells than to others: of n cells by (n + 1) / (n − 1).
        let n = n_cells as f64;
        let spread = if n_cells > 1 { total / n * (n + 1.0) / (n - 1.0) } else { 0.0 };
        Self { spread, ..centre }
    }

    /// Draws the spread of each class towards that of all cells, the more the fewer cells it has.
    pub(in super::super) fn of_classes(mut centres: Vec<Self>) -> Vec<Self> {
        let weight = |centre: &Self| centre.n_cells.saturating_sub(1) as f64;
        let total: f64 = centres.iter().map(weight).sum();
        let sum: f64 = centres.iter().map(|centre| weight(centre) * centre.spread).sum();
        let usual = (sum / total.max(1.0)).max(f64::from(f32::EPSILON));
        for centre in &mut centres {
            let n = weight(centre);
            centre.spread = (n * centre.spread + PRIOR * usual) / (n + PRIOR);
        }
        centres
    }

    /// How far a cell with an embedding of unit length is, in units of the spread.
    pub(super) fn distance(&self, embedding: &[f32]) -> f64 {
        self.off_mean(embedding) / self.spread
    }

    fn off_mean(&self, embedding: &[f32]) -> f64 {
        1.0 - self.mean.iter().zip(embedding).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells at `angles` (in hundredths) of a circle.
    fn cells(angles: &[i8]) -> Vec<f32> {
        let at = |&angle: &i8| (f32::from(angle) / 100.0).sin_cos();
        angles.iter().map(at).flat_map(|(sine, cosine)| [cosine, sine]).collect()
    }

    #[test]
    fn a_cell_beside_a_dense_class_is_strange() {
        let angles: Vec<i8> = (0..40).map(|i| i - 20).collect();
        let dense: Vec<i8> = angles.iter().map(|angle| 100 + angle / 10).collect();
        let centres = [&angles, &dense].map(|angles| Centre::around(2, &cells(angles))).to_vec();
        let centres = Centre::of_classes(centres);
        let at = |class: usize, angle: i8| centres[class].distance(&cells(&[angle]));
        // As far from both means.
        assert!(at(1, 90) > 4.0 * at(0, 10), "{} {}", at(1, 90), at(0, 10));
        // Cells of a class are one spread away on average.
        let own: f64 = angles.iter().map(|&angle| at(0, angle)).sum::<f64>() / 40.0;
        assert!((own - 1.0).abs() < 0.1, "{own}");
    }

    #[test]
    fn few_cells_have_the_usual_spread() {
        let many = Centre::around(2, &cells(&[-20, -10, 0, 10, 20]));
        let centres = Centre::of_classes(vec![many.clone(), Centre::around(2, &cells(&[70]))]);
        assert!((centres[1].spread - many.spread).abs() < 1e-9);
        let alone = Centre::of_classes(vec![Centre::around(2, &cells(&[70])); 2]);
        assert!(alone[0].distance(&cells(&[70])).is_finite());
    }
}
