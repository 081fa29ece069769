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
    Answer, Answered, Ask, Seat,
    line::{LOOK, Line},
    passing::Passing,
};

/// Bytes of signals that may wait for others.
const WAITING: usize = 1 << 20;
/// Bytes by which a worker says where it is.
const SEAT: usize = 512;

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
        let mut all = vec![0; SEAT * world.size().unsigned_abs() as usize];
        world.all_gather_into(&Seat::own().to_bytes()[..], &mut all[..]);
        let seats: Vec<Seat> = all.chunks(SEAT).map(Seat::of_bytes).collect();
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
                Ok(Ask::End(code, failure)) => return self.line.end(&self.world, code, failure),
                Ok(ask) => {
                    let answer = self.answer(ask);
                    self.line.answer(Ok(answer));
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        let mut passing = Passing { world: &self.world, line: &mut self.line };
        match ask {
            Ask::Exchange(mine) => Answer::Numbers(passing.exchange(&mine)),
            Ask::Gather(mine) => Answer::Numbers(passing.gather(&mine)),
            Ask::GatherWords(mine) => Answer::Words(passing.gather(&mine)),
            Ask::Sum(mine) => Answer::Numbers(passing.sum(&mine)),
            Ask::Broadcast(bytes) => Answer::Bytes(passing.broadcast(bytes)),
            Ask::End(..) => Answer::Words(Vec::new()),
        }
    }
}

impl Seat {
    fn own() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Self {
            host: processor_name().unwrap_or_default(),
            cores: cores.unwrap_or_default().trim().to_owned(),
        }
    }

    /// Both texts, each cut to half of the bytes and filled up with zeros.
    fn to_bytes(&self) -> [u8; SEAT] {
        let mut bytes = [0; SEAT];
        for (half, text) in bytes.chunks_mut(SEAT / 2).zip([&self.host, &self.cores]) {
            let n = text.len().min(half.len());
            half[..n].copy_from_slice(&text.as_bytes()[..n]);
        }
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let text = |half: &[u8]| String::from_utf8_lossy(half).trim_end_matches('\0').to_owned();
        let (host, cores) = bytes.split_at(SEAT / 2);
        Self { host: text(host), cores: text(cores) }
    }
}
