//! Every format gives the same cells.

use std::{fs, io::Write, path::Path};

use scgpt_data::{Additions, CellSource, Column, Existing, Layer, Source, save_copy};
use scgpt_fixtures::{ENTRIES, Toy, repository};

use crate::{entries, read_all};

const GENES: [&str; 4] = ["Gene Expression"; 4];

fn assert_toy(path: &Path, format: &str) {
    let mut source = Source::open(path).unwrap();
    assert_eq!(source.summary().format, format);
    for step in [1, 2, 3] {
        let (blocks, obs, var) = read_all(&mut source, &Layer::X, step).unwrap();
        assert_eq!(entries(&blocks), ENTRIES, "{format}");
        assert_eq!(obs.index, Toy::default().cells, "{format}");
        assert_eq!(var.index, Toy::default().genes, "{format}");
    }
}

#[test]
fn h5ad_zarr_and_10x_give_the_same_cells() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let toy = Toy::default();
    // The names mislead: the content decides.
    toy.write_h5ad(&path("h5ad.h5"));
    assert_toy(&path("h5ad.h5"), "h5ad");
    toy.write_10x(&path("10x.h5ad"));
    assert_toy(&path("10x.h5ad"), "10x h5 (v3)");
    for version in [2, 3] {
        let store = path(&format!("v{version}"));
        toy.write_zarr(&store, version);
        assert_toy(&store, &format!("AnnData-zarr v{version}"));
        let zip = path(&format!("v{version}.h5ad"));
        zip_folder(&store, &zip);
        assert_toy(&zip, &format!("AnnData-zarr v{version} (zip)"));
    }
    fs::create_dir(path("mtx")).unwrap();
    toy.write_mtx(&path("mtx"), "GSM1_", GENES);
    assert_toy(&path("mtx"), "10x mtx");
    assert_toy(&path("mtx/GSM1_matrix.mtx"), "10x mtx");
}

/// As zarr-python writes it: shards in parts, cells that straddle them, and documents of groups several times,
/// of which the last counts.
#[test]
fn shards_in_a_zip_are_read_and_copied() {
    let zip = repository().join("field_cases/v3_shards.zarr.zip");
    let folder = tempfile::tempdir().unwrap();
    let (zarr, h5ad) = (folder.path().join("copy.zarr"), folder.path().join("copy.h5ad"));
    for copy in [&zarr, &h5ad] {
        let report = save_copy(&zip, copy, &Additions::default(), Existing::Refuse).unwrap();
        assert_eq!(report.skipped, [""; 0], "{}", copy.display());
    }
    let value = |cell: usize, gene: usize| ((cell * 7 + gene * 3) % 5) as f32;
    let all = (0..37).flat_map(|cell| (0..11).map(move |gene| (cell, gene)));
    let expected = all.map(|(cell, gene)| (cell, u32::try_from(gene).unwrap(), value(cell, gene)));
    let expected: Vec<_> = expected.filter(|(.., value)| *value != 0.0).collect();
    for (path, format) in
        [(&zip, "AnnData-zarr v3 (zip)"), (&zarr, "AnnData-zarr v3"), (&h5ad, "h5ad")]
    {
        let mut source = Source::open(path).unwrap();
        assert_eq!(source.summary().format, format);
        for layer in [Layer::X, Layer::Named("dense".into())] {
            for step in [1, 5, 16, 37] {
                let (blocks, obs, var) = read_all(&mut source, &layer, step).unwrap();
                assert_eq!(entries(&blocks), expected, "{format} {layer} {step}");
                assert_eq!((obs.index[36].as_str(), var.index[10].as_str()), ("cell36", "GENE10"));
                let batch = obs.column("batch").unwrap().labels();
                assert_eq!(batch[35].as_deref(), Some("b2"), "{format}");
            }
        }
        let (rows, width) = source.read_obsm("X_pca", 15..18).unwrap();
        let expected: Vec<f32> = (45..54_u8).map(|number| f32::from(number) / 4.0).collect();
        assert_eq!((rows, width), (expected, 3), "{format}");
    }
}

