//! [`Centre`]: the middle of the cells of a class.

use serde::{Deserialize, Serialize};

/// Number of cells of the usual spread that are added to each class, since the spread of a few
/// cells says little.
const PRIOR: f64 = 5.0;

/// A vector of length 1, given by its non-zero entries: their numbers, ascending, and values.
#[derive(Clone, Debug)]
pub(super) struct UnitRow(Vec<(usize, f32)>);

/// The middle of the training cells of a class, and how far they are from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Centre {
    /// Mean of the cells, of unit length.
    mean: Vec<f32>,
    /// Number of cells that it was made from.
    n_cells: usize,
    /// Expected distance of a cell of the class, one minus the cosine with the mean.
    spread: f64,
}

impl UnitRow {
    /// Scales a vector to length 1; a vector of zeros stays as it is.
    #[allow(clippy::cast_possible_truncation, reason = "entries are f32")]
    pub(super) fn new(entries: impl Iterator<Item = (usize, f32)>) -> Self {
        let mut entries: Vec<(usize, f32)> = entries.filter(|&(_, x)| x != 0.0).collect();
        let squares: f64 = entries.iter().map(|&(_, x)| f64::from(x).powi(2)).sum();
        let length = squares.sqrt().max(f64::MIN_POSITIVE);
        for (_, x) in &mut entries {
            *x = (f64::from(*x) / length) as f32;
        }
        Self(entries)
    }

    /// The entries at other places; those without a place are dropped, but count for the length.
    pub(super) fn at(&self, places: &[Option<usize>]) -> Self {
        let place = |&(place, x): &(usize, f32)| Some((places.get(place).copied().flatten()?, x));
        Self(self.0.iter().filter_map(place).collect())
    }

    /// The unit vector of a whole row.
    pub(super) fn of(row: &[f32]) -> Self {
        Self::new(row.iter().copied().enumerate())
    }
}

impl Centre {
    /// The centre of `rows`, cells with `d` entries.
    #[allow(clippy::cast_possible_truncation, reason = "means are f32")]
    pub(super) fn around(d: usize, rows: &[UnitRow]) -> Self {
        let mut sum = vec![0.0_f64; d];
        for &(place, x) in rows.iter().flat_map(|row| &row.0) {
            sum[place] += f64::from(x);
        }
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let mean = sum.iter().map(|x| (x / length) as f32).collect();
        let n_cells = rows.len();
        let centre = Self { mean, n_cells, spread: 0.0 };
        let total: f64 = rows.iter().map(|row| centre.off_mean(row)).sum();
        // The mean is nearer to its own cells than to others: of n cells by (n + 1) / (n − 1).
        let n = n_cells as f64;
        let spread = if n_cells > 1 { total / n * (n + 1.0) / (n - 1.0) } else { 0.0 };
        Self { spread, ..centre }
    }

    /// Draws the spread of each class towards that of all cells, the more the fewer cells it has.
    pub(super) fn of_classes(mut centres: Vec<Self>) -> Vec<Self> {
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

    /// The entries that are not zero, ascending.
    pub(super) fn entries(&self) -> impl Iterator<Item = usize> {
        (0..self.mean.len()).filter(|&place| self.mean[place] != 0.0)
    }

    /// An entry of the mean.
    pub(super) fn at(&self, place: usize) -> f32 {
        self.mean[place]
    }

    /// Some entries of the mean, rounded to that part of 1; the spread stays that of all entries.
    pub(super) fn short(&self, kept: &[usize], parts: f32) -> Self {
        let round = |&place: &usize| (self.mean[place] * parts).round() / parts;
        Self { mean: kept.iter().map(round).collect(), ..*self }
    }

    /// The mean over some of the entries; the spread stays that of all entries.
    pub(super) fn part(&self, kept: &[usize]) -> Self {
        let mean = kept.iter().map(|&place| self.mean[place]);
        let length = mean.clone().map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        #[allow(clippy::cast_possible_truncation, reason = "means are f32")]
        let unit = |x: f32| (f64::from(x) / length.max(f64::MIN_POSITIVE)) as f32;
        Self { mean: mean.map(unit).collect(), ..*self }
    }

    /// How far a cell is from the centre, in units of the spread.
    fn distance(&self, row: &UnitRow) -> f64 {
        self.off_mean(row) / self.spread
    }

    fn off_mean(&self, row: &UnitRow) -> f64 {
        1.0 - row.0.iter().map(|&(place, x)| f64::from(self.mean[place] * x)).sum::<f64>()
    }
}

/// How far a cell is from the centre of the class that is nearest in this measure.
#[allow(clippy::cast_possible_truncation, reason = "distances are f32")]
pub(super) fn nearest(centres: &[Centre], row: &UnitRow) -> f32 {
    centres.iter().map(|centre| centre.distance(row)).fold(f64::INFINITY, f64::min) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells at `angles` (in hundredths) of a circle.
    fn cells(angles: &[i8]) -> Vec<UnitRow> {
        let at = |&angle: &i8| (f32::from(angle) / 100.0).sin_cos();
        angles.iter().map(at).map(|(sine, cosine)| UnitRow::of(&[cosine, sine])).collect()
    }

    #[test]
    fn a_cell_beside_a_dense_class_is_strange() {
        let angles: Vec<i8> = (0..40).map(|i| i - 20).collect();
        let dense: Vec<i8> = angles.iter().map(|angle| 100 + angle / 10).collect();
        let centres = [&angles, &dense].map(|angles| Centre::around(2, &cells(angles))).to_vec();
        let centres = Centre::of_classes(centres);
        let at = |class: usize, angle: i8| centres[class].distance(&cells(&[angle])[0]);
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
        assert!(alone[0].distance(&cells(&[70])[0]).is_finite());
    }
}
