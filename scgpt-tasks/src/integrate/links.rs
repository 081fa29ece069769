//! [`Links`]: which features of other modalities belong to which genes, as a table says.
//!
//! Peaks near a gene open where it is expressed, more often than not, so that such a table tells how two
//! modalities belong together where hardly any cell was measured in both.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::Path,
};

use scgpt_data::{
    Column, Error, Frame, Measured, Modalities, RNA, Result as DataResult, Setting, Table,
    similar_names,
};
use serde::Serialize;

use super::{CellModalities, IntegrateConfig, panel::FeaturePanel};
use crate::{artefact::hash, error::Result, training::Link};

/// How many names that are not known are shown.
const SHOWN: usize = 3;

/// The links of a table between features that the cells have, by the columns of these.
#[derive(Clone, Debug)]
pub(super) struct Links {
    of_columns: Vec<Link>,
    modalities: Measured,
    report: LinksReport,
}

/// A table of links, and how much of it is of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LinksReport {
    /// Path of the table.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Number of its rows.
    pub rows: usize,
    /// Number of rows whose two features the cells have.
    pub known: usize,
    /// Number of rows whose two features are among those that cells are compared by.
    pub used: usize,
    /// Number of features that these link to genes.
    pub linked: usize,
    /// Names of the first column that the cells do not have.
    pub unknown_peaks: UnknownNames,
    /// Names of genes that the cells do not have.
    pub unknown_genes: UnknownNames,
}

/// Names that the cells do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnknownNames {
    /// How many they are.
    pub number: usize,
    /// Some of them, with names that look alike.
    pub examples: Vec<String>,
}

impl LinksReport {
    /// What the table says, in words.
    pub fn sentence(&self) -> String {
        let Self { path, rows, known, used, linked, .. } = self;
        let of_others = known - used;
        let mut text = format!(
            "{used} of {rows} in `{path}`, of {linked} peaks; {of_others} are of features that cells are not compared by"
        );
        let lacking = [("peaks", &self.unknown_peaks), ("genes", &self.unknown_genes)];
        for (what, names) in lacking.into_iter().filter(|(_, names)| names.number > 0) {
            let examples = names.examples.join(", ");
            let more = if names.number > names.examples.len() { ", …" } else { "" };
            // Writing to a text cannot fail.
            let _ =
                write!(text, "; the cells lack {} of its {what}: {examples}{more}", names.number);
        }
        text
    }
}

impl Links {
    /// Reads the table that the settings name, if any, for cells with the features `var`, whose genes are named
    /// in `gene_column`.
    ///
    /// # Errors
    /// If the cells were not measured in gene expression and something else; if the table cannot be read, has no
    /// two columns, a row lacks a name or has a weight that is not positive, or no row links features of the cells.
    pub(super) fn of(
        config: &IntegrateConfig,
        cells: Option<&CellModalities>,
        var: &Frame,
        gene_column: &str,
    ) -> Result<Option<Self>> {
        let Some(path) = &config.links else { return Ok(None) };
        let names = cells.map_or(&[][..], |cells| cells.modalities.names());
        let (Some(cells), true) = (cells, names.len() > 1 && names.iter().any(|it| it == RNA))
        else {
            let measured = if names.is_empty() { RNA.to_owned() } else { names.join(", ") };
            let problem = format!(
                "names a table, which links genes to features of another modality, expected cells that were measured in \
                 {RNA} and another one (these: {measured})"
            );
            return Err(Setting("links").wrong(problem).into());
        };
        let rows = rows(path, &Table::read(path)?)?;
        let features = Features::new(var, gene_column, &cells.modalities);
        let (of_columns, unknown) = features.find(&rows);
        if of_columns.is_empty() {
            return Err(features.nothing_in_common(path, &rows).into());
        }
        let mut modalities = Measured::default();
        let linked = of_columns.iter().flat_map(|link| [link.feature, link.gene]);
        linked
            .filter_map(|column| cells.modalities.of(column))
            .for_each(|it| modalities.insert(it));
        let [unknown_peaks, unknown_genes] = unknown;
        let report = LinksReport {
            path: path.display().to_string(),
            sha256: hash(path)?,
            rows: rows.len(),
            known: of_columns.len(),
            used: 0,
            linked: 0,
            unknown_peaks,
            unknown_genes,
        };
        Ok(Some(Self { of_columns, modalities, report }))
    }

