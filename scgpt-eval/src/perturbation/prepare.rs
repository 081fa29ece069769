//! [`prepare`]: cells of any file in the layout of GEARS.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use scgpt_data::{
    Additions, CellSource, CellSubset, Column, Csr, EmptyCells, Error, Existing, Frame, GeneNames,
    GeneSubset, InputState, Layer, LogScale, Observer, Result, Summary, TOTAL, VariableConfig,
    VariableFlavour, Watched, export, gene_columns, similar_names, unscaled, variable_genes,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    condition::Condition,
    de::DeGenes,
    design::{Design, DesignOptions},
    moments::{CONDITION_NAME, Moments, RANKINGS},
};
use crate::perturbation::gene_column;

/// Most names of ranked genes in the output; if there are more, each list is cut to a thousand.
const NAMES: usize = 8_000_000;

/// How perturbed cells are prepared.
///
/// ```
/// use std::path::Path;
/// use scgpt_data::Existing;
/// use scgpt_eval::perturbation::{DesignOptions, PrepareOptions};
///
/// let design = DesignOptions::default();
/// let mut options = PrepareOptions::new(&design, Path::new("prepared.h5ad"));
/// options.variable_genes = Some(5000);
/// assert!(options.min_cells == 2 && options.existing == Existing::Refuse);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PrepareOptions<'a> {
    /// Where the conditions are, and how they are written.
    pub design: &'a DesignOptions<'a>,
    /// The matrix of `source` that is read.
    pub layer: &'a Layer,
    /// Where the names of genes are; without a column it is the one that names most of the
    /// perturbed genes.
    pub gene_names: &'a GeneNames,
    /// Conditions with fewer cells are left out.
    pub min_cells: usize,
    /// Most variable genes to keep, beside those perturbed; `None` keeps all genes.
    pub variable_genes: Option<usize>,
    /// The h5ad to write.
    pub output: &'a Path,
    /// What happens to a file that exists.
    pub existing: Existing,
}

impl<'a> PrepareOptions<'a> {
    /// Keeps all genes of `X`, writes a new file, and leaves out conditions with fewer than the two
    /// cells that a test needs.
    pub const fn new(design: &'a DesignOptions<'a>, output: &'a Path) -> Self {
        Self {
            design,
            layer: &Layer::X,
            gene_names: &GeneNames::BEST,
            min_cells: 2,
            variable_genes: None,
            output,
            existing: Existing::Refuse,
        }
    }
}

/// What was prepared.
#[derive(Clone, Debug, Serialize)]
pub struct Prepared {
    /// Number of cells written.
    pub cells: usize,
    /// Number of controls among them.
    pub controls: usize,
    /// Number of cells left out: those of conditions left out, or without a condition.
    pub cells_left_out: usize,
    /// Number of genes written.
    pub genes: usize,
    /// Number of conditions with one perturbed gene.
    pub singles: usize,
    /// Number of conditions with several perturbed genes.
    pub combinations: usize,
    /// Number of perturbed genes, by the names of the conditions.
    pub perturbed: usize,
    /// Perturbed genes that are not measured.
    pub unmeasured: Vec<String>,
    /// Conditions left out: too few cells, or no controls of their cell type.
    pub dropped: Vec<String>,
    /// The unit of the values as they were read.
    pub input_state: InputState,
    /// The sum that the values had in every cell before the logarithm, if it was the same in all.
    pub input_total: Option<f64>,
    /// Where the names of the genes were found.
    pub gene_column: String,
    /// Number of features left out because they are no genes.
    pub other_features: usize,
    /// Number of cells written that have no counts in the genes written.
    pub without_counts: usize,
}

