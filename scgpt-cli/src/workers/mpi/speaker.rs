//! [`Speaker`]: does what the thread that trains asks for, and otherwise listens.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};

use mpi::{
    Threading,
    environment::{Universe, processor_name},
    initialize_with_threading,
    topology::SimpleCommunicator,
    traits::{Communicator as _, CommunicatorCollectives as _},
};

use super::{
    super::seat::Seat,
    Answer, Answered, Ask,
    line::{LOOK, Line},
    passing::Passing,
};

/// Bytes of signals that may wait for others.
const WAITING: usize = 1 << 20;

/// The thread that speaks MPI.
pub(super) struct Speaker {
    world: SimpleCommunicator,
    seats: Vec<Seat>,
    line: Line,
}

impl Speaker {
    /// Begins MPI, which ends when the universe is dropped, and tells the others where this worker is.
    pub(super) fn begin(
        asks: Receiver<Ask>,
        answers: Sender<Answered>,
    ) -> Result<(Self, Universe), String> {
        let begun = initialize_with_threading(Threading::Funneled);
        let (mut universe, _) = begun.ok_or("MPI has begun already")?;
        universe.set_buffer_size(WAITING);
        let world = universe.world();
        let own = Seat::own(processor_name().unwrap_or_default());
        let mut all = vec![0; Seat::BYTES * world.size().unsigned_abs() as usize];
        world.all_gather_into(&own.to_bytes()[..], &mut all[..]);
        let seats: Vec<Seat> = all.chunks(Seat::BYTES).map(Seat::of_bytes).collect();
        let hosts = seats.iter().map(|seat| seat.host.clone()).collect();
        let line = Line::new(world.rank().unsigned_abs() as usize, hosts, asks, answers);
        Ok((Self { world, seats, line }, universe))
    }

    /// Number of this worker, and where all are.
    pub(super) fn seats(&self) -> (usize, Vec<Seat>) {
        (self.line.rank(), self.seats.clone())
    }

    /// Does what is asked for, up to the end.
    pub(super) fn run(mut self) {
        loop {
            match self.line.asks.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => self.line.look(&self.world, false),
                // The thread that trains has come to a bad end.
                Err(RecvTimeoutError::Disconnected) => self.world.abort(1),
                Ok(ask) => {
                    let mut passing = Passing { world: &self.world, line: &mut self.line };
                    let answer = match ask {
                        Ask::Exchange(mine) => Answer::Numbers(passing.exchange(&mine)),
                        Ask::Gather(mine) => Answer::Numbers(passing.gather(&mine)),
                        Ask::GatherWords(mine) => Answer::Words(passing.gather(&mine)),
                        Ask::Sum(mine) => Answer::Numbers(passing.sum(&mine)),
                        Ask::Broadcast(bytes) => Answer::Bytes(passing.broadcast(bytes)),
                        Ask::End(code, why) => return self.line.end(&self.world, code, why),
                    };
                    self.line.answer(Ok(answer));
                }
            }
        }
    }
}
