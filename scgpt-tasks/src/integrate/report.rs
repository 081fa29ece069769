//! [`IntegrateReport`]: what was learned, from what, and how good it is.
//!
//! As JSON it is `report.json` of the program; [`page`](IntegrateReport::page) shows the same to people. How it
//! was trained and its curves are flattened into it, as in every report.

use scgpt_data::{InputState, Summary, VariableFlavour};
use scgpt_eval::BatchesTold;
use serde::Serialize;

use super::{
    Ablated, BatchSize, GeneratedModality, IntegrateConfig, LinksReport, ModalitySize,
    MosaicScores,
    experiment::{Cells, IntegrateExperiment},
    method::IntegrateMethod,
    ranking::{ChosenIntegration, better},
    scored::{IntegrationMethod, UNINTEGRATED},
    shown::Map,
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
    /// The best of them, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<ChosenIntegration>,
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
            chosen: None,
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

    /// The simple method that is better than the network and can be had in its place.
    pub fn better(&self) -> Option<IntegrateMethod> {
        better(&self.methods)
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
    let before = mixing(methods.iter().find(|method| method.name == UNINTEGRATED)?)?;
    (ours < before - WORSE).then(|| {
        format!(
            "batches are mixed less in the embedding than in the cells as they are (AvgBATCH {ours:.3} against \
             {before:.3} on their principal components): what it adds are batches"
        )
    })
}

#[cfg(test)]
mod tests {
    use scgpt_eval::IntegrationScores;

    use super::*;

    #[test]
    fn an_embedding_that_adds_batches_is_said() {
        let method = |name: &str, avg_batch| {
            let scores = IntegrationScores { avg_batch, ..IntegrationScores::default() };
            IntegrationMethod::new(name, vec![scores])
        };
        let said = |ours, before| caution(&[method("scGPT", ours), method(UNINTEGRATED, before)]);
        let message = said(Some(0.53), Some(0.891)).unwrap();
        assert!(message.contains("0.530 against 0.891"), "{message}");
        assert_eq!(said(Some(0.88), Some(0.891)), None);
        // Without labels there are no such scores.
        assert_eq!(said(None, None), None);
    }
}