/// Writes the cells of `source` in the layout of GEARS' `perturb_processed.h5ad`: `log1p` of values
/// normalised to 10 000 (those of some genes of normalised cells, whose sums differ, stay as they
/// are), `obs` with `condition`, `control`, `cell_type`, `dose_val` and `condition_name`,
/// `var["gene_name"]`, and in `uns` the genes by their difference (Welch's t-test against the
/// controls of the cell type) and the top-20 lists.
///
/// # Errors
/// If the source cannot be read or has no controls, the values are scaled, or the output cannot be
/// written.
pub fn prepare(
    source: &mut dyn CellSource,
    options: &PrepareOptions<'_>,
    observer: &dyn Observer,
) -> Result<Prepared> {
    let design = Design::of(source, options.design, options.min_cells)?;
    // What else was measured counts in no sum, and is no variable gene.
    let of_genes = gene_columns(source, options.layer, options.gene_names)?;
    let other_features = source.summary().shape(options.layer)?.1 - of_genes.len();
    let source: &mut dyn CellSource = &mut GeneSubset::new(source, options.layer, of_genes)?;
    let scale = LogScale { from: unscaled(source, options.layer)?, total: TOTAL };
    let var = source.var(options.layer)?;
    let perturbed = design.perturbed_conditions();
    let genes: BTreeSet<&str> =
        perturbed.iter().flat_map(Condition::genes).map(String::as_str).collect();
    let column = match &options.gene_names.column {
        Some(column) => column.clone(),
        None => gene_column(&var, &genes),
    };
    let names = match column.as_str() {
        "index" => var.index.clone(),
        name => {
            let found = var.column(name).ok_or_else(|| {
                let has = || std::iter::once("index").chain(var.names());
                let hint = similar_names(name, has()).hint();
                let has = has().collect::<Vec<_>>().join(", ");
                Error::Option(format!("column `{name}` not found in `var` (has {has}){hint}"))
            })?;
            found.labels().into_iter().map(Option::unwrap_or_default).collect()
        }
    };
    let columns = columns(source, options, scale, (&names, &genes), observer)?;
    let kept: Vec<usize> =
        (0..design.codes.len()).filter(|&cell| design.codes[cell].is_some()).collect();
    let mut cells =
        PreparedCells::new(source, &design, options.layer, (kept, columns), (scale, names));
    let codes: Vec<Option<u32>> = cells.cells.iter().map(|&cell| design.codes[cell]).collect();
    let mut empty = EmptyCells::default();
    let mut sought = empty.among(&mut cells, &Layer::X);
    let moments = Moments::of(&mut sought, &Layer::X, &codes, design.groups.len(), observer)?;
    drop(sought);
    let additions = Additions { uns: lists(&design, &moments, &cells), ..Additions::default() };
    let n_genes = cells.columns.len();
    let measured: BTreeSet<&str> = cells.names.iter().map(String::as_str).collect();
    let unmeasured =
        genes.iter().filter(|gene| !measured.contains(*gene)).map(ToString::to_string).collect();
    observer.begin("writing", codes.len());
    let mut watched = Watched { source: &mut cells, observer };
    export(&mut watched, &Layer::X, options.output, &additions, options.existing)?;
    let of_size = |is: fn(usize) -> bool| {
        perturbed.iter().filter(|condition| is(condition.genes().len())).count()
    };
    let is_control = |code: &&Option<u32>| {
        code.is_some_and(|group| design.condition(group as usize).is_control())
    };
    Ok(Prepared {
        cells: codes.len(),
        controls: codes.iter().filter(is_control).count(),
        cells_left_out: design.codes.len() - codes.len(),
        genes: n_genes,
        singles: of_size(|n| n == 1),
        combinations: of_size(|n| n > 1),
        perturbed: genes.len(),
        unmeasured,
        dropped: design.dropped.clone(),
        input_state: scale.from.state,
        input_total: scale.from.total,
        gene_column: column,
        other_features,
        without_counts: empty.len(),
    })
}

