//! [`adjusted_rand_index`] and [`normalised_mutual_information`].

use std::collections::BTreeMap;

/// Numbers for labels: equal labels have equal numbers, `0..` in the order of the labels.
pub fn label_codes<T: Ord>(labels: &[T]) -> Vec<usize> {
    let mut distinct: Vec<&T> = labels.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    // Every label is among the distinct ones: the position is the same whether found or not.
    labels.iter().map(|label| distinct.partition_point(|&other| other < label)).collect()
}

/// Share of pairs of cells that two labellings treat alike, corrected for chance: 1 if they are
/// the same up to names, about 0 if they are unrelated, at least -0.5.
///
/// It is 1 for fewer than two cells, and if both labellings have one label, or one per cell.
///
/// # Panics
/// If there is not one label per cell in both.
///
/// # Reference
/// `sklearn.metrics.adjusted_rand_score`; Hubert and Arabie 1985.
pub fn adjusted_rand_index(a: &[usize], b: &[usize]) -> f64 {
    let table = Contingency::new(a, b);
    let pairs = |counts: &mut dyn Iterator<Item = u64>| {
        counts.map(|n| i128::from(n) * (i128::from(n) - 1) / 2).sum::<i128>()
    };
    // Pairs that are together: in both, in `a` and in `b`. Whole numbers: no cancellation.
    let both = pairs(&mut table.cells.values().copied());
    let in_a = pairs(&mut table.a.values().copied());
    let in_b = pairs(&mut table.b.values().copied());
    let all = pairs(&mut std::iter::once(table.n));
    let (only_a, only_b) = (in_a - both, in_b - both);
    if only_a == 0 && only_b == 0 {
        return 1.0;
    }
    let neither = all - both - only_a - only_b;
    let excess = 2 * (both * neither - only_a * only_b);
    let scale = in_a * (all - in_b) + in_b * (all - in_a);
    ratio(excess, scale)
}

/// Information that two labellings share, divided by the mean of their entropies: from 0 for
/// unrelated ones to 1 for the same up to names.
///
/// It is 1 if both labellings have one label (or there are no cells), 0 if only one of them has.
///
/// # Panics
/// If there is not one label per cell in both.
///
/// # Reference
/// `sklearn.metrics.normalized_mutual_info_score` with `average_method="arithmetic"`, which is
/// `scib.metrics.nmi`.
pub fn normalised_mutual_information(a: &[usize], b: &[usize]) -> f64 {
    let table = Contingency::new(a, b);
    if table.cells.len() == table.a.len() && table.cells.len() == table.b.len() {
        // The same up to names: rounding would make it a little more or less than 1.
        return 1.0;
    }
    let n = table.n as f64;
    let shared: f64 = table
        .cells
        .iter()
        .map(|((a, b), &count)| {
            let count = count as f64;
            count / n * (count / table.a[a] as f64 * n / table.b[b] as f64).ln()
        })
        .sum();
    if shared <= f64::EPSILON {
        return 0.0;
    }
    let entropy = |counts: &BTreeMap<usize, u64>| {
        counts.values().map(|&count| -(count as f64 / n) * (count as f64 / n).ln()).sum::<f64>()
    };
    (shared / f64::midpoint(entropy(&table.a), entropy(&table.b))).clamp(0.0, 1.0)
}

/// How many cells have each pair of labels, and each label.
struct Contingency {
    cells: BTreeMap<(usize, usize), u64>,
    a: BTreeMap<usize, u64>,
    b: BTreeMap<usize, u64>,
    n: u64,
}

impl Contingency {
    fn new(a: &[usize], b: &[usize]) -> Self {
        assert_eq!(a.len(), b.len(), "both labellings need one label per cell");
        let mut table =
            Self { cells: BTreeMap::new(), a: BTreeMap::new(), b: BTreeMap::new(), n: 0 };
        for (&a, &b) in a.iter().zip(b) {
            *table.cells.entry((a, b)).or_default() += 1;
            *table.a.entry(a).or_default() += 1;
            *table.b.entry(b).or_default() += 1;
            table.n += 1;
        }
        table
    }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio of large counts")]
fn ratio(numerator: i128, denominator: i128) -> f64 {
    numerator as f64 / denominator as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
    }

    #[test]
    fn codes_follow_the_order_of_labels() {
        assert_eq!(label_codes(&["b", "a", "b", "c"]), [1, 0, 1, 2]);
        assert_eq!(label_codes(&[Some("x"), None]), [1, 0]);
    }

    #[test]
    fn names_do_not_matter() {
        let a = [0, 0, 1, 1, 2];
        let b = [7, 7, 3, 3, 5];
        close(adjusted_rand_index(&a, &b), 1.0);
        close(normalised_mutual_information(&a, &b), 1.0);
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "nothing is rounded")]
    fn equal_labellings_share_exactly_all() {
        for n in 2..60 {
            // Clusters of 1, 2, 3, … cells.
            let a: Vec<usize> = (0..n).flat_map(|cluster| vec![cluster; cluster + 1]).collect();
            let b: Vec<usize> = a.iter().map(|cluster| 2 * n - cluster).collect();
            assert_eq!(normalised_mutual_information(&a, &b), 1.0, "{n} clusters");
            assert_eq!(adjusted_rand_index(&a, &b), 1.0);
        }
    }

    #[test]
    fn the_textbook_example() {
        // Two of six cells disagree; worked out by hand from the 2 × 3 table.
        let (a, b) = ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]);
        // Pairs together: 2 in both, 6 in a, 3 in b, of 15.
        let expected = 6.0 * 3.0 / 15.0;
        close(adjusted_rand_index(&a, &b), (2.0 - expected) / (4.5 - expected));
        close(adjusted_rand_index(&a, &b), adjusted_rand_index(&b, &a));
        close(normalised_mutual_information(&a, &b), normalised_mutual_information(&b, &a));
    }

    #[test]
    fn degenerate_labellings_have_the_values_of_the_reference() {
        let (one, each, two) = ([0; 4], [0, 1, 2, 3], [0, 0, 1, 1]);
        for same in [&one, &each] {
            close(adjusted_rand_index(same, same), 1.0);
            close(normalised_mutual_information(same, same), 1.0);
        }
        close(adjusted_rand_index(&one, &two), 0.0);
        close(normalised_mutual_information(&one, &two), 0.0);
        close(adjusted_rand_index(&[], &[]), 1.0);
        close(normalised_mutual_information(&[], &[]), 1.0);
    }

    #[test]
    #[should_panic(expected = "one label per cell")]
    fn lengths_must_agree() {
        adjusted_rand_index(&[0], &[0, 1]);
    }
}
