//! [`Pairs`]: control and perturbed cells side by side, as batches.
//!
//! What is drawn is a function of seed, epoch and item, so that a run that goes on draws what it would have
//! drawn. Controls are items, too, each its own control: the network also learns what does not respond.
//!
//! # Reference
//! `GEARS` pairs as `Tutorial_Perturbation.ipynb` uses them. Differs: see
//! [`PerturbConfig::of`](super::PerturbConfig::of).

use std::collections::BTreeSet;

use burn::prelude::Device;
use scgpt_data::{
    CellTokens, EpochOrder, GeneVocab, Keyed, Purpose, ShardFolder, SpecialToken, narrow,
};
use scgpt_model::{Scgpt, ScgptConfig};
use scgpt_stats::ResponseScores;
use scgpt_train::{LossTerms, Metric, Objectives, Progress, Result, Task, TrainBatch, TrainCell};

use super::{
    config::PerturbConfig,
    panel::{PerturbedGenes, ResponsePanel},
    predict::{Controls, Predictor},
};

/// The cells of a group, and what the network is told of its condition.
pub(super) struct PairedGroup {
    /// Numbers of its cells in the shards.
    pub(super) cells: Vec<u32>,
    /// What the network is told of its condition.
    pub(super) targets: PerturbedGenes,
    /// The group of its controls.
    pub(super) control: usize,
}

/// A condition by which the best network is chosen.
pub(super) struct Held {
    pub(super) group: usize,
    /// Mean expression of its cells and of its controls, `[g]`.
    pub(super) truth: Vec<f64>,
    pub(super) control: Vec<f64>,
}

/// Pairs of a control and a perturbed cell, from which the network learns the second from the
/// first.
pub(super) struct Pairs<'a> {
    pub(super) shards: &'a ShardFolder,
    pub(super) vocab: &'a GeneVocab,
    pub(super) network: &'a ScgptConfig,
    pub(super) panel: &'a ResponsePanel,
    pub(super) config: &'a PerturbConfig,
    pub(super) groups: &'a [PairedGroup],
    /// For each group that is trained on, the places in the panel of the genes that respond most.
    pub(super) responding: &'a [Vec<usize>],
    /// The items of an epoch, see [`Self::items_of`].
    pub(super) items: Vec<u32>,
    /// The group of each item.
    pub(super) group_of_item: Vec<u32>,
    /// Conditions by which the network is selected.
    pub(super) held: Vec<Held>,
    /// Controls of each group that is a control; empty for all others.
    pub(super) controls: &'a [Controls],
}

impl Pairs<'_> {
    /// The items of an epoch over the groups `training`, numbered from 0, and the group of each: of
    /// every group `pairs` items or, with `None`, one for each of its cells.
    pub(super) fn items_of(
        groups: &[PairedGroup],
        training: &[usize],
        pairs: Option<usize>,
    ) -> (Vec<u32>, Vec<u32>) {
        let mut group_of_item = Vec::new();
        for &group in training {
            let n = pairs.unwrap_or(groups[group].cells.len());
            group_of_item.extend(std::iter::repeat_n(narrow(group), n));
        }
        let n = narrow(group_of_item.len());
        ((0..n).collect(), group_of_item)
    }

    /// Control and perturbed values of an item, `[g]` each: means over `pool` cells.
    fn pair(&self, item: usize, epoch: u64) -> Result<[Vec<f32>; 2]> {
        let pool = self.config.pool;
        let group = &self.groups[self.group_of_item[item] as usize];
        let epoch = if self.config.fresh_pairs { epoch } else { 0 };
        let key = Keyed::new(self.config.training.seed, Purpose::Pair, epoch, item as u64);
        let mut perturbed = vec![0.0; self.panel.len()];
        // Where every cell has its turn, the first of the pool is the one whose turn it is.
        let first =
            item - self.group_of_item.partition_point(|&other| other < self.group_of_item[item]);
        for member in 0..pool {
            let cell = match (self.config.pairs_each(), member) {
                (None, 0) => group.cells[first],
                _ => draw(&group.cells, key, 2 * member as u64),
            };
            self.panel.add(self.shards.cell(cell as usize)?, &mut perturbed);
        }
        let is_control = group.targets == PerturbedGenes::default();
        let mut control = vec![0.0; self.panel.len()];
        if is_control {
            // A control is its own control.
            control.copy_from_slice(&perturbed);
        } else {
            let cells = &self.groups[group.control].cells;
            for member in 0..pool {
                let cell = draw(cells, key, 2 * member as u64 + 1);
                self.panel.add(self.shards.cell(cell as usize)?, &mut control);
            }
        }
        for values in [&mut control, &mut perturbed] {
            for value in values.iter_mut() {
                *value /= pool as f32;
            }
        }
        Ok([control, perturbed])
    }

    /// Places of the genes that a batch sees: those perturbed in it, unless the reference's choice
    /// is asked for, some that respond, and others.
    fn places(&self, items: &[usize], epoch: u64, index: u64) -> Vec<usize> {
        let n = self.panel.len();
        if self.config.genes_per_step == 0 || self.config.genes_per_step >= n {
            return (0..n).collect();
        }
        let key = Keyed::new(self.config.training.seed, Purpose::Sample, epoch, index);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&place| key.bits(place as u64));
        let groups = || items.iter().map(|&item| self.group_of_item[item] as usize);
        let mut chosen: BTreeSet<usize> = BTreeSet::new();
        if self.config.keep_perturbed {
            chosen.extend(groups().flat_map(|group| &self.groups[group].targets.measured));
        }
        let responding: BTreeSet<usize> =
            groups().flat_map(|group| &self.responding[group]).copied().collect();
        let step = self.config.genes_per_step;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=1")]
        let share = (self.config.responding * step as f64) as usize;
        let is_responding = order.iter().filter(|place| responding.contains(place)).take(share);
        chosen.extend(is_responding.copied());
        let rest = order.iter().filter(|place| !chosen.contains(place));
        let rest: Vec<usize> = rest.take(step.saturating_sub(chosen.len())).copied().collect();
        chosen.extend(rest);
        chosen.into_iter().collect()
    }

    /// The network as a predictor of whole profiles.
    pub(super) fn predictor<'m>(&'m self, model: &'m Scgpt) -> Predictor<'m> {
        Predictor {
            model,
            network: self.network,
            panel: self.panel,
            pad: self.vocab.special(SpecialToken::Pad),
            pool: self.config.pool,
            genes_per_pass: self.config.genes_per_pass,
            seed: self.config.training.seed,
        }
    }
}

