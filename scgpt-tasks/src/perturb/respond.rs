//! [`Responses`]: predicted cells of any conditions.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{Additions, Column, Layer, RowSpool, SpooledCells, export};
use serde::Serialize;
use serde_json::json;

use super::{
    artefact::{PerturbArtefact, names, numbered},
    condition::Condition,
    panel::Targets,
};
use crate::{
    error::{Error, Result},
    metrics::difference,
    observe::Observer,
};

/// Genes of a summary.
const MOST_CHANGED: usize = 10;

/// How conditions are predicted.
#[derive(Clone, Copy, Debug)]
pub struct RespondOptions {
    /// The cell type, by its number.
    pub cell_type: usize,
    /// Predicted cells of each condition.
    pub cells: usize,
    /// Genes that are predicted together; 0 for all, and as many as in training if none.
    pub genes_per_pass: Option<usize>,
}

/// What conditions would look like.
#[derive(Debug)]
pub struct Responses {
    /// In the order asked for.
    pub conditions: Vec<Response>,
    /// Predicted cells, `cells` of each condition in turn, row-major `[n · cells, g]`.
    pub cells: RowSpool,
    genes: Vec<String>,
    cell_type: String,
}

/// What one condition would look like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Response {
    /// The condition.
    pub condition: String,
    /// Perturbed genes that are not measured.
    pub unmeasured: Vec<String>,
    /// The genes that change most, and their change of the mean logarithm.
    pub most_changed: Vec<(String, f64)>,
    /// Mean expression, `[g]`.
    #[serde(skip)]
    pub mean: Vec<f64>,
}

impl PerturbArtefact {
    /// Predicts cells of each condition, one condition after the other. Memory: one number a
    /// condition and gene, and the tensors of a few cells.
    ///
    /// # Errors
    /// If a gene is not in the vocabulary, before anything is computed; if the temporary file cannot be
    /// written; [`Error::Cancelled`] if the observer says so.
    pub fn respond(
        &self,
        conditions: &[Condition],
        options: &RespondOptions,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Responses> {
        let targets: Vec<Targets> =
            conditions.iter().map(|condition| self.targets(condition)).collect::<Result<_>>()?;
        let RespondOptions { cell_type, cells: n, genes_per_pass } = *options;
        let predictor = self.predictor(genes_per_pass);
        let g = self.panel.len();
        let control = self.control(cell_type);
        let mut cells = RowSpool::new(g)?;
        let mut responses = Vec::with_capacity(conditions.len());
        observer.begin("predicting", conditions.len() * n);
        for (condition, targets) in conditions.iter().zip(&targets) {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let rows = predictor.cells(targets, self.controls(cell_type), (0, n), device);
            let mut mean = vec![0.0; g];
            for row in rows.chunks(g) {
                mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n as f64);
            }
            cells.push(&rows)?;
            responses.push(self.response(condition, mean, &control));
            observer.advance(n);
        }
        Ok(Responses {
            conditions: responses,
            cells,
            genes: self.record.genes.clone(),
            cell_type: self.record.cell_types[cell_type].clone(),
        })
    }

    fn response(&self, condition: &Condition, mean: Vec<f64>, control: &[f64]) -> Response {
        let change = difference(&mean, control);
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
            mean,
        }
    }
}

impl Responses {
    /// Predicted cells of each condition.
    pub fn cells_each(&self) -> usize {
        self.cells.n_rows() / self.conditions.len().max(1)
    }

    /// Writes the predicted cells as h5ad or zarr: `X` the predicted logarithms, `obs` with
    /// `condition` and `cell_type`.
    ///
    /// # Errors
    /// If the output exists and `overwrite` is not set, or cannot be written.
    pub fn write(self, output: &Path, overwrite: bool, observer: &dyn Observer) -> Result<()> {
        let n = self.cells_each();
        let repeated = |name: &Response| std::iter::repeat_n(name.condition.clone(), n);
        let conditions: Vec<String> = self.conditions.iter().flat_map(repeated).collect();
        let columns = vec![
            ("condition".into(), Column::categorical(&conditions)),
            ("cell_type".into(), Column::categorical(&vec![self.cell_type; conditions.len()])),
        ];
        let obs = numbered("predicted", conditions.len(), columns);
        let responses = json!({ "responses": self.conditions });
        let additions =
            Additions { uns: vec![("scgpt".into(), responses)], ..Additions::default() };
        observer.begin("writing", conditions.len());
        let mut source = SpooledCells::new(obs, names(&self.genes), self.cells);
        let mut watched = crate::observe::Watched { source: &mut source, observer };
        Ok(export(&mut watched, &Layer::X, output, &additions, overwrite)?)
    }
}

/// Every single perturbation of `genes`, and with `pairs` every pair of them.
///
/// # Errors
/// If there are no genes.
pub fn candidates(genes: &[String], pairs: bool) -> Result<Vec<Condition>> {
    if genes.is_empty() {
        return Err(Error::Option(
            "there are no candidate genes: name at least one, a line each".into(),
        ));
    }
    let mut all: Vec<Condition> =
        genes.iter().map(|gene| Condition::new([gene.as_str()])).collect();
    if pairs {
        for (place, one) in genes.iter().enumerate() {
            let with = |other: &String| Condition::new([one.as_str(), other.as_str()]);
            all.extend(genes[place + 1..].iter().map(with));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_singles_and_pairs() {
        let genes: Vec<String> = ["B", "A", "C", "A"].map(String::from).to_vec();
        let all = candidates(&genes, true).unwrap();
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["A+ctrl", "A+B", "A+C", "B+ctrl", "B+C", "C+ctrl"]);
        assert_eq!(candidates(&genes, false).unwrap().len(), 3);
        assert!(candidates(&[], false).is_err());
        // The article's twenty genes: with the control of each, C(21, 2).
        let twenty: Vec<String> = (0..20).map(|gene| format!("G{gene}")).collect();
        assert_eq!(candidates(&twenty, true).unwrap().len(), 210);
    }
}
