//! Parity with the reference: every golden case about host-side data.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::float_cmp,
    reason = "a test fails by panicking, says what it compared, and compares exact numbers"
)]

mod golden {
    mod binning;
    mod tokenize;
    mod variable;
}

use scgpt_fixtures::Tensors;

/// Rows of a `[n, m]` tensor.
fn rows(tensors: &Tensors, name: &str) -> Vec<Vec<f32>> {
    let width = tensors.shape(name)[1];
    let values = tensors.f32(name);
    (0..tensors.shape(name)[0]).map(|row| values[row * width..(row + 1) * width].to_vec()).collect()
}
