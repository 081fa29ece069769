//! [`Trial`]: one seed's parts of the cells, network and embedding.

use std::path::{Path, PathBuf};

use scgpt_data::{
    CellSource, DomainBatches, GeneNames, Observer, ShardFolder, SpecialToken, narrow,
};
use scgpt_model::{InputNorm, Preprocess, ScgptConfig};
use scgpt_stats::{ClusterOptions, stratified};
use scgpt_train::{Outcome, RunHistory, TrainObserver};
use serde_json::json;

use super::{
    IntegrateConfig, Integration,
    artefact::embed_in_batches,
    cross_modal::HiddenModality,
    panel::{Panel, is_in},
    report::BatchSize,
    score::SpaceJudge,
    task::IntegrateTask,
};
use crate::{
    embed::{EmbedOptions, Embedder, Embedding},
    error::Result,
    stream::TokenPanel,
    training::{Learned, Run, StartingNetwork, TrainingCells, begin_at, content, source_cells},
};

/// Parameters that a checkpoint need not have: those of the heads, and of batches.
const HEADS: [&str; 6] =
    ["decoder.", "mvc_decoder.", "grad_reverse_discriminator.", "batch_encoder.", "dsbn.", "bn."];

/// What all trials share.
pub(super) struct Trials<'a> {
    pub(super) integration: &'a Integration<'a>,
    pub(super) panel: &'a Panel,
    pub(super) shards: &'a ShardFolder,
    pub(super) watch: &'a dyn TrainObserver,
    pub(super) observer: &'a dyn Observer,
    /// The cell of the source that each cell of the shards is.
    ids: Vec<usize>,
    is_in: Vec<bool>,
}

/// A trained network and what it makes of the cells.
pub(super) struct Trial {
    pub(super) network: ScgptConfig,
    pub(super) preprocess: Preprocess,
    pub(super) outcome: Outcome,
    pub(super) history: RunHistory,
    /// What is to be said of how it was trained.
    pub(super) advice: Option<String>,
    pub(super) batches: Vec<BatchSize>,
    pub(super) embedding: Embedding,
}

impl Integration<'_> {
    /// The network before its first step.
    pub(super) fn start(
        &self,
        config: &IntegrateConfig,
        n_genes: usize,
    ) -> Result<StartingNetwork> {
        let (n_batches, seed) = (self.batches.classes.len(), config.training.seed);
        let preprocess = Preprocess { max_length: n_genes + 1, cls_value: 0.0 };
        let multimodal = self.multimodal.as_ref();
        let Some(path) = &config.model else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = config.network.network(self.vocab.len(), pad);
            let mut network = config.adapt(&network, n_batches);
            if let Some(multimodal) = multimodal {
                network = config.adapt_to(&network, &multimodal.of_tokens);
            }
            let start = StartingNetwork::new(network, preprocess, seed, self.device)?;
            if !config.include_zeros {
                return Ok(start);
            }
            // Most values are zero.
            return Ok(StartingNetwork { model: begin_at(start.model, 0.0), ..start });
        };
        if let Some(multimodal) = multimodal {
            let start = multimodal.extend(config, path, n_batches, self.device)?;
            return Ok(StartingNetwork { preprocess, ..start });
        }
        let adapt = |network: ScgptConfig| config.adapt(&network, n_batches);
        let (start, _) =
            StartingNetwork::open((path, self.options.usage()), adapt, &HEADS, seed, self.device)?;
        Ok(StartingNetwork { preprocess, ..start })
    }
}

impl<'a> Trials<'a> {
    pub(super) fn new(
        integration: &'a Integration<'a>,
        panel: &'a Panel,
        shards: &'a ShardFolder,
        watch: &'a dyn TrainObserver,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let ids = source_cells(shards)?;
        let is_in = is_in(&integration.vocab, &panel.tokens);
        Ok(Self { integration, panel, shards, watch, observer, ids, is_in })
    }

    /// Splits the cells, trains and embeds all of them, all from the seed of `config`.
    pub(super) fn trial(
        &self,
        source: &mut dyn CellSource,
        config: &IntegrateConfig,
        folder: &Path,
    ) -> Result<Trial> {
        let Integration { options, device, batches, labels, vocab, .. } = self.integration;
        let seed = config.training.seed;
        let StartingNetwork { config: network, preprocess, model } =
            self.integration.start(config, self.panel.columns.len())?;
        let codes: Vec<Option<u32>> = self.ids.iter().map(|&id| batches.codes[id]).collect();
        let [training, validation] = stratified(&codes, &[config.validation_share], seed);
        let all = self.integration.domains();
        let domains: Vec<usize> = self.ids.iter().map(|&id| all[id]).collect();
        let sizes = BatchSize::of(&batches.classes, &domains, [&training, &validation]);
        // Batches that are not normalised apart are mixed within a step.
        let is_apart = config.input_norm == InputNorm::DomainSpecific;
        let mut cells_of = vec![Vec::new(); if is_apart { batches.classes.len() } else { 1 }];
        for &cell in &training {
            let place = if is_apart { domains[cell] } else { 0 };
            cells_of[place].push(narrow(cell));
        }
        let modalities = self.integration.multimodal.as_ref().map(|cells| &cells.of_tokens);
        let genes: Vec<Option<u32>> = self.panel.tokens.iter().map(|gene| Some(gene.0)).collect();
        let panel = TokenPanel { is_in: &self.is_in, with_zeros: config.include_zeros };
        let held_out: Vec<usize> = validation.iter().map(|&cell| self.ids[cell]).collect();
        let task = IntegrateTask {
            cells: TrainingCells {
                shards: self.shards,
                network: &network,
                cls_value: preprocess.cls_value,
                tie_mode: config.tie_mode,
                max_length: config.max_length,
                batch_size: config.batch_size,
                seed,
                panel: Some(panel),
                modalities,
            },
            hidden_modality: modalities.map(|modalities| HiddenModality {
                modalities,
                share: config.hidden_modality,
                n_asked: config.asked_features,
                seed,
            }),
            config,
            domains,
            order: DomainBatches::new(cells_of, config.batch_size, seed, config.interleave),
            judge: labels.as_ref().filter(|_| !validation.is_empty()).map(|labels| {
                SpaceJudge::new(&held_out, Some(labels), &all, ClusterOptions::default())
            }),
            validation,
            predict_batch: options.predict_batch,
        };
        let run = Run {
            folder,
            network: &network,
            training: &config.training,
            is_fine_tuned: config.model.is_some(),
            settings: json!({
                "config": config,
                "network": network,
                "batch_key": options.batch_key,
                "batches": batches.classes,
                "cells": content(self.shards, &[
                    ("batches", &batches.codes),
                    ("labels", labels.as_ref().map_or(&[], |labels| &labels.codes)),
                    ("genes", &genes),
                ]),
            }),
            device,
            watch: self.watch,
        };
        let Learned { outcome, history, advice } = options.learn.train(&task, model, run)?;
        let model = outcome.model.clone();
        let embedder = Embedder::new(model, network.clone(), preprocess, vocab.clone())?;
        let embed = EmbedOptions { tie_mode: config.tie_mode, seed, ..self.embed_options() };
        let embedding =
            embed_in_batches(&embedder, source, &embed, (panel, &all, modalities), self.observer)?;
        Ok(Trial { network, preprocess, outcome, history, advice, batches: sizes, embedding })
    }

    /// How cells are read and computed.
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

    /// Cells of the source that express none of the genes.
    pub(super) fn n_without_genes(&self) -> usize {
        self.integration.batches.codes.len() - self.ids.len()
    }
}
