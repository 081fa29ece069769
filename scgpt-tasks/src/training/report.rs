//! [`Learned`] and [`Curves`]: what every report says of how its network was trained.

use scgpt_model::{Adapters, Lora, ScgptConfig};
use scgpt_train::{Best, StepRecord, TrainConfig, ValidationRecord};
use serde::Serialize;

use super::{NetworkConfig, added_genes::AddedGenes, run::Trained, thinning::ThinnedCells};

/// How a network was trained.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Learned {
    /// The configuration of the network.
    pub network: ScgptConfig,
    /// Number of optimiser steps done.
    pub steps: u64,
    /// The best validation, whose network was kept.
    pub best: Option<Best>,
    /// Whether training stopped before its end because nothing improved any more.
    pub stopped_early: bool,
    /// Advice about how it was trained: with far fewer steps, or at a lower rate, than it needs.
    pub advice: Option<String>,
    /// The cells whose halves were to find each other in every validation, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinned: Option<ThinnedCells>,
    /// Says that the network before the first step was kept, if no later one was better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_start: Option<String>,
    /// Genes that joined the vocabulary of the checkpoint, if they were to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_genes: Option<AddedGenes>,
    /// The adapters by which it learned, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
}

/// How the losses and the scores of a network changed as it learned.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Curves {
    /// Training losses. If there are many steps, only every second, fourth, … is kept.
    pub training: Vec<StepRecord>,
    /// What every validation found, in order.
    pub validation: Vec<ValidationRecord>,
}

impl Learned {
    /// What a card says of it: how well the network that was kept tells cells apart, and which genes
    /// joined the vocabulary.
    pub(crate) fn card_lines(&self, curves: &Curves) -> impl Iterator<Item = String> {
        let thinning = self.thinned.and_then(|cells| cells.line(&curves.validation));
        let added = self.new_genes.as_ref().map(AddedGenes::card_line);
        let adapters = self.lora.map(|lora| {
            format!(
                "learned by adapters of rank {}, which are in the weights: `{}` has what was learned alone, and \
                 `scgpt convert` makes the weights of it and of the checkpoint again",
                lora.rank,
                Adapters::FILE
            )
        });
        thinning.into_iter().chain(added).chain(adapters)
    }
}

impl Trained {
    /// How the network was trained.
    pub(crate) fn learned(&self) -> Learned {
        Learned {
            network: self.network.clone(),
            steps: self.outcome.steps,
            best: self.outcome.best.clone(),
            stopped_early: self.outcome.stopped_early,
            advice: self.advice.clone(),
            thinned: self.thinned,
            kept_start: self.kept_start.clone(),
            new_genes: self.beginning.added.clone(),
            lora: self.outcome.training.lora,
        }
    }

    /// The settings by which it was trained, and its shape: those that were in force, whatever was
    /// asked for.
    pub(crate) fn in_force(&self) -> (TrainConfig, NetworkConfig) {
        (self.outcome.training.clone(), NetworkConfig::of(&self.network))
    }

    /// How losses and scores changed as the network learned.
    pub(crate) fn curves(&self) -> Curves {
        Curves {
            training: self.history.steps.clone(),
            validation: self.history.validations.clone(),
        }
    }
}
