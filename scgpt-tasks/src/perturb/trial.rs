//! [`Trial`]: one seed's split, network and scores.

use std::path::Path;

use scgpt_data::{Observer, ShardFolder, SpecialToken, narrow};
use scgpt_eval::perturbation::{Moments, PerturbEvaluation, ResponseJudge, Split};
use scgpt_model::{Activation, Gep, GepStyle, Preprocess, Scgpt, ScgptConfig};
use scgpt_stats::subsample;
use scgpt_train::{Outcome, RunHistory, TrainObserver};
use serde_json::json;

use super::{
    Perturbation,
    artefact::CONTROL_CELLS,
    pairs::{Held, PairedGroup, Pairs},
    predict::{Controls, Predictor},
};
use crate::{
    error::{Error, Result},
    training::{Learned, Run, StartingNetwork, content, source_cells},
    usage::Usage,
};

/// Parameters that a checkpoint need not have: those of the heads that are new.
const HEADS: [&str; 2] = ["decoder.", "pert_encoder."];
/// Flags of the reference: not perturbed, perturbed, padding.
const FLAGS: usize = 3;

/// Genes of a condition that count as responding.
const RESPONDING: usize = 20;

/// A trained and judged network.
pub(super) struct Trial {
    pub(super) network: ScgptConfig,
    pub(super) preprocess: Preprocess,
    pub(super) split: Split,
    pub(super) outcome: Outcome,
    pub(super) history: RunHistory,
    /// What is to be said of how it was trained.
    pub(super) advice: Option<String>,
    /// Of every group; empty but of controls.
    controls: Vec<Controls>,
    /// None if nothing was kept to judge by.
    pub(super) evaluation: Option<PerturbEvaluation>,
}

impl Trial {
    /// Controls of each cell type.
    pub(super) fn controls(&self) -> Vec<&Controls> {
        self.controls.iter().filter(|controls| controls.len() > 0).collect()
    }
}

