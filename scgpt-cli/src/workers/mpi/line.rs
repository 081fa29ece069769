//! [`Line`]: which workers are there, and how the work of all ends if one is not.

use std::{
    iter,
    sync::mpsc::{Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use mpi::{
    Rank, Tag,
    topology::SimpleCommunicator,
    traits::{Communicator as _, Destination as _, Source as _},
};

use super::{Answered, Ask};
use crate::terminal::tell;

/// Tags of what passes between workers, and of signals.
pub(super) const DATA: Tag = 1;
const SIGNAL: Tag = 2;

/// How often it is looked whether others have signalled.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// How often a worker says that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// How long a worker may say nothing.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the thread that trains has to tell people what happened.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long what was sent by one that has ended may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// First bytes of signals: a worker is there, has failed, or has come to its end.
const THERE: u8 = 0;
const FAILED: u8 = 1;
const ENDED: u8 = 2;
/// Most bytes of a signal, which has to leave at once.
const MOST: usize = 2000;

/// What this worker knows of others, and the thread that trains.
pub(super) struct Line {
    rank: usize,
    hosts: Vec<String>,
    pub(super) asks: Receiver<Ask>,
    answers: Sender<Answered>,
    others: Vec<Other>,
    looked: Instant,
    said: Instant,
}

/// Another worker: the first hears all, and all hear the first.
struct Other {
    rank: usize,
    heard: Instant,
    ended: Option<Instant>,
}

impl Line {
    pub(super) fn new(
        rank: usize,
        hosts: Vec<String>,
        asks: Receiver<Ask>,
        answers: Sender<Answered>,
    ) -> Self {
        let now = Instant::now();
        let others = if rank == 0 { 1..hosts.len() } else { 0..1 };
        let others = others.map(|rank| Other { rank, heard: now, ended: None }).collect();
        Self { rank, hosts, asks, answers, others, looked: now, said: now }
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    pub(super) fn size(&self) -> usize {
        self.hosts.len()
    }

    /// A number of a worker as MPI counts.
    pub(super) fn mpi_rank(rank: usize) -> Rank {
        Rank::try_from(rank).unwrap_or(Rank::MAX)
    }

    /// Answers the thread that trains, if that is still there.
    pub(super) fn answer(&self, answer: Answered) {
        drop(self.answers.send(answer));
    }

    /// Says that this worker is there, and hears the others; `is_asked` if the thread that trains waits for an answer.
    /// If one of them is not there, all end.
    pub(super) fn look(&mut self, world: &SimpleCommunicator, is_asked: bool) {
        let now = Instant::now();
        let since = now - self.looked;
        if since < LOOK {
            return;
        }
        self.looked = now;
        // It was this process that was stopped, perhaps with all others.
        if since > SILENCE / 2 {
            self.others.iter_mut().for_each(|other| other.heard = now);
        }
        if now - self.said >= BEAT {
            self.said = now;
            self.signal(world, &[THERE]);
        }
        if let Some((rank, why)) = self.heard(world) {
            self.fail(world, rank, &why, is_asked);
        }
        let silent =
            self.others.iter().find(|it| now.saturating_duration_since(it.heard) > SILENCE);
        if let Some(other) = silent {
            let why = format!("has not been heard of for {} seconds", SILENCE.as_secs());
            self.fail(world, other.rank, &why, is_asked);
        }
        let gone = |it: &&Other| it.ended.is_some_and(|ended| ended.elapsed() > ON_ITS_WAY);
        if let Some(other) = self.others.iter().find(gone).filter(|_| is_asked) {
            self.fail(world, other.rank, "has ended before the others", true);
        }
    }

    /// Tells people, if this worker speaks to them, of one that is there, but lets the others wait.
    pub(super) fn waits_for(&self, rank: usize, long: Duration) {
        if self.rank == 0 && rank != 0 {
            let (host, long) = (&self.hosts[rank], long.as_secs());
            tell(&format!(
                "note: worker {rank} on {host} is there, but has kept the others waiting for {long} seconds; its disk or \
                 its processor may be at fault"
            ));
        }
    }

    /// Takes all signals; one that failed, and why.
    fn heard(&mut self, world: &SimpleCommunicator) -> Option<(usize, String)> {
        let mut failed = None;
        while let Some(status) = world.any_process().immediate_probe_with_tag(SIGNAL) {
            let from = status.source_rank();
            let (bytes, _) = world.process_at_rank(from).receive_vec_with_tag::<u8>(SIGNAL);
            let from = usize::try_from(from).unwrap_or_default();
            let now = Instant::now();
            let other = self.others.iter_mut().find(|other| other.rank == from);
            let Some((other, (&kind, text))) = other.zip(bytes.split_first()) else { continue };
            other.heard = now;
            match kind {
                ENDED => other.ended = Some(now),
                FAILED => {
                    failed = Some((from, format!("failed: {}", String::from_utf8_lossy(text))));
                }
                _ => {}
            }
        }
        failed
    }

    /// Sends a signal to those who hear this worker.
    fn signal(&self, world: &SimpleCommunicator, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(MOST)];
        for other in &self.others {
            world.process_at_rank(Self::mpi_rank(other.rank)).buffered_send_with_tag(bytes, SIGNAL);
        }
    }

    /// Ends all workers since one is not there any more. People are told by the thread that trains, or from here if that
    /// does not ask for anything.
    fn fail(&self, world: &SimpleCommunicator, rank: usize, why: &str, is_asked: bool) -> ! {
        let host = self.hosts.get(rank).map_or("", String::as_str);
        let why = format!("worker {rank} on {host} {why}");
        if self.rank != 0 {
            // The first of those that are left.
            thread::sleep(
                Duration::from_millis(200) * u32::try_from(self.rank.min(50)).unwrap_or(0),
            );
            tell(&format!("error: {why}"));
            world.abort(1);
        }
        // It may fail alike, or once it hears of this, and tell people itself.
        let mut asks = iter::from_fn(|| self.asks.recv_timeout(PATIENCE).ok()).peekable();
        if is_asked || asks.peek().is_some_and(|ask| !matches!(ask, Ask::End(..))) {
            self.answer(Err(why.clone()));
        }
        let ends = asks.find_map(|ask| if let Ask::End(code, _) = ask { Some(code) } else { None });
        let code = ends.filter(|code| *code != 0).unwrap_or_else(|| {
            tell(&format!("error: {why}"));
            1
        });
        world.abort(code.into())
    }

    /// Ends with the others; one that fails does not wait for long.
    pub(super) fn end(mut self, world: &SimpleCommunicator, code: u8, failure: Option<String>) {
        let begin = Instant::now();
        // The first has told people.
        let failure = failure.filter(|_| self.rank != 0);
        let kind = if failure.is_some() { FAILED } else { ENDED };
        self.signal(world, &[&[kind], failure.as_deref().unwrap_or_default().as_bytes()].concat());
        // The others, if they do not fail alike, are told by the first, who has to be told itself.
        let patience = if self.rank == 0 { PATIENCE } else { 4 * PATIENCE };
        while self.others.iter().any(|other| other.ended.is_none()) {
            if code == 0 {
                self.look(world, false);
            } else if begin.elapsed() > patience {
                if let Some(why) = &failure {
                    tell(&format!("error: {why}"));
                }
                world.abort(code.into());
            } else {
                self.heard_at_the_end(world);
            }
            thread::sleep(LOOK / 4);
        }
    }

    /// Takes all signals, of which one that failed has ended, too.
    fn heard_at_the_end(&mut self, world: &SimpleCommunicator) {
        if let Some((rank, _)) = self.heard(world)
            && let Some(other) = self.others.iter_mut().find(|other| other.rank == rank)
        {
            other.ended = Some(Instant::now());
        }
    }
}
