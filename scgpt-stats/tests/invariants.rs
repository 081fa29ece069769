//! What must hold of any numbers.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::collections::BTreeSet;

use proptest::{array::uniform3, collection::vec, prelude::*};
use scgpt_data::Silent;
use scgpt_stats::{
    Graph, Products, SparseCell, adjusted_rand_index, area_under_roc, first_halves, leiden,
    matching_accuracy, mean_ranks, normalised_mutual_information, pearson, silhouettes, stratified,
    subsample,
};

/// Two labellings of the same cells, and an order of the cells.
fn labellings() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, Vec<usize>)> {
    (1..60_usize).prop_flat_map(|n| {
        let order = Just((0..n).collect::<Vec<usize>>()).prop_shuffle();
        (vec(0..5_usize, n), vec(0..4_usize, n), order)
    })
}

/// Cells in three dimensions, and their classes.
fn classes() -> impl Strategy<Value = (Vec<f32>, Vec<usize>)> {
    (2..40_usize).prop_flat_map(|n| (vec(-9.0..9.0_f32, 3 * n), vec(0..4_usize, n)))
}

/// An undirected graph of up to 30 nodes.
fn graph() -> impl Strategy<Value = (usize, Vec<(usize, usize, f64)>)> {
    (2..30_usize).prop_flat_map(|n| {
        let edge = (0..n, 1..n, 0.1..3.0_f64).prop_map(move |(a, by, x)| (a, (a + by) % n, x));
        (Just(n), vec(edge, 0..80))
    })
}

/// Sparse cells of six values.
fn cells() -> impl Strategy<Value = Vec<SparseCell>> {
    let cell = vec(proptest::option::of(-5.0..5.0_f32), 6).prop_map(|values| {
        let known = (0..6).zip(values).filter_map(|(i, value)| Some((i, value?)));
        known.unzip()
    });
    vec(cell, 2..50)
}

