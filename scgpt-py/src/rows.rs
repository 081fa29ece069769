//! [`read_rows`]: cells of a file of any format, some at a time, for engines that share them out.

use std::path::PathBuf;

use numpy::PyArray1;
use pyo3::{exceptions::PyValueError, prelude::*};
use scgpt_data::{CellSource as _, Column, Layer, Source};

/// Names of cells `begin..end`, and the arrays of a `scipy.sparse.csr_matrix` of them.
type Rows<'py> =
    (Vec<String>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

/// The number of cells of a matrix of a file, and the names of its genes.
#[pyfunction]
pub(crate) fn read_shape(
    py: Python<'_>,
    path: PathBuf,
    layer: &str,
    gene_column: Option<&str>,
) -> PyResult<(usize, Vec<String>)> {
    let layer = Layer::from(layer);
    py.detach(|| {
        let source = Source::open(path)?;
        let (n_cells, _) = source.summary().shape(&layer)?;
        let var = source.var(&layer)?;
        let Some(name) = gene_column else { return Ok((n_cells, var.index)) };
        let Some(column @ (Column::Text(_) | Column::Categorical { .. })) = var.column(name) else {
            let problem = format!("column `{name}`: missing, or no text");
            return Err(scgpt_data::Error::invalid(&source.summary().path, "var", problem));
        };
        let genes = column.labels().into_iter().map(Option::unwrap_or_default).collect();
        Ok((n_cells, genes))
    })
    .map_err(|error: scgpt_data::Error| PyValueError::new_err(error.to_string()))
}

/// Cells of a matrix of a file.
#[pyfunction]
pub(crate) fn read_rows<'py>(
    py: Python<'py>,
    path: PathBuf,
    layer: &str,
    begin: usize,
    end: usize,
) -> PyResult<Rows<'py>> {
    let layer = Layer::from(layer);
    let read = py.detach(|| {
        let mut source = Source::open(path)?;
        let block = source.read(&layer, begin..end)?;
        Ok((source.obs()?.index[begin..end].to_vec(), block))
    });
    let (names, block) =
        read.map_err(|error: scgpt_data::Error| PyValueError::new_err(error.to_string()))?;
    let (indptr, indices, values) = block.into_parts();
    let indptr = indptr.into_iter().map(|end| (end as u64).cast_signed()).collect();
    let indices = indices.into_iter().map(u32::cast_signed).collect();
    Ok((
        names,
        PyArray1::from_vec(py, indptr),
        PyArray1::from_vec(py, indices),
        PyArray1::from_vec(py, values),
    ))
}