fn zip_folder(folder: &Path, zip: &Path) {
    let mut writer = zip::ZipWriter::new(fs::File::create(zip).unwrap());
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(folder.parent().unwrap()).unwrap().to_string_lossy();
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&fs::read(path).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn gzipped_10x_keeps_gene_expression_only() {
    let folder = tempfile::tempdir().unwrap();
    let types = ["Gene Expression", "Antibody Capture", "Gene Expression", "Gene Expression"];
    Toy::default().write_mtx(folder.path(), "", types);
    for name in ["matrix.mtx", "features.tsv", "barcodes.tsv"] {
        let path = folder.path().join(name);
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        // Two gzip members, as bgzip writes them.
        let mut packed = Vec::new();
        for part in [&text[..text.len() / 2], &text[text.len() / 2..]] {
            let mut encoder =
                flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap();
        }
        fs::write(folder.path().join(format!("{name}.gz")), packed).unwrap();
    }
    let mut source = Source::open(folder.path()).unwrap();
    let (blocks, _, var) = read_all(&mut source, &Layer::X, 2).unwrap();
    assert_eq!(entries(&blocks), [(0, 2, 5.0), (2, 0, 1.0), (2, 1, 3.0)]);
    assert_eq!(var.index, ["CD3E", "NKG7", "LYZ"]);
    let ids = ["ENSG0", "ENSG2", "ENSG3"].map(|id| Some(id.to_owned())).to_vec();
    assert_eq!(var.column("gene_ids"), Some(&Column::Text(ids)));
}

#[test]
fn rows_columns_and_dense_of_one_file_agree() {
    let open = |name: &str| Source::open(repository().join("embed_end_to_end").join(name)).unwrap();
    let mut csr = open("cells.h5ad");
    assert_eq!(csr.summary().matrices[0].encoding, "csr");
    let (blocks, obs, var) = read_all(&mut csr, &Layer::X, 64).unwrap();
    assert_eq!(entries(&blocks).len(), 16_024);
    assert!(matches!(obs.column("cell_type"), Some(Column::Categorical { .. })));
    assert!(matches!(obs.column("n_genes"), Some(Column::Integer(_))));
    for (name, encoding) in [("cells_csc_gzip.h5ad", "csc"), ("cells_dense_gzip.h5ad", "dense")] {
        let mut source = open(name);
        assert_eq!(source.summary().matrices[0].encoding, encoding);
        for step in [64, 7] {
            let (others, other_obs, other_var) = read_all(&mut source, &Layer::X, step).unwrap();
            assert_eq!(entries(&others), entries(&blocks), "{name}");
            assert_eq!((&other_obs, &other_var), (&obs, &var), "{name}");
        }
    }
}

#[test]
fn every_number_type_is_read() {
    use hdf5_pure::FileBuilder;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("typed.h5ad");
    let dense: Vec<u8> = vec![0, 2, 0, 5, 0, 0, 0, 0, 1, 7, 3, 0];
    let wide: Vec<i64> = dense.iter().map(|&value| value.into()).collect();
    for dtype in ["uint8", "int16", "uint16", "uint64", "int64", "float32", "float64"] {
        let mut file = FileBuilder::new();
        let array = file.create_dataset("X");
        match dtype {
            "uint8" => array.with_u8_data(&dense),
            "int16" => array.with_i16_data(&dense.iter().map(|&v| v.into()).collect::<Vec<_>>()),
            "uint16" => array.with_u16_data(&dense.iter().map(|&v| v.into()).collect::<Vec<_>>()),
            "uint64" => array.with_u64_data(&dense.iter().map(|&v| v.into()).collect::<Vec<_>>()),
            "int64" => array.with_i64_data(&wide),
            "float32" => array.with_f32_data(&dense.iter().map(|&v| v.into()).collect::<Vec<_>>()),
            _ => array.with_f64_data(&dense.iter().map(|&v| v.into()).collect::<Vec<_>>()),
        }
        .with_shape(&[3, 4]);
        Toy::default().write_tables(&mut file);
        file.write(&path).unwrap();
        let mut source = Source::open(&path).unwrap();
        assert_eq!(source.summary().matrices[0].dtype, dtype);
        let (blocks, ..) = read_all(&mut source, &Layer::X, 2).unwrap();
        assert_eq!(entries(&blocks), ENTRIES, "{dtype}");
    }
}
