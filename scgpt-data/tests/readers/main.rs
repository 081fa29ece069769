//! Readers of cell files: formats agree, damaged files are refused with a reason.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_input;
mod formats;
mod real_data;
mod scbank;

use scgpt_data::{CellSource, Csr, Frame, Layer, Result, Source};

/// A whole matrix with its tables, read in blocks of `step` cells.
fn read_all(source: &mut Source, layer: &Layer, step: usize) -> Result<(Vec<Csr>, Frame, Frame)> {
    let (n_cells, _) = source.summary().shape(layer)?;
    let blocks = (0..n_cells)
        .step_by(step)
        .map(|begin| source.read(layer, begin..n_cells.min(begin + step)))
        .collect::<Result<_>>()?;
    Ok((blocks, source.obs()?, source.var(layer)?))
}

/// Rows of blocks as (cell, gene, value), without stored zeros.
fn entries(blocks: &[Csr]) -> Vec<(usize, u32, f32)> {
    blocks
        .iter()
        .flat_map(Csr::rows)
        .enumerate()
        .flat_map(|(cell, row)| {
            let pairs = row.indices.iter().zip(row.values);
            pairs.map(move |(&gene, &value)| (cell, gene, value))
        })
        .filter(|entry| entry.2 != 0.0)
        .collect()
}
