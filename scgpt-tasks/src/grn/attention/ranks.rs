//! [`rank_sums`]: ranks of attention, within each query, then within each key.
//!
//! Scores of different queries, heads and cells are not in one unit; ranks are. The second ranking
//! asks not what a query prefers, but which queries prefer a key more than others do, so a gene
//! that all look at has no advantage. Rows are sorted, `m² log m` a head; their ranks are whole
//! numbers below `m`, so columns are sorted by counting, `m²`.

use rayon::prelude::*;

/// Turns one cell's scores, `[h, m, m]` (queries × keys), into ranks summed over heads, `[m, m]`: a
/// row a *key*, so that all that attend to a gene lie together.
///
/// Every row of scores is replaced by the ranks of its entries, from 0, then every column of that
/// by its ranks; of equal entries the first comes first. Divided by `h · m` this is the mean over
/// heads of ranks as shares.
///
/// # Panics
/// If there are more than 65 536 tokens.
///
/// # Reference
/// `Tutorial_Attention_GRN.ipynb`. Differs: equal entries, common among columns of ranks, are
/// ordered by position; a sort there may order them in any way.
pub(super) fn rank_sums(scores: &[f32], m: usize) -> Vec<u32> {
    assert!(m <= 1 << 16, "{m} tokens");
    let heads: Vec<Vec<u16>> =
        scores.par_chunks_exact(m * m).map(|head| column_ranks(&row_ranks(head, m), m)).collect();
    let mut sums = vec![0; m * m];
    sums.par_chunks_mut(m).enumerate().for_each(|(key, sums)| {
        for head in &heads {
            let ranks = &head[key * m..(key + 1) * m];
            sums.iter_mut().zip(ranks).for_each(|(sum, &rank)| *sum += u32::from(rank));
        }
    });
    sums
}

/// Ranks within each row of scores, `[queries, keys]`, from 0, transposed: a row a key.
fn row_ranks(scores: &[f32], m: usize) -> Vec<u16> {
    let mut ranks = vec![0; m * m];
    let mut order: Vec<u64> = Vec::with_capacity(m);
    for (query, row) in scores.chunks_exact(m).enumerate() {
        order.clear();
        // Ordered bits above the position: one sort, in which equal scores stay in order.
        order.extend((0..).zip(row).map(|(key, &score)| u64::from(ordered(score)) << 32 | key));
        order.sort_unstable();
        for (rank, &entry) in (0..).zip(&order) {
            #[allow(clippy::cast_possible_truncation, reason = "the lower half on purpose")]
            let key = entry as u32 as usize;
            ranks[key * m + query] = rank;
        }
    }
    ranks
}

/// Ranks within each row of numbers below `m`, by counting. The rows are those of [`row_ranks`], so
/// they are the columns of the scores.
fn column_ranks(ranks: &[u16], m: usize) -> Vec<u16> {
    let mut places = vec![0_u32; m + 1];
    let mut ranked = vec![0; m * m];
    for (from, to) in ranks.chunks_exact(m).zip(ranked.chunks_exact_mut(m)) {
        places.fill(0);
        for &rank in from {
            places[usize::from(rank) + 1] += 1;
        }
        for rank in 1..=m {
            places[rank] += places[rank - 1];
        }
        for (&rank, to) in from.iter().zip(to) {
            let place = &mut places[usize::from(rank)];
            #[allow(clippy::cast_possible_truncation, reason = "a place among m")]
            let found = *place as u16;
            *to = found;
            *place += 1;
        }
    }
    ranked
}

/// Bits whose order as whole numbers is that of the values; both zeros are one.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_then_columns_are_ranked_and_ties_stay_in_order() {
        // Rows: [2 0 1], [0 1 2] (a tie), [1 2 0]; columns of these: [2 0 1], [0 1 2], [1 2 0].
        let scores = [0.5, -0.1, 0.0, -2.0, 1.0, 1.0, 3.0, 4.0, -0.0];
        assert_eq!(row_ranks(&scores, 3), [2, 0, 1, 0, 1, 2, 1, 2, 0]);
        // Keys: 2 0 1 → 2 0 1; 0 1 2 → 0 1 2; 1 2 0 → 1 2 0.
        assert_eq!(rank_sums(&scores, 3), [2, 0, 1, 0, 1, 2, 1, 2, 0]);
        let twice = [scores, scores].concat();
        assert_eq!(rank_sums(&twice, 3), [4, 0, 2, 0, 2, 4, 2, 4, 0]);
        // Both zeros are equal; three equal ranks in a column are in the order of the queries.
        assert_eq!(rank_sums(&[0.0, -0.0, -0.0, 0.0], 2), [0, 1, 0, 1]);
    }
}