/// One of `cells`, drawn by number `number` of the key.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..n")]
fn draw(cells: &[u32], key: Keyed, number: u64) -> u32 {
    cells[(key.uniform(number) * cells.len() as f64) as usize]
}

impl Task for Pairs<'_> {
    type Batch = TrainBatch;

    fn batches_per_epoch(&self) -> u64 {
        self.items.len().div_ceil(self.config.batch_size) as u64
    }

    fn batch(&self, epoch: u64, index: u64) -> Result<TrainBatch> {
        let order = EpochOrder::new(&*self.items, self.config.training.seed, epoch);
        let first = usize::try_from(index).unwrap_or(usize::MAX) * self.config.batch_size;
        let items: Vec<usize> = order.cells_from(first).take(self.config.batch_size).collect();
        let places = self.places(&items, epoch, index);
        let mut cells = Vec::with_capacity(items.len());
        for &item in &items {
            let [control, perturbed] = self.pair(item, epoch)?;
            let targets = &self.groups[self.group_of_item[item] as usize].targets;
            cells.push(TrainCell {
                known: self.panel.tokens(&places, &control, targets),
                hidden: places.iter().map(|&place| perturbed[place]).enumerate().collect(),
                unknown: CellTokens::default(),
            });
        }
        let pad = self.vocab.special(SpecialToken::Pad);
        Ok(TrainBatch::new(&cells, pad, self.network.pad_value))
    }

    fn losses(&self, model: &Scgpt, batch: &TrainBatch, _: Progress, device: &Device) -> LossTerms {
        let (input, targets) = batch.to_device(device);
        let objectives = Objectives { gep: 1.0, ..Objectives::default() };
        objectives.terms(model, &input, &targets)
    }

    fn validate(&self, model: &Scgpt, device: &Device) -> Result<Vec<Metric>> {
        if self.held.is_empty() {
            return Ok(Vec::new());
        }
        let predictor = self.predictor(model);
        let all: Vec<usize> = (0..self.panel.len()).collect();
        let mut scores = Vec::with_capacity(self.held.len());
        for held in &self.held {
            let group = &self.groups[held.group];
            let controls = &self.controls[group.control];
            let predicted =
                predictor.mean(&group.targets, controls, self.config.predicted_cells, device);
            scores.push(ResponseScores::new(&held.truth, &predicted, &held.control, &all));
        }
        let of = |score: fn(&ResponseScores) -> f64| {
            mean_of(&scores.iter().map(score).collect::<Vec<_>>())
        };
        Ok(vec![
            Metric::score("pearson_delta", of(|score| score.pearson_delta)),
            Metric::loss("mse", of(|score| score.mse)),
            Metric::score("pearson", of(|score| score.pearson)),
        ])
    }
}

/// The mean of the values; 0 without any.
fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
