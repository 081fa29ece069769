//! [`column_means`]: what rows have in common.

/// The mean of each of the `d` columns of some rows, `[d]`; zeros without rows.
///
/// ```
/// use scgpt_stats::column_means;
///
/// let rows = [1.0, 2.0, 3.0, 6.0];
/// assert_eq!(column_means(rows.chunks_exact(2), 2), [2.0, 4.0]);
/// ```
pub fn column_means<'r>(rows: impl Iterator<Item = &'r [f32]>, d: usize) -> Vec<f64> {
    let (mut n, mut sums) = (0_usize, vec![0.0; d]);
    for row in rows {
        n += 1;
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sums.into_iter().map(|sum| sum / n.max(1) as f64).collect()
}
