//! [`warn`]: a line for `logging` of Python.

use pyo3::prelude::*;

/// Hands a line to the logger of the package.
pub(crate) fn warn(line: &str) {
    let told = Python::attach(|py| {
        let logger = py.import("logging")?.call_method1("getLogger", ("scgpt_rs",))?;
        logger.call_method1("warning", ("%s", line)).map(drop)
    });
    // A remark that nobody takes is no reason to stop.
    drop(told);
}
