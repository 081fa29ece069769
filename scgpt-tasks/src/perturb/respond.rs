//! [`Responses`]: predicted cells of given conditions.

use std::{collections::BTreeMap, path::Path};

use burn::prelude::Device;
use scgpt_data::{
    Additions, CellSource as _, Column, Existing, Frame, Layer, Observer, RowSpool, Source,
    SpooledCells, export, obs_column,
};
use scgpt_eval::perturbation::{CONTROL, Condition};
use scgpt_model::InferencePrecision;
use scgpt_stats::difference;
use serde::Serialize;
use serde_json::json;

use super::{
    artefact::{PerturbArtefact, invalid, numbered, places, read_placed},
    panel::PerturbedGenes,
    predict::mean,
};
use crate::error::Result;

/// Number of genes in a summary.
const MOST_CHANGED: usize = 10;

/// How conditions are predicted.
///
/// ```
/// use scgpt_tasks::perturb::RespondOptions;
///
/// // A hundred cells of each condition, all genes of a cell at once.
/// let mut options = RespondOptions::new(100);
/// options.genes_per_pass = Some(0);
/// assert_eq!(options.cell_type, 0);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RespondOptions {
    /// The cell type, by its number.
    pub cell_type: usize,
    /// Number of predicted cells of each condition.
    pub cells: usize,
    /// Number of genes that are predicted together; 0 for all, and `None` for as many as in
    /// training.
    pub genes_per_pass: Option<usize>,
}

impl RespondOptions {
    /// Predicts `cells` cells of each condition, of the first cell type, with as many genes
    /// together as in training.
    pub fn new(cells: usize) -> Self {
        Self { cell_type: 0, cells, genes_per_pass: None }
    }
}

/// Predicted cells of conditions.
#[derive(Debug)]
#[non_exhaustive]
pub struct Responses {
    /// A summary of each condition, in the order asked for.
    pub conditions: Vec<Response>,
    /// Predicted cells, `cells` of each condition in turn, row-major `[n · cells, g]`.
    pub cells: RowSpool,
    /// The numbers that they were computed in; `None` if a file does not say.
    pub precision: Option<InferencePrecision>,
    genes: Vec<String>,
    cell_type: String,
}

/// A summary of the predicted cells of one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response {
    /// Name of the condition.
    pub condition: String,
    /// Perturbed genes that are not measured.
    pub unmeasured: Vec<String>,
    /// The genes that change most against the controls that predictions start from, each with the
    /// change of its mean logarithm.
    pub most_changed: Vec<(String, f64)>,
}

impl PerturbArtefact {
    /// Predicts cells of each condition, one condition after the other, into a temporary file. Memory:
    /// the cells of one condition, and the tensors of a few.
    ///
    /// # Errors
    /// If a gene is not in the vocabulary, before anything is computed; if the temporary file cannot be
    /// written; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn respond(
        &self,
        conditions: &[Condition],
        options: &RespondOptions,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Responses> {
        let targets: Vec<PerturbedGenes> =
            conditions.iter().map(|condition| self.targets(condition)).collect::<Result<_>>()?;
        let RespondOptions { cell_type, cells: n, genes_per_pass } = *options;
        let predictor = self.predictor(genes_per_pass);
        let g = self.panel.len();
        let control = mean(&self.controls(cell_type).values, g);
        let mut cells = RowSpool::new(g)?;
        let mut responses = Vec::with_capacity(conditions.len());
        observer.begin("predicting", conditions.len() * n);
        for (condition, targets) in conditions.iter().zip(&targets) {
            observer.check_cancelled()?;
            let rows = predictor.cells(targets, self.controls(cell_type), n, device);
            cells.push(&rows)?;
            responses.push(self.response(condition, &mean(&rows, g), &control));
            observer.advance(n);
        }
        Ok(Responses {
            conditions: responses,
            cells,
            precision: Some(self.precision.on(device)),
            genes: self.record.genes.clone(),
            cell_type: self.record.cell_types[cell_type].clone(),
        })
    }

