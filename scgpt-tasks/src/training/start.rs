//! [`StartingNetwork`]: the network before its first step.

use std::path::{Path, PathBuf};

use burn::prelude::Device;
use scgpt_data::{GeneToken, Keyed, Purpose};
use scgpt_model::{
    GeneRows, Gep, ModelDir, NetworkPart, Preprocess, Scgpt, ScgptConfig, Strictness,
};

use crate::{error::Result, usage::Usage};

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
    New,
    Checkpoint(ModelDir),
    Extended(ModelDir, GeneRows),
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
    /// A new network, whose weights are drawn.
    pub(crate) fn new(config: ScgptConfig, preprocess: Preprocess) -> Self {
        Self { config, preprocess, first_guess: None, origin: Origin::New }
    }

    /// The network of a model directory that can be used so, with its configuration changed by
    /// `adapt`. Parts that are `new` to it need not be in the checkpoint.
    pub(crate) fn open(
        path: &Path,
        usage: Usage,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        new: &[NetworkPart],
    ) -> Result<Self> {
        let folder = usage.open(path)?;
        let config = adapt(folder.config().clone());
        folder.weights().check(&config, new)?;
        let (preprocess, origin) = (*folder.preprocess(), Origin::Checkpoint(folder));
        Ok(Self { config, preprocess, first_guess: None, origin })
    }

    /// The network of a model directory over another vocabulary, with its configuration changed by
    /// `adapt`. Tokens keep the gene vector of their entry in `rows`; other vectors are drawn, and
    /// so is all that does not fit. With `only_genes`, everything but the gene vectors and the
    /// scale of their norm is drawn.
    pub(crate) fn extended(
        path: &Path,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        rows: &[Option<GeneToken>],
        only_genes: bool,
    ) -> Result<Self> {
        let folder = Usage::IntegrateModalities.open(path)?;
        let config = adapt(folder.config().clone());
        let rows: Vec<Option<usize>> =
            rows.iter().map(|row| row.map(|token| token.0 as usize)).collect();
        let new_token = |old: usize| rows.iter().position(|&row| row == Some(old));
        let pad_token = config.pad_token.and_then(new_token);
        let config = ScgptConfig { vocab_size: rows.len(), pad_token, ..config };
        let preprocess = *folder.preprocess();
        let origin = Origin::Extended(folder, GeneRows { rows, only_genes });
        Ok(Self { config, preprocess, first_guess: None, origin })
    }

    /// Path of the vocabulary of the checkpoint with which it begins; `None` for a new network.
    pub(crate) fn vocab_path(&self) -> Option<PathBuf> {
        match &self.origin {
            Origin::New => None,
            Origin::Checkpoint(folder) | Origin::Extended(folder, _) => Some(folder.vocab_path()),
        }
    }

    /// Whether it has learned something before.
    pub(crate) fn is_fine_tuned(&self) -> bool {
        !matches!(self.origin, Origin::New)
    }

    /// The network with its weights; those that are not in a checkpoint are drawn from `seed`.
    ///
    /// # Errors
    /// If the configuration is invalid, or the checkpoint cannot be read or holds NaN or infinity.
    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Scgpt> {
        device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
        let model = match &self.origin {
            Origin::New => {
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
            Origin::Extended(folder, genes) => {
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
