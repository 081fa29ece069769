//! Reads a file of cells block by block: `cargo run --release --example read_blocks -- cells.h5ad`.
//!
//! To read h5ad alone, a program depends on this crate with
//! `default-features = false, features = ["h5ad"]`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error};

use scgpt_data::{CellSource as _, Layer, ReadBlocks as _, Source};

/// Cells that are in memory at a time.
const BLOCK: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: read_blocks FILE")?;
    let mut source = Source::open(&path)?;
    let (n_cells, n_genes) = source.summary().shape(&Layer::X)?;
    println!("{path}: {}, {n_cells} cells × {n_genes} genes", source.summary().format);

    let obs = source.obs()?;
    println!("of the cells it says {:?}", obs.names().collect::<Vec<_>>());

    let (mut n_expressed, mut richest) = (0_usize, (0, 0.0));
    for block in source.blocks(&Layer::X, BLOCK) {
        let (cells, block) = block?;
        for (cell, row) in cells.zip(block.rows()) {
            n_expressed += row.values.iter().filter(|&&value| value != 0.0).count();
            let total: f32 = row.values.iter().sum();
            if total > richest.1 {
                richest = (cell, total);
            }
        }
    }
    let share = n_expressed as f64 / (n_cells * n_genes) as f64;
    println!("{:.1} % of the values are not zero", 100.0 * share);
    println!("most is in cell `{}`, in sum {}", obs.index[richest.0], richest.1);
    Ok(())
}
