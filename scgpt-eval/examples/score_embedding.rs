//! Scores an embedding in `obsm` of a file beside simple methods on the same cells:
//!
//! ```text
//! cargo run --release --example score_embedding -- cells.h5ad X_pca cell_type batch
//! ```
//!
//! Without arguments cells are simulated, and the embedding is half of their variable genes.
#![allow(clippy::print_stdout, reason = "an example that says what it finds")]

use std::env::args;

use scgpt_data::{CellSource, Error, Result, Silent, Source};
use scgpt_eval::{
    CellColumn, CellSpace, IntegrationComparison, Labels,
    baseline::{BaselineOptions, hvg_pca, integration_baselines},
    simulate::{SimulateOptions, Simulation},
};
use scgpt_stats::ClusterOptions;

fn main() -> Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let Some([file, key, label, batch]) = arguments.first_chunk() else {
        let mut cells = SimulateOptions::new(600, 400);
        (cells.types, cells.batches) = (4, 2);
        let mut source = Simulation::new(&cells, None)?;
        let mut options = BaselineOptions::default();
        (options.n_genes, options.n_components) = (100, 10);
        let pca = hvg_pca(&mut source, &options, &Silent)?;
        return compare(&mut source, (&pca.rows, pca.n_components), ["PCA", "cell_type", "batch"]);
    };
    let mut source = Source::open(file)?;
    let (rows, width) = source.read_obsm(key, 0..source.summary().n_cells)?;
    compare(&mut source, (&rows, width), [key, label, batch])
}

/// Scores `rows`, `[n, width]`, and prints a line for each method.
fn compare(
    source: &mut dyn CellSource,
    (rows, width): (&[f32], usize),
    [key, label, batch]: [&str; 3],
) -> Result<()> {
    let obs = source.obs()?;
    let column = |name: &str| CellColumn::new(name, &Labels::read(&obs, name)?);
    let options = ClusterOptions::default();
    let mut comparison = IntegrationComparison::new(Some(column(label)?), column(batch)?, options);
    comparison.add(key, &CellSpace::rows(rows, width), &Silent)?;
    let batches = comparison.batch.codes().to_vec();
    let baselines =
        integration_baselines(source, &batches, &BaselineOptions::default(), 0, &Silent)?;
    comparison.add_baselines(&baselines, &Silent)?;
    for embedding in &comparison.embeddings {
        let scores = &embedding.scores;
        let [bio, batches, overall] = [scores.avg_bio, scores.avg_batch, scores.overall]
            .map(|score| score.map_or("–".into(), |score| format!("{score:.3}")));
        println!("{:<14} biology {bio}, batches {batches}, overall {overall}", embedding.name);
    }
    println!("{}", comparison.verdict().ok_or(Error::Option("nothing was scored".into()))?);
    Ok(())
}
