//! [`IntegrateExperiment`]: a network that learns one seed's part of the cells of all batches.
//!
//! [`Cells`] are what does not depend on the seed: the cells as tokens and the panel of features. An
//! experiment is such cells and settings, which differ by their seed, or by a part that is left out.

use std::{borrow::Cow, path::PathBuf};

use scgpt_data::{CellSource, DomainBatches, DomainOrder, GeneNames, Silent, SpecialToken, narrow};
use scgpt_model::{InputNorm, NetworkPart, Preprocess, Scgpt, ScgptConfig};
use scgpt_stats::{ClusterOptions, stratified};
use scgpt_train::TrainConfig;
use serde_json::{Map, Value, json};

use super::{
    IntegrateConfig, Integration, Pairing,
    cross_modal::HiddenModality,
    crossing::Crossing,
    panel::{FeaturePanel, is_in},
    score::SpaceJudge,
    sizes::BatchSize,
    task::IntegrateTask,
};
use crate::{
    embed::{EmbedOptions, Embedder, Embedding},
    error::Result,
    stream::{Stream, TokenPanel},
    training::{
        CellChoices, CoExpression, Codes, Experiment, FirstGuess, Link, OneSpace, Session,
        StartingNetwork, ThinnedCells, Thinning, Trained, TrainingCells,
    },
};

/// Parts of the network that a checkpoint need not have: the released ones were trained without
/// batches, domains and their heads.
const NEW_PARTS: [NetworkPart; 6] = [
    NetworkPart::Gep,
    NetworkPart::ZeroProbability,
    NetworkPart::Gepc,
    NetworkPart::Dar,
    NetworkPart::Batches,
    NetworkPart::InputNorm,
];

/// What all trials of an integration have in common.
pub(super) struct Cells<'a> {
    pub(super) integration: &'a Integration<'a>,
    pub(super) session: &'a Session<'a>,
    pub(super) panel: &'a FeaturePanel,
    /// For each token of the vocabulary, whether it is in the panel.
    is_in: Vec<bool>,
}

/// One training on the cells of all batches.
pub(super) struct IntegrateExperiment<'a> {
    cells: &'a Cells<'a>,
    config: IntegrateConfig,
}

/// Parts of the cells, by their numbers in the shards.
pub(super) struct BatchParts {
    /// Cells to learn from, and cells that select the network.
    training: Vec<usize>,
    pub(super) validation: Vec<usize>,
    /// The batch of each cell of the source, and of each cell of the shards.
    of_source: Vec<usize>,
    domains: Vec<usize>,
    pub(super) sizes: Vec<BatchSize>,
}

impl Integration<'_> {
    /// The network before its first step.
    ///
    /// # Errors
    /// If the checkpoint does not fit the settings.
    pub(super) fn start(
        &self,
        config: &IntegrateConfig,
        n_genes: usize,
    ) -> Result<StartingNetwork> {
        let n_batches = self.batches.classes.len();
        let preprocess = Preprocess { max_length: n_genes + 1, cls_value: 0.0 };
        let multimodal = self.multimodal.as_ref();
        let Some(checkpoint) = &self.checkpoint else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = config.network.network(self.vocab.len(), pad);
            let mut network = config.adapt(&network, n_batches);
            if let Some(multimodal) = multimodal {
                network = config.adapt_to(&network, &multimodal.of_tokens);
            }
            // If zeros are tokens, most values are zero.
            let first_guess = config.include_zeros.then_some(FirstGuess::Value(0.0));
            let start = StartingNetwork::new(network, preprocess, config.start);
            return Ok(StartingNetwork { first_guess, ..start });
        };
        let start = if let Some(multimodal) = multimodal {
            multimodal.extend(config, checkpoint, n_batches)
        } else {
            let adapt = |network: ScgptConfig| config.adapt(&network, n_batches);
            StartingNetwork::of(checkpoint, adapt, &NEW_PARTS)?
                .with_new_genes(config.new_genes, self.vocab.len())
        };
        Ok(StartingNetwork { preprocess, ..start })
    }
}

