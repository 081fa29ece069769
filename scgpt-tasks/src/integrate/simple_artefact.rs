//! [`SimpleArtefact`]: what a simple integration leaves for further cells.
//!
//! Principal components put any cell among those that they are of. What removes batches from all cells
//! together has no place for a further one, and says so.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use scgpt_data::{
    Advice, CellSource, EmptyCells, GeneNames, GeneVocab, Layer, Observer, RowSpool, Setting,
};
use scgpt_eval::{CellColours, ColourChoice, Neighbourhood, baseline::GeneProjection};
use scgpt_report::Page;
use serde::{Deserialize, Serialize};

use super::method::IntegrateMethod;
use crate::{
    artefact::{ArtefactKind, read_part, write_part},
    error::{Error, Result},
    folder_kind::{FolderKind, SIMPLE_INTEGRATION},
};

/// How the artefact is written.
const KIND: ArtefactKind = ArtefactKind {
    record: SIMPLE_INTEGRATION,
    format: 1,
    kind: FolderKind::SimpleIntegration,
    made_by: "scgpt integrate",
};
/// The file with principal components.
const COMPONENTS: &str = "components.json";
/// Least share of the genes that further cells must have.
const LEAST_SHARE: f64 = 0.5;

/// What the artefact of a simple method knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SimpleRecord {
    /// The method.
    pub method: IntegrateMethod,
    /// The column of `obs` with the batches; empty if the cells were one batch.
    pub batch_key: String,
    /// Names of the batches.
    pub batches: Vec<String>,
    /// Names of the modalities, if there were several.
    pub modalities: Vec<String>,
}

/// Genes by their names, and their principal components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Projected {
    /// The name of each gene; `None` for one without a name of its own, which no other cells have.
    genes: Vec<Option<String>>,
    projection: GeneProjection,
}

/// The artefact of a simple method.
///
/// ```no_run
/// use std::path::Path;
///
/// use scgpt_data::{GeneNames, Layer, Silent, Source};
/// use scgpt_tasks::integrate::SimpleArtefact;
///
/// let artefact = SimpleArtefact::open(Path::new("lung.pca.model"))?;
/// let mut cells = Source::open(Path::new("more.h5ad"))?;
/// let more = artefact.project(&mut cells, &Layer::X, &GeneNames::BEST, &Silent)?;
/// println!("{} cells by {} of {} genes", more.rows.n_rows(), more.genes, more.of_genes);
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Debug)]
pub struct SimpleArtefact {
    folder: PathBuf,
    record: SimpleRecord,
    projected: Option<Projected>,
}

/// Further cells in the space of a simple method.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProjectedCells {
    /// A row a cell, in the order of the source.
    pub rows: RowSpool,
    /// Number of genes of the method that the cells have.
    pub genes: usize,
    /// Number of its genes.
    pub of_genes: usize,
    /// Number of cells without any value: where they are put means nothing.
    pub without_values: usize,
}

impl ProjectedCells {
    /// The cells as a page: a map, which is the UMAP, if one was `found`, and what they were put among by `record`.
    ///
    /// # Errors
    /// If annotations or coordinates cannot be read, or a colour that is asked for is not there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        record: &SimpleRecord,
        choice: &ColourChoice<'_>,
        found: Option<&Neighbourhood>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let mut page = Page::new("Further cells", &source.summary().path.display().to_string());
        let share = 100.0 * self.genes as f64 / self.of_genes.max(1) as f64;
        page.numbers(&[
            ("cells", self.rows.n_rows().to_string()),
            ("genes of the components", format!("{share:.0} %")),
        ]);
        page.section("Map");
        let map = Neighbourhood::map_of(found, &self.rows, 0, observer)?;
        let colours = CellColours::choose(source, map.cells(), choice)?;
        map.draw(&mut page, "Cells by the components of those before them", &colours);
        page.section("Settings").table(&[
            ("method", record.method.name().to_owned()),
            ("batches before them", record.batches.join(", ")),
            ("genes", format!("{} of the {} of the components", self.genes, self.of_genes)),
            ("coordinates of a cell", self.rows.n_columns().to_string()),
        ]);
        Ok(page)
    }
}

