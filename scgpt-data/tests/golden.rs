//! Parity with the reference: every golden case about host-side data.

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
    (0..tensors.shape(name)[0])
        .map(|row| values[row * width..(row + 1) * width].to_vec())
        .collect()
}
