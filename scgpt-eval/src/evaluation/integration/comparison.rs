//! [`IntegrationComparison`]: several embeddings of the same cells, scored side by side.

use scgpt_data::{Error, Observer, Result};
use scgpt_report::{Category, ColourValues, Colouring};
use scgpt_stats::ClusterOptions;
use serde::Serialize;

use super::IntegrationScores;
use crate::{baseline::SpaceBaseline, cell_map::CellMap, cell_space::CellSpace, labels::Labels};

/// A column of `obs` that an embedding should keep, or lose; no cell lacks a label.
#[derive(Clone, Debug, Serialize)]
pub struct CellColumn {
    /// Name of the column.
    pub key: String,
    /// Names of the classes, and the number of cells of each.
    pub classes: Vec<(String, usize)>,
    #[serde(skip)]
    codes: Vec<usize>,
}

impl CellColumn {
    /// Takes the labels of the column `key`.
    ///
    /// # Errors
    /// If a cell has none, or all have the same.
    pub fn new(key: &str, labels: &Labels) -> Result<Self> {
        let codes: Option<Vec<usize>> =
            labels.codes.iter().map(|code| code.map(|code| code as usize)).collect();
        let Some(codes) = codes else {
            return Err(Error::Option(format!(
                "{} cells have no label in column `{key}` of `obs`",
                labels.n_missing()
            )));
        };
        if labels.classes.len() < 2 {
            let only = labels.classes.first().map_or("nothing", String::as_str);
            return Err(Error::Option(format!(
                "column `{key}` of `obs` has `{only}` for all cells, expected at least two different labels"
            )));
        }
        let classes = labels.classes.iter().cloned().zip(labels.counts()).collect();
        Ok(Self { key: key.into(), classes, codes })
    }

    /// The class of each cell, a place in [`classes`](Self::classes).
    pub fn codes(&self) -> &[usize] {
        &self.codes
    }

    /// The column of some cells, to colour a map by.
    pub(super) fn colouring(&self, cells: &[usize]) -> Colouring {
        let category = |(name, _): &(String, usize)| Category { name: name.clone(), colour: None };
        let values = ColourValues::Categories {
            codes: cells.iter().map(|&cell| u32::try_from(self.codes[cell]).ok()).collect(),
            categories: self.classes.iter().map(category).collect(),
        };
        Colouring { name: self.key.clone(), values }
    }
}

/// An embedding among others.
#[derive(Clone, Debug, Serialize)]
pub struct ScoredEmbedding {
    /// Its name in reports.
    pub name: String,
    /// Whether it is a simple method that others are compared with.
    pub is_baseline: bool,
    /// How good it is.
    pub scores: IntegrationScores,
    #[serde(skip)]
    pub(super) map: Option<CellMap>,
}

/// Embeddings of the same cells, in the order in which they were added.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::{CellColumn, CellSpace, IntegrationComparison, Labels};
/// use scgpt_stats::ClusterOptions;
///
/// let column = |name: &str, of: fn(usize) -> usize| {
///     let labels = (0..12).map(|cell| Some(format!("{name} {}", of(cell)))).collect();
///     CellColumn::new(name, &Labels::new(labels))
/// };
/// let (types, batches) = (column("type", |cell| cell % 2)?, column("batch", |cell| cell / 2 % 2)?);
/// let mut options = ClusterOptions::default();
/// options.n_neighbours = 4;
/// let mut comparison = IntegrationComparison::new(Some(types), batches, options);
/// // One dimension that knows the type alone.
/// let rows: Vec<f32> = (0..12_u8).map(|cell| f32::from(cell % 2) * 9.0 + f32::from(cell)).collect();
/// comparison.add("mine", &CellSpace::rows(rows, 1), &Silent)?;
/// assert!(comparison.embeddings[0].scores.overall.is_some());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct IntegrationComparison {
    /// The labels that an embedding should keep; without them only the variance of batches is
    /// scored.
    pub label: Option<CellColumn>,
    /// The batches that an embedding should lose.
    pub batch: CellColumn,
    /// How cells are clustered and sampled.
    pub options: ClusterOptions,
    /// The embeddings and their scores.
    pub embeddings: Vec<ScoredEmbedding>,
}

impl IntegrationComparison {
    /// A comparison without embeddings yet.
    pub fn new(label: Option<CellColumn>, batch: CellColumn, options: ClusterOptions) -> Self {
        Self { label, batch, options, embeddings: Vec::new() }
    }

    /// Scores an embedding under the name `name`, and lays out a map of it if cells have
    /// coordinates.
    ///
    /// # Errors
    /// See [`IntegrationScores::new`]; [`Error::Cancelled`] if the observer says so.
    ///
    /// # Panics
    /// If these are not the cells of the columns.
    pub fn add(
        &mut self,
        name: &str,
        space: &CellSpace<'_>,
        observer: &dyn Observer,
    ) -> Result<()> {
        let embedding = self.scored(name, space, observer)?;
        self.embeddings.push(embedding);
        Ok(())
    }

    /// Scores an embedding; a map is made only of what has positions, since a graph has none.
    fn scored(
        &self,
        name: &str,
        space: &CellSpace<'_>,
        observer: &dyn Observer,
    ) -> Result<ScoredEmbedding> {
        observer.check_cancelled()?;
        observer.begin(&format!("scoring {name}"), 0);
        let labels = self.label.as_ref().map(CellColumn::codes);
        let scores =
            IntegrationScores::new(space, labels, self.batch.codes(), &self.options, observer)?;
        let map = match space {
            CellSpace::Rows { rows, width } => {
                Some(CellMap::new(rows, *width, self.options.seed, observer)?)
            }
            CellSpace::Graph(_) => None,
        };
        Ok(ScoredEmbedding { name: name.into(), is_baseline: false, scores, map })
    }

    /// Scores simple methods. The first of them has to be the unintegrated cells, with which the
    /// variance of batches in all embeddings is compared.
    ///
    /// # Errors
    /// See [`add`](Self::add).
    pub fn add_baselines(
        &mut self,
        baselines: &[SpaceBaseline],
        observer: &dyn Observer,
    ) -> Result<()> {
        let first = self.embeddings.len();
        for baseline in baselines {
            let scored = self.scored(&baseline.name, &baseline.space, observer)?;
            self.embeddings.push(ScoredEmbedding { is_baseline: true, ..scored });
        }
        if first < self.embeddings.len() {
            let unintegrated = self.embeddings[first].scores.clone();
            for embedding in &mut self.embeddings {
                embedding.scores.against(&unintegrated);
            }
        }
        Ok(())
    }

    /// A sentence that compares the best of the embeddings with the best simple method, by the
    /// overall score; `None` if there is nothing to compare.
    pub fn verdict(&self) -> Option<String> {
        let best = |is_baseline: bool| {
            let of =
                self.embeddings.iter().filter(|embedding| embedding.is_baseline == is_baseline);
            let scored = of.filter_map(|one| one.scores.overall.map(|score| (score, &one.name)));
            scored.max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let ((own, name), (baseline, baseline_name)) = best(false).zip(best(true))?;
        let than = if own > baseline { "better than" } else { "not better than" };
        Some(format!("{name} ({own:.3} overall) is {than} {baseline_name} ({baseline:.3})"))
    }
}
