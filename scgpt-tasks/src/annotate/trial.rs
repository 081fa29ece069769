//! [`Trial`]: one seed's parts of the cells, network and scores.

use std::path::Path;

use scgpt_data::{CellSource, Observer, ShardFolder, SpecialToken, narrow};
use scgpt_eval::{
    LabelEvaluation, PredictedLabels,
    baseline::{ClassBaseline, LabelledCells, class_baselines},
};
use scgpt_model::{GepcStyle, Preprocess, ScgptConfig};
use scgpt_stats::stratified;
use scgpt_train::{Outcome, RunHistory, TrainObserver};
use serde_json::json;

use super::{
    AnnotateConfig, Annotation, Calibration, MethodScores,
    held_out::HeldOut,
    judge::{Judged, LabelJudge},
    profiles::Profiles,
    report::{ClassSize, class_sizes},
    task::AnnotateTask,
};
use crate::{
    embed::Embedder,
    error::Result,
    training::{Learned, Run, StartingNetwork, TrainingCells, content, source_cells},
    usage::Usage,
};

/// Instead of a class where there is none. It is no number of one: taken for one it is an error.
const NO_CLASS: u32 = u32::MAX;
/// Parameters that a checkpoint need not have: those of the heads that are new.
const HEADS: [&str; 4] =
    ["cls_decoder.", "grad_reverse_discriminator.", "mvc_decoder.", "decoder.zero_logit."];

/// What all trials share.
pub(super) struct Trials<'a> {
    annotation: &'a Annotation<'a>,
    shards: &'a ShardFolder,
    /// The cell of the source that each cell of the shards is.
    ids: Vec<usize>,
    watch: &'a dyn TrainObserver,
    observer: &'a dyn Observer,
}

/// A trained and judged network.
pub(super) struct Trial {
    seed: u64,
    pub(super) network: ScgptConfig,
    pub(super) preprocess: Preprocess,
    pub(super) outcome: Outcome,
    pub(super) history: RunHistory,
    /// What is to be said of how it was trained.
    pub(super) advice: Option<String>,
    pub(super) classes: Vec<ClassSize>,
    pub(super) unseen: Vec<ClassSize>,
    pub(super) calibration: Calibration,
    pub(super) profiles: Profiles,
    pub(super) held_out: HeldOut,
    pub(super) judged: Option<Judged>,
    baselines: Vec<ClassBaseline>,
}

impl Annotation<'_> {
    /// The network before its first step.
    pub(super) fn start(&self, seed: u64) -> Result<StartingNetwork> {
        let n_batches = self.batches.as_ref().map_or(0, |batches| batches.classes.len());
        let objectives = &self.config.objectives;
        let adapt = |network: ScgptConfig| ScgptConfig {
            n_classes: self.labels.classes.len(),
            dropout: self.config.network.dropout,
            dar: n_batches > 0,
            n_domains: n_batches,
            gepc: network.gepc.or((objectives.gepc > 0.0).then_some(GepcStyle::InnerProduct)),
            zero_probability: network.zero_probability
                || objectives.gep_zero + objectives.gepc_zero > 0.0,
            ..network
        };
        let preprocess = Preprocess { max_length: self.config.max_length, cls_value: 0.0 };
        let Some(path) = &self.config.model else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = adapt(self.config.network.network(self.vocab.len(), pad));
            return StartingNetwork::new(network, preprocess, seed, self.device);
        };
        let (start, _) =
            StartingNetwork::open((path, Usage::Annotate), adapt, &HEADS, seed, self.device)?;
        Ok(StartingNetwork { preprocess, ..start })
    }
}

impl<'a> Trials<'a> {
    pub(super) fn new(
        annotation: &'a Annotation<'a>,
        shards: &'a ShardFolder,
        watch: &'a dyn TrainObserver,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        Ok(Self { annotation, shards, ids: source_cells(shards)?, watch, observer })
    }

