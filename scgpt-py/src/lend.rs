//! [`Loan`]: arrays of numpy in place of those of a file.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use numpy::{PyArrayDescrMethods as _, PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::{exceptions::PyValueError, prelude::*};
use scgpt_data::{Lent, LentArray};

/// The numbers of an array, which is kept alive.
struct Held {
    first: *const u8,
    n_bytes: usize,
    _array: Py<PyUntypedArray>,
}

// SAFETY: the bytes are read alone, wherever the reader runs, and stay where they are while the array is alive. A
// program that changes an array while a call works on it gets numbers from before or after, as with all of numpy that
// works without the interpreter's lock.
#[allow(unsafe_code, reason = "a pointer into an array of numpy, which is kept alive beside it")]
unsafe impl Send for Held {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "a pointer into an array of numpy, which is kept alive beside it")]
unsafe impl Sync for Held {}

impl AsRef<[u8]> for Held {
    #[allow(
        unsafe_code,
        reason = "a pointer into an array of numpy, which is kept alive beside it"
    )]
    fn as_ref(&self) -> &[u8] {
        if self.n_bytes == 0 {
            return &[];
        }
        // SAFETY: a contiguous array owns that many bytes from its first on, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.first, self.n_bytes) }
    }
}

/// Arrays that are lent to a file until the block ends: `with Loan(path, {"X/data": array, …}, None):`; its matrix may
/// stay in another, backing file.
#[pyclass(module = "scgpt_rs._native")]
pub(crate) struct Loan {
    path: PathBuf,
    arrays: Vec<(String, LentArray)>,
    backing: Option<PathBuf>,
    lent: Option<Lent>,
}

#[pymethods]
impl Loan {
    #[new]
    fn new(
        path: PathBuf,
        arrays: HashMap<String, Bound<'_, PyUntypedArray>>,
        backing: Option<PathBuf>,
    ) -> PyResult<Self> {
        let arrays = arrays.into_iter().map(|(place, array)| Ok((place, lent(&array)?)));
        Ok(Self { path, arrays: arrays.collect::<PyResult<_>>()?, backing, lent: None })
    }

    fn __enter__(&mut self) {
        self.lent =
            Some(Lent::new(&self.path, std::mem::take(&mut self.arrays), self.backing.take()));
    }

    fn __exit__(&mut self, _kind: Py<PyAny>, _error: Py<PyAny>, _trace: Py<PyAny>) {
        self.lent = None;
    }
}

/// An array of numpy, as it is: contiguous by rows, of native byte order.
fn lent(array: &Bound<'_, PyUntypedArray>) -> PyResult<LentArray> {
    let dtype = array.dtype();
    let name: String = dtype.getattr("name")?.extract()?;
    if !array.is_c_contiguous() || dtype.is_native_byteorder() == Some(false) {
        let problem =
            "an array that is lent is contiguous by rows, in the byte order of the machine";
        return Err(PyValueError::new_err(problem));
    }
    let (first, n_bytes) = first_and_length(array);
    let held = Held { first, n_bytes, _array: array.clone().unbind() };
    LentArray::new(array.shape(), &name, Arc::new(held))
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Where the numbers of an array begin, and how many bytes they are.
#[allow(unsafe_code, reason = "numpy gives the address of its numbers by a pointer")]
fn first_and_length(array: &Bound<'_, PyUntypedArray>) -> (*const u8, usize) {
    // SAFETY: the pointer is that of an array that lives.
    let first = unsafe { (*array.as_array_ptr()).fields.data.cast_const().cast::<u8>() };
    (first, array.len() * array.dtype().itemsize())
}
