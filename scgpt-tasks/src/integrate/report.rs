//! [`IntegrateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](IntegrateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{InputState, Summary, VariableFlavour};
use scgpt_eval::{BatchesTold, CellMap, IntegrationScores, Labels};
use scgpt_report::{Category, ColourValues, Colouring};
use serde::Serialize;

use super::{
    Ablated, BatchSize, GeneratedModality, IntegrateConfig, Integration, LinksReport, ModalitySize,
    MosaicScores,
    experiment::{Cells, IntegrateExperiment},
};
use crate::training::{Curves, Learned, Trial, total};

/// By how much AvgBATCH may fall short of that of the unintegrated cells without a warning.
const WORSE: f64 = 0.02;

/// The result of an integration.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct IntegrateReport {
    /// The cells of the batches.
    pub data: IntegrateData,
    /// The settings that were in force.
    pub config: IntegrateConfig,
    /// How the network was trained.
    #[serde(flatten)]
    pub learned: Learned,
    /// The network and other methods on the same cells.
    pub methods: Vec<IntegrationMethod>,
    /// Networks that were trained without one of the parts, if that was asked for.
    pub ablated: Vec<Ablated>,
    /// How cells lie together that were measured in different modalities, if they are a mosaic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mosaic: Option<MosaicScores>,
    /// The modalities that cells were not measured in, if they were generated.
    pub generated: Vec<GeneratedModality>,
    /// How losses and scores changed as the network learned.
    #[serde(flatten)]
    pub curves: Curves,
    #[serde(skip)]
    pub(super) map: Map,
}

/// The cells of the batches.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct IntegrateData {
    /// Path of the file.
    pub path: String,
    /// Column of `obs` with the batches.
    pub batch_key: String,
    /// Column of `obs` with the labels, if any.
    pub label: Option<String>,
    /// The batches.
    pub batches: Vec<BatchSize>,
    /// How well the batches can be told apart, if that was found out.
    pub batches_told: Option<BatchesTold>,
    /// The modalities, if there are several.
    pub modalities: Vec<ModalitySize>,
    /// The table of links between features and genes, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<LinksReport>,
    /// Number of genes, or of features, by which cells are compared.
    pub genes: usize,
    /// Number of genes of the data that the model knows.
    pub known_genes: usize,
    /// Number of genes of the model that was fine-tuned, or else of the data.
    pub model_genes: usize,
    /// The measure of variability that chose the genes.
    pub flavour: VariableFlavour,
    /// Number of cells that express none of the genes: they are embedded, but not learned from.
    pub without_genes: usize,
    /// What the values of the matrix look like.
    pub input_state: InputState,
}

/// The scores of one method: how well its embedding keeps types apart and mixes batches.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IntegrationMethod {
    /// Name of the method.
    pub name: String,
    /// Its scores, one for each repeat.
    pub scores: Vec<IntegrationScores>,
    /// What a reader should know of how it came to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Positions of some cells on a plane, for a map.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) points: Vec<[f32; 2]>,
    /// Batches and, if there are any, labels.
    pub(super) columns: Vec<Colouring>,
    pub(super) n_available: usize,
}

impl IntegrationMethod {
    /// A method of which nothing else is to be said.
    pub(super) fn new(name: &str, scores: Vec<IntegrationScores>) -> Self {
        Self { name: name.into(), scores, note: None }
    }

    /// The mean of a score over the repeats; `None` if it could not be computed.
    pub fn mean(&self, of: impl Fn(&IntegrationScores) -> Option<f64>) -> Option<f64> {
        let sum: Option<f64> = self.scores.iter().map(of).sum();
        sum.map(|sum| sum / self.scores.len().max(1) as f64)
    }

    /// Compares how much of the variance batches explain in all `methods` with the unintegrated
    /// cells.
    pub(super) fn compare(methods: &mut [Self]) {
        let unintegrated = methods.iter().find(|method| method.name == super::UNINTEGRATED);
        let Some(before) = unintegrated.and_then(|method| method.scores.first()).cloned() else {
            return;
        };
        for scores in methods.iter_mut().flat_map(|method| &mut method.scores) {
            scores.against(&before);
        }
    }
}

impl IntegrateData {
    /// How many batches there are, and in which column, in words.
    pub fn batches_of(&self) -> String {
        match self.batch_key.as_str() {
            "" => "one, as no column was named".into(),
            key => format!("{} of `{key}`", self.batches.len()),
        }
    }

    /// Numbers of cells of all batches together: trained on, validated on.
    pub fn totals(&self) -> [usize; 2] {
        total(self.batches.iter().map(BatchSize::parts))
    }
}

