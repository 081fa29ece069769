//! [`LossTerms`]: the named losses of one step, summed for one backward pass, read back at once.

use burn::prelude::*;

use crate::{between::Between, term::Term};

/// Losses on the device, each with its weight.
///
/// ```
/// use burn::prelude::*;
/// use scgpt_train::{LossTerms, Term};
///
/// let device = Device::flex();
/// let mut terms = LossTerms::default();
/// terms.push(Term::Gep, 1.0, Tensor::from_data([0.5], &device));
/// terms.push(Term::Ecs, 10.0, Tensor::from_data([0.25], &device));
/// let total = terms.total().map(|total| total.into_scalar::<f32>());
/// assert_eq!(total, Some(3.0));
/// ```
#[derive(Debug, Default)]
pub struct LossTerms {
    losses: Vec<(Term, f64, Tensor<1>)>,
    between: Vec<(Between, Vec<Tensor<2>>)>,
}

impl LossTerms {
    /// Adds a loss, `[1]`, that counts with `weight` in the sum.
    pub fn push(&mut self, term: Term, weight: f64, loss: Tensor<1>) {
        self.losses.push((term, weight, loss));
    }

    /// Adds the loss between cells whose embeddings in each pass, `[b, d]`, are `passes`.
    pub(crate) fn push_between(&mut self, weight: f64, between: Between, passes: Vec<Tensor<2>>) {
        self.push(between.term(), weight, between.loss(&passes));
        self.between.push((between, passes));
    }

    /// The losses between cells, and what they compare.
    pub(crate) fn between(&self) -> &[(Between, Vec<Tensor<2>>)] {
        &self.between
    }

    /// Computes the losses between cells anew.
    pub(crate) fn compare(&mut self, mut loss: impl FnMut(Between, &[Tensor<2>]) -> Tensor<1>) {
        for (between, passes) in &self.between {
            let new = loss(*between, passes);
            let losses = self.losses.iter_mut().filter(|it| it.0 == between.term());
            losses.for_each(|(_, _, old)| *old = new.clone());
        }
    }

    /// Names of the losses, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = Term> {
        self.losses.iter().map(|(term, ..)| *term)
    }

    /// Multiplies every term by the share that this part has of a batch computed in several.
    pub fn scale(&mut self, share: impl Fn(Term) -> f64) {
        for (term, _, loss) in &mut self.losses {
            let share = share(*term);
            // Exact for a batch computed at once.
            if share < 1.0 {
                *loss = loss.clone() * share;
            }
        }
    }

    /// The weighted sum `Σ weight · loss`, `[1]`; `None` without terms.
    pub fn total(&self) -> Option<Tensor<1>> {
        self.losses.iter().map(|(_, weight, loss)| loss.clone() * *weight).reduce(|a, b| a + b)
    }

    /// The unweighted losses side by side, `[terms]`, without gradients; `None` without terms.
    pub fn stacked(&self) -> Option<Tensor<1>> {
        let losses: Vec<_> = self.losses.iter().map(|(_, _, loss)| loss.clone().detach()).collect();
        (!losses.is_empty()).then(|| Tensor::cat(losses, 0))
    }
}
