//! Deterministic inputs shared by the benches.

use burn::prelude::Device;

/// The device benches run on: the one named by `BURN_DEVICE`, else the CPU.
pub fn device() -> Device {
    if std::env::var_os("BURN_DEVICE").is_some() { Device::default() } else { Device::flex() }
}

/// Gene tokens and value bins of `n_cells × n_tokens`, spread over the vocabulary.
#[allow(clippy::cast_possible_truncation, reason = "token numbers are small")]
pub fn tokens(n_cells: usize, n_tokens: usize, n_genes: usize) -> (Vec<u32>, Vec<f32>) {
    // 7919 is prime, so that consecutive tokens are far apart in the table.
    let genes = (0..n_cells * n_tokens).map(|i| (i * 7919 % n_genes) as u32).collect();
    let values = (0..n_cells * n_tokens).map(|i| (i * 31 % 50 + 1) as f32).collect();
    (genes, values)
}
