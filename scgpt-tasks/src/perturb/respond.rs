//! [`Responses`]: predicted cells of given conditions.

use std::{collections::BTreeMap, path::Path};

use burn::prelude::Device;
use scgpt_data::{
    Additions, CellSource as _, Column, Existing, Frame, Layer, Observer, RowSpool, Source,
    SpooledCells, export, obs_column,
};
use scgpt_eval::perturbation::{CONTROL, Condition, KnownResponses, ResponseRule};
use scgpt_model::InferencePrecision;
use scgpt_stats::difference;
use serde::Serialize;
use serde_json::json;

use super::{
    artefact::PerturbArtefact,
    files::{CELL_TYPE, CONDITION, invalid, numbered, places, read_placed},
    method::{ChosenMethod, ResponseMethod},
    panel::PerturbedGenes,
    predict::mean,
};
use crate::error::{Error, Result};

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
    /// What predicts: the network, or a simple method.
    pub method: ResponseMethod,
}

impl RespondOptions {
    /// Predicts `cells` cells of each condition, of the first cell type, by the network, with as many
    /// genes together as in training.
    pub fn new(cells: usize) -> Self {
        Self { cell_type: 0, cells, genes_per_pass: None, method: ResponseMethod::Network }
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
    /// The numbers that the network computed in; `None` for a simple method, and if a file does not say.
    pub precision: Option<InferencePrecision>,
    /// What predicted them; `None` if a file does not say.
    pub method: Option<ChosenMethod>,
    pub(super) genes: Vec<String>,
    pub(super) cell_type: String,
    /// Mean logarithms of the controls that predictions start from, `[g]`.
    pub(super) control: Vec<f64>,
}

/// A summary of the predicted cells of one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response {
    /// Name of the condition.
    pub condition: String,
    /// Perturbed genes that are not measured.
    pub unmeasured: Vec<String>,
    /// Perturbed genes of which a simple method knows nothing: it has the mean of others in their place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_known: Vec<String>,
    /// The genes that change most against the controls that predictions start from, each with the
    /// change of its mean logarithm.
    pub most_changed: Vec<(String, f64)>,
    /// Mean size of the changes of all genes.
    pub mean_change: f64,
}

impl PerturbArtefact {
    /// Predicts cells of each condition, one condition after the other, into a temporary file. Memory:
    /// the cells of one condition, and the tensors of a few.
    ///
    /// # Errors
    /// If a gene is not in the vocabulary, or there is nothing to choose the best method by, before anything
    /// is computed; if the temporary file cannot be written; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn respond(
        &self,
        conditions: &[Condition],
        options: &RespondOptions,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Responses> {
        let targets: Vec<PerturbedGenes> =
            conditions.iter().map(|condition| self.targets(condition)).collect::<Result<_>>()?;
        let RespondOptions { cell_type, cells: n, genes_per_pass, .. } = *options;
        let method = self.method(options.method)?;
        if let Some(rule) = method.method.rule() {
            return self.respond_simply(conditions, rule, method, options, observer);
        }
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
            method: Some(method),
            genes: self.record.genes.clone(),
            cell_type: self.record.cell_types[cell_type].clone(),
            control,
        })
    }

    /// The method that is meant by a setting: the best of those that training judged, if that is asked for.
    ///
    /// # Errors
    /// If the best is asked for and training left nothing to choose by.
    pub fn method(&self, method: ResponseMethod) -> Result<ChosenMethod> {
        method.among(self.record.judged.as_deref())
    }

    /// As [`respond`](Self::respond), by a simple method, which predicts the mean of a condition from
    /// all means that the artefact has. Its cells differ from each other as the controls do.
    fn respond_simply(
        &self,
        conditions: &[Condition],
        rule: ResponseRule,
        method: ChosenMethod,
        options: &RespondOptions,
        observer: &dyn Observer,
    ) -> Result<Responses> {
        let RespondOptions { cell_type, cells: n, .. } = *options;
        let g = self.panel.len();
        let control = self.control(cell_type);
        let of_type = self.profiles(cell_type).into_iter();
        let mut responses: Vec<_> = of_type.filter(|it| !it.condition.is_control()).collect();
        if responses.is_empty() {
            // As in training: of another cell type, if nothing is known of this one.
            let all = (0..self.record.cell_types.len()).flat_map(|other| self.profiles(other));
            responses = all.filter(|it| !it.condition.is_control()).collect();
        }
        if responses.is_empty() {
            return Err(Error::option("the artefact has no profile of a condition to learn from"));
        }
        let known = KnownResponses {
            control: &control,
            responses: responses.iter().map(|it| (&it.condition, it.mean.as_slice())).collect(),
            columns: &self.panel.places,
        };
        let profiles = rule.predict(&known, &conditions.iter().collect::<Vec<_>>(), observer)?;
        let controls = self.controls(cell_type);
        // Other cells begin elsewhere, and change alike.
        let base =
            if self.has_given_controls { mean(&controls.values, g) } else { control.clone() };
        let starts: Vec<f32> = (0..n)
            .flat_map(|cell| controls.start(cell, self.record.pool, self.record.seed))
            .collect();
        let of_starts = mean(&starts, g);
        let mut cells = RowSpool::new(g)?;
        let mut said = Vec::with_capacity(conditions.len());
        observer.begin("predicting", conditions.len() * n);
        for (condition, profile) in conditions.iter().zip(&profiles) {
            observer.check_cancelled()?;
            let predicted: Vec<f64> = (0..g).map(|i| base[i] + profile[i] - control[i]).collect();
            let value = |(place, &start): (usize, &f32)| {
                let gene = place % g;
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "stored as narrow as expression is"
                )]
                let value = (f64::from(start) - of_starts[gene] + predicted[gene]) as f32;
                value
            };
            cells.push(&starts.iter().enumerate().map(value).collect::<Vec<f32>>())?;
            let is_guessed = |gene: &&String| !rule.knows(&known, gene);
            let not_known = condition.genes().iter().filter(is_guessed).cloned().collect();
            said.push(Response { not_known, ..self.response(condition, &predicted, &base) });
            observer.advance(n);
        }
        Ok(Responses {
            conditions: said,
            cells,
            precision: None,
            method: Some(method),
            genes: self.record.genes.clone(),
            cell_type: self.record.cell_types[cell_type].clone(),
            control: base,
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
        let names = obs_column(&source.obs()?, CONDITION)?.labels();
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
            Responses {
                conditions: responses,
                cells,
                precision: None,
                method: None,
                genes,
                cell_type,
                control,
            },
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
            not_known: Vec::new(),
            most_changed: order
                .into_iter()
                .take(MOST_CHANGED)
                .map(|gene| (self.record.genes[gene].clone(), change[gene]))
                .collect(),
            mean_change: change.iter().map(|change| change.abs()).sum::<f64>()
                / change.len().max(1) as f64,
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
            (CONDITION.into(), Column::categorical(&conditions)),
            (CELL_TYPE.into(), Column::categorical(&vec![self.cell_type; conditions.len()])),
        ];
        let obs = numbered("predicted", conditions.len(), columns);
        let responses = json!({
            "responses": self.conditions,
            "precision": self.precision,
            "method": self.method,
        });
        let additions =
            Additions { uns: vec![("scgpt".into(), responses)], ..Additions::default() };
        observer.begin("writing", conditions.len());
        let mut source = SpooledCells::new(obs, Frame::of_names(&self.genes), self.cells);
        let mut watched = scgpt_data::Watched { source: &mut source, observer };
        Ok(export(&mut watched, &Layer::X, output, &additions, existing)?)
    }
}