    /// Splits the cells, trains, calibrates and judges, all from the seed of that repeat.
    pub(super) fn trial(
        &self,
        source: &mut dyn CellSource,
        repeat: u64,
        folder: &Path,
    ) -> Result<Trial> {
        let Annotation { config, options, device, labels, unseen, batches, vocab, .. } =
            self.annotation;
        let seed = config.training.seed.wrapping_add(repeat);
        let mut config = AnnotateConfig::clone(config);
        config.training.seed = seed;
        let StartingNetwork { config: network, preprocess, model } = self.annotation.start(seed)?;
        let codes: Vec<Option<u32>> = self.ids.iter().map(|&id| labels.codes[id]).collect();
        let shares = [config.validation_share, config.test_share];
        let [training, validation, mut test] = stratified(&codes, &shares, seed);
        // Unseen classes come after those that are learned, and all their cells are judged.
        let names: Vec<String> = labels.classes.iter().chain(&unseen.classes).cloned().collect();
        let n_known = narrow(labels.classes.len());
        let code = |id: &usize| labels.codes[*id].or_else(|| Some(n_known + unseen.codes[*id]?));
        let classes: Vec<u32> = self.ids.iter().map(|id| code(id).unwrap_or(NO_CLASS)).collect();
        test.extend((0..classes.len()).filter(|&it| (n_known..NO_CLASS).contains(&classes[it])));
        test.sort_unstable();
        let mut sizes = class_sizes(&names, &classes, [&training, &validation, &test]);
        let unseen = sizes.split_off(labels.classes.len());
        let counts: Vec<usize> = sizes.iter().map(|class| class.training).collect();
        let batch = |id: &usize| batches.as_ref()?.codes[*id];
        let task = AnnotateTask {
            cells: TrainingCells {
                shards: self.shards,
                network: &network,
                cls_value: preprocess.cls_value,
                tie_mode: config.tie_mode,
                max_length: config.max_length,
                batch_size: config.batch_size,
                seed,
                panel: None,
                modalities: None,
            },
            config: &config,
            classes,
            class_weights: config.class_weights.of(&counts),
            batches: batches.as_ref().and_then(|_| self.ids.iter().map(batch).collect()),
            training: training.iter().map(|&cell| narrow(cell)).collect(),
            validation,
            names: labels.classes.clone(),
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
                "label": options.label,
                "classes": labels.classes,
                "unseen": self.annotation.unseen.classes,
                "cells": content(self.shards, &[
                    ("labels", &labels.codes),
                    ("unseen labels", &self.annotation.unseen.codes),
                    ("batches", batches.as_ref().map_or(&[], |batches| &batches.codes)),
                ]),
            }),
            device,
            watch: self.watch,
        };
        let Learned { outcome, history, advice } = options.learn.train(&task, model, run)?;
        let model = outcome.model.clone();
        let embedder = Embedder::new(model, network.clone(), preprocess, vocab.clone())?;
        let rows = embedder.rows(options.predict_batch);
        let judge = LabelJudge { task: &task, rows, observer: self.observer };
        let (calibration, profiles) = judge.calibrate(&training)?;
        let held_out = HeldOut::of(&task)?;
        let judged = judge.judge((&calibration, &profiles), &test, names)?;
        let baselines = match options.baselines.filter(|_| !test.is_empty()) {
            Some(options) => {
                let of_source = |part: &[usize]| -> Vec<usize> {
                    part.iter().map(|&cell| self.ids[cell]).collect()
                };
                let known = |code: &Option<u32>| code.unwrap_or(NO_CLASS);
                let cells = LabelledCells {
                    classes: &labels.codes.iter().map(known).collect::<Vec<_>>(),
                    n_classes: labels.classes.len(),
                    training: &of_source(&training),
                    tuning: &of_source(&task.validation),
                    test: &of_source(&test),
                };
                class_baselines(source, &cells, options, seed, self.observer)?
            }
            None => Vec::new(),
        };
        Ok(Trial {
            seed,
            network,
            preprocess,
            outcome,
            history,
            advice,
            classes: sizes,
            unseen,
            calibration,
            profiles,
            held_out,
            judged,
            baselines,
        })
    }
}

impl Trial {
    /// Scores of the network, then of the baselines, on the same cells.
    pub(super) fn methods(&self) -> Vec<MethodScores> {
        let Some(judged) = &self.judged else { return Vec::new() };
        let network = judged.labels();
        let scores = |name: &str, of: &PredictedLabels<'_>, evaluation: &LabelEvaluation| {
            MethodScores::new(name, evaluation, of.lead_over(&network, self.seed), of.unseen_area())
        };
        let baseline = |baseline: &ClassBaseline| {
            let of = PredictedLabels {
                predicted: &baseline.classes,
                strangeness: baseline.strangeness.as_deref(),
                ..network
            };
            scores(&baseline.name, &of, &LabelEvaluation::new(&of, self.seed))
        };
        std::iter::once(scores("scGPT", &network, &judged.evaluation))
            .chain(self.baselines.iter().map(baseline))
            .collect()
    }
}