impl Projected {
    pub(super) fn new(genes: Vec<Option<String>>, projection: GeneProjection) -> Self {
        Self { genes, projection }
    }
}

impl SimpleArtefact {
    /// Names of the files that it may have.
    pub const FILES: [&str; 2] = [SIMPLE_INTEGRATION, COMPONENTS];

    /// Whether a folder holds such an artefact, as far as its record tells.
    pub fn is_at(folder: &Path) -> bool {
        KIND.is_at(folder)
    }

    /// Writes an artefact into a folder that is not in its place yet.
    pub(super) fn write(
        folder: &Path,
        record: &SimpleRecord,
        projected: Option<&Projected>,
    ) -> Result<()> {
        let mut files = Vec::new();
        if let Some(projected) = projected {
            write_part(&folder.join(COMPONENTS), projected)?;
            files.push(COMPONENTS);
        }
        KIND.seal(record, folder, &files)
    }

    /// Opens what [`SimplyIntegrated::write`](super::SimplyIntegrated::write) wrote.
    ///
    /// # Errors
    /// If a file is missing or was changed, or the format is of another version.
    pub fn open(folder: &Path) -> Result<Self> {
        let (record, _) = KIND.open_record::<SimpleRecord>(folder)?;
        let path = folder.join(COMPONENTS);
        let has_components = record.method == IntegrateMethod::Pca && path.is_file();
        let projected = has_components.then(|| read_part(&path)).transpose()?;
        Ok(Self { folder: folder.into(), record, projected })
    }

    /// What it knows.
    pub fn record(&self) -> &SimpleRecord {
        &self.record
    }

    /// Places of further cells in the space of the method. A row depends on the cell and the artefact alone.
    ///
    /// # Errors
    /// If the method has no place for further cells, or these have fewer of the genes than `min_genes` of
    /// `names` says, or else than half; if the source cannot be read or has negative values.
    pub fn project(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        names: &GeneNames,
        observer: &dyn Observer,
    ) -> Result<ProjectedCells> {
        let Some(Projected { genes, projection }) = &self.projected else {
            return Err(self.places_none());
        };
        let var = source.var(layer)?;
        let known = GeneVocab::from_names(genes.iter().flatten().cloned())?;
        let least = names.min_genes.unwrap_or(LEAST_SHARE);
        let names = GeneNames { min_genes: Some(0.0), ..names.clone() };
        let alignment = known.align(&var, &names)?;
        let columns: BTreeMap<_, usize> = alignment
            .tokens
            .iter()
            .enumerate()
            .filter_map(|(at, it)| Some(((*it)?.0, at)))
            .collect();
        let column = |gene: &Option<String>| columns.get(&known.token(gene.as_ref()?)?.0).copied();
        let columns: Vec<Option<usize>> = genes.iter().map(column).collect();
        let found = columns.iter().flatten().count();
        if found == 0 || (found as f64) < least * genes.len() as f64 {
            return Err(Error::option(format!(
                "the data has {found} of the {} genes whose principal components `{}` keeps, too few to compare cells: \
                 integrate these cells together with the others",
                genes.len(),
                self.folder.display()
            )));
        }
        let mut empty = EmptyCells::default();
        let mut sought = empty.among(source, layer);
        let projected = projection.project(&mut sought, layer, &columns, observer)?;
        drop(sought);
        let mut rows = RowSpool::new(projection.width())?;
        rows.push(&projected)?;
        Ok(ProjectedCells {
            rows,
            genes: found,
            of_genes: genes.len(),
            without_values: empty.len(),
        })
    }

    /// The error for a method that has no place for further cells.
    fn places_none(&self) -> Error {
        let SimpleRecord { method, modalities, .. } = &self.record;
        let why = match method {
            IntegrateMethod::Pca | IntegrateMethod::Lsi => {
                format!("its `{}` is of {} together", method.name(), modalities.join(", "))
            }
            _ => format!("`{}` moves all cells together", method.name()),
        };
        Error::unsuited(
            format!("`{}` has no place for further cells: {why}", self.folder.display()),
            Advice::from(
                "integrate old and new cells in one file, or leave an artefact that embeds further cells: ",
            ) + Setting("method")
                + " `network`, or of one modality `pca`",
        )
    }
}
