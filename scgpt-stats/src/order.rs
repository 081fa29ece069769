//! [`order`]: sorting of so many that it takes long.

use std::cmp::Ordering;

use rayon::prelude::*;
use scgpt_data::{Observer, Result};

/// Values that are sorted between two questions to an observer.
const RUN: usize = 1 << 18;

/// The places of values in the order that `compare` says; those of equal ones ascend.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// ```
/// use scgpt_data::Silent;
///
/// let largest = scgpt_stats::order(&[0.5, 2.0, 0.1, 2.0_f64], |a, b| b.total_cmp(a), &Silent)?;
/// assert_eq!(largest, [1, 3, 0, 2]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
pub fn order<T: Sync>(
    values: &[T],
    compare: impl Fn(&T, &T) -> Ordering + Sync,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let compare = |a: &usize, b: &usize| compare(&values[*a], &values[*b]).then(a.cmp(b));
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.par_chunks_mut(RUN).try_for_each(|run| -> Result<()> {
        observer.check_cancelled()?;
        run.sort_unstable_by(compare);
        Ok(())
    })?;
    // What is left is to merge the runs, which takes a fraction of the time.
    places.par_sort_by(compare);
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn runs_are_merged_and_places_of_equal_values_ascend() {
        let values: Vec<usize> = (0..2 * RUN + 77).map(|i| i * 7919 % 1000).collect();
        let sorted = |observer: &dyn Observer| order(&values, usize::cmp, observer);
        let found = sorted(&scgpt_data::Silent).unwrap();
        assert!(found.is_sorted_by_key(|&place| (values[place], place)));
        assert_eq!((found.len(), questions(sorted)), (values.len(), 3));
    }
}