/// Columns to keep: all, or the most variable and those perturbed.
fn columns(
    source: &mut dyn CellSource,
    options: &PrepareOptions<'_>,
    scale: LogScale,
    (names, perturbed): (&[String], &BTreeSet<&str>),
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let Some(n_top) = options.variable_genes.filter(|&n| n < names.len()) else {
        return Ok((0..names.len()).collect());
    };
    // As GEARS does: the default flavour of scanpy on logged values.
    let config = VariableConfig {
        normalise: Some(scale),
        ..VariableConfig::new(n_top, VariableFlavour::Seurat)
    };
    observer.begin("selecting variable genes", 0);
    let watched = &mut Watched { source, observer };
    let mut columns = variable_genes(watched, options.layer, None, &config)?.selected;
    let is_perturbed = |column: &usize| perturbed.contains(names[*column].as_str());
    columns.extend((0..names.len()).filter(is_perturbed));
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}

/// The genes by difference and the top-20 lists, as GEARS names them.
fn lists(design: &Design, moments: &Moments, cells: &PreparedCells<'_>) -> Vec<(String, Value)> {
    let index = |gene: usize| Value::from(cells.var.index[gene].clone());
    let n_lists = design.perturbed().count().max(1);
    let most = if n_lists * cells.columns.len() > NAMES { 1000 } else { usize::MAX };
    let mut dictionaries: [Map<String, Value>; 5] = Default::default();
    for group in design.perturbed() {
        let control = design.control(group);
        let ranked = moments.ranked(group, control);
        let (mean, of_control) = (moments.mean(group), moments.mean(control));
        let de = DeGenes::new(&ranked, &mean, &of_control);
        #[allow(clippy::float_cmp, reason = "zero is the absence of any count")]
        let is_zero = |mean: f64| mean == 0.0;
        let genes = 0..mean.len();
        let non_zero = genes.clone().filter(|&g| !is_zero(mean[g]));
        let non_dropout = genes.filter(|&g| !is_zero(mean[g]) || is_zero(of_control[g]));
        let all = ranked.iter().take(most).map(|&gene| index(gene as usize)).collect();
        let of = |list: &[usize]| Value::Array(list.iter().copied().map(index).collect());
        let values = [
            Value::Array(all),
            of(&de.non_dropout),
            of(&de.non_zero),
            json!(non_dropout.collect::<Vec<_>>()),
            json!(non_zero.collect::<Vec<_>>()),
        ];
        for (dictionary, value) in dictionaries.iter_mut().zip(values) {
            dictionary.insert(condition_name(design, group), value);
        }
    }
    let names = [
        RANKINGS,
        "top_non_dropout_de_20",
        "top_non_zero_de_20",
        "non_dropout_gene_idx",
        "non_zeros_gene_idx",
    ];
    names.into_iter().map(String::from).zip(dictionaries.map(Value::Object)).collect()
}

/// Chosen cells and genes of a source, normalised and logged.
struct PreparedCells<'a> {
    source: &'a mut dyn CellSource,
    layer: &'a Layer,
    /// The cells in the source, ascending.
    cells: Vec<usize>,
    /// The genes in the source, ascending, and the place of each.
    columns: Vec<usize>,
    places: Vec<Option<u32>>,
    names: Vec<String>,
    scale: LogScale,
    obs: Vec<(String, Column)>,
    var: Frame,
    summary: Summary,
}