impl<'a> Cells<'a> {
    /// The cells of a session, compared by the features of the panel.
    pub(super) fn new(
        integration: &'a Integration<'a>,
        session: &'a Session<'a>,
        panel: &'a FeaturePanel,
    ) -> Self {
        let is_in = is_in(&integration.vocab, &panel.tokens);
        Self { integration, session, panel, is_in }
    }

    /// One training by the given settings of the loop.
    pub(super) fn experiment(&'a self, training: TrainConfig) -> IntegrateExperiment<'a> {
        self.with(IntegrateConfig { training, ..self.integration.config.clone() })
    }

    /// One training by these settings.
    pub(super) fn with(&'a self, config: IntegrateConfig) -> IntegrateExperiment<'a> {
        IntegrateExperiment { cells: self, config }
    }

    /// What is known of the features beforehand.
    fn links(&self) -> Vec<Link> {
        let links = self.integration.links.as_ref();
        links.map_or_else(Vec::new, |links| links.of_tokens(self.panel))
    }

    /// How cells are read and computed; seed and ties on bin edges are those of each experiment.
    pub(super) fn embed_options(&self) -> EmbedOptions {
        let options = &self.integration.options;
        EmbedOptions {
            batch_size: options.predict_batch,
            gene_names: GeneNames {
                all_features: options.modalities.is_some() || options.learn.gene_names.all_features,
                ..GeneNames::found_in(&self.panel.gene_column)
            },
            layer: options.learn.layer.clone(),
            temporary: options.temporary.map(PathBuf::from),
            ..EmbedOptions::default()
        }
    }
}

impl IntegrateExperiment<'_> {
    /// The features that become tokens: all of the panel, or those of it that a cell expresses.
    fn panel(&self) -> TokenPanel<'_> {
        TokenPanel { is_in: &self.cells.is_in, with_zeros: self.config.include_zeros }
    }
}

