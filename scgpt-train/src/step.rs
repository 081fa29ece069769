//! The passes of one optimiser step.

use burn::{module::ModuleVisitor, module::Param, prelude::*};
use scgpt_model::Scgpt;

use crate::{
    computed::Computed,
    error::Result,
    norms::Norms,
    precision::Precision,
    schedule::Progress,
    step_cells::StepCells,
    sum::Sum,
    task::{Batch as _, Shares, Task},
    workers::Workers,
};

/// The batches of one step.
pub(crate) struct Group<B> {
    /// Those of this worker: every `W`th of all, from that of its number on.
    pub(crate) own: Vec<B>,
    /// Number of batches of all workers.
    pub(crate) size: usize,
}

/// Forward and backward passes of a group of batches, whose gradients are those of one large
/// batch: every mean is weighted by what it is a mean over. Returns them and the number of cells.
///
/// Objectives between cells (ECS, contrastive) see the cells of one batch at a time, or of all if it
/// `gathers` them; batch norm those of one.
pub(crate) fn compute<T: Task>(
    task: &T,
    model: &Scgpt,
    (group, workers): (&Group<T::Batch>, &Workers),
    progress: Progress,
    (precision, loss_scale, gathers): (Precision, f64, bool),
    seed: &dyn Fn(u64),
    device: &Device,
) -> Result<(Computed, usize)> {
    let sizes = group.own.iter().map(|batch| [batch.n_targets() as u64, batch.n_cells() as u64]);
    let own = sizes.fold([0, 0], |sum: [u64; 2], size| [sum[0] + size[0], sum[1] + size[1]]);
    let all = workers.sums(own)?;
    let mut norms = Norms::of(model);
    let working = precision.working_copy(model, device);
    let model = working.as_ref().unwrap_or(model);
    let training = device.clone().autodiff();
    let index = |round: usize| round * workers.size() + workers.rank();
    let losses = |model: &Scgpt, round: usize, batch: &T::Batch| {
        seed(index(round) as u64);
        task.losses(model, batch, progress, &training)
    };
    let rounds = group.size.div_ceil(workers.size());
    let (mut only, mut cells) = (None, None);
    if gathers && group.size > 1 {
        // Of several rounds the cells of all have to be seen before the first backward pass: each is computed again, and
        // nothing is recorded until then.
        let looking = (rounds > 1).then(|| model.clone().no_grad());
        let mut own = Vec::new();
        for (round, batch) in group.own.iter().enumerate() {
            let terms = losses(looking.as_ref().unwrap_or(model), round, batch);
            own.push((StepCells::compared(&terms), batch.n_cells()));
            norms.passed(rounds > 1);
            only = (rounds == 1).then_some(terms);
        }
        cells = Some(StepCells::gathered(&own, group.size, workers)?);
    }
    let mut sum = Sum::new(workers, model, device);
    for round in 0..rounds {
        let Some(batch) = group.own.get(round) else {
            sum.add(Computed::default())?;
            continue;
        };
        let mut terms = only.take().unwrap_or_else(|| {
            let terms = losses(model, round, batch);
            norms.passed(false);
            terms
        });
        let shares = Shares::new((batch.n_targets(), batch.n_cells()), all);
        terms.scale(|term| shares.of(term));
        if let Some(cells) = &cells {
            cells.seen_by(&mut terms, index(round));
        }
        sum.add(Computed::of(&terms, model, loss_scale))?;
    }
    let total = sum.total()?;
    norms.run(workers, &training)?;
    Ok((total, usize::try_from(all[1]).unwrap_or(usize::MAX)))
}

/// Lets go of what a pass recorded that was left in its midst: it is kept until the next backward pass, of whatever
/// it was computed from.
pub(crate) fn forget(model: &Scgpt) {
    struct Backward;

    impl ModuleVisitor for Backward {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let parameter = parameter.val();
            if parameter.is_require_grad() {
                drop(parameter.sum().backward());
            }
        }
    }

    model.visit(&mut Backward);
}
