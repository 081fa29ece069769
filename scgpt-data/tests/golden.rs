//! Parity with the reference: every golden case about host-side data.

use scgpt_data::{BinScratch, Binner, TieMode};
use scgpt_fixtures::{Case, Tensors, cases};

/// Rows of a `[n, m]` tensor.
fn rows(tensors: &Tensors, name: &str) -> Vec<Vec<f32>> {
    let width = tensors.shape(name)[1];
    let values = tensors.f32(name);
    (0..tensors.shape(name)[0])
        .map(|row| values[row * width..(row + 1) * width].to_vec())
        .collect()
}

#[test]
fn golden_binning() {
    for case in cases(|case| case.name.starts_with("preprocess_binning")) {
        binning(&case);
    }
}

fn binning(case: &Case) {
    let data = case.tensors("data.safetensors");
    let [n_cells, n_genes] = [0, 1].map(|axis| data.shape("log1p")[axis]);
    let mut counts = vec![vec![0.0; n_genes]; n_cells];
    let offsets = data.i64("csr_indptr");
    let (columns, values) = (data.i64("csr_indices"), data.f32("csr_data"));
    for (cell, ends) in offsets.windows(2).enumerate() {
        for entry in ends[0] as usize..ends[1] as usize {
            counts[cell][columns[entry] as usize] = values[entry];
        }
    }
    let logged = rows(&data, "log1p");
    for (prefix, n_bins, input) in [("", 51, &logged), ("", 11, &logged), ("raw_", 51, &counts)] {
        let name = |what: &str| format!("{prefix}{what}_{n_bins}");
        let edges = data.f64(&name("bin_edges"));
        let n_edges = usize::from(n_bins) - 1;
        let [lower, upper, half] =
            ["bin_lower", "bin_upper", "binned_half"].map(|what| rows(&data, &name(what)));
        let mut scratch = BinScratch::default();
        for (cell, values) in input.iter().enumerate() {
            let mut bin = |mode, draw: &dyn Fn(usize) -> f64| {
                let mut bins = values.clone();
                Binner::new(n_bins, mode)
                    .unwrap()
                    .bin(&mut bins, draw, &mut scratch);
                bins
            };
            let what = format!("{}: cell {cell}, {n_bins} bins", case.name);
            assert_eq!(bin(TieMode::Upper, &|_| 0.0), upper[cell], "{what}, upper");
            assert_eq!(
                bin(TieMode::Midpoint, &|_| 0.0),
                half[cell],
                "{what}, midpoint"
            );
            let last = 1.0 - f64::EPSILON / 2.0;
            assert_eq!(
                bin(TieMode::Random, &|_| 0.0),
                upper[cell],
                "{what}, first draw"
            );
            assert_eq!(
                bin(TieMode::Random, &|_| last),
                lower[cell],
                "{what}, last draw"
            );
            let expected = &edges[cell * n_edges..(cell + 1) * n_edges];
            if scratch.edges().is_empty() {
                assert!(expected.iter().all(|&edge| edge == 0.0), "{what}, edges");
            } else {
                assert_eq!(scratch.edges(), expected, "{what}, edges");
            }
        }
    }
}
