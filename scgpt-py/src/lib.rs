//! The native half of the Python package `scgpt_rs`: it lends arrays of numpy, runs command lines of the program on
//! them, and holds a model for the engines that send it batches. What is said of cells is all in `python/`.

#![allow(clippy::needless_pass_by_value, reason = "arguments of Python are made for the call")]

mod bins;
mod call;
mod described;
mod embedder;
mod lend;
mod listening;
mod logging;
mod rows;

use pyo3::{Bound, PyResult, pymodule, types::PyModule};

/// The native half of the package.
#[pymodule]
mod _native {
    use pyo3::types::PyModuleMethods as _;

    use super::{Bound, PyModule, PyResult};
    #[pymodule_export]
    use super::{
        bins::bin_values,
        call::{call, program},
        described::commands,
        embedder::Embedder,
        lend::Loan,
        rows::Reader,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        scgpt_cli::keep_freed_memory();
        scgpt_cli::hear_notes(super::logging::warn);
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
