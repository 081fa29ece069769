//! Tables of a network of gene vectors, and what is added to a copy of its cells.

use anyhow::Result;
use scgpt_data::{Additions, Column, Source, Table};
use scgpt_tasks::{
    embed::Embedder,
    grn::{EmbeddingNetworkOptions, EmbeddingNetworks},
};
use serde_json::json;

fn text(values: impl Iterator<Item = String>) -> Column {
    Column::Text(values.map(Some).collect())
}

fn numbers(values: impl Iterator<Item = f64>) -> Column {
    Column::Float(values.map(Some).collect())
}

pub(super) fn similar(found: &EmbeddingNetworks) -> Table {
    let rows =
        || found.similar.iter().flat_map(|(gene, others)| others.iter().map(move |it| (gene, it)));
    Table {
        columns: vec![
            ("gene".into(), text(rows().map(|(gene, _)| gene.clone()))),
            ("similar".into(), text(rows().map(|(_, (name, _))| name.clone()))),
            ("cosine".into(), numbers(rows().map(|(_, (_, cosine))| f64::from(*cosine)))),
        ],
    }
}

/// The networks of all cell types as one table.
pub(super) fn of_types(found: &EmbeddingNetworks) -> Table {
    let rows = || {
        found.type_networks.iter().flat_map(|(name, network)| {
            network.edges().iter().map(move |edge| (name, network.genes(), edge))
        })
    };
    Table {
        columns: vec![
            ("type".into(), text(rows().map(|(name, ..)| name.clone()))),
            ("source".into(), text(rows().map(|(_, genes, it)| genes[it.source].clone()))),
            ("target".into(), text(rows().map(|(_, genes, it)| genes[it.target].clone()))),
            ("weight".into(), numbers(rows().map(|(.., it)| it.weight))),
        ],
    }
}

/// Mean scores as a table: a row a cell type, a column a programme.
pub(super) fn means(types: &[String], means: &[f64]) -> Table {
    let n = means.len() / types.len().max(1);
    let column = |programme: usize| {
        let values = means.iter().skip(programme).step_by(n.max(1)).copied();
        (format!("programme_{}", programme + 1), numbers(values))
    };
    let names = ("cell_type".to_owned(), text(types.iter().cloned()));
    Table { columns: std::iter::once(names).chain((0..n).map(column)).collect() }
}

/// What is added to a copy of the cells: vectors, if there are any, in `varm`, scores in `obsm`, programmes in `uns`.
pub(super) fn additions(
    embedder: Option<&Embedder>,
    found: EmbeddingNetworks,
    source: &mut Source,
    options: &EmbeddingNetworkOptions,
) -> Result<Additions> {
    let programmes: Vec<Vec<&String>> = found
        .programmes
        .iter()
        .map(|programme| programme.genes.iter().map(|&gene| &found.genes[gene]).collect())
        .collect();
    let numbered = (1..).zip(&programmes).map(|(n, genes)| (format!("{n}"), json!(genes)));
    let record = json!({
        "report": found.report,
        "programmes": numbered.collect::<serde_json::Map<_, _>>(),
    });
    let mut varm = Vec::new();
    if let Some(embedder) = embedder {
        varm.push(("scGPT_gene_emb".to_owned(), found.by_gene(embedder, source, options)?));
    }
    for (name, vectors) in &found.of_types {
        varm.push((format!("scGPT_gene_emb_{name}"), found.spread(vectors, source, options)?));
    }
    Ok(Additions {
        varm,
        obsm: found
            .scores
            .map(|it| ("scGPT_programmes".to_owned(), it.cells))
            .into_iter()
            .collect(),
        uns: vec![("scgpt_grn".into(), record)],
        ..Additions::default()
    })
}
