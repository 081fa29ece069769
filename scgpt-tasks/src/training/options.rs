//! [`LearnOptions`]: the options of every training of an artefact, beside its settings.

use std::path::Path;

use scgpt_data::{GeneNames, Layer};
use scgpt_train::{RunOptions, Workers};
use serde_json::Value;

/// Which matrix an artefact is trained on, where it goes, and how often the training is repeated.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::Layer;
/// use scgpt_tasks::LearnOptions;
///
/// let mut learn = LearnOptions::new(Path::new("immune.model"), &Layer::X);
/// learn.repeats = 3;
/// assert!(!learn.resume);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LearnOptions<'a> {
    /// The matrix that cells are read from.
    pub layer: &'a Layer,
    /// Where the genes' names are, and how many of them have to be known.
    pub gene_names: &'a GeneNames,
    /// The folder of the artefact; training happens in `training` in it.
    pub output: &'a Path,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Optimiser steps between checkpoints. There is one at every validation, too; with `None`
    /// there are no others.
    pub checkpoint_every: Option<u64>,
    /// Whether blocks are computed again for their gradients, for less memory; with `None` where adapters learn.
    pub recompute: Option<bool>,
    /// Whether to stop after a few steps, which tell what the training needs, see
    /// [`Event::Rehearsed`](scgpt_train::Event::Rehearsed).
    pub rehearse: bool,
    /// Number of trainings, each with another seed and other cells held out, at least one; the
    /// artefact is that of the first.
    pub repeats: u64,
    /// The workers that share the training, of which this process is one.
    pub workers: &'a Workers,
}

impl<'a> LearnOptions<'a> {
    /// One training from the beginning, with the best column of gene names and the usual checkpoints.
    pub fn new(output: &'a Path, layer: &'a Layer) -> Self {
        Self {
            layer,
            gene_names: &GeneNames::BEST,
            output,
            resume: false,
            checkpoint_every: None,
            recompute: None,
            rehearse: false,
            repeats: 1,
            workers: &Workers::ALONE,
        }
    }

    /// One run in `folder`, which goes on only with the same `settings`.
    pub(super) fn run<'r>(&self, folder: &'r Path, settings: Value) -> RunOptions<'r>
    where
        'a: 'r,
    {
        let mut options = RunOptions::new(folder);
        options.settings = settings;
        options.resume = self.resume;
        options.checkpoint_every = self.checkpoint_every;
        options.recompute = self.recompute;
        options.rehearse = self.rehearse;
        options.workers = self.workers;
        options
    }
}
