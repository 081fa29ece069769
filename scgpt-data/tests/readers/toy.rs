//! A small h5ad, 10x or zarr whose parts a test may spoil.

use std::{fs, path::Path};

use hdf5_pure::{AttrValue, FileBuilder};

/// Three cells × four genes: cell 0 has genes 1 and 3, cell 1 none, cell 2 genes 0, 1 and 2.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) shape: [i64; 2],
    pub(crate) indptr: Vec<i64>,
    pub(crate) indices: Vec<i32>,
    pub(crate) data: Vec<f32>,
    pub(crate) cells: Vec<&'static str>,
    pub(crate) genes: Vec<&'static str>,
}

pub(crate) const ENTRIES: [(usize, u32, f32); 5] =
    [(0, 1, 2.0), (0, 3, 5.0), (2, 0, 1.0), (2, 1, 7.0), (2, 2, 3.0)];

impl Default for Toy {
    fn default() -> Self {
        Self {
            shape: [3, 4],
            indptr: vec![0, 2, 2, 5],
            indices: vec![1, 3, 0, 1, 2],
            data: vec![2.0, 5.0, 1.0, 7.0, 3.0],
            cells: vec!["AAA-1", "AAC-1", "AAG-1"],
            genes: vec!["CD3E", "MS4A1", "NKG7", "LYZ"],
        }
    }
}

impl Toy {
    /// As h5ad, `X` in rows.
    pub(crate) fn write_h5ad(&self, path: &Path) {
        let mut file = FileBuilder::new();
        let mut matrix = file.create_group("X");
        matrix.set_attr("encoding-type", AttrValue::String("csr_matrix".into()));
        matrix.set_attr("shape", AttrValue::I64Array(self.shape.to_vec()));
        matrix.create_dataset("indptr").with_i64_data(&self.indptr);
        matrix.create_dataset("indices").with_i32_data(&self.indices);
        matrix.create_dataset("data").with_f32_data(&self.data);
        file.add_group(matrix.finish());
        self.write_tables(&mut file);
        file.write(path).unwrap();
    }

    /// `obs` and `var`, index only.
    pub(crate) fn write_tables(&self, file: &mut FileBuilder) {
        for (name, index) in [("obs", &self.cells), ("var", &self.genes)] {
            let mut table = file.create_group(name);
            table.set_attr("encoding-type", AttrValue::String("dataframe".into()));
            table.set_attr("_index", AttrValue::String("_index".into()));
            table.set_attr("column-order", AttrValue::StringArray(Vec::new()));
            table.create_dataset("_index").with_vlen_strings(index);
            file.add_group(table.finish());
        }
    }

    /// As `matrix.mtx`, `features.tsv` and `barcodes.tsv`, entries in reverse; `types` are those of
    /// the genes.
    pub(crate) fn write_mtx(&self, folder: &Path, prefix: &str, types: [&str; 4]) {
        let mut matrix = format!(
            "%%MatrixMarket matrix coordinate integer general\n%made by hand\n4 3 {}\n",
            self.data.len()
        );
        for (cell, ends) in self.indptr.windows(2).enumerate().rev() {
            for at in (usize::try_from(ends[0]).unwrap()..usize::try_from(ends[1]).unwrap()).rev() {
                matrix += &format!("{} {} {}\n", self.indices[at] + 1, cell + 1, self.data[at]);
            }
        }
        let genes = self.genes.iter().enumerate().zip(types);
        let features: String =
            genes.map(|((row, gene), kind)| format!("ENSG{row}\t{gene}\t{kind}\n")).collect();
        fs::write(folder.join(format!("{prefix}matrix.mtx")), matrix).unwrap();
        fs::write(folder.join(format!("{prefix}features.tsv")), features).unwrap();
        fs::write(folder.join(format!("{prefix}barcodes.tsv")), self.cells.join("\n")).unwrap();
    }

    /// As a Cell Ranger 3 `.h5`.
    pub(crate) fn write_10x(&self, path: &Path) {
        let mut file = FileBuilder::new();
        let mut matrix = file.create_group("matrix");
        matrix.create_dataset("shape").with_i32_data(&[4, 3]);
        matrix.create_dataset("indptr").with_i64_data(&self.indptr);
        matrix.create_dataset("indices").with_i32_data(&self.indices);
        matrix.create_dataset("data").with_f32_data(&self.data);
        matrix.create_dataset("barcodes").with_vlen_strings(&self.cells);
        let mut features = matrix.create_group("features");
        features.create_dataset("name").with_vlen_strings(&self.genes);
        features.create_dataset("id").with_vlen_strings(&["ENSG0", "ENSG1", "ENSG2", "ENSG3"]);
        features.create_dataset("feature_type").with_vlen_strings(&["Gene Expression"; 4]);
        matrix.add_group(features.finish());
        file.add_group(matrix.finish());
        file.write(path).unwrap();
    }

