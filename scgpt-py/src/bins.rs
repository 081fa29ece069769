//! [`bin_values`]: the value bins of cells.

use anyhow::bail;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use scgpt_data::{BinScratch, Binner, Keyed, Observer as _, Purpose, TieMode};

use crate::{
    embedder::choice,
    listening::{listening, told},
};

/// The value bins of the stored values of cells; ties are drawn by the seed, the cell's place and the value's.
#[pyfunction]
pub(crate) fn bin_values<'py>(
    py: Python<'py>,
    indptr: PyReadonlyArray1<'py, i64>,
    values: PyReadonlyArray1<'py, f32>,
    n_bins: u16,
    tie_mode: &str,
    seed: u64,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let tie_mode: TieMode = choice("tie_mode", tie_mode)?;
    let binner = Binner::new(n_bins, tie_mode);
    let binner = binner.map_err(|error| told(error.into()))?;
    let (indptr, mut values) = (indptr.as_slice()?, values.as_slice()?.to_vec());
    let bins = listening(py, |listening| {
        let mut scratch = BinScratch::default();
        for (cell, ends) in (0..).zip(indptr.windows(2)) {
            listening.check_cancelled()?;
            let row = usize::try_from(ends[0]).ok().zip(usize::try_from(ends[1]).ok());
            let Some(row) = row.and_then(|(begin, end)| values.get_mut(begin..end)) else {
                bail!("the offsets do not fit the values");
            };
            let key = Keyed::new(seed, Purpose::BinTie, 0, cell);
            binner.bin(row, |place| key.uniform(place as u64), &mut scratch);
        }
        Ok(values)
    })?;
    Ok(PyArray1::from_vec(py, bins))
}