impl IntegrateReport {
    /// The report of the cells, of the first `trial`, whose network is the artefact, and of the
    /// `methods` it is compared with; `rows` are its embeddings `[n, d]`, of which some are drawn
    /// as maps.
    pub(super) fn new(
        cells: &Cells<'_>,
        trial: &Trial<IntegrateExperiment<'_>>,
        source: &Summary,
        methods: Vec<IntegrationMethod>,
        ablated: Vec<Ablated>,
        generated: Vec<GeneratedModality>,
        rows: &[f32],
    ) -> Self {
        let Cells { integration, panel, session, .. } = *cells;
        let trained = &trial.trained;
        let (training, network) = trained.in_force();
        Self {
            data: IntegrateData {
                path: source.path.display().to_string(),
                batch_key: integration.options.batch_key.unwrap_or_default().into(),
                label: integration.options.label.map(str::to_owned),
                batches: trial.parts.sizes.clone(),
                batches_told: integration.options.told,
                modalities: integration.modality_sizes(),
                links: integration.links.as_ref().map(|links| links.report(panel)),
                genes: panel.columns.len(),
                known_genes: panel.n_known,
                model_genes: panel.vocabulary,
                flavour: panel.flavour,
                without_genes: session.n_without_genes(),
                input_state: panel.input_state,
            },
            config: IntegrateConfig { network, training, ..integration.config.clone() },
            learned: trained.learned(),
            methods,
            ablated,
            mosaic: None,
            generated,
            curves: trained.curves(),
            map: map(integration, rows, trained.network.d_model),
        }
    }

    /// A warning if the embedding tells batches apart more than the cells themselves do.
    pub fn caution(&self) -> Option<String> {
        caution(&self.methods)
    }

    /// A sentence on whether the network is better than the other methods, if there are any to
    /// compare with.
    pub fn verdict(&self) -> Option<String> {
        let (network, others) = self.methods.split_first()?;
        let scored = |method: &'_ IntegrationMethod| -> Option<(f64, String)> {
            Some((method.mean(|scores| scores.overall)?, method.name.clone()))
        };
        let (ours, _) = scored(network)?;
        let best = others.iter().filter_map(scored).max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (theirs, name) = best;
        Some(if ours > theirs {
            format!(
                "The network integrates these cells better than {name} (overall {ours:.3} against {theirs:.3})."
            )
        } else {
            format!(
                "{name} integrates these cells better than the network (overall {theirs:.3} against {ours:.3}): on such cells it is the one to use."
            )
        })
    }
}

/// A warning if the network, the first of `methods`, tells batches apart more than the cells
/// themselves do.
fn caution(methods: &[IntegrationMethod]) -> Option<String> {
    let mixing = |method: &IntegrationMethod| method.mean(|scores| scores.avg_batch);
    let ours = mixing(methods.first()?)?;
    let before = mixing(methods.iter().find(|method| method.name == super::UNINTEGRATED)?)?;
    (ours < before - WORSE).then(|| {
        format!(
            "batches are mixed less in the embedding than in the cells as they are (AvgBATCH {ours:.3} against \
             {before:.3} on their principal components): what it adds are batches"
        )
    })
}

/// Lays out some of the embeddings, `[n, d]`, on a plane, with the batch and the label of each.
fn map(integration: &Integration<'_>, rows: &[f32], d: usize) -> Map {
    let map = CellMap::new(rows, d, integration.config.training.seed);
    let (cells, points): (Vec<usize>, Vec<[f32; 2]>) = map.points().unzip();
    let column = |name: &str, labels: &Labels| {
        let category = |name: &String| Category { name: name.clone(), colour: None };
        let values = ColourValues::Categories {
            codes: cells.iter().map(|&cell| labels.codes[cell]).collect(),
            categories: labels.classes.iter().map(category).collect(),
        };
        Colouring { name: name.into(), values }
    };
    let batches = column("batch", &integration.batches);
    let label = integration.options.label.unwrap_or("label");
    let labels = integration.labels.as_ref().map(|labels| column(label, labels));
    Map {
        points,
        columns: std::iter::once(batches).chain(labels).collect(),
        n_available: rows.len() / d.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_that_adds_batches_is_said() {
        let method = |name: &str, avg_batch| {
            let scores = IntegrationScores { avg_batch, ..IntegrationScores::default() };
            IntegrationMethod::new(name, vec![scores])
        };
        let said = |ours, before| {
            caution(&[method("scGPT", ours), method(super::super::UNINTEGRATED, before)])
        };
        let message = said(Some(0.53), Some(0.891)).unwrap();
        assert!(message.contains("0.530 against 0.891"), "{message}");
        assert_eq!(said(Some(0.88), Some(0.891)), None);
        // Without labels there are no such scores.
        assert_eq!(said(None, None), None);
    }
}
