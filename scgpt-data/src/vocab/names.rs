//! [`GeneNames`]: where the names of genes are, and which features are genes.

use std::{borrow::Cow, collections::HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    frame::{Column, Frame},
    modality::{RNA, known},
    names::similar_names,
};

/// The word for the index of a `var` table, beside the names of its columns.
pub(super) const INDEX: &str = "index";

/// Columns that tell what a feature measures, and whether every label there does: the second also
/// names the biotype of a gene so.
const TYPES: [(&str, bool); 2] = [("feature_types", true), ("feature_type", false)];

/// Columns with names of genes, as they are usually called, best first.
const USUAL: [&str; 14] = [
    "gene_symbols",
    "gene_symbol",
    "symbol",
    "symbols",
    "gene_name",
    "gene_names",
    "feature_name",
    "gene_short_name",
    "hgnc_symbol",
    "gene",
    "gene_ids",
    "gene_id",
    "ensembl_id",
    "feature_id",
];

/// Share of different names that a column needs to be taken for one of genes.
const DIFFERENT: f64 = 0.9;

/// Where the names of genes are, which features are genes, and how many have to be known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneNames {
    /// Column of `var` with the names, or `index`; `None` takes the best one. Names that are row
    /// numbers are taken from a column only if it is named here.
    #[serde(rename = "gene_column")]
    pub column: Option<String>,
    /// Whether features that `var/feature_types` calls antibodies, peaks or guides are taken for genes,
    /// too.
    #[serde(default)]
    pub all_features: bool,
    /// Least share of genes that have to be known, from 0 to 1; `None` is the usual share of 10 %.
    #[serde(default)]
    pub min_genes: Option<f64>,
    /// Whether a gene that the vocabulary does not have by its name is unknown, even if the vocabulary has it by
    /// another one: an id of Ensembl, a previous symbol, an alias, that of the ortholog in the mouse, or in other case.
    #[serde(default)]
    pub genes_as_they_are: bool,
}

/// A column of `var`, or its index, and the names of the genes there; a missing name is empty.
pub(super) type Place<'a> = (String, Vec<Cow<'a, str>>);

impl GeneNames {
    /// The best names, of genes alone.
    pub const BEST: Self =
        Self { column: None, all_features: false, min_genes: None, genes_as_they_are: false };

    /// The names in one column of `var`.
    pub fn of_column(column: impl Into<String>) -> Self {
        Self { column: Some(column.into()), ..Self::BEST }
    }

    /// The names in a column where they were found before, of all features whatever they measure.
    pub fn found_in(column: impl Into<String>) -> Self {
        let column = Some(column.into());
        Self { column, all_features: true, min_genes: Some(0.0), ..Self::BEST }
    }

    /// Which features are genes, one entry a row of `var`.
    pub fn are_genes(&self, var: &Frame) -> Vec<bool> {
        let types = if self.all_features { None } else { feature_types(var) };
        types.map_or_else(|| vec![true; var.len()], |types| are_genes(&types))
    }

    /// The rows of `var` that are genes, indexed by their names: the index of `var` unless it
    /// counts rows, or the column that is named.
    ///
    /// # Errors
    /// If the column does not exist, or there are no names.
    pub fn genes(&self, var: &Frame) -> Result<Frame> {
        let (_, names) = match &self.column {
            Some(column) => place(var, column)?,
            None => default_place(var)?,
        };
        let is_gene = self.are_genes(var);
        let of = names.into_iter().zip(is_gene).filter(|(_, is_gene)| *is_gene);
        let index = of.map(|(name, _)| name.into_owned()).collect();
        Ok(Frame { index_name: var.index_name.clone(), index, columns: Vec::new() })
    }

    /// The column of `var` that names genes where no vocabulary tells: the index, unless it counts
    /// rows.
    ///
    /// # Errors
    /// If there are no names.
    pub fn default_column(var: &Frame) -> Result<String> {
        Ok(default_place(var)?.0)
    }

