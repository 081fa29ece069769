//! [`StartingNetwork`]: the network before its first step.

use std::sync::Arc;

use burn::prelude::Device;
use scgpt_data::{GeneToken, Keyed, Purpose};
use scgpt_model::{
    GeneRows, Gep, Lora, ModelDir, NetworkPart, Preprocess, Scgpt, ScgptConfig, Strictness,
};
use scgpt_train::TrainConfig;

use super::{Checkpoint, GeneStart, NewGenes};
use crate::error::Result;

/// The network with which training begins. Its weights are drawn, or read, only by
/// [`build`](Self::build), so that it can be checked before there are any.
#[derive(Debug)]
pub(crate) struct StartingNetwork {
    pub(crate) config: ScgptConfig,
    pub(crate) preprocess: Preprocess,
    /// The expression that it predicts before it has learned anything, if that is not left to its
    /// weights.
    pub(crate) first_guess: Option<FirstGuess>,
    pub(crate) origin: Origin,
}

/// Where the weights come from.
#[derive(Debug)]
pub(crate) enum Origin {
    New(GeneStart),
    Checkpoint(Arc<ModelDir>),
    /// A checkpoint over another vocabulary; genes without a row in it are new.
    Extended(Arc<ModelDir>, GeneRows, NewGenes),
}

/// The expression that a network predicts before its first step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FirstGuess {
    /// Every value is predicted to be this one.
    Value(f32),
    /// Every value is predicted to be its input: nothing changes.
    Input,
}

impl StartingNetwork {
    /// A new network, whose weights are drawn, but for gene vectors that `start` has from the cells.
    pub(crate) fn new(config: ScgptConfig, preprocess: Preprocess, start: GeneStart) -> Self {
        Self { config, preprocess, first_guess: None, origin: Origin::New(start) }
    }

    /// The network of a checkpoint, with its configuration changed by `adapt`. Parts that are `new` to it
    /// need not be in the checkpoint.
    ///
    /// # Errors
    /// If another part of the network is not in the checkpoint, or of another shape.
    pub(crate) fn of(
        checkpoint: &Checkpoint,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        new: &[NetworkPart],
    ) -> Result<Self> {
        let start = Self::adapted(checkpoint, adapt);
        checkpoint.folder.weights().check(&start.config, new)?;
        Ok(start)
    }

    /// The network of a checkpoint, with its configuration changed by `adapt`.
    fn adapted(
        Checkpoint { folder, .. }: &Checkpoint,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
    ) -> Self {
        Self {
            config: adapt(folder.config().clone()),
            preprocess: *folder.preprocess(),
            first_guess: None,
            origin: Origin::Checkpoint(Arc::clone(folder)),
        }
    }

    /// The network of a checkpoint over another vocabulary, with its configuration changed by
    /// `adapt`. Tokens keep the gene vector of their entry in `rows`; others have those of
    /// `new_genes`, and all that does not fit is drawn. With `only_genes`, everything but the gene
    /// vectors and the scale of their norm is drawn.
    pub(crate) fn extended(
        checkpoint: &Checkpoint,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        rows: &[Option<GeneToken>],
        only_genes: bool,
        new_genes: NewGenes,
    ) -> Self {
        let rows = rows.iter().map(|row| row.map(|token| token.0 as usize)).collect();
        Self::adapted(checkpoint, adapt).over(GeneRows { rows, only_genes }, new_genes)
    }

    /// The same network over a vocabulary of `vocab_size` tokens, of which those of the checkpoint are the
    /// first; if new genes are left out, the network as it is.
    pub(crate) fn with_new_genes(self, new_genes: NewGenes, vocab_size: usize) -> Self {
        if new_genes == NewGenes::None {
            return self;
        }
        let known = self.config.vocab_size;
        let rows = (0..vocab_size).map(|token| Some(token).filter(|&token| token < known));
        let rows = GeneRows { rows: rows.collect(), only_genes: false };
        self.over(rows, new_genes)
    }

    /// The same checkpoint over another vocabulary.
    pub(crate) fn over(mut self, genes: GeneRows, new_genes: NewGenes) -> Self {
        if let Origin::Checkpoint(folder) = self.origin {
            let new_token = |old: usize| genes.rows.iter().position(|&row| row == Some(old));
            self.config.pad_token = self.config.pad_token.and_then(new_token);
            self.config.vocab_size = genes.rows.len();
            self.origin = Origin::Extended(folder, genes, new_genes);
        }
        self
    }

    /// Whether it has learned something before.
    pub(crate) fn is_fine_tuned(&self) -> bool {
        !matches!(self.origin, Origin::New(_))
    }

    /// The checkpoint that it begins with, if it does.
    pub(crate) fn checkpoint(&self) -> Option<&Arc<ModelDir>> {
        match &self.origin {
            Origin::New(_) => None,
            Origin::Checkpoint(folder) | Origin::Extended(folder, ..) => Some(folder),
        }
    }

    /// The settings by which it learns: where genes join the vocabulary, gene vectors learn beside adapters.
    pub(crate) fn learning(&self, training: &TrainConfig) -> TrainConfig {
        let has_new = match &self.origin {
            Origin::Extended(_, genes, _) => genes.rows.iter().any(Option::is_none),
            Origin::New(_) | Origin::Checkpoint(_) => false,
        };
        let lora = training.lora.map(|lora| Lora { genes: lora.genes || has_new, ..lora });
        TrainConfig { lora, ..training.clone() }
    }

    /// The network with its weights; those that are not in a checkpoint are drawn from `seed`.
    ///
    /// # Errors
    /// If the configuration is invalid, or the checkpoint cannot be read or holds NaN or infinity.
    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Scgpt> {
        device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
        let model = match &self.origin {
            Origin::New(_) => {
                // The middle bin, the mean of all values: a new network need not spend its first
                // hundreds of steps on moving there from zero.
                let middle = (self.config.n_bins / 2) as f32;
                let model = FirstGuess::Value(middle).of(self.config.init(device)?);
                model.draw();
                model
            }
            Origin::Checkpoint(folder) => {
                let loaded = folder.weights().load(&self.config, device, Strictness::Partial)?;
                loaded.0.draw();
                loaded.0
            }
            Origin::Extended(folder, genes, _) => {
                folder.weights().load_rows(&self.config, genes, device)?
            }
        };
        Ok(match self.first_guess {
            Some(guess) => guess.of(model),
            None => model,
        })
    }
}

impl FirstGuess {
    /// The network, changed so that this is its first guess.
    fn of(self, mut model: Scgpt) -> Scgpt {
        let (bias, value) = match (self, &mut model.gep) {
            (Self::Value(value), Gep::Direct(head)) => (&mut head.value.linear3.bias, value),
            // The coefficient of the input is about 1.
            (Self::Input, Gep::Affine(head)) => (&mut head.coefficient.value.linear3.bias, 1.0),
            _ => return model,
        };
        *bias = bias.take().map(|bias| bias.map(|bias| bias.zeros_like() + value));
        model
    }
}
