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

impl Thread {
    /// Gives each thread its bytes, and takes what they give.
    fn meet(&self, mine: impl Fn(usize) -> Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let gone = |rank: usize| Error::Workers(format!("worker {rank} is gone"));
        for (rank, to) in self.to.iter().enumerate() {
            to.send(mine(rank)).map_err(|_| gone(rank))?;
        }
        let take = |(rank, from): (usize, &Mutex<Receiver<Vec<u8>>>)| {
            from.lock().unwrap().recv().map_err(|_| gone(rank))
        };
        self.from.iter().enumerate().map(take).collect()
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

    fn exchange(&self, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        assert!(mine.len() == theirs.len() && mine.len().is_multiple_of(self.size()));
        let part = mine.len() / self.size();
        let all = self.meet(|rank| bytes(&mine[rank * part..(rank + 1) * part]))?;
        theirs.iter_mut().zip(all.iter().flat_map(|it| numbers(it))).for_each(|(a, b)| *a = b);
        Ok(())
    }

    fn gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        assert_eq!(all.len(), mine.len() * self.size());
        let found = self.meet(|_| bytes(mine))?;
        all.iter_mut().zip(found.iter().flat_map(|it| numbers(it))).for_each(|(a, b)| *a = b);
        if self.is_faulty {
            let half = all.len() / 2;
            all[half..].iter_mut().for_each(|number| *number += 1.0);
        }
        Ok(())
    }

    /// In the order of the threads, but from the last to the first.
    fn sum(&self, numbers: &mut [f32]) -> Result<()> {
        let found = self.meet(|_| bytes(numbers))?;
        numbers.fill(0.0);
        for one in found.iter().rev() {
            numbers.iter_mut().zip(self::numbers(one)).for_each(|(sum, number)| *sum += number);
        }
        Ok(())
    }

    fn gather_words(&self, mine: &[u64], all: &mut [u64]) -> Result<()> {
        assert_eq!(all.len(), mine.len() * self.size());
        let found =
            self.meet(|_| mine.iter().flat_map(|word| word.to_le_bytes()).collect())?.concat();
        for (word, bytes) in all.iter_mut().zip(found.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        *bytes = self.meet(|_| bytes.clone())?.swap_remove(0);
        Ok(())
    }
}
