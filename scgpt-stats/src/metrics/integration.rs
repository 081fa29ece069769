//! [`silhouettes`], [`batch_mixing`], [`batch_variance`]: whether batches are mixed and biology is kept.

use std::borrow::Cow;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};

use crate::{distances::distance_sums, pca::Products};

/// Principal components whose variance is explained.
const COMPONENTS: usize = 50;

/// The silhouette of every cell: by how much nearer it lies to its own class than to the nearest
/// other one, -1 to 1. A cell that is alone in its class has 0; so have all if there is one class.
///
/// `rows` is `[n, d]` row-major, `codes` are classes `0..`. It takes `n² · d` multiplications and
/// `n · classes` numbers.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If there are not `d` values a cell.
///
/// # Reference
/// `sklearn.metrics.silhouette_samples`, Euclidean; Rousseeuw 1987.
pub fn silhouettes(
    rows: &[f32],
    d: usize,
    codes: &[usize],
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    assert_eq!(rows.len(), codes.len() * d, "{d} values a cell");
    let classes = codes.iter().max().map_or(0, |last| last + 1);
    let mut sizes = vec![0_usize; classes];
    for &code in codes {
        sizes[code] += 1;
    }
    let sums = distance_sums(rows, d, codes, classes, observer)?;
    let of = |(&own, sums): (&usize, &[f64])| {
        let others = (0..classes).filter(|&class| class != own);
        let of = |class: usize| ClassDistance { sum: sums[class], n_cells: sizes[class] };
        silhouette(of(own), others.map(of))
    };
    Ok(codes.iter().zip(sums.chunks(classes.max(1))).map(of).collect())
}

/// How far a cell is from the cells of a class.
///
/// ```
/// use scgpt_stats::{ClassDistance, silhouette};
///
/// // One other cell of its class is 1 away, two of the next class 4 and 6.
/// let own = ClassDistance { sum: 1.0, n_cells: 2 };
/// let other = ClassDistance { sum: 10.0, n_cells: 2 };
/// assert_eq!(silhouette(own, [other].into_iter()), 0.8);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassDistance {
    /// Sum of the distances of the cell to all cells of the class.
    pub sum: f64,
    /// Cells of the class, the cell itself included if it is one of them.
    pub n_cells: usize,
}

/// The silhouette of one cell, -1 to 1, from its distances to its `own` class and to the `others`; 0
/// if it is alone in its class, or if no other class has cells. See [`silhouettes`].
pub fn silhouette(own: ClassDistance, others: impl Iterator<Item = ClassDistance>) -> f64 {
    let others = others.filter(|other| other.n_cells > 0);
    let nearest = others.map(|other| other.sum / other.n_cells as f64).reduce(f64::min);
    let (Some(other), true) = (nearest, own.n_cells > 1) else { return 0.0 };
    let own = own.sum / (own.n_cells - 1) as f64;
    let larger = own.max(other);
    if larger > 0.0 { (other - own) / larger } else { 0.0 }
}

/// How well labels are told apart, 0 to 1: the mean silhouette, moved to that range; "ASW label".
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// See [`silhouettes`].
///
/// # Reference
/// `scib.metrics.silhouette` (Luecken et al. 2022).
pub fn label_separation(
    rows: &[f32],
    d: usize,
    labels: &[usize],
    observer: &dyn Observer,
) -> Result<f64> {
    let all = silhouettes(rows, d, labels, observer)?;
    Ok(f64::midpoint(all.iter().sum::<f64>() / all.len().max(1) as f64, 1.0))
}

/// How well batches are mixed within every label, 0 to 1: one minus the absolute silhouette by
/// batch, mean over the cells of a label, then over labels; "ASW batch". `None` if no label has
/// several batches, one of them with several cells.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// See [`silhouettes`].
///
/// # Reference
/// `scib.metrics.silhouette_batch` (Luecken et al. 2022).
pub fn batch_mixing(
    rows: &[f32],
    d: usize,
    labels: &[usize],
    batches: &[usize],
    observer: &dyn Observer,
) -> Result<Option<f64>> {
    let n_labels = labels.iter().max().map_or(0, |last| last + 1);
    let of_label = |label: usize| {
        let cells: Vec<usize> = (0..labels.len()).filter(|&cell| labels[cell] == label).collect();
        let codes: Vec<usize> = cells.iter().map(|&cell| batches[cell]).collect();
        let mut distinct = codes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 2 || distinct.len() == cells.len() {
            return Ok(None);
        }
        let own: Vec<f32> =
            cells.iter().flat_map(|&cell| &rows[cell * d..(cell + 1) * d]).copied().collect();
        let mixed = silhouettes(&own, d, &codes, observer)?.into_iter().map(|s| 1.0 - s.abs());
        Ok(Some(mixed.sum::<f64>() / cells.len() as f64))
    };
    let scores: Vec<f64> =
        (0..n_labels).filter_map(|label| of_label(label).transpose()).collect::<Result<_>>()?;
    Ok((!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64))
}

