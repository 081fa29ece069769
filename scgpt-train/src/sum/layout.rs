//! [`Layout`]: gradients and losses as one row of numbers.

use std::ops::Range;

use burn::{module::Param, prelude::*, tensor::TensorData};
use scgpt_model::{ParameterName, Scgpt, VisitNamed, host_values};

use crate::{computed::Computed, gradients::NamedGradients, term::Term};

/// What changes no number that it is added to, not even −0.
pub(super) const NOTHING: f32 = -0.0;
/// Numbers of losses: for each whether there is one, and it; and their weighted sum.
const LOSSES: usize = 2 * Term::ALL.len() + 1;

/// Where the gradient of each parameter that learns is among flat numbers. Before all of them are the losses, and for
/// each gradient whether there is one.
pub(crate) struct Layout {
    /// In the order of names.
    places: Vec<(String, Range<usize>)>,
    device: Device,
}

impl Layout {
    pub(super) fn of(model: &Scgpt, device: &Device) -> Self {
        let mut layout = Self { places: Vec::new(), device: device.clone() };
        model.visit_named(&mut layout);
        layout.places.sort_by(|a, b| a.0.cmp(&b.0));
        let mut from = LOSSES + layout.places.len();
        for (_, place) in &mut layout.places {
            *place = from..from + place.len();
            from = place.end;
        }
        layout
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// How many numbers they are.
    pub(super) fn len(&self) -> usize {
        self.places.last().map_or(LOSSES, |(_, place)| place.end)
    }

    /// All numbers, `[len]`, on the device.
    pub(super) fn flat(&self, computed: Computed) -> Tensor<1> {
        let Computed { gradients, terms, losses } = computed;
        let mut head = vec![NOTHING; LOSSES];
        if let Some(losses) = losses {
            let losses = host_values(losses);
            for (term, loss) in terms.iter().zip(&losses) {
                head[2 * term.place()..][..2].copy_from_slice(&[1.0, *loss]);
            }
            head[LOSSES - 1] = losses[terms.len()];
        }
        let is_there = |(name, _): &(String, _)| gradients.get(name).map_or(NOTHING, |_| 1.0);
        head.extend(self.places.iter().map(is_there));
        let gradients = self.places.iter().map(|(name, place)| {
            let gradient = gradients.get(name).cloned();
            gradient.unwrap_or_else(|| self.tensor(vec![NOTHING; place.len()]))
        });
        let gradients: Vec<_> = gradients.collect();
        Tensor::cat([vec![self.tensor(head)], gradients].concat(), 0)
    }

    /// What the numbers, `[len]`, are.
    pub(super) fn computed(&self, flat: &Tensor<1>) -> Computed {
        let head = host_values(flat.clone().narrow(0, 0, LOSSES + self.places.len()));
        let (losses, flags) = head.split_at(LOSSES);
        let terms: Vec<Term> =
            Term::ALL.into_iter().filter(|term| losses[2 * term.place()] > 0.0).collect();
        let found = self.places.iter().zip(flags).filter(|(_, flag)| **flag > 0.0);
        let gradients = found.map(|((name, place), _)| {
            (name.clone(), flat.clone().narrow(0, place.start, place.len()))
        });
        let values = terms.iter().map(|term| losses[2 * term.place() + 1]);
        let losses =
            (!terms.is_empty()).then(|| self.tensor(values.chain([losses[LOSSES - 1]]).collect()));
        Computed { gradients: NamedGradients::of(gradients), terms, losses }
    }

    fn tensor(&self, numbers: Vec<f32>) -> Tensor<1> {
        let n = numbers.len();
        Tensor::from_data(TensorData::new(numbers, [n]), &self.device)
    }
}

impl VisitNamed for Layout {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if parameter.is_require_grad() {
            self.places.push((name.key, 0..parameter.val().shape().num_elements()));
        }
    }
}
