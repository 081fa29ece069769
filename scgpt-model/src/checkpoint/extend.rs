//! [`GeneRows`]: takes the weights of a checkpoint over to another vocabulary.

use burn::{nn::Embedding, prelude::*};

use super::{Weights, keys, load::Strictness};
use crate::{config::ScgptConfig, error::Result, host::host_values, scgpt::Scgpt};

/// Which gene vectors of a checkpoint a network over another vocabulary keeps.
///
/// ```
/// use scgpt_model::GeneRows;
///
/// // Tokens 0 and 2 were rows 5 and 9 of the checkpoint; token 1 is new and gets a drawn vector.
/// let genes = GeneRows { rows: vec![Some(5), None, Some(9)], only_genes: false };
/// assert_eq!(genes.rows.iter().flatten().count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneRows {
    /// The row in the checkpoint of each token of the new vocabulary; the vectors of tokens without
    /// a row are drawn.
    pub rows: Vec<Option<usize>>,
    /// Whether everything but the gene vectors and the scale of their norm is drawn anew.
    pub only_genes: bool,
}

impl Weights {
    /// A network of that configuration with the gene vectors of this checkpoint, and with whatever
    /// else of it fits; the rest is drawn from the generator of the device.
    ///
    /// # Errors
    /// If the configuration is invalid, or a tensor is unreadable or holds NaN or infinity.
    ///
    /// # Reference
    /// The loading of the multi-omic tutorial is [`only_genes`](GeneRows::only_genes). Differs: special
    /// tokens keep their vectors, too.
    pub fn load_rows(
        &self,
        config: &ScgptConfig,
        genes: &GeneRows,
        device: &Device,
    ) -> Result<Scgpt> {
        let mut model = if genes.only_genes {
            config.init(device)?
        } else {
            self.load(config, device, Strictness::Partial)?.0
        };
        model.draw();
        keep(&mut model.genes.embedding, &self.read(keys::GENE_TABLE)?, &genes.rows);
        if let Some(means) = model.means.as_mut().filter(|_| !genes.only_genes) {
            keep(means, &self.read(keys::MEANS_TABLE)?, &genes.rows);
        }
        if genes.only_genes {
            let scale = self.read(keys::GENE_SCALE)?;
            let norm = &mut model.genes.norm;
            norm.gamma =
                norm.gamma.clone().map(|old| Tensor::from_data(scale.as_slice(), &old.device()));
        }
        Ok(model)
    }
}

/// Replaces those rows of a table that the one of a checkpoint has.
fn keep(table: &mut Embedding, old: &[f32], rows: &[Option<usize>]) {
    let weight = table.weight.clone();
    let shape @ [_, width] = weight.dims();
    let mut values: Vec<f32> = host_values(weight.val());
    for (row, kept) in values.chunks_mut(width).zip(rows) {
        if let Some(kept) = kept.and_then(|kept| old.chunks(width).nth(kept)) {
            row.copy_from_slice(kept);
        }
    }
    table.weight =
        weight.map(|old| Tensor::from_data(TensorData::new(values, shape), &old.device()));
}
