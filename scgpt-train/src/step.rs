//! The passes of one optimiser step, whose numbers are read from the device once.

use burn::{prelude::*, tensor::DType};
use scgpt_model::{Scgpt, host_values};

use crate::{
    gradients::NamedGradients,
    precision::Precision,
    schedule::Progress,
    task::{Batch as _, Shares, Task},
    terms::{LossTerms, Term},
};

/// Gradients and losses of one step, on the device.
pub(crate) struct Computed {
    pub(crate) gradients: NamedGradients,
    terms: Vec<Term>,
    /// `[terms + 1]`: the losses, and their weighted sum.
    losses: Option<Tensor<1>>,
}

/// The losses and the gradient norm of one step, on the host.
pub(crate) struct Numbers {
    pub(crate) terms: Vec<(Term, f64)>,
    pub(crate) loss: f64,
    pub(crate) norm: f64,
}

/// Forward and backward passes of a group of batches, whose gradients are those of one large
/// batch: every mean is weighted by what it is a mean over.
///
/// Objectives between cells (ECS, contrastive) and batch statistics see the cells of one batch at
/// a time.
pub(crate) fn compute<T: Task>(
    task: &T,
    model: &Scgpt,
    group: &[T::Batch],
    progress: Progress,
    (precision, loss_scale): (Precision, f64),
    seed: &dyn Fn(u64),
    device: &Device,
) -> Computed {
    let sizes: Vec<(usize, usize)> =
        group.iter().map(|batch| (batch.n_targets(), batch.n_cells())).collect();
    let all = sizes.iter().fold((0, 0), |all, size| (all.0 + size.0, all.1 + size.1));
    let mut computed =
        Computed { gradients: NamedGradients::default(), terms: Vec::new(), losses: None };
    let working = precision.working_copy(model, device);
    let model = working.as_ref().unwrap_or(model);
    let training = device.clone().autodiff();
    for (index, (batch, size)) in (0..).zip(std::iter::zip(group, sizes)) {
        seed(index);
        let mut terms = task.losses(model, batch, progress, &training);
        let shares = Shares::new(size, all);
        terms.scale(|term| shares.of(term));
        computed.add(&terms, model, loss_scale);
    }
    computed
}

impl Computed {
    fn add(&mut self, terms: &LossTerms, model: &Scgpt, loss_scale: f64) {
        let (Some(total), Some(losses)) = (terms.total(), terms.stacked()) else { return };
        let losses = Tensor::cat(vec![losses, total.clone().detach()], 0).inner();
        self.terms = terms.names().collect();
        self.losses = Some(match self.losses.take() {
            Some(sum) => sum + losses,
            None => losses,
        });
        let is_scaled = loss_scale > 1.0;
        let scaled = if is_scaled { total * loss_scale } else { total };
        let mut gradients = NamedGradients::take(scaled.backward(), model);
        if is_scaled {
            gradients.unscale(loss_scale);
        }
        self.gradients.add(gradients);
    }

    /// Clips the gradients and reads all numbers at once.
    pub(crate) fn read(&mut self, clip_norm: Option<f64>) -> Numbers {
        let norm = self.gradients.norm();
        if let (Some(norm), Some(largest)) = (&norm, clip_norm) {
            self.gradients.clip(norm, largest);
        }
        let parts: Vec<Tensor<1>> = self.losses.take().into_iter().chain(norm).collect();
        let numbers: Vec<f32> = if parts.is_empty() {
            Vec::new()
        } else {
            let parts = parts.into_iter().map(|part| part.cast(DType::F32)).collect();
            host_values(Tensor::cat(parts, 0))
        };
        let at = |index: usize| numbers.get(index).copied().map_or(0.0, f64::from);
        let n = self.terms.len();
        Numbers {
            terms: self.terms.iter().enumerate().map(|(index, &term)| (term, at(index))).collect(),
            loss: at(n),
            norm: at(n + 1),
        }
    }
}

impl Numbers {
    /// Names of the numbers that are NaN or infinite.
    pub(crate) fn problems(&self) -> Vec<String> {
        let terms = self.terms.iter().filter(|(_, loss)| !loss.is_finite());
        let mut problems: Vec<String> =
            terms.map(|(term, loss)| format!("loss `{}` ({loss})", term.name())).collect();
        if problems.is_empty() && !self.norm.is_finite() {
            problems.push(format!("the gradient ({})", self.norm));
        }
        problems
    }
}
