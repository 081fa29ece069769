//! What must hold of any results.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use scgpt_data::{Csr, Frame, Layer, MemoryCells, Silent};
use scgpt_eval::{
    baseline::{ModalitySpace, lsi, weighted_neighbours},
    network::{Consistency, GenePairs, benjamini_hochberg, p_values},
    perturbation::{Condition, Split, SplitMode},
};

/// Conditions of up to two of eight genes.
fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let condition = vec(0..8_u8, 0..3)
        .prop_map(|genes| Condition::new(genes.into_iter().map(|gene| format!("G{gene}"))));
    vec(condition, 1..60)
}

/// Counts of up to 40 cells in eight peaks, some of them without any.
fn peaks() -> impl Strategy<Value = Vec<(Vec<u32>, Vec<f32>)>> {
    let cell = vec(0..4_u8, 8).prop_map(|counts| {
        let pairs = (0..).zip(counts.into_iter().map(f32::from));
        pairs.filter(|(_, x)| *x > 0.0).unzip()
    });
    vec(cell, 3..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn components_that_remain_are_finite_and_of_one_scale(rows in peaks()) {
        let n = rows.len();
        let names = |of: &str, n: usize| Frame::of_names((0..n).map(|i| format!("{of}{i}")));
        let matrix = Csr::of_rows(8, rows).unwrap();
        let mut cells = MemoryCells::of(matrix, names("cell", n), names("peak", 8)).unwrap();
        let found = lsi(&mut cells, &Layer::X, 5, &Silent).unwrap();
        prop_assert!(found.n_components > 0 && found.n_components + found.of_depth.len() <= 5);
        prop_assert!(found.of_depth.iter().all(|of| of.correlation.abs() > 0.75));
        for i in 0..found.n_components {
            let column = found.rows.iter().skip(i).step_by(found.n_components);
            let column: Vec<f64> = column.copied().map(f64::from).collect();
            let mean = column.iter().sum::<f64>() / n as f64;
            let variance = column.iter().map(|x| x * x).sum::<f64>() / n as f64;
            prop_assert!(mean.abs() < 1e-5, "{}", mean);
            prop_assert!((variance - 1.0).abs() < 1e-4 || variance == 0.0, "{}", variance);
        }
    }

    #[test]
    fn weights_of_modalities_are_shares_and_know_no_unit(
        rows in vec(-1.0..1.0_f32, 2 * 3 * 30), unit in 0..6_i32,
    ) {
        let (first, second) = rows.split_at(90);
        // A power of two, by which nothing is rounded.
        let scaled: Vec<f32> = second.iter().map(|x| x * 2_f32.powi(unit)).collect();
        let of = |second: &[f32]| {
            let spaces = [first, second].map(|rows| ModalitySpace {
                rows,
                width: 3,
                is_measured: &[true; 30],
            });
            weighted_neighbours(&spaces, &Silent).unwrap()
        };
        let found = of(second);
        for weights in found.weights.chunks(2) {
            prop_assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)));
            prop_assert!((weights[0] + weights[1] - 1.0).abs() < 1e-12);
        }
        prop_assert_eq!(&found.weights, &of(&scaled).weights);
        prop_assert_eq!(found.graph, of(&scaled).graph);
    }

    #[test]
    fn discovery_rates_rise_with_p_and_are_no_less(
        p in vec(0.0..=1.0_f64, 1..80), further in 0..40_usize,
    ) {
        let n = p.len() + further;
        let q = benjamini_hochberg(&p, n, &Silent).unwrap();
        for (a, b) in p.iter().zip(&q) {
            // `p · n / n` may be rounded.
            prop_assert!(*a <= *b + 1e-12 && *b <= 1.0, "{} {}", a, b);
            // No more than Bonferroni's.
            prop_assert!(*b <= (a * n as f64).min(1.0) + 1e-12);
        }
        let mut pairs: Vec<(f64, f64)> = p.iter().copied().zip(q).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assert!(pairs.is_sorted_by(|a, b| a.1 <= b.1), "{:?}", pairs);
        // Where they are at most 5 %, that share of as many tests is at most their p.
        let found = pairs.iter().filter(|pair| pair.1 <= 0.05).count();
        let largest = pairs[..found].last().map_or(0.0, |pair| pair.0);
        prop_assert!(largest <= 0.05 * found as f64 / n as f64 + 1e-12);
    }

    #[test]
    fn chances_fall_with_scores_and_are_never_none(
        observed in vec(-3.0..3.0_f32, 1..40), null in vec(-3.0..3.0_f32, 0..80),
    ) {
        let found = p_values(&observed, &mut null.clone(), &Silent).unwrap();
        let least = 1.0 / (1 + null.len()) as f64;
        prop_assert!(found.iter().all(|p| (least..=1.0).contains(p)), "{:?}", found);
        for (a, p) in observed.iter().zip(&found) {
            for (b, q) in observed.iter().zip(&found) {
                prop_assert!(a > b || p >= q, "{} has {} and {} has {}", a, p, b, q);
            }
            let as_large = null.iter().filter(|x| *x >= a).count();
            prop_assert!((p - (1 + as_large) as f64 * least).abs() < 1e-12);
        }
    }

    #[test]
    fn parts_of_a_split_have_no_condition_in_common(
        conditions in conditions(), seed in 0..9_u64, mode in 0..8_usize,
    ) {
        let mode = [
            SplitMode::Simulation, SplitMode::SimulationSingle, SplitMode::Single,
            SplitMode::ComboSeen0, SplitMode::ComboSeen1, SplitMode::ComboSeen2,
            SplitMode::NoTest, SplitMode::NoSplit,
        ][mode];
        let Ok(split) = Split::new(&conditions, mode, seed) else { return Ok(()) };
        let parts = [&split.train, &split.validation, &split.test];
        let all: BTreeSet<&String> = parts.into_iter().flatten().collect();
        prop_assert_eq!(all.len(), parts.iter().map(|part| part.len()).sum::<usize>());
        let known: BTreeSet<String> = conditions.iter().map(ToString::to_string).collect();
        prop_assert!(all.iter().all(|name| known.contains(*name) && *name != "ctrl"));
        let of_groups: BTreeSet<&String> = split.test_subgroup.values().flatten().collect();
        prop_assert_eq!(of_groups, split.test.iter().collect::<BTreeSet<_>>());
        // What else is in the data does not matter, nor in which order it is.
        let mut turned = conditions.clone();
        turned.reverse();
        turned.push(Condition::default());
        prop_assert_eq!(Split::new(&turned, mode, seed).unwrap(), split);
    }

    #[test]
    fn conditions_are_read_as_they_are_written(genes in vec("[A-Z][A-Z0-9.-]{0,6}", 0..4)) {
        let condition = Condition::new(genes.clone());
        let turned = Condition::new(genes.into_iter().rev());
        prop_assert_eq!(&condition, &turned);
        prop_assert_eq!(Condition::parse(&condition.to_string(), "+", "ctrl").unwrap(), condition);
    }

    #[test]
    fn cosines_know_neither_sides_nor_lengths(
        rows in vec(-4.0..4.0_f32, 3 * 8), factor in 0.5..9.0_f32,
    ) {
        let pairs = GenePairs::cosines(&rows, 3, &Silent).unwrap();
        let longer: Vec<f32> = rows.iter().map(|x| factor * x).collect();
        let others = GenePairs::cosines(&longer, 3, &Silent).unwrap();
        for (i, j, value) in pairs.iter() {
            prop_assert!(value.abs() <= 1.0 + 1e-6);
            prop_assert!((value - others.get(j, i)).abs() < 1e-5);
        }
        for gene in 0..8 {
            let strongest = pairs.strongest(gene, 20);
            prop_assert!(strongest.len() == 7 && strongest.is_sorted_by(|a, b| a.1 >= b.1));
        }
    }

    #[test]
    fn consistency_knows_no_sides(
        weights in vec((0.0..1.0_f32, 0.0..1.0_f32), 3..60), top in 1..20_usize,
    ) {
        let (a, b): (Vec<f32>, Vec<f32>) = weights.into_iter().unzip();
        let Some(found) = Consistency::of(&a, &b, top, &Silent).unwrap() else { return Ok(()) };
        let turned = Consistency::of(&b, &a, top, &Silent).unwrap().unwrap();
        prop_assert!((found.spearman - turned.spearman).abs() < 1e-9);
        prop_assert!((found.jaccard - turned.jaccard).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&found.jaccard) && found.spearman.abs() <= 1.0 + 1e-9);
        if let Some(same) = Consistency::of(&a, &a, top, &Silent).unwrap() {
            prop_assert!((same.jaccard - 1.0).abs() < 1e-12);
        }
    }
}