    /// The modalities of the features that it links.
    pub(super) fn modalities(&self) -> Measured {
        self.modalities
    }

    /// What tells the table from another.
    pub(super) fn sha256(&self) -> &str {
        &self.report.sha256
    }

    /// The links between features of the panel, by their tokens.
    pub(super) fn of_tokens(&self, panel: &FeaturePanel) -> Vec<Link> {
        let columns = panel.columns.iter().copied();
        let tokens: HashMap<usize, usize> =
            columns.zip(panel.tokens.iter().map(|token| token.0 as usize)).collect();
        let of = |link: &Link| {
            let [feature, gene] =
                [link.feature, link.gene].map(|column| tokens.get(&column).copied());
            Some(Link { feature: feature?, gene: gene?, weight: link.weight })
        };
        self.of_columns.iter().filter_map(of).collect()
    }

    /// What is said of the table, if cells are compared by the features of the panel.
    pub(super) fn report(&self, panel: &FeaturePanel) -> LinksReport {
        let links = self.of_tokens(panel);
        let linked: HashSet<usize> = links.iter().map(|link| link.feature).collect();
        LinksReport { used: links.len(), linked: linked.len(), ..self.report.clone() }
    }
}

/// A row of the table.
struct Row {
    peak: String,
    gene: String,
    weight: f64,
}

/// The rows of a table from `path`: columns `peak` and `gene`, or else the first two, and `weight`, if there is one.
fn rows(path: &Path, table: &Table) -> DataResult<Vec<Row>> {
    let place = |name: &str| table.names().position(|other| other.eq_ignore_ascii_case(name));
    let (peak, gene) = place("peak").zip(place("gene")).unwrap_or((0, 1));
    if table.columns.len() < 2 {
        let problem = format!("one column, `{}`, expected two", table.columns[0].0);
        let hint = "a table of links names its columns in the first line: peak, gene and, if links differ in strength, \
                    weight";
        return Err(Error::invalid(path, "line 1", problem).with_hint(hint));
    }
    let labels = |column: usize| table.columns[column].1.labels();
    let weights = table.column("weight");
    let wrong = |row: usize, name: &str, problem: &str| {
        let hint = "every row names a peak and a gene; a weight, if there is that column, is a number above 0";
        Error::invalid(path, format!("row {}, `{name}`", row + 1), problem).with_hint(hint)
    };
    let mut rows = Vec::with_capacity(table.len());
    for (number, (peak_name, gene_name)) in labels(peak).into_iter().zip(labels(gene)).enumerate() {
        let name_of = |column: usize, name: Option<String>| {
            name.ok_or_else(|| wrong(number, &table.columns[column].0, "no name"))
        };
        let weight = match weights {
            None => 1.0,
            Some(Column::Float(values)) => values[number].unwrap_or(f64::NAN),
            Some(Column::Integer(values)) => values[number].map_or(f64::NAN, |it| it as f64),
            Some(_) => f64::NAN,
        };
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(wrong(number, "weight", "no number above 0"));
        }
        rows.push(Row { peak: name_of(peak, peak_name)?, gene: name_of(gene, gene_name)?, weight });
    }
    if rows.is_empty() {
        return Err(Error::invalid(
            path,
            "line 2",
            "there is no row below the names of the columns",
        ));
    }
    Ok(rows)
}

/// The features of the cells by their names: those of other modalities, and genes.
struct Features<'v> {
    index: &'v [String],
    peaks: HashMap<String, usize>,
    genes: HashMap<String, usize>,
}