/// The share of an embedding's variance that batches explain, 0 to 1; "PCR batch". Of more than 50
/// dimensions it is the variance of the first 50 principal components.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If there are not `d` values a cell.
///
/// # Reference
/// `scib.metrics.pcr` (Luecken et al. 2022): the variance of each principal component times what a
/// regression on the batches explains of it. Since components are uncorrelated, that is their
/// variance between batches.
pub fn batch_variance(
    rows: &[f32],
    d: usize,
    batches: &[usize],
    observer: &dyn Observer,
) -> Result<f64> {
    assert_eq!(rows.len(), batches.len() * d, "{d} values a cell");
    let rows = components(rows, d, observer)?;
    let d = d.min(COMPONENTS);
    let n_batches = batches.iter().max().map_or(0, |last| last + 1);
    let mut sizes = vec![0.0; n_batches];
    let mut sums = vec![0.0; n_batches * d];
    for (row, &batch) in rows.chunks(d.max(1)).zip(batches) {
        sizes[batch] += 1.0;
        let sums = &mut sums[batch * d..(batch + 1) * d];
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let n = batches.len() as f64;
    let mean: Vec<f64> =
        (0..d).map(|i| sums[i..].iter().step_by(d).sum::<f64>() / n.max(1.0)).collect();
    let total: f64 = rows
        .chunks(d.max(1))
        .flat_map(|row| row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)))
        .sum();
    let between = |(batch, &size): (usize, &f64)| -> f64 {
        let of = &sums[batch * d..(batch + 1) * d];
        of.iter().zip(&mean).map(|(sum, mean)| (sum / size - mean).powi(2)).sum::<f64>() * size
    };
    let between: f64 = sizes.iter().enumerate().filter(|(_, size)| **size > 0.0).map(between).sum();
    Ok(if total > 0.0 { between / total } else { 0.0 })
}

/// The rows in their first [`COMPONENTS`] principal components, if they have more dimensions.
fn components<'a>(rows: &'a [f32], d: usize, observer: &dyn Observer) -> Result<Cow<'a, [f32]>> {
    if d <= COMPONENTS {
        return Ok(Cow::Borrowed(rows));
    }
    let mut products = Products::new(d);
    products.add_rows(rows, observer)?;
    let principal = products.principal(COMPONENTS, observer)?;
    let all: Vec<u32> = (0..).take(d).collect();
    let project = |row: &[f32]| {
        observer.check_cancelled()?;
        Ok(principal.project(&all, row))
    };
    let rows: Vec<Vec<f32>> = rows.par_chunks(d).map(project).collect::<Result<_>>()?;
    Ok(Cow::Owned(rows.concat()))
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn apart_mixed_and_alone() {
        // Two labels far apart, the batches of each at the same places.
        let rows = [0.0, 0.0, 1.0, 1.0, 100.0, 100.0, 101.0, 101.0];
        let (labels, batches) = ([0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 0, 1, 0, 1]);
        assert!(label_separation(&rows, 1, &labels, &Silent).unwrap() > 0.98);
        let mixed = batch_mixing(&rows, 1, &labels, &batches, &Silent).unwrap().unwrap();
        // Within a batch the other cell is 1 away, in the other batch they are 0 and 1 away.
        assert!((mixed - 0.5).abs() < 1e-9, "{mixed}");
        assert!(batch_variance(&rows, 1, &batches, &Silent).unwrap() < 1e-12);
        assert!(batch_variance(&rows, 1, &labels, &Silent).unwrap() > 0.999);
        assert!(silhouettes(&[0.0, 5.0, 6.0], 1, &[0, 1, 1], &Silent).unwrap()[0].abs() < 1e-12);
        assert_eq!(silhouettes(&[0.0, 5.0], 1, &[0, 0], &Silent).unwrap(), [0.0, 0.0]);
        assert_eq!(batch_mixing(&rows, 1, &labels, &[0; 8], &Silent).unwrap(), None);
    }

    #[test]
    fn variance_of_batches_is_that_of_scib() {
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let value = |cell: u8, i: u8| {
            let batch = if cell % 3 == 1 && i.is_multiple_of(4) { 0.5 } else { 0.0 };
            let (cell, i) = (f64::from(cell), f64::from(i));
            ((1.7 * cell + 0.9 * i + 0.013 * cell * i).sin() * (1.0 - i / 70.0) + batch) as f32
        };
        let rows: Vec<f32> =
            (0..120).flat_map(|cell| (0..60).map(move |i| value(cell, i))).collect();
        let batches: Vec<usize> = (0..120).map(|cell| cell % 3).collect();
        // scib.metrics.pcr of scib 1.1.7, of 50 components.
        let found = batch_variance(&rows, 60, &batches, &Silent).unwrap();
        assert!((found - 0.123_680_708).abs() < 1e-5, "{found}");
    }
}
