//! [`Passing`]: numbers go from every worker to every other, while the line is watched.

use std::{
    iter, thread,
    time::{Duration, Instant},
};

use mpi::{
    collective::SystemOperation,
    datatype::Equivalence,
    request::{Request, Scope, scope},
    topology::SimpleCommunicator,
    traits::{Communicator as _, CommunicatorCollectives as _, Destination as _, Source as _},
};

use super::line::{DATA, Line};

/// Bytes that are sent at once: MPI counts by 32 bits.
const MOST: usize = 1 << 28;
/// How often it is looked at once whether all has come, before it is looked now and then.
const AT_ONCE: u32 = 200;
/// After how long people are told who is waited for; and again after ten times as long.
const LONG: Duration = Duration::from_mins(1);

/// What passes, and the line that is watched meanwhile.
pub(super) struct Passing<'s> {
    pub(super) world: &'s SimpleCommunicator,
    pub(super) line: &'s mut Line,
}

impl Passing<'_> {
    /// Gives part `w` of `mine` to worker `w`, and takes as many parts.
    pub(super) fn exchange(&mut self, mine: &[f32]) -> Vec<f32> {
        let part = (mine.len() / self.line.size()).max(1);
        // What is for itself is there.
        let mut theirs = mine.to_vec();
        let outgoing: Vec<&[f32]> = mine.chunks(part).collect();
        self.pass(&outgoing, theirs.chunks_mut(part).collect());
        theirs
    }

    /// Takes what all have, in the order of their numbers.
    pub(super) fn gather<T: Equivalence + Copy + Default>(&mut self, mine: &[T]) -> Vec<T> {
        let n = self.line.size();
        let mut all = vec![T::default(); mine.len() * n];
        let own = self.line.rank() * mine.len();
        all[own..own + mine.len()].copy_from_slice(mine);
        let incoming = all.chunks_mut(mine.len().max(1)).collect();
        self.pass(&vec![mine; n], incoming);
        all
    }

    /// Takes what the first has.
    pub(super) fn broadcast(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let mut len = [bytes.len() as u64];
        self.give(&mut len);
        bytes.resize(usize::try_from(len[0]).unwrap_or(usize::MAX), 0);
        bytes.chunks_mut(MOST).for_each(|part| self.give(part));
        bytes
    }

    /// Gives what the first has to all others.
    fn give<T: Equivalence + Copy>(&mut self, values: &mut [T]) {
        let n = self.line.size();
        if self.line.rank() == 0 {
            self.pass(&vec![&*values; n], Vec::new());
        } else {
            self.pass(&[], vec![values]);
        }
    }

    /// The sum of what all have, as MPI makes it.
    pub(super) fn sum(&mut self, mine: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0; mine.len()];
        let (world, line) = (self.world, &mut *self.line);
        scope(|scope| {
            let operation = SystemOperation::sum();
            let request = world.immediate_all_reduce_into(scope, mine, &mut sum[..], operation);
            finish(vec![(line.rank(), request)], world, line);
        });
        sum
    }

    /// Sends to each worker what is for it, and receives from each as much as there is room for.
    fn pass<T: Equivalence + Copy>(&mut self, outgoing: &[&[T]], incoming: Vec<&mut [T]>) {
        let (world, line) = (self.world, &mut *self.line);
        let own = line.rank();
        scope(|scope| {
            let mut requests = Vec::with_capacity(outgoing.len() + incoming.len());
            for (rank, part) in (0..).zip(incoming).filter(|(rank, _)| *rank != own) {
                let from = world.process_at_rank(Line::mpi_rank(rank));
                requests.push((rank, from.immediate_receive_into_with_tag(scope, part, DATA)));
            }
            for (rank, part) in (0..).zip(outgoing).filter(|(rank, _)| *rank != own) {
                let to = world.process_at_rank(Line::mpi_rank(rank));
                requests.push((rank, to.immediate_send_with_tag(scope, *part, DATA)));
            }
            finish(requests, world, line);
        });
    }
}

/// Waits until all has passed, from or to workers of these numbers, and tells who lets the others wait for long. If it
/// never will, since one of them is gone, the line ends the process.
fn finish<'a, D: ?Sized, S: Scope<'a>>(
    mut requests: Vec<(usize, Request<'a, D, S>)>,
    world: &SimpleCommunicator,
    line: &mut Line,
) {
    let (begin, mut long) = (Instant::now(), LONG);
    let rests = iter::repeat_n(Duration::ZERO, AT_ONCE as usize);
    let rests = rests.chain((1..).map(|n: u32| Duration::from_micros(50) * n.min(20)));
    for rest in rests {
        let rest_of = |(rank, request): (_, Request<'a, D, S>)| Some((rank, request.test().err()?));
        requests = requests.into_iter().filter_map(rest_of).collect();
        let Some((rank, _)) = requests.first() else { return };
        if begin.elapsed() > long {
            line.waits_for(*rank, long);
            long *= 10;
        }
        line.look(world, true);
        if rest.is_zero() { thread::yield_now() } else { thread::sleep(rest) }
    }
}
