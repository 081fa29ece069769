//! MPI: one thread of the process speaks it, for the thread that trains.
//!
//! So a worker is heard of while it computes, and one that is silent is noticed whatever the others wait for.

mod line;
mod passing;
mod speaker;

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, anyhow};
use scgpt_train::{Error, Transport};

use self::speaker::Speaker;
use super::{launched::Launched, seat::Here};

/// What the thread that trains asks for.
enum Ask {
    Exchange(Vec<f32>),
    Gather(Vec<f32>),
    GatherWords(Vec<u64>),
    Broadcast(Vec<u8>),
    Sum(Vec<f32>),
    /// To part from the others, with an exit code and why this worker failed.
    End(u8, Option<String>),
}

/// What it gets.
enum Answer {
    Numbers(Vec<f32>),
    Words(Vec<u64>),
    Bytes(Vec<u8>),
}

/// An answer, or why there is none.
type Answered = Result<Answer, String>;

/// The way to the other workers, by the thread that speaks MPI.
pub(super) struct Mpi {
    rank: usize,
    size: usize,
    asks: Sender<Ask>,
    answers: Mutex<Receiver<Answered>>,
}

/// The thread that speaks MPI, until the end.
pub(super) struct Post {
    asks: Sender<Ask>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Meets the workers that were started together.
pub(super) fn met(launched: &Launched) -> Result<(Mpi, Post, Here)> {
    let (asks, asked) = channel();
    let (answer, answers) = channel();
    let (begun, begins) = channel();
    let speak = move || match Speaker::begin(asked, answer) {
        Ok((speaker, universe)) => {
            drop(begun.send(Ok(speaker.seats())));
            speaker.run();
            // All are here: MPI ends.
            drop(universe);
        }
        Err(problem) => drop(begun.send(Err(problem))),
    };
    let thread = thread::Builder::new().name("mpi".into()).spawn(speak);
    let thread = thread.context("cannot begin a thread")?;
    let begun = begins.recv().map_err(|_| anyhow!("MPI does not begin"))?;
    let (rank, seats) = begun.map_err(|problem: String| anyhow!(problem))?;
    let post = Post { asks: asks.clone(), thread: Mutex::new(Some(thread)) };
    if seats.len() != launched.size {
        post.end(1, None);
        return Err(launched.refused(
            &format!("of which this MPI sees {}", seats.len()),
            "take the launcher of the MPI that this program was built with (srun: --mpi=pmix)",
        ));
    }
    let mpi = Mpi { rank, size: seats.len(), asks, answers: Mutex::new(answers) };
    Ok((mpi, post, Here::of(rank, &seats)))
}

impl Post {
    /// Parts from the others, once all have come to their end.
    pub(super) fn end(&self, code: u8, failure: Option<String>) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.asks.send(Ask::End(code, failure)).is_ok()
            && let Some(thread) = thread
        {
            drop(thread.join());
        }
    }
}

impl Mpi {
    fn begin(&self, ask: Ask) -> scgpt_train::Result<()> {
        self.asks.send(ask).map_err(|_| gone())
    }

    fn answer<T>(&self, of_kind: fn(Answer) -> Option<T>) -> scgpt_train::Result<T> {
        let answers = self.answers.lock().map_err(|_| gone())?;
        let answer = answers.recv().map_err(|_| gone())?.map_err(Error::Workers)?;
        of_kind(answer).ok_or_else(|| Error::Workers("an answer that nobody asked for".into()))
    }

    fn numbers(&self, ask: Ask) -> scgpt_train::Result<Vec<f32>> {
        self.begin(ask)?;
        self.exchanged()
    }
}

fn gone() -> Error {
    Error::Workers("the thread that reaches the other workers has ended".into())
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} of {}", self.rank, self.size)
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin_exchange(&self, mine: Vec<f32>) -> scgpt_train::Result<()> {
        self.begin(Ask::Exchange(mine))
    }

    fn exchanged(&self) -> scgpt_train::Result<Vec<f32>> {
        self.answer(
            |answer| if let Answer::Numbers(numbers) = answer { Some(numbers) } else { None },
        )
    }

    fn gather(&self, mine: &[f32]) -> scgpt_train::Result<Vec<f32>> {
        self.numbers(Ask::Gather(mine.to_vec()))
    }

    fn gather_words(&self, mine: &[u64]) -> scgpt_train::Result<Vec<u64>> {
        self.begin(Ask::GatherWords(mine.to_vec()))?;
        self.answer(|answer| if let Answer::Words(words) = answer { Some(words) } else { None })
    }

    fn sum(&self, mine: Vec<f32>) -> scgpt_train::Result<Vec<f32>> {
        self.numbers(Ask::Sum(mine))
    }

    fn broadcast(&self, bytes: Vec<u8>) -> scgpt_train::Result<Vec<u8>> {
        self.begin(Ask::Broadcast(bytes))?;
        self.answer(|answer| if let Answer::Bytes(bytes) = answer { Some(bytes) } else { None })
    }
}
