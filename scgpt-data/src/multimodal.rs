//! [`MultimodalCells`]: cells measured in several modalities, and perhaps in several files, as one
//! source.

mod barcodes;
mod features;
mod mudata;
mod obsm;
mod part;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    path::{Path, PathBuf},
};

pub(crate) use self::mudata::is_mudata;
pub use self::mudata::open_modalities;
use self::part::Part;
use crate::{
    annotated::{JoinedTable, join_table},
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    frame::{Column, Frame, join},
    modality::{Measured, Modalities, RNA, modality_name},
    setting::Setting,
    source::Source,
    subset::ChosenCells,
    summary::{Layer, MatrixSummary, Summary},
    vocab::{GeneNames, count_rows},
};

/// Column of `var` with the modality of every feature.
const FEATURE_TYPES: &str = "feature_types";
/// Column of `obs` with the input of every cell, where there are several.
const INPUT: &str = "input";
/// Cells read at a time to see what they were measured in.
const BLOCK: usize = 1024;
/// How many names an error shows.
const EXAMPLES: usize = 5;

/// One file or folder of [`MultimodalCells`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultimodalInput {
    /// Where it is.
    pub path: PathBuf,
    /// The modality of all of its features; `None` stands for what the file says, or else gene
    /// expression.
    pub modality: Option<String>,
    /// The sample that its cells are of, among inputs that call cells of several alike; see
    /// [`AnnotatedCells::of_sample`](crate::AnnotatedCells::of_sample).
    pub sample: Option<String>,
}

/// How [`MultimodalCells`] are put together.
///
/// ```no_run
/// use scgpt_data::{MultimodalCells, MultimodalInput, MultimodalOptions};
///
/// let input = |path: &str| MultimodalInput { path: path.into(), modality: None, sample: None };
/// let mut options = MultimodalOptions::default();
/// options.keep = vec!["rna".into()];
/// let cells = MultimodalCells::open(&[input("cells.h5mu")], &options)?;
/// println!("{:?}", cells.modalities().names());
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultimodalOptions {
    /// Column of `var` that tells modalities. With `None` it is `feature_types`, `feature_type` or
    /// `modality`, whichever a file has.
    pub modality_key: Option<String>,
    /// A modality whose features are in a matrix of `obsm`: its name, and the name of the matrix.
    pub obsm: Option<(String, String)>,
    /// By modality, what is put before the names of its features.
    pub prefixes: BTreeMap<String, String>,
    /// The modalities to keep; all, if empty.
    pub keep: Vec<String>,
}

/// A source that measures one modality, for [`MultimodalCells::of`].
#[allow(missing_debug_implementations, reason = "the source cannot be printed")]
pub struct ModalitySource {
    /// What it measures.
    pub modality: String,
    /// The cells.
    pub source: Box<dyn CellSource>,
    /// The numbers of the cells that were measured; `None` stands for all.
    pub cells: Option<Vec<usize>>,
}

/// The cells of one or several inputs with the features of all modalities side by side.
///
/// Inputs are joined by the names of their cells, so each may bring a modality of the same cells,
/// or cells of its own (a batch), or both; a feature that several inputs name is the same. Where a
/// cell was not measured it has no values. `var` has a column `feature_types`, and `obs` the
/// columns of all inputs: of several that say something of a cell, the first is believed.
///
/// Memory: names and annotations, one number a cell and input, and the block that is read.
#[allow(missing_debug_implementations, reason = "the sources cannot be printed")]
pub struct MultimodalCells {
    parts: Vec<Part>,
    obs: Frame,
    var: Frame,
    modalities: Modalities,
    summary: Summary,
    chosen: Option<ChosenCells>,
    /// Names of the columns of `obs` that a table added.
    joined: Vec<String>,
}

/// A source before it becomes a [`Part`].
struct Opened {
    source: Box<dyn CellSource>,
    obs: Frame,
    var: Frame,
    /// One modality a feature.
    modalities: Vec<String>,
    spelled: features::Spelled,
    /// For each cell of the whole, its row in the source; `None` if only the names of cells tell.
    rows: Option<Vec<Option<u32>>>,
    sample: Option<String>,
}

