//! [`Computed`]: gradients and losses on the device, of one batch or several; [`Numbers`]: what is read of them.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use scgpt_model::{Scgpt, host_values};

use crate::{
    error::{Error, Result},
    gradients::NamedGradients,
    term::Term,
    terms::LossTerms,
    workers::Workers,
};

/// Gradients and losses, on the device.
#[derive(Default)]
pub(crate) struct Computed {
    pub(crate) gradients: NamedGradients,
    pub(crate) terms: Vec<Term>,
    /// `[terms + 1]`: the losses, and their weighted sum.
    pub(crate) losses: Option<Tensor<1>>,
}

/// The losses and the gradient norm of one step, on the host.
pub(crate) struct Numbers {
    pub(crate) terms: Vec<(Term, f64)>,
    pub(crate) loss: f64,
    pub(crate) norm: f64,
}

impl Computed {
    /// The backward pass of some losses; nothing if there are none.
    pub(crate) fn of(terms: &LossTerms, model: &Scgpt, loss_scale: f64) -> Self {
        let (Some(total), Some(losses)) = (terms.total(), terms.stacked()) else {
            return Self::default();
        };
        let losses = Tensor::cat(vec![losses, total.clone().detach()], 0).inner();
        let is_scaled = loss_scale > 1.0;
        let scaled = if is_scaled { total * loss_scale } else { total };
        let mut gradients = NamedGradients::take(scaled.backward(), model);
        if is_scaled {
            gradients.unscale(loss_scale);
        }
        Self { gradients, terms: terms.names().collect(), losses: Some(losses) }
    }

    /// Adds those of another batch.
    pub(crate) fn add(&mut self, other: Self) {
        let Some(losses) = other.losses else { return };
        self.terms = other.terms;
        self.losses = Some(match self.losses.take() {
            Some(sum) => sum + losses,
            None => losses,
        });
        self.gradients.add(other.gradients);
    }

    /// Clips the gradients by their norm, which is that of the first worker, and reads all numbers at once.
    pub(crate) fn read(
        &mut self,
        clip_norm: Option<f64>,
        workers: &Workers,
        device: &Device,
    ) -> Result<Numbers> {
        let mut norm = self.gradients.norm();
        if let (Some(own), true) = (&norm, workers.size() > 1) {
            // As bits, since it may not be finite. Other processors may round a sum differently.
            let own = || Ok::<_, Error>(host_values(own.clone())[0].to_bits());
            let first = f32::from_bits(workers.first_says(own)?);
            norm = Some(Tensor::from_data(TensorData::new(vec![first], [1]), device));
        }
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
        Ok(Numbers {
            terms: self.terms.iter().enumerate().map(|(index, &term)| (term, at(index))).collect(),
            loss: at(n),
            norm: at(n + 1),
        })
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