impl Perturbation<'_> {
    /// The network before its first step.
    pub(super) fn start(&self, seed: u64) -> Result<StartingNetwork> {
        let adapt = |network: ScgptConfig| ScgptConfig {
            gep: GepStyle::Affine { activation: Activation::Identity, adaptive_bias: false },
            n_perturbation_flags: FLAGS,
            pad_perturbation_flag: Some(0),
            dropout: self.config.network.dropout,
            gepc: None,
            zero_probability: false,
            ..network
        };
        let preprocess = Preprocess { max_length: self.panel.len().max(2), cls_value: 0.0 };
        let mut start = if let Some(path) = &self.config.model {
            StartingNetwork::open((path, Usage::Perturb), adapt, &HEADS, seed, self.device)?.0
        } else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = adapt(self.config.network.network(self.vocab.len(), pad));
            StartingNetwork::new(network, preprocess, seed, self.device)?
        };
        if self.config.start_at_control {
            start.model = begin_at_control(start.model);
        }
        Ok(StartingNetwork { preprocess, ..start })
    }

    /// Splits the conditions, trains and judges, all from the seed of that repeat.
    pub(super) fn trial(
        &self,
        shards: &ShardFolder,
        moments: &Moments,
        repeat: u64,
        folder: &Path,
        watch: &dyn TrainObserver,
        observer: &dyn Observer,
    ) -> Result<Trial> {
        let Self { config, options, device, vocab, design, panel, .. } = self;
        let seed = config.training.seed.wrapping_add(repeat);
        let mut config = (*config).clone();
        config.training.seed = seed;
        let split = self.split(seed)?;
        let StartingNetwork { config: network, preprocess, model } = self.start(seed)?;
        let groups = self.paired_groups(shards)?;
        let controls = self.control_cells(shards, &groups)?;
        let part = |names: &[String]| -> Vec<usize> {
            let is_in = |group: &usize| names.contains(&design.condition(*group).to_string());
            design
                .perturbed()
                .filter(is_in)
                .filter(|&group| !groups[group].cells.is_empty())
                .collect()
        };
        // Controls are their own controls, and stay in training.
        let mut training = part(&split.train);
        training.extend((0..groups.len()).filter(|&group| design.control(group) == group));
        training.sort_unstable();
        let mut responding = vec![Vec::new(); groups.len()];
        for &group in training.iter().filter(|&&group| groups[group].control != group) {
            let ranked = moments.ranked(group, groups[group].control);
            let measured = ranked.into_iter().filter_map(|column| panel.place(column as usize));
            responding[group] = measured.take(RESPONDING).collect();
        }
        let responds =
            responding.iter().flatten().map(|&place| u32::try_from(place).ok()).collect::<Vec<_>>();
        let genes: Vec<Option<u32>> = panel.tokens.iter().map(|gene| Some(gene.0)).collect();
        let held = part(&split.validation).into_iter().map(|group| Held {
            group,
            truth: panel.part(&moments.mean(group)),
            control: panel.part(&moments.mean(design.control(group))),
        });
        let (items, group_of_item) = Pairs::items_of(&groups, &training, config.pairs_each());
        let task = Pairs {
            shards,
            vocab,
            network: &network,
            panel,
            config: &config,
            groups: &groups,
            responding,
            items,
            group_of_item,
            held: held.collect(),
            controls: &controls,
        };
        let run = Run {
            folder,
            network: &network,
            training: &config.training,
            is_fine_tuned: config.model.is_some(),
            settings: json!({
                "config": config,
                "network": network,
                "split": split,
                "cells": content(shards, &[
                    ("conditions", &design.codes),
                    ("genes", &genes),
                    ("responding genes", &responds),
                ]),
            }),
            device,
            watch,
        };
        let Learned { outcome, history, advice } = options.learn.train(&task, model, run)?;
        let predictor = Predictor {
            model: &outcome.model,
            network: &network,
            panel,
            pad: vocab.special(SpecialToken::Pad),
            pool: config.pool,
            genes_per_pass: config.genes_per_pass,
            seed,
        };
        let tested = part(&split.test);
        let (names, columns) = (&panel.names, &panel.columns);
        let judge = ResponseJudge { design, moments, names, columns, split: &split, seed };
        let evaluation = if tested.is_empty() {
            None
        } else {
            observer.begin("judging", tested.len());
            let said = |group: usize| {
                if observer.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                observer.advance(1);
                let controls = &controls[groups[group].control];
                let (targets, n) = (&groups[group].targets, config.predicted_cells);
                Ok(predictor.mean(targets, controls, n, device))
            };
            let predicted = tested.iter().copied().map(said).collect::<Result<_>>()?;
            Some(judge.judge(&tested, predicted, options.baselines, "scGPT"))
        };
        Ok(Trial { network, preprocess, split, outcome, history, advice, controls, evaluation })
    }

    /// The groups of the design, with their cells in the shards.
    fn paired_groups(&self, shards: &ShardFolder) -> Result<Vec<PairedGroup>> {
        let design = &self.design;
        let mut groups = Vec::with_capacity(design.groups.len());
        for group in 0..design.groups.len() {
            groups.push(PairedGroup {
                cells: Vec::new(),
                targets: self.panel.targets(design.condition(group), &self.vocab)?,
                control: design.control(group),
            });
        }
        for (cell, id) in source_cells(shards)?.into_iter().enumerate() {
            if let Some(group) = design.codes.get(id).copied().flatten() {
                groups[group as usize].cells.push(narrow(cell));
            }
        }
        Ok(groups)
    }

    /// Control cells that predictions start from: of every group that is a control.
    fn control_cells(&self, shards: &ShardFolder, groups: &[PairedGroup]) -> Result<Vec<Controls>> {
        let g = self.panel.len();
        let mut all = vec![Controls { values: Vec::new(), n_genes: g }; groups.len()];
        for (group, controls) in all.iter_mut().enumerate() {
            if self.design.control(group) != group {
                continue;
            }
            let cells = &groups[group].cells;
            let mut values = Vec::new();
            for place in subsample(cells.len(), CONTROL_CELLS, 0) {
                let mut row = vec![0.0; g];
                self.panel.add(shards.cell(cells[place] as usize)?, &mut row);
                values.extend(row);
            }
            *controls = Controls::new(&values, g);
        }
        Ok(all)
    }
}

/// A network whose first guess is that nothing changes: the coefficient of the input is about 1.
fn begin_at_control(mut model: Scgpt) -> Scgpt {
    if let Gep::Affine(head) = &mut model.gep
        && let Some(bias) = head.coefficient.value.linear3.bias.take()
    {
        head.coefficient.value.linear3.bias = Some(bias.map(|bias| bias.zeros_like() + 1.0));
    }
    model
}
