//! [`select_variable`]: only the most variable genes of a source.
//!
//! Genes are chosen among all that were measured, not among those that the model knows: what varies in
//! the cells is a property of the data, and the same selection serves models with other vocabularies.
//! Chosen genes that the model does not know are counted in the report and have no token.

use scgpt_data::{
    Alignment, CellSource, GeneNames, GeneSubset, Layer, gene_columns, obs_column, unscaled,
    variable_columns,
};

use super::{VariableOptions, VariableReport};
use crate::error::{Error, Result};

/// Leaves only the most variable genes in `alignment`. Features that are no genes, such as
/// proteins, count in no sum and are never selected.
///
/// # Errors
/// If the cells or the column of batches cannot be read, the measure does not fit the values, or the
/// model knows none of the chosen genes.
pub(crate) fn select_variable(
    source: &mut dyn CellSource,
    layer: &Layer,
    options: &VariableOptions,
    names: &GeneNames,
    alignment: &mut Alignment,
) -> Result<VariableReport> {
    let batches = options.batch_key.as_deref().map(|key| batch_numbers(source, key)).transpose()?;
    let wanted = (options.n_top, options.flavour);
    let columns = gene_columns(source, layer, names)?;
    let mut genes = GeneSubset::new(source, layer, columns.clone())?;
    let values = unscaled(&mut genes, layer)?;
    let (flavour, selected) =
        variable_columns(&mut genes, layer, wanted, batches.as_deref(), values)?;
    let mut is_selected = vec![false; alignment.tokens.len()];
    for &gene in &selected {
        is_selected[columns[gene]] = true;
    }
    alignment.retain(|gene| is_selected[gene]);
    if alignment.matched() == 0 {
        return Err(Error::option(format!(
            "none of the {} variable genes is in the vocabulary",
            selected.len()
        )));
    }
    Ok(VariableReport { flavour, n_selected: selected.len(), n_known: alignment.matched() })
}

/// The number of every cell's category in column `key` of `obs`; a missing value is one of its own.
fn batch_numbers(source: &dyn CellSource, key: &str) -> Result<Vec<u32>> {
    let obs = source.obs()?;
    let column = obs_column(&obs, key)?;
    let labels = column.labels();
    let mut categories: Vec<&Option<String>> = labels.iter().collect();
    categories.sort_unstable();
    categories.dedup();
    let number =
        |label| categories.binary_search(&label).ok().and_then(|number| u32::try_from(number).ok());
    Ok(labels.iter().filter_map(number).collect())
}