    /// As a zarr folder without compression, version 2 or 3.
    pub(crate) fn write_zarr(&self, folder: &Path, version: u8) {
        let table = r#"{"encoding-type": "dataframe", "_index": "_index", "column-order": []}"#;
        let bytes = |parts: &[&[u8]]| parts.concat();
        let text = |texts: &[&str]| -> Vec<u8> {
            let count = u32::try_from(texts.len()).unwrap().to_le_bytes().to_vec();
            texts.iter().fold(count, |mut all, text| {
                all.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
                all.extend(text.as_bytes());
                all
            })
        };
        let [cells, genes] = self.shape;
        let matrix = format!(r#"{{"encoding-type": "csr_matrix", "shape": [{cells}, {genes}]}}"#);
        let groups = [("", "{}"), ("X", &matrix), ("obs", table), ("var", table)];
        for (place, attributes) in groups {
            write_node(&folder.join(place), version, "group", "", attributes);
        }
        let le = |values: &[i64]| {
            bytes(
                &values
                    .iter()
                    .map(|v| v.to_le_bytes())
                    .collect::<Vec<_>>()
                    .iter()
                    .map(|b| &b[..])
                    .collect::<Vec<_>>(),
            )
        };
        let indices: Vec<u8> = self.indices.iter().flat_map(|value| value.to_le_bytes()).collect();
        let data: Vec<u8> = self.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        for (place, dtype, length, content) in [
            ("X/indptr", "int64", self.indptr.len(), le(&self.indptr)),
            ("X/indices", "int32", self.indices.len(), indices),
            ("X/data", "float32", self.data.len(), data),
            ("obs/_index", "string", self.cells.len(), text(&self.cells)),
            ("var/_index", "string", self.genes.len(), text(&self.genes)),
        ] {
            let array = folder.join(place);
            write_node(&array, version, "array", &array_metadata(version, dtype, length), "{}");
            let chunk = if version == 3 { array.join("c/0") } else { array.join("0") };
            fs::create_dir_all(chunk.parent().unwrap()).unwrap();
            fs::write(chunk, content).unwrap();
        }
    }
}

fn write_node(folder: &Path, version: u8, kind: &str, metadata: &str, attributes: &str) {
    fs::create_dir_all(folder).unwrap();
    if version == 3 {
        let json = format!(
            r#"{{"zarr_format": 3, "node_type": "{kind}", "attributes": {attributes}{metadata}}}"#
        );
        fs::write(folder.join("zarr.json"), json).unwrap();
    } else {
        let json = format!(r#"{{"zarr_format": 2{metadata}}}"#);
        fs::write(folder.join(format!(".z{kind}")), json).unwrap();
        fs::write(folder.join(".zattrs"), attributes).unwrap();
    }
}

fn array_metadata(version: u8, dtype: &str, length: usize) -> String {
    let (numpy, fill, codec, filters) = match dtype {
        "int64" => ("<i8", "0", "bytes", "null"),
        "int32" => ("<i4", "0", "bytes", "null"),
        "float32" => ("<f4", "0.0", "bytes", "null"),
        _ => ("|O", "\"\"", "vlen-utf8", r#"[{"id": "vlen-utf8"}]"#),
    };
    let endian = if codec == "bytes" { r#", "configuration": {"endian": "little"}"# } else { "" };
    if version == 3 {
        format!(
            r#", "shape": [{length}], "data_type": "{dtype}", "fill_value": {fill},
            "chunk_grid": {{"name": "regular", "configuration": {{"chunk_shape": [{length}]}}}},
            "chunk_key_encoding": {{"name": "default", "configuration": {{"separator": "/"}}}},
            "codecs": [{{"name": "{codec}"{endian}}}]"#
        )
    } else {
        format!(
            r#", "shape": [{length}], "chunks": [{length}], "dtype": "{numpy}", "order": "C",
            "fill_value": {fill}, "filters": {filters}, "compressor": null"#
        )
    }
}
