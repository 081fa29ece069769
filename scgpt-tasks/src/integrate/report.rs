//! [`IntegrateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](IntegrateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{CellSource, Column, GeneNames, InputState, Summary, VariableFlavour};
use scgpt_eval::{BatchesTold, CellColours, CellMap, ColourChoice, IntegrationScores, Labels};
use serde::Serialize;

use super::{
    Ablated, BatchSize, GeneratedModality, IntegrateConfig, Integration, LinksReport, ModalitySize,
    MosaicScores,
    experiment::{Cells, IntegrateExperiment},
    panel::FeaturePanel,
};
use crate::{
    error::Result,
    training::{Curves, Learned, Trial, total},
};

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

/// Some of the cells on a plane, their names and annotations.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) cells: CellMap,
    /// The columns of labels, if there are any, and of batches come first.
    pub(super) colours: CellColours,
    /// How many columns these are.
    pub(super) n_drawn: usize,
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
    /// `methods` it is compared with, and the `map` of some of its cells.
    pub(super) fn new(
        cells: &Cells<'_>,
        trial: &Trial<IntegrateExperiment<'_>>,
        source: &Summary,
        map: Map,
        methods: Vec<IntegrationMethod>,
        ablated: Vec<Ablated>,
        generated: Vec<GeneratedModality>,
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
            map,
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

impl Map {
    /// Lays out some of the embeddings `rows`, `[n, d]`, of the cells of a source.
    pub(super) fn new(
        integration: &Integration<'_>,
        panel: &FeaturePanel,
        source: &mut dyn CellSource,
        rows: &[f32],
        d: usize,
    ) -> Result<Self> {
        let cells = CellMap::new(rows, d, integration.config.training.seed);
        let obs = source.obs()?;
        let column = |name: &str, labels: &Labels| {
            // As the file has it, so that it has the file's colours; numbered batches are labels, too.
            let of_file = obs.column(name).filter(|it| matches!(it, Column::Categorical { .. }));
            let told = || Column::Categorical {
                codes: labels.codes.clone(),
                categories: labels.classes.clone(),
                ordered: false,
            };
            (name.to_owned(), of_file.cloned().unwrap_or_else(told))
        };
        let options = &integration.options;
        // Genes are to tell labels apart, not batches.
        let labels = integration.labels.as_ref();
        let label = labels.map(|it| column(options.label.unwrap_or("label"), it));
        let batch = column(options.batch_key.unwrap_or("batch"), &integration.batches);
        let added: Vec<_> = label.into_iter().chain([batch]).collect();
        let gene_names = GeneNames::found_in(&panel.gene_column);
        let layer = options.learn.layer;
        let choice = ColourChoice { added: &added, wanted: &[], layer, gene_names: &gene_names };
        let colours = CellColours::choose(source, cells.cells(), &choice)?;
        Ok(Self { cells, colours, n_drawn: added.len() })
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
