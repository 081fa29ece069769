//! [`gene_column`]: by which names conditions call the perturbed genes.

use std::collections::BTreeSet;

use scgpt_data::{Column, Frame, GeneNames};

/// The place in `var` that names most of the perturbed genes; the index, or symbols beside an index
/// that counts rows, if none does.
pub fn gene_column(var: &Frame, perturbed: &BTreeSet<&str>) -> String {
    let named = |names: &[Option<String>]| {
        names.iter().flatten().filter(|name| perturbed.contains(name.as_str())).count()
    };
    let usual = GeneNames::default_column(var).unwrap_or_else(|_| "index".to_owned());
    let of_usual = named(&gene_names(var, &usual));
    let mut best = (usual, of_usual);
    for (name, column) in &var.columns {
        if matches!(column, Column::Text(_) | Column::Categorical { .. }) {
            let n = named(&column.labels());
            if n > best.1 {
                best = (name.clone(), n);
            }
        }
    }
    best.0
}

/// The names in a column that [`gene_column`] found.
pub fn gene_names(var: &Frame, column: &str) -> Vec<Option<String>> {
    match var.column(column) {
        Some(names) if column != "index" => names.labels(),
        _ => var.index.iter().cloned().map(Some).collect(),
    }
}
