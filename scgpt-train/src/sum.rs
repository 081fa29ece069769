//! [`Sum`]: gradients and losses of the batches of a step, added up in the order of the batches, whichever
//! worker has computed them.
//!
//! ```text
//! round k:   worker r has batch k·W + r      its numbers, flat, in W parts
//! exchange:  worker r takes part r of all    and adds them, in the order of the workers, to its part of the sum
//! at the end every worker takes all parts
//! ```
//!
//! So every number is added to in the order of the batches, as in one process, and its bits are the same. If that is
//! not asked for, each worker adds up its own, and the transport sums them at the end.

use std::ops::Range;

use burn::{module::Param, prelude::*, tensor::TensorData};
use scgpt_model::{ParameterName, Scgpt, VisitNamed, host_values};

use crate::{
    computed::Computed,
    error::Result,
    gradients::NamedGradients,
    term::Term,
    workers::{Reduce, Transport, Workers},
};

/// About as many numbers are exchanged at once.
const MOST: usize = 1 << 24;
/// What changes no number that it is added to, not even −0.
const NOTHING: f32 = -0.0;
/// Numbers before those of gradients: whether there is a loss, the losses, and their weighted sum.
const HEAD: usize = 2 * Term::ALL.len() + 1;

/// The sum so far.
pub(crate) struct Sum<'a> {
    /// Of one process: on the device.
    own: Computed,
    shared: Option<Shared<'a>>,
}

/// The sum of several workers, on the host.
struct Shared<'a> {
    transport: &'a dyn Transport,
    reduce: Reduce,
    layout: Layout,
    /// The numbers of this worker, in the end those of the sum.
    flat: Vec<f32>,
    /// This worker's parts of the sum, bucket by bucket; the sum of its own batches if the transport sums.
    parts: Vec<f32>,
    /// Of all workers, for one bucket.
    theirs: Vec<f32>,
}

/// Where the gradient of each parameter that learns is among flat numbers, after whether there is one.
#[derive(Default)]
struct Layout {
    places: Vec<(String, Range<usize>)>,
    len: usize,
}

impl<'a> Sum<'a> {
    /// Nothing yet, of the gradients of a network.
    pub(crate) fn new(workers: &'a Workers, model: &Scgpt) -> Self {
        let shared = workers.transport();
        let shared = shared.map(|transport| Shared::new(transport, workers.reduce(), model));
        Self { own: Computed::default(), shared }
    }

    /// Adds what the workers have computed, each of one batch or, in the last round, of none.
    pub(crate) fn add(&mut self, computed: Computed) -> Result<()> {
        if let Some(shared) = &mut self.shared {
            return shared.add(computed);
        }
        self.own.add(computed);
        Ok(())
    }

    /// The whole, on the device.
    pub(crate) fn total(self, device: &Device) -> Result<Computed> {
        match self.shared {
            Some(shared) => shared.total(device),
            None => Ok(self.own),
        }
    }
}

impl<'a> Shared<'a> {
    fn new(transport: &'a dyn Transport, reduce: Reduce, model: &Scgpt) -> Self {
        let mut layout = Layout::default();
        model.visit_named(&mut layout);
        layout.settle();
        let n = transport.size();
        // Parts of one length; what is beyond the last number is never looked at.
        let len = layout.len.next_multiple_of(n);
        let (parts, bucket) = match reduce {
            Reduce::Ordered => (len / n, (MOST / n).max(1) * n),
            Reduce::Fast => (len, 0),
        };
        Self {
            transport,
            reduce,
            layout,
            flat: vec![NOTHING; len],
            parts: vec![NOTHING; parts],
            theirs: vec![NOTHING; bucket.min(len)],
        }
    }

    /// The places of each bucket, and of this worker's part of it.
    fn buckets(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let (n, step, len) = (self.transport.size(), self.theirs.len(), self.flat.len());
        let begins = (0..len).step_by(step.max(1));
        begins
            .map(|from| (from, len.min(from + step)))
            .map(|(from, to)| (from..to, from / n..to / n))
            .collect()
    }

    fn add(&mut self, computed: Computed) -> Result<()> {
        self.layout.write(computed, &mut self.flat);
        if self.reduce == Reduce::Fast {
            self.parts.iter_mut().zip(&self.flat).for_each(|(sum, number)| *sum += number);
            return Ok(());
        }
        for (bucket, own) in self.buckets() {
            let theirs = &mut self.theirs[..bucket.len()];
            self.transport.exchange(&self.flat[bucket], theirs)?;
            for part in theirs.chunks(own.len()) {
                for (sum, number) in self.parts[own.clone()].iter_mut().zip(part) {
                    *sum += number;
                }
            }
        }
        Ok(())
    }

    fn total(mut self, device: &Device) -> Result<Computed> {
        if self.reduce == Reduce::Fast {
            self.transport.sum(&mut self.parts)?;
            return Ok(self.layout.read(&self.parts, device));
        }
        for (bucket, own) in self.buckets() {
            self.transport.gather(&self.parts[own], &mut self.flat[bucket])?;
        }
        Ok(self.layout.read(&self.flat, device))
    }
}

impl Layout {
    /// Puts the gradients behind the head and a flag for each, in the order of names.
    fn settle(&mut self) {
        self.places.sort_by(|a, b| a.0.cmp(&b.0));
        let mut from = HEAD + self.places.len();
        for (_, place) in &mut self.places {
            *place = from..from + place.len();
            from = place.end;
        }
        self.len = from;
    }

    fn write(&self, computed: Computed, flat: &mut [f32]) {
        flat.fill(NOTHING);
        let Computed { gradients, terms, losses } = computed;
        if let Some(losses) = losses {
            let losses = host_values(losses);
            for (term, loss) in terms.iter().zip(&losses) {
                let place = 2 * term.place();
                flat[place..place + 2].copy_from_slice(&[1.0, *loss]);
            }
            flat[HEAD - 1] = losses[terms.len()];
        }
        for (number, (name, place)) in self.places.iter().enumerate() {
            if let Some(gradient) = gradients.get(name) {
                flat[HEAD + number] = 1.0;
                flat[place.clone()].copy_from_slice(&host_values(gradient.clone()));
            }
        }
    }

    fn read(&self, flat: &[f32], device: &Device) -> Computed {
        let tensor = |numbers: &[f32]| -> Tensor<1> {
            Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), device)
        };
        let is_there = |place: usize| flat[place] > 0.0;
        let terms: Vec<Term> =
            Term::ALL.into_iter().filter(|term| is_there(2 * term.place())).collect();
        let losses = terms.iter().map(|term| flat[2 * term.place() + 1]).chain([flat[HEAD - 1]]);
        let losses: Vec<f32> = losses.collect();
        let found = self.places.iter().enumerate().filter(|(number, _)| is_there(HEAD + number));
        let gradients =
            found.map(|(_, (name, place))| (name.clone(), tensor(&flat[place.clone()])));
        let losses = (!terms.is_empty()).then(|| tensor(&losses));
        Computed { gradients: NamedGradients::of(gradients), terms, losses }
    }
}

impl VisitNamed for Layout {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        if parameter.is_require_grad() {
            self.places.push((name.key, 0..parameter.val().shape().num_elements()));
        }
    }
}