impl Experiment for IntegrateExperiment<'_> {
    type Parts = BatchParts;
    type Task<'t>
        = IntegrateTask<'t>
    where
        Self: 't;
    /// The embedding of all cells by the network.
    type Verdict = Embedding;

    fn training(&self) -> &TrainConfig {
        &self.config.training
    }

    fn start(&self) -> Result<StartingNetwork> {
        self.cells.integration.start(&self.config, self.cells.panel.columns.len())
    }

    fn split(&self) -> Result<BatchParts> {
        let Cells { integration, session, .. } = self.cells;
        let batches = &integration.batches;
        let codes: Vec<Option<u32>> = session.ids.iter().map(|&id| batches.codes[id]).collect();
        let IntegrateConfig { validation_share, training: TrainConfig { seed, .. }, .. } =
            self.config;
        let [training, validation] = stratified(&codes, &[validation_share], seed);
        let of_source = integration.domains();
        let domains: Vec<usize> = session.ids.iter().map(|&id| of_source[id]).collect();
        let sizes = BatchSize::of(&batches.classes, &domains, [&training, &validation]);
        Ok(BatchParts { training, validation, of_source, domains, sizes })
    }

    fn task<'t>(
        &'t self,
        start: &'t StartingNetwork,
        parts: &'t BatchParts,
    ) -> Result<IntegrateTask<'t>> {
        let Cells { integration, session, .. } = self.cells;
        let Integration { options, batches, labels, multimodal, .. } = integration;
        let config = &self.config;
        let seed = config.training.seed;
        // Batches that are not normalised apart are mixed within a step.
        let is_apart = config.input_norm == InputNorm::DomainSpecific;
        let mut cells_of = vec![Vec::new(); if is_apart { batches.classes.len() } else { 1 }];
        for &cell in &parts.training {
            let place = if is_apart { parts.domains[cell] } else { 0 };
            cells_of[place].push(narrow(cell));
        }
        let order = if config.interleave { DomainOrder::Mixed } else { DomainOrder::InTurn };
        let modalities = multimodal.as_ref().map(|cells| &cells.of_tokens);
        let choices = CellChoices {
            tie_mode: config.tie_mode,
            max_length: config.max_length,
            batch_size: config.batch_size,
            seed,
            panel: Some(self.panel()),
            modalities,
        };
        let held_out: Vec<usize> = parts.validation.iter().map(|&it| session.ids[it]).collect();
        let judge = labels.as_ref().filter(|_| !held_out.is_empty()).map(|labels| {
            let options = ClusterOptions::default();
            SpaceJudge::new(&held_out, Some(labels), &parts.of_source, options)
        });
        let cells = TrainingCells::new(&session.shards, start, choices)?;
        Ok(IntegrateTask {
            thinning: Thinning::new(&cells, &parts.validation)?,
            cells,
            crossing: options.modalities.zip(modalities).map(|(cells, of_tokens)| {
                Crossing::new(cells, of_tokens, &session.ids, &parts.validation, seed)
            }),
            hidden_modality: modalities.map(|modalities| HiddenModality {
                modalities,
                share: config.hidden_modality,
                n_asked: config.asked_features,
                seed,
            }),
            config,
            domains: &parts.domains,
            order: DomainBatches::new(cells_of, config.batch_size, seed, order),
            judge,
            // Workers end together, after a step.
            observer: if options.learn.workers.size() > 1 { &Silent } else { session.observer },
            validation: &parts.validation,
            predict_batch: options.predict_batch,
        })
    }

    fn co_expression(
        &self,
        parts: &BatchParts,
        task: &IntegrateTask<'_>,
        n: usize,
    ) -> Result<CoExpression> {
        let Integration { options, multimodal, .. } = self.cells.integration;
        let observer = self.cells.session.observer;
        let (Some(features), Some(cells)) = (multimodal, options.modalities) else {
            return CoExpression::of(&task.cells, &parts.training, n, observer);
        };
        let (of, leading) = (&features.of_tokens, cells.leading());
        let are_apart = cells.pairing() != Pairing::Paired;
        let links = self.cells.links();
        let space = OneSpace { modalities: of, leading: &leading, are_apart, links: &links };
        CoExpression::of_modalities(&task.cells, &parts.training, space, n, observer)
    }

    fn fitted(
        &self,
        model: Scgpt,
        start: &StartingNetwork,
        task: &IntegrateTask<'_>,
    ) -> Result<Scgpt> {
        let Session { device, observer, .. } = *self.cells.session;
        start.fit_heads(model, task, device, observer)
    }

    fn thinned(&self, task: &IntegrateTask<'_>) -> Option<ThinnedCells> {
        task.thinning.sizes()
    }

    fn settings(&self, _: &BatchParts) -> Map<String, Value> {
        let Integration { options, batches, links, .. } = self.cells.integration;
        let mut settings = Map::from_iter([
            ("config".into(), json!(self.config)),
            ("batch_key".into(), json!(options.batch_key)),
            ("batches".into(), json!(batches.classes)),
        ]);
        settings.extend(links.iter().map(|links| ("links".into(), json!(links.sha256()))));
        settings
    }

    fn codes<'t>(&'t self, _: &'t IntegrateTask<'_>) -> Codes<'t> {
        let Integration { batches, labels, .. } = self.cells.integration;
        let labels = labels.as_ref().map_or(&[][..], |labels| &labels.codes);
        let genes = self.cells.panel.tokens.iter().map(|gene| Some(gene.0)).collect();
        vec![
            ("batches", Cow::Borrowed(&batches.codes)),
            ("labels", Cow::Borrowed(labels)),
            ("genes", Cow::Owned(genes)),
        ]
    }

    fn judge(
        &self,
        source: &mut dyn CellSource,
        parts: &BatchParts,
        task: &IntegrateTask<'_>,
        trained: &Trained,
    ) -> Result<Embedding> {
        let Cells { integration, session, .. } = self.cells;
        let Trained { network, preprocess, .. } = trained;
        let (model, vocab) = (trained.model().clone(), integration.vocab.clone());
        let embedder = Embedder::new(model, network.clone(), *preprocess, vocab)?;
        let IntegrateConfig { tie_mode, training: TrainConfig { seed, .. }, .. } = self.config;
        let options = EmbedOptions { tie_mode, seed, ..self.cells.embed_options() };
        let panel = self.panel();
        let stream = Stream {
            panel: Some(panel),
            domains: Some(&parts.of_source),
            modalities: task.cells.modalities,
            trained: Some(panel.is_in),
        };
        embedder.spooled(source, &options, stream, session.observer)
    }
}
