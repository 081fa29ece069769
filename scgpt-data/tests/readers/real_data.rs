//! Real files of many origins, where they are at hand (`SCGPT_DATA`, else `../shared/data` beside
//! the workspace). Sums, counts and columns are those that Python's anndata and scanpy report.

use std::path::{Path, PathBuf};

use scgpt_data::{Layer, Source};

use crate::{entries, read_all};

/// File, matrix, cells, genes, entries that are not zero, their sum, columns of obs and of var.
const EXPECTED: &str = "\
h5ad_variants/a13.h5ad X 300 500 15000 158360.0 4 0
h5ad_variants/clean.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/clean_gz.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csc_float32.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csc_float32.h5ad layers/counts 300 500 15000 158360.0 11 1
h5ad_variants/csc_float32.h5ad raw/X 300 500 15000 158360.0 11 1
h5ad_variants/csr_float32.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_float64.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_gzip.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_idx64.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_int32.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_int64.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_lzf.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_uint16.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_uint32.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/csr_uint8.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/dense_float32.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/dense_float64.h5ad X 300 500 15000 158360.0 11 1
h5ad_variants/nullable.h5ad X 300 500 15000 158360.0 13 1
h5ad_variants/a13.zarr X 300 500 15000 158360.0 4 0
h5ad_variants/v2.zarr X 300 500 15000 158360.0 11 1
h5ad_variants/v2_dense.zarr X 300 500 15000 158360.0 11 1
h5ad_variants/v2_nullable.zarr X 300 500 15000 158360.0 13 1
h5ad_variants/v3.zarr X 300 500 15000 158360.0 11 1
h5ad_variants/v3.zarr layers/counts 300 500 15000 158360.0 11 1
h5ad_variants/v3.zarr raw/X 300 500 15000 158360.0 11 1
h5ad_variants/v3_dense.zarr X 300 500 15000 158360.0 11 1
h5ad_variants/v3_dense.zarr layers/counts 300 500 15000 158360.0 11 1
h5ad_variants/v3_dense.zarr raw/X 300 500 15000 158360.0 11 1
h5ad_variants/v3_nullable.zarr X 300 500 15000 158360.0 13 1
h5ad_variants/v3_nullable.zarr layers/counts 300 500 15000 158360.0 13 1
h5ad_variants/v3_nullable.zarr raw/X 300 500 15000 158360.0 13 1
h5ad_variants/v3_shard.zarr X 300 500 15000 158360.0 11 1
h5ad_variants/v3_shard.zarr layers/counts 300 500 15000 158360.0 11 1
h5ad_variants/v3_shard.zarr raw/X 300 500 15000 158360.0 11 1
anndata_legacy/v0.5.0.h5ad raw/X 700 765 174400 319044.23824107647 8 0
anndata_legacy/v0.7.0.h5ad X 30 20 228 285.0 5 5
anndata_legacy/v0.7.0.h5ad layers/array 30 20 600 302.8304511718452 5 5
anndata_legacy/v0.7.0.h5ad layers/sparse 30 20 6 3.4660021699965 5 5
anndata_legacy/v0.7.0.h5ad raw/X 30 40 480 627.0 5 5
anndata_legacy/v0.7.8.h5ad X 30 20 239 302.0 5 5
anndata_legacy/v0.7.8.h5ad layers/array 30 20 600 293.4354721638374 5 5
anndata_legacy/v0.7.8.h5ad layers/sparse 30 20 6 2.515832796692848 5 5
anndata_legacy/v0.7.8.h5ad raw/X 30 40 453 568.0 5 5
anndata_legacy/v0.7.0.zarr.zip X 30 20 228 285.0 5 5
anndata_legacy/v0.7.0.zarr.zip layers/array 30 20 600 302.8304511718452 5 5
anndata_legacy/v0.7.0.zarr.zip layers/sparse 30 20 6 3.4660021699965 5 5
anndata_legacy/v0.7.0.zarr.zip raw/X 30 40 480 627.0 5 5
anndata_legacy/v0.7.8.zarr.zip X 30 20 239 302.0 5 5
anndata_legacy/v0.7.8.zarr.zip layers/array 30 20 600 293.4354721638374 5 5
anndata_legacy/v0.7.8.zarr.zip layers/sparse 30 20 6 2.515832796692848 5 5
anndata_legacy/v0.7.8.zarr.zip raw/X 30 40 453 568.0 5 5
scanpy_10x/10x-10k-subset.zarr X 10000 1000 691914 1597698.0 0 1
scanpy_10x/10x_data/1.2.0/filtered_gene_bc_matrices_h5.h5 X 12 343 12 12.0 0 2
scanpy_10x/10x_data/1.2.0/multiple_genomes.h5 X 12 686 24 25.0 0 2
scanpy_10x/10x_data/1.2.0/filtered_gene_bc_matrices/hg19_chr21 X 12 343 12 12.0 0 1
scanpy_10x/10x_data/3.0.0/filtered_feature_bc_matrix X 1107 507 23866 41549.0 0 2
scanpy_10x/10x_data/3.0.0/filtered_feature_bc_matrix.h5 X 1107 507 23866 41549.0 0 3
scanpy_10x/10x_data/int-ids X 5 6 3 8.0 0 2
scanpy_10x/visium_data/1.0.0/filtered_feature_bc_matrix.h5 X 100 100 656 932.0 0 3
scanpy_10x/visium_data/2.1.0/raw_probe_bc_matrix.h5 X 4987 1000 858 3372.0 0 3
czi_mouse_val/mouse_val.h5ad X 1000 1122 103165 263707.0 29 9
harmony_pbmc_stim/pbmc_stim.h5ad X 2000 9015 1129806 3081827.0 1 0
papalexi_lowmoi/papalexi_lowmoi.h5ad X 20729 299 1390126 4299765.0 3 0
perturbench_devel/devel.h5ad X 5961 500 211790 406134.54356718063 11 4
scvi_brainlarge/brainlarge_dataset_test.h5ad X 70 720 15274 38735.0 8 0
scvi_pbmc_protein/pbmc_10k_protein_v3.h5ad X 200 16727 317760 909531.0 3 4
scvi_pbmc_protein/pbmc_5k_protein_v3.h5ad X 200 16581 387353 1351231.0 3 4
scanpy_pbmc68k_reduced/10x_pbmc68k_reduced.zarr.zip layers/counts 700 765 174400 486651.0 8 5
";

