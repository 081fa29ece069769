//! Choices among the cells of a file by their names, so that their order does not matter.

use scgpt_data::{Keyed, Purpose};

/// At most `n` of the `cells`, ascending, chosen by the seed and by `numbers`, one for every cell of the
/// file: hashes of their names, so that the order of cells does not matter.
pub fn sampled(mut cells: Vec<usize>, numbers: &[u64], n: usize, seed: u64) -> Vec<usize> {
    let key = Keyed::new(seed, Purpose::Sample, u64::MAX, 0);
    cells.sort_by_key(|&cell| key.bits(numbers[cell]));
    cells.truncate(n);
    cells.sort_unstable();
    cells
}

/// Two random halves of the cells, chosen by the seed and by `numbers`, one a cell: whether each
/// cell belongs to the second half.
pub fn halves(numbers: &[u64], seed: u64) -> Vec<bool> {
    let key = Keyed::new(seed, Purpose::HoldOut, 2, 0);
    numbers.iter().map(|&number| key.bits(number) & 1 == 1).collect()
}

/// Whether each cell is in the first half of its group. Within a group, cells are ordered at random
/// by the seed and their `numbers`, and every second one is taken, so that of two cells each is a
/// half. Cells without a group are in neither half.
pub fn first_halves(groups: &[Option<u32>], numbers: &[u64], seed: u64) -> Vec<bool> {
    let key = Keyed::new(seed, Purpose::HoldOut, 1, 0);
    let cells = groups.iter().zip(numbers).enumerate();
    let mut cells: Vec<(u32, u64, usize)> =
        cells.filter_map(|(cell, (group, &n))| Some(((*group)?, key.bits(n), cell))).collect();
    cells.sort_unstable();
    let mut is_first = vec![false; groups.len()];
    for group in cells.chunk_by(|a, b| a.0 == b.0) {
        group.iter().step_by(2).for_each(|&(.., cell)| is_first[cell] = true);
    }
    is_first
}

/// Up to `limit` of `n` cells, ascending, chosen by `seed` alone.
pub fn subsample(n: usize, limit: usize, seed: u64) -> Vec<usize> {
    let key = Keyed::new(seed, Purpose::Sample, 0, u64::MAX);
    let mut ranked: Vec<(u64, usize)> = (0..n).map(|cell| (key.bits(cell as u64), cell)).collect();
    ranked.sort_unstable();
    let mut chosen: Vec<usize> = ranked.into_iter().take(limit).map(|(_, cell)| cell).collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scgpt_data::Frame;

    use super::*;

    fn obs(names: impl Iterator<Item = usize>) -> Frame {
        Frame { index: names.map(|cell| format!("cell{cell}")).collect(), ..Frame::default() }
    }

    #[test]
    fn samples_ascend_and_are_keyed() {
        let (cells, numbers): (Vec<usize>, Vec<u64>) = (0..50).zip(0..).unzip();
        let some = sampled(cells.clone(), &numbers, 10, 1);
        assert!(some.len() == 10 && some.is_sorted());
        assert_ne!(some, sampled(cells.clone(), &numbers, 10, 2));
        assert_eq!(sampled(cells.clone(), &numbers, 99, 1), cells);
    }

    #[test]
    fn halves_are_halves() {
        let numbers = obs(0..10_000).cell_keys();
        let n = halves(&numbers, 3).into_iter().filter(|&is_second| is_second).count();
        assert!((4800..5200).contains(&n), "{n}");
        assert_ne!(halves(&numbers[..100], 3), halves(&numbers[..100], 4));
    }

    #[test]
    fn the_order_of_cells_decides_nothing() {
        let chosen = |order: Vec<usize>| {
            let numbers = obs(order.iter().copied()).cell_keys();
            let second = halves(&numbers, 5);
            let some = sampled((0..order.len()).collect(), &numbers, 20, 5);
            some.into_iter().map(|at| (order[at], second[at])).collect::<BTreeSet<_>>()
        };
        assert_eq!(chosen((0..100).collect()), chosen((0..100).rev().collect()));
    }

    #[test]
    fn subsample_is_ascending_and_keyed() {
        let chosen = subsample(100, 10, 3);
        assert!(chosen.len() == 10 && chosen.is_sorted());
        assert_eq!(chosen, subsample(100, 10, 3));
        assert_ne!(chosen, subsample(100, 10, 4));
        assert_eq!(subsample(3, 10, 0), [0, 1, 2]);
    }
}
