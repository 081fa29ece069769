//! [`StartingNetwork`]: the network before its first step.

use std::path::Path;

use burn::prelude::{Device, Tensor, TensorData};
use scgpt_data::{GeneToken, GeneVocab, Keyed, Purpose};
use scgpt_model::{Gep, Preprocess, Scgpt, ScgptConfig, Strictness, host_values};
use serde::{Deserialize, Serialize};

use crate::{error::Result, folder_kind::open_model, usage::Usage};

/// Names of the vectors of genes in a checkpoint, and of the scale of their norm.
const GENE_TABLE: &str = "encoder.embedding.weight";
const GENE_SCALE: &str = "encoder.enc_norm.weight";

/// Settings to start from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recipe {
    /// A checkpoint of that shape is fine-tuned.
    FineTune(NetworkConfig),
    /// A small network learns from the cells of the task alone.
    Scratch,
}

impl Recipe {
    /// That of the model directory, if one is given.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn of(model: Option<&Path>) -> Result<Self> {
        let Some(path) = model else { return Ok(Self::Scratch) };
        Ok(Self::FineTune(NetworkConfig::of(open_model(path)?.config())))
    }

    /// The shape in force: that of the checkpoint, of which settings change the dropout alone.
    #[must_use]
    pub fn settle(self, wanted: NetworkConfig) -> NetworkConfig {
        match self {
            Self::FineTune(network) => NetworkConfig { dropout: wanted.dropout, ..network },
            Self::Scratch => wanted,
        }
    }

    /// The network whose tutorial the settings are made from.
    pub(crate) fn network(self) -> NetworkConfig {
        match self {
            Self::FineTune(network) => network,
            Self::Scratch => NetworkConfig::RELEASED,
        }
    }
}

/// The shape of a new network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Transformer blocks.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the token states.
    pub d_model: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Dropout probability; that of a network that is trained further, too.
    pub dropout: f64,
    /// Value bins of one cell, zero included.
    pub n_bins: usize,
}

impl NetworkConfig {
    /// What learns on a laptop.
    pub(crate) const SMALL: Self =
        Self { n_layers: 4, n_heads: 4, d_model: 128, d_ff: 128, dropout: 0.1, n_bins: 51 };
    /// The whole-human model.
    pub const RELEASED: Self =
        Self { n_layers: 12, n_heads: 8, d_model: 512, d_ff: 512, dropout: 0.2, n_bins: 51 };

    /// The shape of a network.
    pub fn of(network: &ScgptConfig) -> Self {
        let ScgptConfig { n_layers, n_heads, d_model, d_ff, dropout, n_bins, .. } = *network;
        Self { n_layers, n_heads, d_model, d_ff, dropout, n_bins }
    }

    /// That network over a vocabulary with `pad_token`, without task heads.
    pub(crate) fn network(&self, vocab_size: usize, pad_token: usize) -> ScgptConfig {
        let Self { n_layers, n_heads, d_model, d_ff, dropout, n_bins } = *self;
        ScgptConfig {
            d_model,
            n_heads,
            d_ff,
            n_layers,
            dropout,
            n_bins,
            gepc: None,
            unknown_flag: false,
            project_unknown: true,
            pad_token: Some(pad_token),
            ..ScgptConfig::new(vocab_size)
        }
    }
}

/// A network and what belongs to it.
#[derive(Debug)]
pub(crate) struct StartingNetwork {
    pub(crate) config: ScgptConfig,
    pub(crate) preprocess: Preprocess,
    pub(crate) model: Scgpt,
}

impl StartingNetwork {
    /// A network drawn from `seed`.
    pub(crate) fn new(
        config: ScgptConfig,
        preprocess: Preprocess,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
        // The middle bin, the mean of all values: a new network need not spend its first hundreds
        // of steps on moving there from zero.
        let model = begin_at(config.init(device)?, (config.n_bins / 2) as f32);
        model.draw();
        Ok(Self { config, preprocess, model })
    }

    /// The network of a model directory over another vocabulary, its configuration changed by
    /// `adapt`: gene vectors of the tokens that have one of `rows` there are kept, others are drawn,
    /// and so is all that does not fit. With `only_genes`, all but the gene vectors and the scale of
    /// their norm is drawn.
    ///
    /// # Reference
    /// The loading of the multi-omic tutorial is `only_genes`. Differs: special tokens keep their
    /// vectors, too.
    pub(crate) fn extended(
        path: &Path,
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        rows: &[Option<GeneToken>],
        (only_genes, seed): (bool, u64),
        device: &Device,
    ) -> Result<Self> {
        let folder = Usage::IntegrateModalities.open(path)?;
        let config = adapt(folder.config().clone());
        let new_token =
            |old: usize| rows.iter().position(|row| row.is_some_and(|row| row.0 as usize == old));
        let pad_token = config.pad_token.and_then(new_token);
        let config = ScgptConfig { vocab_size: rows.len(), pad_token, ..config };
        device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
        let weights = folder.weights();
        let mut model = if only_genes {
            config.init(device)?
        } else {
            weights.load(&config, device, Strictness::Partial)?.0
        };
        model.draw();
        let old = weights.read(GENE_TABLE)?;
        let d = config.d_model;
        let weight = model.genes.embedding.weight;
        let mut table: Vec<f32> = host_values(weight.val());
        for (row, token) in table.chunks_mut(d).zip(rows) {
            if let Some(kept) = token.and_then(|token| old.chunks(d).nth(token.0 as usize)) {
                row.copy_from_slice(kept);
            }
        }
        let shape = [rows.len(), d];
        model.genes.embedding.weight =
            weight.map(|old| Tensor::from_data(TensorData::new(table, shape), &old.device()));
        if only_genes {
            let scale = weights.read(GENE_SCALE)?;
            let norm = &mut model.genes.norm;
            norm.gamma =
                norm.gamma.clone().map(|old| Tensor::from_data(scale.as_slice(), &old.device()));
        }
        Ok(Self { config, preprocess: *folder.preprocess(), model })
    }

    /// The network of a model directory that is of use, its configuration changed by `adapt`. Parameters whose
    /// names begin with one of `heads` need not be in the checkpoint, and are drawn from `seed`.
    pub(crate) fn open(
        (path, usage): (&Path, Usage),
        adapt: impl FnOnce(ScgptConfig) -> ScgptConfig,
        heads: &[&str],
        seed: u64,
        device: &Device,
    ) -> Result<(Self, GeneVocab)> {
        let folder = usage.open(path)?;
        let vocab = GeneVocab::from_json(folder.vocab_path())?;
        let config = adapt(folder.config().clone());
        device.seed(Keyed::new(seed, Purpose::Initial, 0, 0).bits(0));
        let (model, loaded) = folder.weights().load(&config, device, Strictness::Partial)?;
        model.draw();
        let is_head = |key: &String| heads.iter().any(|head| key.starts_with(head));
        if !loaded.mismatched.iter().chain(&loaded.missing).all(is_head) {
            // Says what does not fit.
            folder.load(device, Strictness::Strict)?;
        }
        Ok((Self { config, preprocess: *folder.preprocess(), model }, vocab))
    }
}

/// A network whose first guess of every value is `value`.
pub(crate) fn begin_at(mut model: Scgpt, value: f32) -> Scgpt {
    if let Gep::Direct(head) = &mut model.gep
        && let Some(bias) = head.value.linear3.bias.take()
    {
        head.value.linear3.bias = Some(bias.map(|bias| bias.zeros_like() + value));
    }
    model
}