impl MultimodalCells {
    /// Opens inputs: MuData (`.h5mu`), or any format of [`Source`], of one or several modalities.
    ///
    /// # Errors
    /// If an input cannot be read or lacks a column that is asked for; if a feature is named in two
    /// modalities; if a cell has a feature in two inputs; if the cells of a MuData file and those
    /// of its modalities do not match.
    pub fn open(inputs: &[MultimodalInput], options: &MultimodalOptions) -> Result<Self> {
        let mut opened = Vec::new();
        let mut tables = Vec::new();
        for input in inputs {
            if is_mudata(&input.path)? {
                let (table, members) = mudata::open(&input.path, options)?;
                // What the file says of all its cells comes before what its members say.
                tables.push((opened.len(), table));
                opened.extend(members);
            } else {
                opened.extend(open(input, options)?);
            }
        }
        let is_several = inputs.len() > 1;
        if let [MultimodalInput { path, sample: Some(_), .. }] = inputs
            && !tables.is_empty()
        {
            return Err(Setting("sample")
                .wrong(format!(
                    "names the cells of one input among several, but `{}` stands for itself",
                    path.display()
                ))
                .into());
        }
        if is_several && !tables.is_empty() {
            return Err(Error::Option(
                "a MuData file stands for itself: give it alone, or its modalities as files".into(),
            ));
        }
        let root = tables.pop().map(|(_, table)| table);
        let format = if root.is_some() { "MuData" } else { "multimodal" };
        let path = inputs.first().map_or_else(PathBuf::new, |input| input.path.clone());
        Self::join(opened, root, options, (&path, format, is_several))
    }

