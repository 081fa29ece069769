//! [`Reader`]: cells of a file of any format, some at a time, for engines that share them out.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use numpy::PyArray1;
use pyo3::{exceptions::PyValueError, prelude::*};
use scgpt_data::{CellSource as _, Column, Csr, Error, Layer, Source};

use crate::listening::apart;

/// Names of cells `begin..end`, and the arrays of a `scipy.sparse.csr_matrix` of them.
type Rows<'py> =
    (Vec<String>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

/// A matrix of a file that stays open, with the names of its cells; the other columns of obs are not kept.
#[pyclass(frozen, module = "scgpt_rs._native")]
pub(crate) struct Reader {
    source: Arc<Mutex<Source>>,
    layer: Layer,
    cells: Vec<String>,
}

#[pymethods]
impl Reader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, layer: &str) -> PyResult<Self> {
        let layer = Layer::from(layer);
        apart(py, move || {
            let source = Source::open(path)?;
            source.summary().shape(&layer)?;
            let cells = source.obs()?.index;
            Ok(Self { source: Arc::new(Mutex::new(source)), layer, cells })
        })
    }

    /// Number of cells.
    #[getter]
    fn n_cells(&self) -> usize {
        self.cells.len()
    }

    /// Names of the genes: the index of var, or a column.
    fn genes(&self, py: Python<'_>, gene_column: Option<String>) -> PyResult<Vec<String>> {
        self.read(py, |source, layer| {
            let var = source.var(layer)?;
            let Some(name) = gene_column else { return Ok(var.index) };
            let Some(column @ (Column::Text(_) | Column::Categorical { .. })) = var.column(&name)
            else {
                let problem = format!("column `{name}`: missing, or no text");
                return Err(Error::invalid(&source.summary().path, "var", problem));
            };
            Ok(column.labels().into_iter().map(Option::unwrap_or_default).collect())
        })
    }

    /// Some consecutive cells.
    fn rows<'py>(&self, py: Python<'py>, begin: usize, end: usize) -> PyResult<Rows<'py>> {
        let Some(names) = self.cells.get(begin..end) else {
            let n = self.cells.len();
            let problem = format!("cells {begin} to {end}: there are {n}, which count from 0");
            return Err(PyValueError::new_err(problem));
        };
        let (indptr, indices, values) = self
            .read(py, move |source, layer| source.read(layer, begin..end).map(Csr::into_parts))?;
        let indptr = indptr.into_iter().map(|end| (end as u64).cast_signed()).collect();
        let indices = indices.into_iter().map(u32::cast_signed).collect();
        Ok((
            names.to_vec(),
            PyArray1::from_vec(py, indptr),
            PyArray1::from_vec(py, indices),
            PyArray1::from_vec(py, values),
        ))
    }
}

impl Reader {
    /// Reads of the file, while the caller's thread hears Ctrl-C.
    fn read<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Source, &Layer) -> Result<T, Error> + Send + 'static,
    ) -> PyResult<T> {
        let (source, layer) = (Arc::clone(&self.source), self.layer.clone());
        apart(py, move || {
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(work(&mut source, &layer)?)
        })
    }
}