fn reordered<T: Clone>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&place| values[place].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn agreement_knows_neither_sides_nor_names_nor_orders((a, b, order) in labellings()) {
        for score in [adjusted_rand_index, normalised_mutual_information] {
            let found = score(&a, &b);
            prop_assert!((-0.5 - 1e-9..=1.0 + 1e-9).contains(&found), "{}", found);
            prop_assert!((found - score(&b, &a)).abs() < 1e-9);
            let renamed: Vec<usize> = a.iter().map(|label| 7 * (4 - label) + 1).collect();
            prop_assert!((found - score(&renamed, &b)).abs() < 1e-9);
            let moved = score(&reordered(&a, &order), &reordered(&b, &order));
            prop_assert!((found - moved).abs() < 1e-9);
            prop_assert!((score(&a, &renamed) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn silhouettes_are_shares_and_know_no_unit((rows, codes) in classes()) {
        let found = silhouettes(&rows, 3, &codes, &Silent).unwrap();
        prop_assert!(found.iter().all(|x| (-1.0..=1.0).contains(x)), "{:?}", found);
        let moved: Vec<f32> = rows.iter().map(|x| 4.0 * x + 1.0).collect();
        let others = silhouettes(&moved, 3, &codes, &Silent).unwrap();
        prop_assert!(found.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-3));
        for (cell, code) in codes.iter().enumerate() {
            let is_alone = codes.iter().filter(|other| *other == code).count() == 1;
            prop_assert!(!is_alone || found[cell] == 0.0);
        }
    }

    #[test]
    fn matches_know_neither_sides_nor_orders_and_copies_are_all_found(
        (first, order) in (2..40_usize).prop_flat_map(|n| {
            let order = Just((0..n).collect::<Vec<usize>>()).prop_shuffle();
            (vec(uniform3(-9..9_i8).prop_map(|row| row.map(f32::from)), n), order)
        }),
        noise in vec(uniform3(-1..2_i8), 40),
    ) {
        let blur = |(row, noise): (&[f32; 3], &[i8; 3])| {
            std::array::from_fn(|i| row[i] + 0.37 * f32::from(noise[i]))
        };
        let second: Vec<[f32; 3]> = first.iter().zip(&noise).map(blur).collect();
        let found = |a: &[[f32; 3]], b: &[[f32; 3]]| {
            matching_accuracy(a.as_flattened(), b.as_flattened(), 3, &Silent).unwrap()
        };
        let share = found(&first, &second);
        prop_assert!((0.0..=1.0).contains(&share));
        prop_assert!((share - found(&second, &first)).abs() < 1e-12);
        let mut distinct = first.clone();
        distinct.sort_by(|a, b| a.partial_cmp(b).unwrap());
        distinct.dedup();
        // Of equal rows one is found.
        let copies = distinct.len() as f64 / first.len() as f64;
        prop_assert!((found(&first, &first) - copies).abs() < 1e-12);
        if distinct.len() == first.len() {
            let moved = found(&reordered(&distinct, &order), &reordered(&distinct, &order));
            prop_assert!((moved - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn communities_hang_together_and_are_no_worse_than_nodes_alone(
        (n, edges) in graph(), seed in 0..5_u64, resolution in 0.2..2.0_f64,
    ) {
        let graph = Graph::from_edges(n, edges);
        let found = leiden(&graph, resolution, seed, &Silent).unwrap();
        let n_found = found.iter().max().unwrap() + 1;
        let sizes: Vec<usize> =
            (0..n_found).map(|c| found.iter().filter(|&&other| other == c).count()).collect();
        prop_assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes.last() > Some(&0), "{:?}", sizes);
        for (community, &size) in sizes.iter().enumerate() {
            let first = found.iter().position(|&other| other == community).unwrap();
            let (mut reached, mut waiting) = (BTreeSet::from([first]), vec![first]);
            while let Some(node) = waiting.pop() {
                let inside = graph.neighbours(node).filter(|&other| found[other] == community);
                waiting.extend(inside.filter(|&other| reached.insert(other)));
            }
            prop_assert_eq!(reached.len(), size, "community {} is in parts", community);
        }
        let alone: Vec<usize> = (0..n).collect();
        let [reached, before] = [&found, &alone].map(|c| graph.modularity(c, resolution));
        prop_assert!(reached >= before - 1e-9, "{} {}", reached, before);
    }

    #[test]
    fn components_know_no_order_of_cells(cells in cells(), at in 0..50_usize) {
        let principal = |cells: &[SparseCell], at: usize| {
            let mut products = Products::new(6);
            let (first, second) = cells.split_at(at.min(cells.len()));
            products.add(first);
            products.add(second);
            products.principal(3, &Silent).unwrap()
        };
        let found = principal(&cells, 0);
        let shares: f64 = found.shares().iter().sum();
        prop_assert!(shares <= 1.0 + 1e-9 && found.shares().iter().all(|share| *share > -1e-9));
        // How cells are divided into calls changes nothing at all.
        let parted = principal(&cells, at);
        prop_assert_eq!(parted.shares(), found.shares());
        let turned: Vec<SparseCell> = cells.iter().rev().cloned().collect();
        let turned = principal(&turned, 0);
        for (a, b) in found.shares().iter().zip(turned.shares()) {
            prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
        }
        // No distance grows by being projected.
        let place = |cell: &SparseCell| found.project(&cell.0, &cell.1);
        let whole = |cell: &SparseCell| {
            let mut row = [0.0_f32; 6];
            cell.0.iter().zip(&cell.1).for_each(|(&i, &x)| row[i as usize] = x);
            row
        };
        let apart = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
        };
        for pair in cells.windows(2) {
            let projected = apart(&place(&pair[0]), &place(&pair[1]));
            prop_assert!(projected <= apart(&whole(&pair[0]), &whole(&pair[1])) + 1e-4);
        }
    }

    #[test]
    fn parts_are_a_partition(
        codes in vec(proptest::option::of(0..5_u32), 0..80),
        shares in (0.0..0.5_f64, 0.0..0.5_f64),
        seed in 0..9_u64,
    ) {
        let parts: [Vec<usize>; 3] = stratified(&codes, &[shares.0, shares.1], seed);
        let mut all = parts.concat();
        all.sort_unstable();
        let labelled: Vec<usize> = (0..codes.len()).filter(|&cell| codes[cell].is_some()).collect();
        prop_assert_eq!(all, labelled);
        for code in codes.iter().flatten() {
            prop_assert!(parts[0].iter().any(|&cell| codes[cell] == Some(*code)));
        }
    }

    #[test]
    fn samples_grow_and_halves_are_halves(
        n in 0..200_usize, limit in 0..200_usize, seed in 0..9_u64,
        groups in vec(proptest::option::of(0..3_u32), 0..60),
    ) {
        let (less, more) = (subsample(n, limit, seed), subsample(n, limit + 1, seed));
        prop_assert_eq!(less.len(), limit.min(n));
        prop_assert!(less.iter().all(|cell| *cell < n && more.contains(cell)));
        let numbers: Vec<u64> = (0..groups.len() as u64).map(|cell| cell * 77).collect();
        let is_first = first_halves(&groups, &numbers, seed);
        for group in 0..3 {
            let of = |half: bool| {
                let cells = groups.iter().zip(&is_first);
                cells.filter(|(g, first)| **g == Some(group) && **first == half).count()
            };
            prop_assert!(of(true) - of(false) <= 1, "{} and {}", of(true), of(false));
        }
    }

    #[test]
    fn ranks_and_what_is_made_of_them(
        pairs in vec((-9_i8..9, any::<bool>(), -9.0..9.0_f64), 2..60),
    ) {
        let scores: Vec<f32> = pairs.iter().map(|pair| f32::from(pair.0)).collect();
        let answers: Vec<bool> = pairs.iter().map(|pair| pair.1).collect();
        let n = pairs.len() as f64;
        let ranks = mean_ranks(&scores);
        prop_assert!((ranks.iter().sum::<f64>() - n * (n - 1.0) / 2.0).abs() < 1e-9);
        let area = |f: fn(f32) -> f32| {
            area_under_roc(&scores.iter().map(|&x| f(x)).collect::<Vec<_>>(), &answers, &Silent).unwrap()
        };
        if let (Some(up), Some(down), Some(bent)) = (area(|x| x), area(|x| -x), area(f32::exp)) {
            prop_assert!((0.0..=1.0).contains(&up) && (up + down - 1.0).abs() < 1e-9);
            prop_assert!((up - bent).abs() < 1e-9);
        }
        let others: Vec<f64> = pairs.iter().map(|pair| pair.2).collect();
        let scaled: Vec<f64> = ranks.iter().map(|rank| 5.0 - 2.0 * rank).collect();
        let found = pearson(&ranks, &others);
        prop_assert!(found.abs() <= 1.0 + 1e-12);
        prop_assert!((found - pearson(&others, &ranks)).abs() < 1e-12);
        prop_assert!((found + pearson(&scaled, &others)).abs() < 1e-9);
    }
}
