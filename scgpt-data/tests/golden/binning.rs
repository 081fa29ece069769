//! Cases `preprocess_binning*`.

use scgpt_data::{
    BinScratch, Binner, Csr, TieMode, check_logged, log1p, median_total, normalise_total, totals,
};
use scgpt_fixtures::{Case, Tensors, assert_close, cases};

use crate::rows;

#[test]
fn golden_binning() {
    for case in cases(|case| case.is("preprocess_binning")) {
        binning(&case);
        normalisation(&case);
        logged(&case);
    }
}

fn binning(case: &Case) {
    let data = case.tensors("data.safetensors");
    let counts = dense(&counts(&data));
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
                Binner::new(n_bins, mode).unwrap().bin(&mut bins, draw, &mut scratch);
                bins
            };
            let what = format!("{}: cell {cell}, {n_bins} bins", case.name);
            assert_eq!(bin(TieMode::Upper, &|_| 0.0), upper[cell], "{what}, upper");
            assert_eq!(bin(TieMode::Midpoint, &|_| 0.0), half[cell], "{what}, midpoint");
            let last = 1.0 - f64::EPSILON / 2.0;
            assert_eq!(bin(TieMode::Random, &|_| 0.0), upper[cell], "{what}, first draw");
            assert_eq!(bin(TieMode::Random, &|_| last), lower[cell], "{what}, last draw");
            let expected = &edges[cell * n_edges..(cell + 1) * n_edges];
            if scratch.edges().is_empty() {
                assert!(expected.iter().all(|&edge| edge == 0.0), "{what}, edges");
            } else {
                assert_eq!(scratch.edges(), expected, "{what}, edges");
            }
        }
    }
}

/// The counts of the case.
fn counts(data: &Tensors) -> Csr {
    let whole = |name| data.i64(name).into_iter().map(|index| usize::try_from(index).unwrap());
    let indices = whole("csr_indices").map(|index| u32::try_from(index).unwrap()).collect();
    let n_genes = data.shape("log1p")[1];
    Csr::new(n_genes, whole("csr_indptr").collect(), indices, data.f32("csr_data")).unwrap()
}

fn dense(block: &Csr) -> Vec<Vec<f32>> {
    block
        .rows()
        .map(|row| {
            let mut values = vec![0.0; block.n_genes()];
            for (&gene, &value) in row.indices.iter().zip(row.values) {
                values[gene as usize] = value;
            }
            values
        })
        .collect()
}

fn sparse(rows: &[Vec<f32>]) -> Csr {
    let n_genes = rows[0].len();
    let indptr = (0..=rows.len()).map(|row| row * n_genes).collect();
    let indices = rows.iter().flat_map(|_| (0..).take(n_genes)).collect();
    Csr::new(n_genes, indptr, indices, rows.concat()).unwrap()
}

fn normalisation(case: &Case) {
    let data = case.tensors("data.safetensors");
    let counts = counts(&data);
    let tolerance = |what: &str| {
        let of = |key: &str| case.json["tolerance"][what][key].as_f64().unwrap_or(0.0);
        [of("rtol"), of("atol")]
    };
    let check = |block: &Csr, name: &str, tolerance| {
        let what = format!("{}: {name}", case.name);
        assert_close(&what, &dense(block).concat(), data.f64(name), tolerance);
    };
    let mut block = counts.clone();
    normalise_total(&mut block, 1e4);
    check(&block, "normed", tolerance("normed"));
    log1p(&mut block);
    check(&block, "log1p", tolerance("log1p"));
    let mut block = counts.clone();
    normalise_total(&mut block, median_total(totals(&counts).collect()));
    check(&block, "normed_median", tolerance("normed"));
}

/// The reference's test for logged values on the inputs that `check_logged_inputs` describes.
fn logged(case: &Case) {
    let data = case.tensors("data.safetensors");
    let counts = dense(&counts(&data));
    let [log1p, normed] = ["log1p", "normed"].map(|name| rows(&data, name));
    let map = |rows: &[Vec<f32>], change: fn(f32) -> f32| -> Vec<Vec<f32>> {
        rows.iter().map(|row| row.iter().copied().map(change).collect()).collect()
    };
    for (name, input) in [
        ("raw", counts.clone()),
        ("log1p", log1p.clone()),
        ("small_int", map(&counts, |x| x.min(20.0))),
        ("negative", map(&log1p, |x| x - 1.0)),
        ("fractional", normed),
        ("halves", map(&counts, |x| (0.5 * x).min(29.0))),
    ] {
        let expected = case.json["check_logged"][name].as_bool().unwrap();
        assert_eq!(check_logged(&sparse(&input)), expected, "{}: {name}", case.name);
    }
}
