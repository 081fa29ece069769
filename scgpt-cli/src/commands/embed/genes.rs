//! `scgpt embed --genes`: vectors of genes as a table.

use std::path::PathBuf;

use anyhow::Result;
use scgpt_data::CellSource;
use scgpt_tasks::embed::Embedder;
use serde_json::json;

use super::EmbedArgs;
use crate::{
    output::{Printer, check_table},
    progress::Bar,
    warnings::Warnings,
};

pub(super) fn run(args: &EmbedArgs, printer: Printer) -> Result<()> {
    let inputs = args.input.iter().chain([&args.model]).map(PathBuf::as_path);
    check_table(&args.output.path, inputs, args.output.existing())?;
    let device = args.stream.compute.open()?;
    let mut warnings = Warnings::new(printer);
    let choice = &args.stream.matrix.choice;
    let open = |input: &PathBuf| choice.open(input, &mut warnings);
    let mut source = args.input.as_ref().map(open).transpose()?;
    if let Some(source) = &source {
        warnings.doubts(&source.obs()?, &[], args.batch_key.as_deref());
    }
    let embedder = Embedder::open(&args.model, &device, args.strictness())?
        .with_precision(args.stream.precision.precision);
    if source.is_some() {
        args.stream.precision.remark_on(embedder.encoder().precision(), &mut warnings);
    }
    let bar = Bar::new(printer);
    let source = source.as_mut().map(|source| source as &mut dyn CellSource);
    let embedding = embedder.gene_embedding(source, &args.options(&args.output.path), &bar)?;
    bar.finish();
    warnings.without_genes(embedding.without_genes, "no vector is of them");
    embedding.table().write(&args.output.path, args.output.existing())?;
    let (genes, width) = (embedding.genes.len(), embedding.d);
    let vectors = if args.input.is_some() {
        "mean states over the cells that express a gene"
    } else {
        "those of the model's table"
    };
    let record = json!({
        "genes": genes,
        "width": width,
        "vectors": vectors,
        "precision": embedder.encoder().precision(),
        "without_genes": embedding.without_genes,
        "output": args.output.path,
        "model": {"path": args.model, "sha256": embedder.hash()},
    });
    printer.written(
        &warnings.beside(&record),
        &[
            ("genes", genes.to_string()),
            ("vectors", format!("{width} wide, {vectors}")),
            ("output", args.output.path.display().to_string()),
        ],
    )
}
