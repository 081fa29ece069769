//! Inputs of the benches: the same in every run, with the sparsity of real cells.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "inputs are made here, and a bench fails by panicking"
)]

mod train;

use burn::prelude::Device;
use scgpt_data::{Csr, Frame, GeneNames, GeneVocab, Keyed, Purpose, TokenConfig, Tokenizer};

pub use self::train::TrainStep;

/// `n_cells` cells of counts over `n_genes` genes, of which a cell expresses a tenth: few genes
/// often and highly, most rarely.
pub fn cells(n_cells: usize, n_genes: u32) -> Csr {
    let mut indptr = vec![0];
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for cell in 0..n_cells {
        let key = Keyed::new(0, Purpose::Simulate, 0, cell as u64);
        for gene in 0..n_genes {
            let rate = 0.41 * (-4.0 * f64::from(gene) / f64::from(n_genes)).exp();
            let draw = key.uniform(gene.into());
            if draw < rate {
                // Given that it is expressed, draw / rate is uniform again.
                #[allow(clippy::cast_possible_truncation, reason = "a small count")]
                let count = (1.0 - 8.0 * rate * (draw / rate).max(1e-9).ln()).floor() as f32;
                indices.push(gene);
                values.push(count);
            }
        }
        indptr.push(indices.len());
    }
    Csr::new(n_genes as usize, indptr, indices, values).unwrap()
}

/// The names of `n_genes` genes.
fn names(n_genes: u32) -> Vec<String> {
    (0..n_genes).map(|gene| format!("GENE{gene}")).collect()
}

/// A vocabulary of `n_genes` genes.
pub fn vocab(n_genes: u32) -> GeneVocab {
    GeneVocab::from_names(names(n_genes)).unwrap()
}

/// A tokenizer of cells whose genes are all in the vocabulary.
pub fn tokenizer(n_genes: u32, config: TokenConfig) -> Tokenizer {
    let vocab = vocab(n_genes);
    let var = Frame { index: names(n_genes), ..Frame::default() };
    Tokenizer::new(&vocab, &vocab.align(&var, &GeneNames::BEST).unwrap(), config).unwrap()
}

/// The device benches run on: the one named by `BURN_DEVICE`, else the CPU.
pub fn device() -> Device {
    if std::env::var_os("BURN_DEVICE").is_some() { Device::default() } else { Device::flex() }
}

/// Gene tokens and value bins of `n_cells × n_tokens`, spread over the vocabulary.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "token numbers are small"
)]
pub fn tokens(n_cells: usize, n_tokens: usize, n_genes: usize) -> (Vec<i32>, Vec<f32>) {
    // 7919 is prime, so that consecutive tokens are far apart in the table.
    let genes = (0..n_cells * n_tokens).map(|i| (i * 7919 % n_genes) as i32).collect();
    let values = (0..n_cells * n_tokens).map(|i| (i * 31 % 50 + 1) as f32).collect();
    (genes, values)
}

/// Seconds of all cores that this process has used so far; 0 where that is not told. On a busy
/// machine it says more than the wall clock.
pub fn cpu_seconds() -> f64 {
    std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| {
            // After the name, which may hold spaces: state, … user and system time in 1/100 s.
            let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
            let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
            Some(ticks.iter().sum::<f64>() / 100.0)
        })
        .unwrap_or(0.0)
}

/// Most bytes of memory this process ever held, mapped files included; 0 where that is not told.
pub fn peak_memory() -> usize {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.split_whitespace().next()?.parse::<usize>().ok()
        })
        .map_or(0, |kilobytes| kilobytes << 10)
}
