//! [`SpooledCells`]: computed cells, row by row in a temporary file, as a source.

use std::{ops::Range, path::PathBuf};

use crate::{
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    row_spool::RowSpool,
    summary::{Layer, MatrixSummary, Summary},
};

/// Cells whose values were computed, so that they can be [exported](crate::export): any number, in
/// the memory of a block.
///
/// ```
/// use scgpt_data::{CellSource as _, Frame, Layer, RowSpool, SpooledCells};
///
/// let mut rows = RowSpool::new(2)?;
/// rows.push(&[0.0, 1.5])?;
/// let mut cells = SpooledCells::new(Frame::of_names(["cell"]), Frame::of_names(["A", "B"]), rows);
/// assert_eq!(cells.read(&Layer::X, 0..1)?.row(0).indices, [1]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct SpooledCells {
    obs: Frame,
    var: Frame,
    rows: RowSpool,
    summary: Summary,
}

impl SpooledCells {
    /// Cells with the annotations `obs` and `var`, whose values are `rows`, `[cells, genes]`; the
    /// matrix is [`Layer::X`].
    ///
    /// # Panics
    /// If the numbers of rows or columns differ from those of the annotations.
    pub fn new(obs: Frame, var: Frame, rows: RowSpool) -> Self {
        assert_eq!((obs.len(), var.len()), (rows.n_rows(), rows.n_columns()), "annotations fit");
        let summary = Summary {
            path: PathBuf::from("computed cells"),
            format: "computed".into(),
            n_cells: rows.n_rows(),
            matrices: vec![MatrixSummary {
                layer: Layer::X,
                n_genes: rows.n_columns(),
                n_stored: rows.n_rows() as u64 * rows.n_columns() as u64,
                encoding: "csr",
                dtype: "float32".into(),
            }],
            elements: Vec::new(),
            chosen: None,
            values: None,
        };
        Self { obs, var, rows, summary }
    }
}

impl CellSource for SpooledCells {
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(self.obs.clone())
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.summary.shape(layer)?;
        Ok(self.var.clone())
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        let (_, n_genes) = self.summary.shape(layer)?;
        let mut values = Vec::new();
        self.rows.read_rows(rows.start, rows.len(), &mut values)?;
        let (mut indptr, mut indices, mut stored) = (vec![0], Vec::new(), Vec::new());
        for row in values.chunks(n_genes) {
            for (gene, &value) in (0..).zip(row).filter(|&(_, &value)| value != 0.0) {
                indices.push(gene);
                stored.push(value);
            }
            indptr.push(indices.len());
        }
        Csr::new(n_genes, indptr, indices, stored).map_err(Error::Option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_without_their_zeros() {
        let frame = |names: &[&str]| Frame {
            index_name: "_index".into(),
            index: names.iter().map(|&name| name.into()).collect(),
            columns: Vec::new(),
        };
        let mut rows = RowSpool::new(3).unwrap();
        rows.push(&[0.0, 1.5, 0.0, 2.0, 0.0, -1.0]).unwrap();
        let mut cells = SpooledCells::new(frame(&["a", "b"]), frame(&["x", "y", "z"]), rows);
        let block = cells.read(&Layer::X, 1..2).unwrap();
        assert_eq!((block.indices(), block.values()), (&[0, 2][..], &[2.0, -1.0][..]));
        assert_eq!(cells.obs().unwrap().index, ["a", "b"]);
    }
}