/// The file, or `None`, said on stderr, where it is not at hand.
fn at_hand(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SCGPT_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = data.join(name);
    if !path.exists() {
        scgpt_fixtures::skipped(&format!("{} is not there", path.display()));
        return None;
    }
    Some(path)
}

#[test]
fn real_files_read_as_python_reads_them() {
    for line in EXPECTED.lines() {
        let [name, layer, numbers @ ..] = &line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let Some(path) = at_hand(name) else {
            continue;
        };
        let layer = match *layer {
            "X" => Layer::X,
            "raw/X" => Layer::Raw,
            named => Layer::Named(named.trim_start_matches("layers/").into()),
        };
        let mut source = Source::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (blocks, obs, var) =
            read_all(&mut source, &layer, 999).unwrap_or_else(|error| panic!("{name}: {error}"));
        let entries = entries(&blocks);
        let total: f64 = entries.iter().map(|entry| f64::from(entry.2)).sum();
        let found = [obs.len(), var.len(), entries.len()].map(|count| count.to_string());
        assert_eq!(found, numbers[..3], "{line}");
        let sum: f64 = numbers[3].parse().unwrap();
        assert!((total - sum).abs() <= 1e-9 * sum, "{line}: sum {total}");
        let found = [obs.columns.len(), var.columns.len()].map(|count| count.to_string());
        assert_eq!(found, numbers[4..], "{line}");
    }
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
        let Some(path) = at_hand(name) else {
            continue;
        };
        let read = Source::open(&path).and_then(|mut source| read_all(&mut source, &Layer::X, 100));
        let error = read.expect_err(name).to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}
