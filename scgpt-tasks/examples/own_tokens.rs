//! A network on a device of one's own choice, given tokens of one's own: embeddings, and the states of
//! all tokens from the encoder below.
//!
//! `cargo run --release -p scgpt-tasks --example own_tokens`
#![allow(clippy::print_stdout, reason = "an example says what it found")]

use burn::prelude::Device;
use scgpt_data::{CellTokens, GeneVocab, Silent};
use scgpt_model::{Preprocess, ScgptConfig, TokenBatchView};
use scgpt_tasks::embed::Embedder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Whichever backend the binary was built with: `Device::default()` is its first; a program that has
    // several names one of its devices here.
    let device = Device::default();
    let vocab = GeneVocab::from_names(["CD3D", "CD4", "CD8A", "MS4A1", "LYZ"])?;
    let config =
        ScgptConfig { n_layers: 2, d_model: 32, d_ff: 32, ..ScgptConfig::new(vocab.len()) };
    device.seed(1);
    let model = config.init(&device)?;
    let preprocess = Preprocess { max_length: 10, cls_value: 0.0 };
    let embedder = Embedder::new(model, config, preprocess, vocab)?;

    // A cell is `<cls>` and genes with value bins, from wherever they come.
    let cell = |genes: &[(&str, f32)]| -> Option<CellTokens> {
        let of = std::iter::once(&("<cls>", 0.0)).chain(genes);
        of.map(|(name, bin)| Some((embedder.vocab().token(name)?, *bin))).collect()
    };
    let cells = [cell(&[("CD3D", 50.0), ("CD4", 12.0)]), cell(&[("MS4A1", 50.0)])];
    let cells = cells.into_iter().collect::<Option<Vec<_>>>().ok_or("an unknown gene")?;

    let rows = embedder.embed_tokens(&cells, 8, &Silent)?;
    let d = embedder.config().d_model;
    let cosine: f32 = rows[..d].iter().zip(&rows[d..]).map(|(a, b)| a * b).sum();
    println!("two cells, cosine {cosine:.3}");

    let genes: Vec<i32> = cells[0].genes.iter().map(|gene| gene.0.cast_signed()).collect();
    let states = embedder.encoder().states(TokenBatchView {
        n_tokens: genes.len(),
        genes: &genes,
        values: &cells[0].values,
        lengths: &[genes.len()],
        domain: 0,
    });
    println!("the encoder gives {} states of width {d}", states.len() / d);
    Ok(())
}
