//! Vectors of genes as rows of `varm`.
//!
//! AnnData keeps `varm` beside the genes of `X`, so there is a row for each of these, in their
//! order, even if the network was made from `raw`, which has genes of its own.

use std::collections::HashMap;

use scgpt_data::{CellSource, GeneToken, Layer, RowSpool};

use super::{EmbeddingNetworkOptions, EmbeddingNetworks};
use crate::{embed::Embedder, error::Result};

impl EmbeddingNetworks {
    /// A row for every gene of the data's `X`: its vector in the model's table or, if the network
    /// is of vectors in context, in the cells; NaN for a gene that the model does not know, or that
    /// is not in the network.
    ///
    /// # Errors
    /// If the data cannot be read, or a temporary file cannot be written.
    pub fn by_gene(
        &self,
        embedder: &Embedder,
        source: &dyn CellSource,
        options: &EmbeddingNetworkOptions,
    ) -> Result<RowSpool> {
        if options.contextual {
            return self.spread(&self.vectors, source, options);
        }
        let known: Vec<(usize, GeneToken)> = embedder
            .align(source, &options.embed)?
            .tokens
            .into_iter()
            .enumerate()
            .filter_map(|(column, token)| Some((column, token?)))
            .collect();
        let (columns, tokens): (Vec<usize>, Vec<GeneToken>) = known.into_iter().unzip();
        rows(&columns, &embedder.gene_vectors(&tokens), self.d, source, options)
    }

    /// A row for every gene of the data's `X`: its row in `vectors`, `[genes, d]`, which has one
    /// for each gene of the network; NaN for other genes.
    ///
    /// # Errors
    /// If the data cannot be read, or a temporary file cannot be written.
    pub fn spread(
        &self,
        vectors: &[f32],
        source: &dyn CellSource,
        options: &EmbeddingNetworkOptions,
    ) -> Result<RowSpool> {
        rows(self.columns.as_deref().unwrap_or_default(), vectors, self.d, source, options)
    }
}

/// A row of width `d` for every gene of `X`: that of `vectors` whose column in the network's matrix
/// has the same name, else NaN.
fn rows(
    columns: &[usize],
    vectors: &[f32],
    d: usize,
    source: &dyn CellSource,
    options: &EmbeddingNetworkOptions,
) -> Result<RowSpool> {
    let layer = &options.embed.layer;
    let of_layer = source.var(layer)?;
    // `raw` has genes of its own, in another order: those of `X` are found by name.
    let of_x = if *layer == Layer::Raw { source.var(&Layer::X).ok() } else { None };
    let of_x = of_x.unwrap_or_else(|| of_layer.clone());
    let number: HashMap<&str, usize> =
        columns.iter().enumerate().map(|(i, &c)| (of_layer.index[c].as_str(), i)).collect();
    let mut spool = RowSpool::new_in(options.embed.temporary.as_deref(), d)?;
    let unknown = vec![f32::NAN; d];
    for gene in &of_x.index {
        let found = number.get(gene.as_str()).map(|i| &vectors[i * d..(i + 1) * d]);
        spool.push(found.unwrap_or(&unknown))?;
    }
    Ok(spool)
}