    /// Joins sources that each measure one modality of the same cells, which are known by their
    /// names. With `all`, its rows are the cells of the whole, in their order and with their
    /// annotations.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(sources: Vec<ModalitySource>, all: Option<Frame>) -> Result<Self> {
        let path = sources.first().map(|first| first.source.summary().path.clone());
        let mut opened = Vec::new();
        for ModalitySource { modality, source, cells } in sources {
            let (mut obs, var) = (source.obs()?, source.var(&Layer::X)?);
            let modalities = vec![modality; var.len()];
            let spelled = features::Spelled::new();
            let Some(cells) = cells else {
                opened.push(Opened {
                    source,
                    obs,
                    var,
                    modalities,
                    spelled,
                    rows: None,
                    sample: None,
                });
                continue;
            };
            // Names nobody else has, where a cell was not measured.
            let measured: HashSet<usize> = cells.into_iter().collect();
            for (cell, name) in obs.index.iter_mut().enumerate() {
                if !measured.contains(&cell) {
                    name.clear();
                }
            }
            opened.push(Opened { source, obs, var, modalities, spelled, rows: None, sample: None });
        }
        let path = path.unwrap_or_default();
        Self::join(opened, all, &MultimodalOptions::default(), (&path, "multimodal", false))
    }

    /// The cells that were chosen, as if there were no others: their numbers count from 0.
    ///
    /// # Panics
    /// If there is no such cell.
    #[must_use]
    pub fn only(mut self, chosen: ChosenCells) -> Self {
        self.parts.iter_mut().for_each(|part| part.keep(&chosen.cells));
        self.obs = self.obs.pick(&chosen.cells);
        self.summary.n_cells = chosen.cells.len();
        self.summary.chosen = Some(chosen.choice.clone());
        self.chosen = Some(chosen);
        self
    }

    /// Which of all cells these are, if they were chosen.
    pub fn chosen(&self) -> Option<&ChosenCells> {
        self.chosen.as_ref()
    }

    /// Adds the columns of a table to the annotations of the cells; see
    /// [`AnnotatedCells::join`](crate::AnnotatedCells::join).
    ///
    /// # Errors
    /// As there.
    pub fn annotate(&mut self, path: &Path) -> Result<JoinedTable> {
        let (obs, joined) = join_table(self.obs.clone(), path)?;
        self.obs = obs;
        self.joined.extend(joined.columns.iter().cloned());
        Ok(joined)
    }

    /// The columns that tables added to the annotations of the cells.
    pub fn joined(&self) -> Vec<(String, Column)> {
        let is_joined = |(name, _): &&(String, Column)| self.joined.contains(name);
        self.obs.columns.iter().filter(is_joined).cloned().collect()
    }

    /// What the features measure, one entry a feature.
    pub fn modalities(&self) -> &Modalities {
        &self.modalities
    }

    /// What each cell was measured in, one entry a cell. An input of one modality tells it by the
    /// cells it has. Of an input with several, all cells of `layer` are read: a cell counts as
    /// measured in the modalities that it has values of.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn measured(&mut self, layer: &Layer) -> Result<Vec<Measured>> {
        let n_cells = self.summary.n_cells;
        let mut measured = vec![Measured::default(); n_cells];
        let mut to_read = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            match part.only_modality(&self.modalities) {
                Some(modality) => {
                    for (cell, measured) in measured.iter_mut().enumerate() {
                        if part.has(cell) {
                            measured.insert(modality);
                        }
                    }
                }
                None => to_read.push(number),
            }
        }
        for number in to_read {
            for first in (0..n_cells).step_by(BLOCK) {
                let cells = first..n_cells.min(first + BLOCK);
                let mut rows = vec![Vec::new(); cells.len()];
                self.parts[number].read(layer, cells, &mut rows)?;
                for (measured, row) in measured[first..].iter_mut().zip(rows) {
                    for (feature, value) in row {
                        if let (true, Some(modality)) =
                            (value != 0.0, self.modalities.of(feature as usize))
                        {
                            measured.insert(modality);
                        }
                    }
                }
            }
        }
        Ok(measured)
    }

    fn join(
        opened: Vec<Opened>,
        root: Option<Frame>,
        options: &MultimodalOptions,
        (path, format, is_several): (&Path, &str, bool),
    ) -> Result<Self> {
        if is_several {
            barcodes::check(&opened)?;
        }
        let features = features::join(&opened, options)?;
        let cells = cells(&opened, root.as_ref())?;
        let (mut parts, mut tables, mut layers) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(root) = root {
            let rows = (0..).take(root.len()).map(Some).collect();
            tables.push((root, rows));
        }
        let members = opened.into_iter().zip(features.columns).zip(cells.rows);
        for ((opened, columns), rows) in members {
            let mut obs = opened.obs;
            if is_several && opened.sample.is_none() {
                let name = opened.source.summary().path.file_stem();
                let name = name.unwrap_or_default().to_string_lossy().into_owned();
                obs.columns.push((INPUT.into(), Column::categorical(&vec![name; obs.len()])));
            }
            layers.extend(opened.source.summary().matrices.clone());
            tables.push((obs, rows.clone()));
            let is_rna = opened.modalities.iter().all(|modality| modality == RNA);
            parts.push(Part::new(opened.source, columns, rows, is_rna));
        }
        part::check_overlap(&parts, &cells.names, &features.var.index)?;
        let obs = join::join(&tables, cells.names);
        let summary = Summary {
            path: path.into(),
            format: format.into(),
            n_cells: obs.len(),
            matrices: matrices(&layers, features.var.len()),
            elements: Vec::new(),
            chosen: None,
            values: None,
        };
        let (var, modalities) = (features.var, features.modalities);
        let (chosen, joined) = (None, Vec::new());
        Ok(Self { parts, obs, var, modalities, summary, chosen, joined })
    }
}

/// An input that is no MuData file: the source, and the modality in its `obsm`.
fn open(input: &MultimodalInput, options: &MultimodalOptions) -> Result<Vec<Opened>> {
    let mut source = Source::open(&input.path)?;
    source.keep_all_features();
    if let Some(sample) = &input.sample {
        source = source.of_sample(sample)?;
    }
    let (obs, mut var) = (source.obs()?, source.var(&Layer::X)?);
    if count_rows(&var.index) {
        // Features are the same by their names, and row numbers are none.
        let all = GeneNames { all_features: true, ..GeneNames::BEST };
        var.index = all.genes(&var)?.index;
    }
    let given = input.modality.as_deref();
    let key = options.modality_key.as_deref();
    let (modalities, spelled) = features::of(&input.path, &var, given, key)?;
    let mut opened = Vec::new();
    if let (None, Some((modality, name))) = (given, &options.obsm) {
        let cells = obsm::ObsmCells::open(&input.path, name)?;
        let var = cells.var(&Layer::X)?;
        let modalities = vec![modality_name(modality); var.len()];
        let index_only = Frame { columns: Vec::new(), ..obs.clone() };
        opened.push(Opened {
            source: Box::new(cells),
            obs: index_only,
            var,
            modalities,
            spelled: features::Spelled::new(),
            rows: None,
            sample: input.sample.clone(),
        });
    }
    let (source, sample) = (Box::new(source), input.sample.clone());
    opened.insert(0, Opened { source, obs, var, modalities, spelled, rows: None, sample });
    Ok(opened)
}