    /// Reads predicted cells that [`Responses::write`] wrote, condition by condition in order, so
    /// that they need not be computed again.
    ///
    /// # Errors
    /// If the file cannot be read, lacks genes of the artefact, or has not the same number of cells
    /// of every condition.
    pub fn read_responses(
        &self,
        path: &Path,
        cell_type: usize,
    ) -> Result<(Vec<Condition>, Responses)> {
        let mut source = Source::open_predicted(path)?;
        let g = self.panel.len();
        let place = places(&mut source, &self.record.genes, &Layer::X, path)?;
        let names = obs_column(&source.obs()?, "condition")?.labels();
        let mut by_condition: BTreeMap<Condition, Vec<usize>> = BTreeMap::new();
        for (cell, name) in names.into_iter().enumerate() {
            let lacking = || invalid(path, format!("cell {cell} has no condition"));
            let condition = Condition::parse(&name.ok_or_else(lacking)?, "+", CONTROL)?;
            by_condition.entry(condition).or_default().push(cell);
        }
        let n = by_condition.values().next().map_or(0, Vec::len);
        if n == 0 || by_condition.values().any(|cells| cells.len() != n) {
            let problem = "expected as many predicted cells of each condition, as `scgpt perturb predict` writes them";
            return Err(invalid(path, problem.into()));
        }
        let control = mean(&self.controls(cell_type).values, g);
        let mut cells = RowSpool::new(g)?;
        let mut conditions = Vec::with_capacity(by_condition.len());
        let mut responses = Vec::with_capacity(by_condition.len());
        for (condition, numbers) in by_condition {
            let rows = read_placed(&mut source, &Layer::X, None, numbers, &place, g)?;
            cells.push(&rows)?;
            responses.push(self.response(&condition, &mean(&rows, g), &control));
            conditions.push(condition);
        }
        let cell_type = self.record.cell_types[cell_type].clone();
        let genes = self.record.genes.clone();
        Ok((
            conditions,
            Responses { conditions: responses, cells, precision: None, genes, cell_type },
        ))
    }

    /// The summary of a condition whose predicted cells have the given mean, against that of the
    /// controls, `[g]` each.
    fn response(&self, condition: &Condition, mean: &[f64], control: &[f64]) -> Response {
        let change = difference(mean, control);
        let mut order: Vec<usize> = (0..change.len()).collect();
        order.sort_by(|&a, &b| change[b].abs().total_cmp(&change[a].abs()));
        let is_unmeasured = |gene: &&String| !self.panel.places.contains_key(*gene);
        Response {
            condition: condition.to_string(),
            unmeasured: condition.genes().iter().filter(is_unmeasured).cloned().collect(),
            most_changed: order
                .into_iter()
                .take(MOST_CHANGED)
                .map(|gene| (self.record.genes[gene].clone(), change[gene]))
                .collect(),
        }
    }
}

impl Responses {
    /// Number of predicted cells of each condition.
    pub fn cells_each(&self) -> usize {
        self.cells.n_rows() / self.conditions.len().max(1)
    }

    /// Writes the predicted cells as h5ad or zarr: `X` has the predicted logarithms, `obs` the
    /// columns `condition` and `cell_type`.
    ///
    /// # Errors
    /// If the output exists and `existing` refuses it, or cannot be written.
    pub fn write(self, output: &Path, existing: Existing, observer: &dyn Observer) -> Result<()> {
        let n = self.cells_each();
        let repeated = |name: &Response| std::iter::repeat_n(name.condition.clone(), n);
        let conditions: Vec<String> = self.conditions.iter().flat_map(repeated).collect();
        let columns = vec![
            ("condition".into(), Column::categorical(&conditions)),
            ("cell_type".into(), Column::categorical(&vec![self.cell_type; conditions.len()])),
        ];
        let obs = numbered("predicted", conditions.len(), columns);
        let responses = json!({ "responses": self.conditions, "precision": self.precision });
        let additions =
            Additions { uns: vec![("scgpt".into(), responses)], ..Additions::default() };
        observer.begin("writing", conditions.len());
        let mut source = SpooledCells::new(obs, Frame::of_names(&self.genes), self.cells);
        let mut watched = scgpt_data::Watched { source: &mut source, observer };
        Ok(export(&mut watched, &Layer::X, output, &additions, existing)?)
    }
}
