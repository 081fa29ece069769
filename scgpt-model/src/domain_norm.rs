//! [`DomainNorm`]: batch normalisation of the token embeddings, one for all cells or one a domain
//! (DSBN).

use std::sync::{Arc, Mutex, PoisonError};

use burn::{
    module::{Param, RunningState},
    prelude::*,
    tensor::DType,
};

use crate::config::{InputNorm, ScgptConfig};

const EPSILON: f64 = 6.1e-5;
const MOMENTUM: f64 = 0.1;

/// Normalises every channel over cells and tokens, with statistics of the batch while training
/// and running statistics otherwise.
///
/// Those of a batch are kept until they are [taken](Self::take_statistics), and move the running ones when that
/// [is asked for](Self::run): so a pass that only looks moves nothing, and workers that train together move theirs alike.
/// Copies of a network keep them together: take them after every batch, and train one copy at a time.
///
/// # Reference
/// `dsbn.py`, `DomainSpecificBatchNorm1d`, and `model.py`, `bn`. Differs: the domain is named by
/// the caller instead of read off the first cell, so a batch of several domains is an error there,
/// not a silent mistake here.
#[derive(Module, Debug)]
pub enum DomainNorm {
    /// One norm for the cells of all domains.
    Batch(ChannelNorm),
    /// One norm a domain, in the order of their labels.
    Domains(Vec<ChannelNorm>),
}

/// Statistics of one domain, and the learned scale and shift, if any.
#[derive(Module, Debug)]
pub struct ChannelNorm {
    /// The learned scale, `[d]`.
    pub gamma: Option<Param<Tensor<1>>>,
    /// The learned shift, `[d]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// The running mean of every channel, `[d]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// The running variance of every channel, unbiased, `[d]`.
    pub running_var: RunningState<Tensor<1>>,
    /// Of batches that have passed.
    #[module(skip)]
    passed: Passed,
}

/// Statistics that were kept, by all copies of a network.
#[derive(Clone, Debug, Default)]
struct Passed(Arc<Mutex<Vec<[Tensor<1>; 2]>>>);

/// Statistics of a batch.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Number of the domain; 0 if there is one norm for all.
    pub domain: usize,
    /// The mean of every channel, and its unbiased variance, `[d]` each.
    pub both: [Tensor<1>; 2],
}

impl DomainNorm {
    /// A freshly initialised norm, or `None` if the configuration has none.
    pub fn new(config: &ScgptConfig, device: &Device) -> Option<Self> {
        let d = config.d_model;
        match config.input_norm {
            InputNorm::None => None,
            InputNorm::Batch => Some(Self::Batch(ChannelNorm::learned(d, device))),
            InputNorm::DomainSpecific => {
                let domain = |_| ChannelNorm::new(d, device);
                Some(Self::Domains((0..config.n_domains).map(domain).collect()))
            }
        }
    }

    /// Normalises `x`: on a device that records gradients by the statistics of this batch, which
    /// are kept, otherwise by the running statistics.
    ///
    /// # Shapes
    /// - x, output: `[b, t, d]`
    /// - parts: for each part of the tokens with statistics of its own, 1 at its tokens, `[b, t, 1]`
    ///
    /// # Panics
    /// If the network has no such domain.
    pub fn forward(&self, x: Tensor<3>, parts: &[Tensor<3>], domain: usize) -> Tensor<3> {
        let dtype = x.dtype();
        let y = self.forward_f32(x.cast(DType::F32), parts, domain);
        y.cast(dtype)
    }

    /// As [`forward`](Self::forward), in f32, as statistics need all their digits.
    fn forward_f32(&self, x: Tensor<3>, parts: &[Tensor<3>], domain: usize) -> Tensor<3> {
        let norm = match self {
            Self::Batch(norm) => norm,
            Self::Domains(domains) => &domains[domain],
        };
        if !x.device().is_autodiff() {
            return norm.normalise(x, norm.running_mean.value(), norm.running_var.value());
        }
        match parts {
            [] => norm.train(x.clone(), &x.ones_like().narrow(2, 0, 1)),
            [part] => norm.train(x, part),
            parts => parts
                .iter()
                .map(|part| norm.train(x.clone(), part) * part.clone())
                .reduce(|sum, part| sum + part)
                .unwrap_or(x),
        }
    }

    fn norms(&self) -> &[ChannelNorm] {
        match self {
            Self::Batch(norm) => std::slice::from_ref(norm),
            Self::Domains(norms) => norms,
        }
    }

    /// Takes the statistics that were kept, of each domain in the order of the passes.
    pub fn take_statistics(&self) -> Vec<BatchStatistics> {
        let taken = |(domain, norm): (usize, &ChannelNorm)| {
            let all = std::mem::take(&mut *norm.passed.lock());
            all.into_iter().map(move |both| BatchStatistics { domain, both })
        };
        self.norms().iter().enumerate().flat_map(taken).collect()
    }

    /// Moves the running statistics by those of batches, one after the other.
    ///
    /// # Panics
    /// If the network has no such domain.
    pub fn run(&self, statistics: &[BatchStatistics]) {
        for BatchStatistics { domain, both } in statistics {
            let norm = &self.norms()[*domain];
            for (running, new) in [&norm.running_mean, &norm.running_var].into_iter().zip(both) {
                let old = running.value_sync();
                running.update((old * (1.0 - MOMENTUM) + new.clone() * MOMENTUM).detach());
            }
        }
    }
}

impl Passed {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<[Tensor<1>; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelNorm {
    /// A norm without scale and shift.
    fn new(d: usize, device: &Device) -> Self {
        Self {
            gamma: None,
            beta: None,
            running_mean: RunningState::new(Tensor::zeros([d], device)),
            running_var: RunningState::new(Tensor::ones([d], device)),
            passed: Passed::default(),
        }
    }

    /// A norm with a scale and a shift that are learned.
    fn learned(d: usize, device: &Device) -> Self {
        let parameter = |value: f32| Some(Param::from_tensor(Tensor::full([d], value, device)));
        Self { gamma: parameter(1.0), beta: parameter(0.0), ..Self::new(d, device) }
    }

    /// Normalises by the statistics of the tokens where `part` is 1, and keeps them.
    fn train(&self, x: Tensor<3>, part: &Tensor<3>) -> Tensor<3> {
        let n = part.clone().sum_dim(0).sum_dim(1); // [1, 1, 1]
        let mean = (x.clone() * part.clone()).sum_dim(0).sum_dim(1) / n.clone(); // [1, 1, d]
        let deviation = (x.clone() - mean.clone()) * part.clone();
        let var = deviation.square().sum_dim(0).sum_dim(1) / n.clone();
        let d = x.dims()[2];
        let unbiased = var.clone().detach() * n.clone() / (n - 1.0).clamp_min(1.0);
        let both = [mean.clone().detach(), unbiased].map(|kept| kept.reshape([d]));
        self.passed.lock().push(both);
        self.normalise(x, mean.reshape([d]), var.reshape([d]))
    }

    fn normalise(&self, x: Tensor<3>, mean: Tensor<1>, var: Tensor<1>) -> Tensor<3> {
        let y = (x - mean.unsqueeze()) / (var + EPSILON).sqrt().unsqueeze();
        match (&self.gamma, &self.beta) {
            (Some(gamma), Some(beta)) => y * gamma.val().unsqueeze() + beta.val().unsqueeze(),
            _ => y,
        }
    }
}
