//! [`ObsmCells`]: a matrix in `obsm` whose columns are features, such as protein counts.
//!
//! AnnData keeps one matrix of features, so tools put a second modality of the same cells beside
//! it: scvi-tools has proteins in `obsm["protein_expression"]`, either as a table, whose columns
//! have names, or as an array, whose names are then a list in `uns`.

use std::{ops::Range, path::Path};

use crate::{
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    source::Source,
    summary::{Layer, MatrixSummary, Summary},
};

/// A matrix of `obsm` as a source: its `X` are the values `[cells, columns]`, its `var` the names
/// of the columns. The cells and their `obs` are those of the file.
pub(super) struct ObsmCells {
    source: Source,
    name: String,
    features: Vec<String>,
    summary: Summary,
}

impl ObsmCells {
    /// Opens the matrix `obsm[name]` of the file at `path`; its values are read when they are asked
    /// for.
    ///
    /// # Errors
    /// If there is no such matrix, or nothing names its columns.
    pub(super) fn open(path: &Path, name: &str) -> Result<Self> {
        let mut source = Source::open(path)?;
        let (_, width) = source.read_obsm(name, 0..0)?;
        let names = match &source {
            Source::AnnData(cells) => cells.obsm_names(name, width)?,
            _ => None,
        };
        let place = format!("obsm/{name}");
        let features = names.ok_or_else(|| {
            let problem = format!("nothing names its {width} columns");
            Error::invalid(path, &place, problem).with_hint(format!(
                "store a data frame there, or the names in adata.uns[\"{name}_names\"]"
            ))
        })?;
        let n_cells = source.summary().n_cells;
        let summary = Summary {
            path: path.join(place),
            matrices: vec![MatrixSummary {
                layer: Layer::X,
                n_genes: width,
                n_stored: (n_cells * width) as u64,
                encoding: "dense",
                dtype: "float32".into(),
            }],
            elements: Vec::new(),
            values: None,
            ..source.summary().clone()
        };
        Ok(Self { source, name: name.into(), features, summary })
    }
}

impl CellSource for ObsmCells {
    crate::forward!(source: obs);
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.summary.shape(layer)?;
        Ok(Frame { index_name: "_index".into(), index: self.features.clone(), columns: Vec::new() })
    }

    /// Negative and missing values are errors whose remedy is raw counts: the usual normalisations
    /// of proteins give such values.
    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.check_rows(layer, &rows)?;
        let (values, width) = self.source.read_obsm(&self.name, rows.clone())?;
        if let Some(at) = values.iter().position(|value| value.is_nan() || *value < 0.0) {
            let (cell, feature) = (rows.start + at / width, &self.features[at % width]);
            let problem = format!("value {} of `{feature}` in cell {cell}", values[at]);
            return Err(Error::invalid(&self.summary.path, feature.as_str(), problem)
                .with_hint(super::part::COUNTS));
        }
        let cells = values
            .chunks(width.max(1))
            .map(|row| (0..).zip(row.iter().copied()).filter(|&(_, value)| value != 0.0).unzip());
        Csr::of_rows(width, cells).map_err(Error::Option)
    }
}
