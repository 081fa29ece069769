//! Workers that are threads of one process, which reach each other by channels.

use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use scgpt_train::{Error, Result, Transport};

/// One of them: from it to each, and from each to it.
#[derive(Debug)]
pub(crate) struct Thread {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
    /// Whether it takes other sums than it was given.
    pub(crate) is_faulty: bool,
}

/// So many threads, by their numbers.
pub(crate) fn threads(n: usize) -> Vec<Thread> {
    let mut all: Vec<Thread> = (0..n)
        .map(|rank| Thread { rank, to: Vec::new(), from: Vec::new(), is_faulty: false })
        .collect();
    for to in 0..n {
        for thread in 0..n {
            let (sender, receiver) = channel();
            all[thread].to.push(sender);
            all[to].from.push(Mutex::new(receiver));
        }
    }
    all
}

fn gone(rank: usize) -> Error {
    Error::Workers(format!("worker {rank} is gone"))
}

impl Thread {
    /// Gives each thread its bytes.
    fn give(&self, mine: impl Fn(usize) -> Vec<u8>) -> Result<()> {
        let give = |(rank, to): (usize, &Sender<_>)| to.send(mine(rank)).map_err(|_| gone(rank));
        self.to.iter().enumerate().try_for_each(give)
    }

    /// Takes what each gives.
    fn take(&self) -> Result<Vec<Vec<u8>>> {
        let take = |(rank, from): (usize, &Mutex<Receiver<Vec<u8>>>)| {
            from.lock().unwrap().recv().map_err(|_| gone(rank))
        };
        self.from.iter().enumerate().map(take).collect()
    }

    /// Gives all the same, and takes what they give.
    fn meet(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.give(|_| mine.to_vec())?;
        self.take()
    }
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

impl Transport for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn begin_exchange(&self, mine: Vec<f32>) -> Result<()> {
        assert!(mine.len().is_multiple_of(self.size()));
        let part = mine.len() / self.size();
        self.give(|rank| bytes(&mine[rank * part..(rank + 1) * part]))
    }

    fn exchanged(&self) -> Result<Vec<f32>> {
        Ok(numbers(&self.take()?.concat()).collect())
    }

    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>> {
        let mut all: Vec<f32> = numbers(&self.meet(&bytes(mine))?.concat()).collect();
        if self.is_faulty {
            let half = all.len() / 2;
            all[half..].iter_mut().for_each(|number| *number += 1.0);
        }
        Ok(all)
    }

    fn gather_words(&self, mine: &[u64]) -> Result<Vec<u64>> {
        let mine: Vec<u8> = mine.iter().flat_map(|word| word.to_le_bytes()).collect();
        let all = self.meet(&mine)?.concat();
        Ok(all.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    /// In the order of the threads, but from the last to the first.
    fn sum(&self, mine: Vec<f32>) -> Result<Vec<f32>> {
        let mut sums = vec![0.0; mine.len()];
        for one in self.meet(&bytes(&mine))?.iter().rev() {
            sums.iter_mut().zip(numbers(one)).for_each(|(sum, number)| *sum += number);
        }
        Ok(sums)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.meet(&bytes)?.swap_remove(0))
    }
}