impl<'a> PreparedCells<'a> {
    fn new(
        source: &'a mut dyn CellSource,
        design: &Design,
        layer: &'a Layer,
        (cells, columns): (Vec<usize>, Vec<usize>),
        (scale, names): (LogScale, Vec<String>),
    ) -> Self {
        let mut places = vec![None; names.len()];
        for (place, &column) in (0..).zip(&columns) {
            places[column] = Some(place);
        }
        let names: Vec<String> = columns.iter().map(|&column| names[column].clone()).collect();
        let mut summary =
            Summary { n_cells: cells.len(), values: None, ..source.summary().clone() };
        summary.matrices.retain(|matrix| matrix.layer == *layer);
        for matrix in &mut summary.matrices {
            matrix.layer = Layer::X;
            matrix.n_genes = columns.len();
        }
        let index: Vec<String> = match source.var(layer) {
            Ok(var) => columns.iter().map(|&column| var.index[column].clone()).collect(),
            Err(_) => names.clone(),
        };
        let text = names.iter().cloned().map(Some).collect();
        let var = Frame {
            index_name: "_index".into(),
            index,
            columns: vec![("gene_name".into(), Column::Text(text))],
        };
        let mut prepared = Self {
            source,
            layer,
            cells,
            columns,
            places,
            names,
            scale,
            obs: Vec::new(),
            var,
            summary,
        };
        prepared.obs = prepared.annotations(design);
        prepared
    }

    /// The columns of `obs` that GEARS reads.
    fn annotations(&self, design: &Design) -> Vec<(String, Column)> {
        let group = |&cell: &usize| design.codes[cell].map_or(0, |group| group as usize);
        let groups: Vec<usize> = self.cells.iter().map(group).collect();
        let column = |of: &dyn Fn(usize) -> String| {
            Column::categorical(&groups.iter().map(|&group| of(group)).collect::<Vec<_>>())
        };
        let control = groups.iter().map(|&g| Some(i64::from(design.condition(g).is_control())));
        vec![
            ("condition".into(), column(&|group| design.condition(group).to_string())),
            ("cell_type".into(), column(&|group| cell_type(design, group))),
            ("dose_val".into(), column(&|group| dose(design.condition(group)))),
            ("control".into(), Column::Integer(control.collect())),
            (CONDITION_NAME.into(), column(&|group| condition_name(design, group))),
        ]
    }
}

/// `type_condition_dose`, always of three parts.
fn condition_name(design: &Design, group: usize) -> String {
    let condition = design.condition(group);
    format!("{}_{condition}_{}", cell_type(design, group).replace('_', "-"), dose(condition))
}

/// The name of the cell type of a group; GEARS needs one where there is none.
fn cell_type(design: &Design, group: usize) -> String {
    match design.cell_types[design.groups[group].cell_type as usize].as_str() {
        "" => "cells".into(),
        name => name.into(),
    }
}

/// The dose as GEARS writes it: `1` for one perturbed gene and for controls, `1+1` for several.
fn dose(condition: &Condition) -> String {
    vec!["1"; condition.genes().len().clamp(1, 2)].join("+")
}

impl CellSource for PreparedCells<'_> {
    scgpt_data::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> scgpt_data::Result<Frame> {
        let all = self.source.obs()?;
        let added: BTreeMap<&str, &Column> =
            self.obs.iter().map(|(name, column)| (name.as_str(), column)).collect();
        let others = all.columns.into_iter().filter(|(name, _)| !added.contains_key(name.as_str()));
        let kept = others.map(|(name, column)| (name, column.pick(&self.cells)));
        Ok(Frame {
            index_name: all.index_name,
            index: self.cells.iter().map(|&cell| all.index[cell].clone()).collect(),
            columns: self.obs.iter().cloned().chain(kept).collect(),
        })
    }

    fn var(&self, layer: &Layer) -> scgpt_data::Result<Frame> {
        self.summary.shape(layer)?;
        Ok(self.var.clone())
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        let (_, n_genes) = self.summary.shape(layer)?;
        let cells = self.cells[rows].to_vec();
        let n = cells.len();
        let mut block = CellSubset::new(&mut *self.source, cells).read(self.layer, 0..n)?;
        // The sum is that of all genes.
        self.scale.apply(&mut block);
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in block.rows() {
            for (&gene, &value) in row.indices.iter().zip(row.values) {
                if let Some(place) = self.places[gene as usize] {
                    indices.push(place);
                    values.push(value);
                }
            }
            indptr.push(indices.len());
        }
        Csr::new(n_genes, indptr, indices, values).map_err(scgpt_data::Error::Option)
    }
}
