//! Embeds cells that are in memory already, each row given away as it is computed.
//!
//! `cargo run --release -p scgpt-tasks --example embed_memory -- MODEL`
#![allow(clippy::print_stdout, reason = "an example says what it found")]

use std::path::PathBuf;

use burn::prelude::Device;
use scgpt_data::{Frame, GeneNames, MemoryCells, Silent};
use scgpt_model::Strictness;
use scgpt_tasks::embed::{EmbedOptions, Embedder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args_os().nth(1).map(PathBuf::from);
    let model = model.ok_or("name the folder of a model")?;
    let embedder = Embedder::open(&model, &Device::default(), Strictness::Strict)?;

    // Compressed sparse rows as other code has them: every cell expresses a third of some known genes.
    let genes: Vec<&str> =
        embedder.vocab().names().filter(|name| !name.starts_with('<')).take(60).collect();
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for cell in 0..100_u16 {
        for gene in (cell % 3..u16::try_from(genes.len())?).step_by(3) {
            indices.push(u32::from(gene));
            values.push(f32::from(1 + (gene * 7 + cell) % 5));
        }
        indptr.push(indices.len());
    }
    let obs = Frame::of_names((0..100).map(|cell| format!("cell_{cell}")));
    let var = Frame::of_names(genes);
    let mut cells = MemoryCells::new(&indptr, &indices, &values, &obs, &var)?;

    let mut options = EmbedOptions::default();
    options.gene_names = GeneNames { min_genes: Some(0.0), ..GeneNames::BEST };
    options.batch_size = 32;
    let mut written = 0;
    let mut each = |first: usize, rows: &[f32]| {
        let n = rows.len() / embedder.config().d_model;
        written += n;
        println!("cells {first}..{}: the first begins {:.3?}", first + n, &rows[..4]);
        Ok(())
    };
    let embedded = embedder.embed_each(&mut cells, &options, &mut each, &Silent)?;
    println!("{written} rows of length 1, {} cells without a known gene", embedded.empty.len());
    Ok(())
}
