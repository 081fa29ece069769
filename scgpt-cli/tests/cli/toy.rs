//! A small h5ad whose parts a test may spoil.

use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder};

/// Three cells × four genes that the model of the fixtures knows; cell 1 is empty.
pub(crate) struct Toy {
    pub(crate) shape: [i64; 2],
    pub(crate) indptr: Vec<i64>,
    pub(crate) indices: Vec<i32>,
    pub(crate) data: Vec<f32>,
    pub(crate) cells: Vec<&'static str>,
    pub(crate) genes: Vec<&'static str>,
    /// Whether `X` is there at all.
    pub(crate) has_x: bool,
    /// Text in the place of numbers.
    pub(crate) text: Option<Vec<&'static str>>,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            shape: [3, 4],
            indptr: vec![0, 2, 2, 5],
            indices: vec![1, 3, 0, 1, 2],
            data: vec![2.0, 5.0, 1.0, 7.0, 3.0],
            cells: vec!["AAA-1", "AAC-1", "AAG-1"],
            genes: vec!["TNFRSF4", "SSU72", "PARK7", "RBP7"],
            has_x: true,
            text: None,
        }
    }
}

impl Toy {
    pub(crate) fn write(&self, path: &Path) {
        let mut file = FileBuilder::new();
        if self.has_x {
            let mut matrix = file.create_group("X");
            matrix.set_attr("encoding-type", AttrValue::String("csr_matrix".into()));
            matrix.set_attr("shape", AttrValue::I64Array(self.shape.to_vec()));
            matrix.create_dataset("indptr").with_i64_data(&self.indptr);
            matrix.create_dataset("indices").with_i32_data(&self.indices);
            match &self.text {
                Some(text) => matrix.create_dataset("data").with_vlen_strings(text),
                None => matrix.create_dataset("data").with_f32_data(&self.data),
            };
            file.add_group(matrix.finish());
        }
        for (name, index) in [("obs", &self.cells), ("var", &self.genes)] {
            let mut table = file.create_group(name);
            table.set_attr("encoding-type", AttrValue::String("dataframe".into()));
            table.set_attr("_index", AttrValue::String("_index".into()));
            table.set_attr("column-order", AttrValue::StringArray(Vec::new()));
            table.create_dataset("_index").with_vlen_strings(index);
            file.add_group(table.finish());
        }
        file.write(path).unwrap();
    }
}
