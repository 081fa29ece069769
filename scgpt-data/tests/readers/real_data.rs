//! Real files of many origins, where they are at hand (`SCGPT_DATA`, else `../shared/data` beside
//! the workspace). Sums, counts and columns are those that Python's anndata and scanpy report.

use std::path::{Path, PathBuf};

use scgpt_data::{CellSource, Layer, Source};

use crate::{entries, read_all};

fn data() -> PathBuf {
    std::env::var_os("SCGPT_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// File, layer, cells, genes, entries that are not zero, sum, columns of obs, columns of var.
type Expected = (&'static str, Layer, usize, usize, usize, f64, usize, usize);

#[test]
fn real_files_read_as_python_reads_them() {
    let counts = || Layer::Named("counts".into());
    let cases: Vec<Expected> = vec![
        ("h5ad_variants/a13.h5ad", Layer::X, 300, 500, 15000, 158360.0, 4, 0),
        ("h5ad_variants/clean.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/clean_gz.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csc_float32.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csc_float32.h5ad", counts(), 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csc_float32.h5ad", Layer::Raw, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_float32.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_float64.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_gzip.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_idx64.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_int32.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_int64.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_lzf.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_uint16.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_uint32.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/csr_uint8.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/dense_float32.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/dense_float64.h5ad", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/nullable.h5ad", Layer::X, 300, 500, 15000, 158360.0, 13, 1),
        ("h5ad_variants/a13.zarr", Layer::X, 300, 500, 15000, 158360.0, 4, 0),
        ("h5ad_variants/v2.zarr", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v2_dense.zarr", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v2_nullable.zarr", Layer::X, 300, 500, 15000, 158360.0, 13, 1),
        ("h5ad_variants/v3.zarr", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3.zarr", counts(), 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3.zarr", Layer::Raw, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_dense.zarr", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_dense.zarr", counts(), 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_dense.zarr", Layer::Raw, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_nullable.zarr", Layer::X, 300, 500, 15000, 158360.0, 13, 1),
        ("h5ad_variants/v3_nullable.zarr", counts(), 300, 500, 15000, 158360.0, 13, 1),
        ("h5ad_variants/v3_nullable.zarr", Layer::Raw, 300, 500, 15000, 158360.0, 13, 1),
        ("h5ad_variants/v3_shard.zarr", Layer::X, 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_shard.zarr", counts(), 300, 500, 15000, 158360.0, 11, 1),
        ("h5ad_variants/v3_shard.zarr", Layer::Raw, 300, 500, 15000, 158360.0, 11, 1),
        ("anndata_legacy/v0.5.0.h5ad", Layer::Raw, 700, 765, 174400, 319044.238, 8, 0),
        ("anndata_legacy/v0.7.0.h5ad", Layer::X, 30, 20, 228, 285.0, 5, 5),
        ("anndata_legacy/v0.7.0.h5ad", Layer::Named("array".into()), 30, 20, 600, 302.83, 5, 5),
        ("anndata_legacy/v0.7.0.h5ad", Layer::Named("sparse".into()), 30, 20, 6, 3.466, 5, 5),
        ("anndata_legacy/v0.7.0.h5ad", Layer::Raw, 30, 40, 480, 627.0, 5, 5),
        ("anndata_legacy/v0.7.8.h5ad", Layer::X, 30, 20, 239, 302.0, 5, 5),
        ("anndata_legacy/v0.7.8.h5ad", Layer::Named("array".into()), 30, 20, 600, 293.435, 5, 5),
        ("anndata_legacy/v0.7.8.h5ad", Layer::Named("sparse".into()), 30, 20, 6, 2.516, 5, 5),
        ("anndata_legacy/v0.7.8.h5ad", Layer::Raw, 30, 40, 453, 568.0, 5, 5),
        ("anndata_legacy/v0.7.0.zarr.zip", Layer::X, 30, 20, 228, 285.0, 5, 5),
        ("anndata_legacy/v0.7.0.zarr.zip", Layer::Named("array".into()), 30, 20, 600, 302.83, 5, 5),
        ("anndata_legacy/v0.7.0.zarr.zip", Layer::Named("sparse".into()), 30, 20, 6, 3.466, 5, 5),
        ("anndata_legacy/v0.7.0.zarr.zip", Layer::Raw, 30, 40, 480, 627.0, 5, 5),
        ("anndata_legacy/v0.7.8.zarr.zip", Layer::X, 30, 20, 239, 302.0, 5, 5),
        (
            "anndata_legacy/v0.7.8.zarr.zip",
            Layer::Named("array".into()),
            30,
            20,
            600,
            293.435,
            5,
            5,
        ),
        ("anndata_legacy/v0.7.8.zarr.zip", Layer::Named("sparse".into()), 30, 20, 6, 2.516, 5, 5),
        ("anndata_legacy/v0.7.8.zarr.zip", Layer::Raw, 30, 40, 453, 568.0, 5, 5),
        ("scanpy_10x/10x-10k-subset.zarr", Layer::X, 10000, 1000, 691914, 1597698.0, 0, 1),
        (
            "scanpy_10x/10x_data/1.2.0/filtered_gene_bc_matrices_h5.h5",
            Layer::X,
            12,
            343,
            12,
            12.0,
            0,
            2,
        ),
        ("scanpy_10x/10x_data/1.2.0/multiple_genomes.h5", Layer::X, 12, 686, 24, 25.0, 0, 2),
        (
            "scanpy_10x/10x_data/1.2.0/filtered_gene_bc_matrices/hg19_chr21",
            Layer::X,
            12,
            343,
            12,
            12.0,
            0,
            1,
        ),
        (
            "scanpy_10x/10x_data/3.0.0/filtered_feature_bc_matrix",
            Layer::X,
            1107,
            507,
            23866,
            41549.0,
            0,
            2,
        ),
        (
            "scanpy_10x/10x_data/3.0.0/filtered_feature_bc_matrix.h5",
            Layer::X,
            1107,
            507,
            23866,
            41549.0,
            0,
            3,
        ),
        ("scanpy_10x/10x_data/int-ids", Layer::X, 5, 6, 3, 8.0, 0, 2),
        (
            "scanpy_10x/visium_data/1.0.0/filtered_feature_bc_matrix.h5",
            Layer::X,
            100,
            100,
            656,
            932.0,
            0,
            3,
        ),
        (
            "scanpy_10x/visium_data/2.1.0/raw_probe_bc_matrix.h5",
            Layer::X,
            4987,
            1000,
            858,
            3372.0,
            0,
            3,
        ),
        ("czi_mouse_val/mouse_val.h5ad", Layer::X, 1000, 1122, 103165, 263707.0, 29, 9),
        ("harmony_pbmc_stim/pbmc_stim.h5ad", Layer::X, 2000, 9015, 1129806, 3081827.0, 1, 0),
        ("papalexi_lowmoi/papalexi_lowmoi.h5ad", Layer::X, 20729, 299, 1390126, 4299765.0, 3, 0),
        ("perturbench_devel/devel.h5ad", Layer::X, 5961, 500, 211790, 406134.544, 11, 4),
        ("scvi_brainlarge/brainlarge_dataset_test.h5ad", Layer::X, 70, 720, 15274, 38735.0, 8, 0),
        (
            "scvi_pbmc_protein/pbmc_10k_protein_v3.h5ad",
            Layer::X,
            200,
            16727,
            317760,
            909531.0,
            3,
            4,
        ),
        (
            "scvi_pbmc_protein/pbmc_5k_protein_v3.h5ad",
            Layer::X,
            200,
            16581,
            387353,
            1351231.0,
            3,
            4,
        ),
        (
            "scanpy_pbmc68k_reduced/10x_pbmc68k_reduced.zarr.zip",
            counts(),
            700,
            765,
            174400,
            486651.0,
            8,
            5,
        ),
    ];
    let mut checked = 0;
    for (name, layer, n_cells, n_genes, n_entries, sum, obs_columns, var_columns) in cases {
        let path = data().join(name);
        if !path.exists() {
            eprintln!("absent, not checked: {name}");
            continue;
        }
        let mut source = Source::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (blocks, obs, var) =
            read_all(&mut source, &layer, 999).unwrap_or_else(|error| panic!("{name}: {error}"));
        let entries = entries(&blocks);
        assert_eq!((obs.len(), var.len(), entries.len()), (n_cells, n_genes, n_entries), "{name}");
        assert_eq!((obs.columns.len(), var.columns.len()), (obs_columns, var_columns), "{name}");
        let total: f64 = entries.iter().map(|entry| f64::from(entry.2)).sum();
        assert!((total - sum).abs() <= 1e-6 * sum, "{name}: {total}, expected {sum}");
        checked += 1;
    }
    eprintln!("{checked} files checked");
}

#[test]
fn real_files_that_must_be_refused() {
    for (name, message) in [
        ("scanpy_pbmc68k_reduced/10x_pbmc68k_reduced.zarr.zip", "negative value"),
        ("cellxgene_fixtures/nan.h5ad", "negative value"),
        ("anndata_legacy/v0.5.0.h5ad", "negative value"),
        ("anndata_legacy/v0.11.4.h5ad", "no matrix at all"),
        ("h5ad_variants/csr_blosc.h5ad", "compressed with blosc"),
        ("h5ad_variants/csr_lz4.h5ad", "compressed with lz4"),
        ("h5ad_variants/csr_bitshuffle.h5ad", "compressed with bitshuffle"),
    ] {
        let path = data().join(name);
        if !path.exists() {
            eprintln!("absent, not checked: {name}");
            continue;
        }
        let read = Source::open(&path).and_then(|mut source| {
            source.obs()?;
            read_all(&mut source, &Layer::X, 100)
        });
        let error = read.expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}