    /// The places to look at: the one that is named, or all that could hold names of genes.
    pub(super) fn places<'a>(&self, var: &'a Frame) -> Result<Vec<Place<'a>>> {
        if let Some(column) = &self.column {
            return Ok(vec![place(var, column)?]);
        }
        let mut all = places(var);
        all.retain(|(_, names)| !count_rows(names));
        if all.is_empty() { Err(no_names(var)) } else { Ok(all) }
    }
}

/// What the features that are no genes measure, and how many there are of each.
pub(super) fn other_features(var: &Frame, is_gene: &[bool]) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    let types = feature_types(var).unwrap_or_default();
    for (label, _) in types.into_iter().zip(is_gene).filter(|(_, is_gene)| !**is_gene) {
        let label = label.unwrap_or_default();
        match counts.iter_mut().find(|(name, _)| *name == label) {
            Some((_, n)) => *n += 1,
            None => counts.push((label, 1)),
        }
    }
    counts
}

/// Whether names only count rows: whole numbers that rise, such as pandas gives a table without an
/// index, or what is left of it after some genes were taken out.
pub(crate) fn count_rows<S: AsRef<str>>(names: &[S]) -> bool {
    let number = |name: &S| name.as_ref().parse::<u64>().ok();
    let mut last = None;
    !names.is_empty()
        && names.iter().all(|name| {
            let here = number(name);
            here.is_some() && here > std::mem::replace(&mut last, here)
        })
}

fn feature_types(var: &Frame) -> Option<Vec<Option<String>>> {
    TYPES.into_iter().find_map(|(name, always)| {
        let labels = var.column(name)?.labels();
        let is_known = |label: &Option<String>| label.as_deref().is_some_and(is_modality);
        (always || labels.iter().all(is_known)).then_some(labels)
    })
}

fn is_modality(label: &str) -> bool {
    known(label).is_some() || is_other(label)
}

/// Whether a label is of something that is measured beside genes.
fn is_other(label: &str) -> bool {
    let label = label.to_lowercase();
    matches!(known(&label), Some(name) if name != RNA)
        || ["capture", "guide", "hashtag", "custom"].iter().any(|part| label.contains(part))
}

/// Where some features are called gene expression, only those are genes; else all that are called
/// nothing else that is known, for some write biotypes there.
fn are_genes(types: &[Option<String>]) -> Vec<bool> {
    let is_rna = |label: &Option<String>| label.as_deref().and_then(known) == Some(RNA);
    if types.iter().any(is_rna) {
        return types.iter().map(|label| label.is_none() || is_rna(label)).collect();
    }
    types.iter().map(|label| !label.as_deref().is_some_and(is_other)).collect()
}

/// The place that is called `column`.
fn place<'a>(var: &'a Frame, column: &str) -> Result<Place<'a>> {
    let mut places = places(var);
    let chosen = places
        .iter()
        .rposition(|(name, _)| name == column)
        .or_else(|| (column == var.index_name).then_some(0))
        .ok_or_else(|| no_column(var, column, &places))?;
    Ok(places.swap_remove(chosen))
}

/// The index, or where it counts rows the column that is called like one of names of genes, or else
/// the first whose names differ.
fn default_place(var: &Frame) -> Result<Place<'_>> {
    let mut places = places(var);
    if !count_rows(&places[0].1) {
        return Ok(places.swap_remove(0));
    }
    places.retain(|(_, names)| {
        let different: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        !count_rows(names) && different.len() as f64 >= DIFFERENT * names.len() as f64
    });
    let rank = |(name, _): &Place<'_>| {
        USUAL.iter().position(|usual| name.eq_ignore_ascii_case(usual)).unwrap_or(USUAL.len())
    };
    places.into_iter().min_by_key(rank).ok_or_else(|| no_names(var))
}

/// The index and every column of text.
fn places(var: &Frame) -> Vec<Place<'_>> {
    let index = var.index.iter().map(|name| name.as_str().into()).collect();
    let columns = var.columns.iter().filter_map(|(name, column)| {
        let names = match column {
            Column::Text(_) | Column::Categorical { .. } => column.labels(),
            _ => return None,
        };
        let names = names.into_iter().map(|name| name.unwrap_or_default().into());
        Some((name.clone(), names.collect()))
    });
    std::iter::once((INDEX.to_owned(), index)).chain(columns).collect()
}