impl<'v> Features<'v> {
    /// By the index of `var` and the column with gene names; where both have a name, the index is meant.
    fn new(var: &'v Frame, gene_column: &str, modalities: &Modalities) -> Self {
        let mut found = Self { index: &var.index, peaks: HashMap::new(), genes: HashMap::new() };
        let rna = modalities.position(RNA);
        let mut add = |column: usize, name: &str| match modalities.of(column) {
            Some(of) if Some(of) == rna => {
                found.genes.entry(name.to_owned()).or_insert(column);
            }
            Some(_) => {
                found.peaks.entry(spelled(name)).or_insert(column);
            }
            None => {}
        };
        var.index.iter().enumerate().for_each(|(column, name)| add(column, name));
        let named = var.column(gene_column).map(Column::labels).unwrap_or_default();
        let named =
            named.iter().enumerate().filter_map(|(column, name)| Some((column, name.as_deref()?)));
        named.for_each(|(column, name)| add(column, name));
        found
    }

    /// The links whose two features there are, and the names of peaks and of genes that there are not.
    fn find(&self, rows: &[Row]) -> (Vec<Link>, [UnknownNames; 2]) {
        let mut links = Vec::new();
        let mut unknown: [Vec<&str>; 2] = [Vec::new(), Vec::new()];
        for row in rows {
            let peak = self.peaks.get(&spelled(&row.peak));
            let gene = self.genes.get(&row.gene);
            if let (Some(&feature), Some(&gene)) = (peak, gene) {
                links.push(Link { feature, gene, weight: row.weight });
            } else {
                unknown[0].extend(peak.is_none().then_some(row.peak.as_str()));
                unknown[1].extend(gene.is_none().then_some(row.gene.as_str()));
            }
        }
        let [peaks, genes] = unknown;
        (links, [unknown_names(peaks, &self.peaks), unknown_names(genes, &self.genes)])
    }

    /// The error for a table of which no row links features of the cells.
    fn nothing_in_common(&self, path: &Path, rows: &[Row]) -> Error {
        let some = |names: &HashMap<String, usize>| {
            let first = names.values().min().and_then(|&column| self.index.get(column));
            first.map_or_else(String::new, |name| format!("`{name}`"))
        };
        let Row { peak, gene, .. } = &rows[0];
        let problem = format!(
            "no row names a peak and a gene of the cells, expected such as {} and {}, found `{peak}` and `{gene}` first",
            some(&self.peaks),
            some(&self.genes)
        );
        let is_swapped = |row: &Row| {
            self.genes.contains_key(&row.peak) && self.peaks.contains_key(&spelled(&row.gene))
        };
        let hint = if rows.iter().any(is_swapped) {
            "the two columns are in another order: name them peak and gene in the first line"
        } else {
            "names are those of the index of var, or of its column with gene names: make the table with these"
        };
        Error::invalid(path, "line 2", problem).with_hint(hint)
    }
}

/// A name without what regions of a genome are spelled with: `chr1:10-20`, `chr1_10_20` and `chr1-10-20` are one.
fn spelled(name: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let region = || {
        let (rest, end) = name.rsplit_once(['-', '_'])?;
        let (chromosome, start) = rest.rsplit_once([':', '-', '_'])?;
        (is_number(start) && is_number(end)).then(|| format!("{chromosome}:{start}-{end}"))
    };
    region().unwrap_or_else(|| name.to_owned())
}

/// How many different names there are, and some of them beside `known` ones that look alike.
fn unknown_names(names: Vec<&str>, known: &HashMap<String, usize>) -> UnknownNames {
    let mut seen = HashSet::new();
    let different: Vec<&str> = names.into_iter().filter(|name| seen.insert(*name)).collect();
    let example = |name: &&str| {
        format!("`{name}`{}", similar_names(name, known.keys().map(String::as_str)).hint())
    };
    UnknownNames {
        number: different.len(),
        examples: different.iter().take(SHOWN).map(example).collect(),
    }
}