/// The cells of the whole, and where each source has them.
struct Cells {
    names: Vec<String>,
    /// For each source its row of every cell.
    rows: Vec<Vec<Option<u32>>>,
}

fn cells(opened: &[Opened], root: Option<&Frame>) -> Result<Cells> {
    let mut names: Vec<String> = root.map_or_else(Vec::new, |root| root.index.clone());
    if root.is_none()
        && opened.len() == 1
        && opened[0].obs.index.iter().all(|name| !name.is_empty())
    {
        // Nothing is joined, so names may repeat.
        let rows = (0..).take(opened[0].obs.len()).map(Some).collect();
        return Ok(Cells { names: opened[0].obs.index.clone(), rows: vec![rows] });
    }
    let mut places: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
    let mut rows: Vec<Vec<Option<u32>>> = Vec::new();
    for member in opened {
        if let Some(known) = &member.rows {
            rows.push(known.clone());
            continue;
        }
        let mut of_member = vec![None; names.len()];
        for (row, name) in (0..).zip(&member.obs.index) {
            if name.is_empty() {
                continue;
            }
            let next = names.len();
            let place = *places.entry(name.clone()).or_insert(next);
            if place == next {
                names.push(name.clone());
                of_member.push(None);
            }
            if of_member[place].replace(row).is_some() {
                let path = &member.source.summary().path;
                return Err(Error::invalid(path, "obs", format!("the cell `{name}` occurs twice"))
                    .with_hint("inputs are joined by the names of cells: make them unique, in Python adata.obs_names_make_unique()"));
            }
        }
        rows.push(of_member);
    }
    for of_member in &mut rows {
        of_member.resize(names.len(), None);
    }
    Ok(Cells { names, rows })
}

/// `X`, and the layers that any of the sources has.
fn matrices(layers: &[MatrixSummary], n_genes: usize) -> Vec<MatrixSummary> {
    let mut matrices: Vec<MatrixSummary> = Vec::new();
    for matrix in layers.iter().filter(|matrix| matrix.layer != Layer::Raw) {
        match matrices.iter_mut().find(|other| other.layer == matrix.layer) {
            Some(other) => other.n_stored += matrix.n_stored,
            None => matrices.push(MatrixSummary { n_genes, encoding: "csr", ..matrix.clone() }),
        }
    }
    matrices
}

impl CellSource for MultimodalCells {
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(self.obs.clone())
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        match self.summary.matrices.iter().find(|matrix| matrix.layer == *layer) {
            Some(_) => Ok(self.var.clone()),
            None => Err(self.summary.missing(layer)),
        }
    }

    /// A source that lacks `layer` gives its `X` instead.
    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.check_rows(layer, &rows)?;
        let mut cells = vec![Vec::new(); rows.len()];
        for part in &mut self.parts {
            part.read(layer, rows.clone(), &mut cells)?;
        }
        Csr::of_rows(self.var.len(), cells.into_iter().map(|cell| cell.into_iter().unzip()))
            .map_err(|problem| Error::invalid(&self.summary.path, layer.to_string(), problem))
    }
}

/// A few names, for messages.
fn examples<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let n = names.len();
    let some: Vec<String> = names.take(EXAMPLES).map(|name| format!("`{name}`")).collect();
    let more = if n > EXAMPLES { format!(" and {} more", n - EXAMPLES) } else { String::new() };
    some.join(", ") + &more
}