fn no_names(var: &Frame) -> Error {
    let first = var.index.iter().take(3).map(|name| format!("`{name}`"));
    Error::Option(format!(
        "the genes have no names: the index of `var` counts rows ({}, …), and no other column holds names. Put gene \
         symbols into `var`; if the numbers are names all the same, name the column (`gene_column`), such as `{INDEX}`",
        first.collect::<Vec<_>>().join(", ")
    ))
}

fn no_column(var: &Frame, column: &str, places: &[Place<'_>]) -> Error {
    let text = places.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let problem = if var.column(column).is_some() { "holds no text" } else { "does not exist" };
    let hint = similar_names(column, places.iter().map(|(name, _)| name.as_str())).hint();
    Error::Option(format!(
        "column `{column}` of `var` {problem}; gene names can be taken from {text}{hint}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(index: &[&str], columns: &[(&str, &[&str])]) -> Frame {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let column = |(name, labels): &(&str, &[&str])| {
            ((*name).to_owned(), Column::categorical(&own(labels)))
        };
        Frame {
            index_name: "_index".into(),
            index: own(index),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn numbers_that_rise_count_rows() {
        for (names, expected) in [
            (&["0", "1", "2"][..], true),
            (&["3", "17", "240"], true),
            (&["7157", "672", "675"], false),
            (&["0", "1", "A"], false),
            (&["1.5", "2.5"], false),
            (&[], false),
        ] {
            assert_eq!(count_rows(names), expected, "{names:?}");
        }
    }

    #[test]
    fn a_column_of_symbols_comes_before_row_numbers() {
        let types: &[&str] = &["a", "a", "b"];
        let table = var(
            &["0", "1", "2"],
            &[("biotype", types), ("id", &["E1", "E2", "E3"]), ("Symbol", &["A", "B", "C"])],
        );
        assert_eq!(GeneNames::default_column(&table).unwrap(), "Symbol");
        assert_eq!(GeneNames::BEST.genes(&table).unwrap().index, ["A", "B", "C"]);
        let named = GeneNames::of_column("index").genes(&table).unwrap();
        assert_eq!(named.index, ["0", "1", "2"], "what is asked for is done");
        let bare = var(&["0", "1", "2"], &[("biotype", types)]);
        let message = GeneNames::BEST.genes(&bare).unwrap_err().to_string();
        assert!(message.contains("counts rows (`0`, `1`, `2`, …)"), "{message}");
        assert_eq!(GeneNames::default_column(&var(&["A"], &[])).unwrap(), "index");
    }

    #[test]
    fn antibodies_peaks_and_guides_are_no_genes() {
        let labels: &[&str] =
            &["Gene Expression", "Antibody Capture", "Peaks", "CRISPR Guide Capture", "Odd"];
        let table = var(&["A", "B", "C", "D", "E"], &[("feature_types", labels)]);
        let is_gene = GeneNames::BEST.are_genes(&table);
        assert_eq!(is_gene, [true, false, false, false, false]);
        let others = other_features(&table, &is_gene);
        assert_eq!(others[0], ("Antibody Capture".to_owned(), 1));
        let all = GeneNames { all_features: true, ..GeneNames::BEST };
        assert_eq!(all.are_genes(&table), [true; 5]);
        // Biotypes, as some write them there.
        let biotypes: &[&str] = &["protein_coding", "lncRNA", "Antibody Capture"];
        let table = var(&["A", "B", "C"], &[("feature_types", biotypes)]);
        assert_eq!(GeneNames::BEST.are_genes(&table), [true, true, false]);
        let table = var(&["A", "B", "C"], &[("feature_type", biotypes)]);
        assert_eq!(GeneNames::BEST.are_genes(&table), [true; 3]);
    }
}
