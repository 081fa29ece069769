//! [`Workers`]: the processes that train one network together, and what they agree on.

use std::fmt;

use burn::prelude::*;
use scgpt_model::host_values;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// How the gradients of workers are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduce {
    /// In the order of the batches: the bits are those of one process.
    #[default]
    Ordered,
    /// Each worker's own first, and these at once, [on the device](Workers::on_device) or by the
    /// [transport](Transport::sum): less is exchanged, and the bits depend on the number of workers.
    Fast,
}

/// How workers reach each other. All of them call the same methods in the same order, each with as many numbers
/// as the others.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Number of this worker, from 0.
    fn rank(&self) -> usize;

    /// Number of workers.
    fn size(&self) -> usize;

    /// Begins to give part `w` of `mine` to worker `w`, and to take as many numbers from it; `mine` has as many parts, of
    /// one length, as there are workers. Until all that was begun is [taken](Self::exchanged), nothing else is called.
    ///
    /// # Errors
    /// [`Error::Workers`] if another worker is gone.
    fn begin_exchange(&self, mine: Vec<f32>) -> Result<()>;

    /// Waits for the exchange that was begun first: what each worker gave, in the order of their numbers.
    ///
    /// # Errors
    /// As [`begin_exchange`](Self::begin_exchange).
    fn exchanged(&self) -> Result<Vec<f32>>;

    /// What all workers have, in the order of their numbers.
    ///
    /// # Errors
    /// As [`begin_exchange`](Self::begin_exchange).
    fn gather(&self, mine: &[f32]) -> Result<Vec<f32>>;

    /// As [`gather`](Self::gather), of whole numbers.
    ///
    /// # Errors
    /// As [`begin_exchange`](Self::begin_exchange).
    fn gather_words(&self, mine: &[u64]) -> Result<Vec<u64>>;

    /// The sums of what all workers have, in an order of its own; all get the same bits.
    ///
    /// # Errors
    /// As [`begin_exchange`](Self::begin_exchange).
    fn sum(&self, mine: Vec<f32>) -> Result<Vec<f32>>;

    /// What the first worker has, of whatever length.
    ///
    /// # Errors
    /// As [`begin_exchange`](Self::begin_exchange).
    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
}

/// Sums numbers of all workers where they were computed.
pub trait SumOnDevice: fmt::Debug + Send + Sync {
    /// The sums, `[n]`, of what all workers have; all get the same bits.
    ///
    /// # Errors
    /// [`Error::Workers`] if another worker is gone.
    fn sum(&self, mine: Tensor<1>) -> Result<Tensor<1>>;
}

/// The workers of a training, of which this process is one.
///
/// Each learns from some of the batches of every step; their gradients are summed in the order of the batches, so
/// the weights are those of one process with the same [`accumulate`](crate::TrainConfig::accumulate), bit for
/// bit on the CPU. The first validates and writes.
///
/// ```
/// use scgpt_train::Workers;
///
/// assert!(Workers::ALONE.is_first());
/// assert_eq!(Workers::ALONE.size(), 1);
/// ```
#[derive(Debug)]
pub struct Workers {
    transport: Option<Box<dyn Transport>>,
    on_device: Option<Box<dyn SumOnDevice>>,
    reduce: Reduce,
    bucket: usize,
}

impl Workers {
    /// One process, which trains by itself.
    pub const ALONE: Self =
        Self { transport: None, on_device: None, reduce: Reduce::Ordered, bucket: 1 << 24 };

    /// The workers that a transport reaches.
    pub fn of(transport: impl Transport + 'static) -> Self {
        Self { transport: Some(Box::new(transport)), ..Self::ALONE }
    }

    /// The same, whose gradients are summed so.
    #[must_use]
    pub fn summing(self, reduce: Reduce) -> Self {
        Self { reduce, ..self }
    }

    /// The same, which exchange about so many numbers at once (2²⁴, if this is not called).
    #[must_use]
    pub fn in_buckets_of(self, numbers: usize) -> Self {
        Self { bucket: numbers, ..self }
    }

    /// The same, whose fast sums do not pass through the host.
    #[must_use]
    pub fn on_device(self, sum: impl SumOnDevice + 'static) -> Self {
        Self { on_device: Some(Box::new(sum)), ..self }
    }

    /// How gradients are summed.
    pub(crate) fn reduce(&self) -> Reduce {
        self.reduce
    }

    /// About how many numbers are exchanged at once.
    pub(crate) fn bucket(&self) -> usize {
        self.bucket
    }

    /// Number of this worker, from 0.
    pub fn rank(&self) -> usize {
        self.transport.as_ref().map_or(0, |transport| transport.rank())
    }

    /// Number of workers.
    pub fn size(&self) -> usize {
        self.transport.as_ref().map_or(1, |transport| transport.size())
    }

    /// Whether this worker is the one that validates and writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// The way to the others, if there are any.
    pub(crate) fn transport(&self) -> Option<&dyn Transport> {
        self.transport.as_deref()
    }

    /// What the first worker finds; the others do not look.
    ///
    /// # Errors
    /// What it fails with, and [`Error::Workers`] if another worker is gone.
    pub fn first_says<T: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        find: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(transport) = self.transport() else { return find() };
        let told = |error: serde_json::Error| Error::Workers(error.to_string());
        let found = self.is_first().then(find).transpose()?;
        let bytes = found.as_ref().map_or_else(|| Ok(Vec::new()), serde_json::to_vec);
        let bytes = transport.broadcast(bytes.map_err(told)?)?;
        match found {
            Some(found) => Ok(found),
            None => Ok(serde_json::from_slice(&bytes).map_err(told)?),
        }
    }

    /// What the first worker has, if this one has something else.
    ///
    /// # Errors
    /// [`Error::Workers`] if another worker is gone.
    pub fn other_first<T>(&self, own: &T) -> Result<Option<T>>
    where
        T: Clone + PartialEq + Serialize + DeserializeOwned,
    {
        let first = self.first_says(|| Ok::<_, Error>(own.clone()))?;
        Ok((first != *own).then_some(first))
    }

    /// Numbers of all workers, which need not have as many, each with how many cells they are of.
    pub(crate) fn gather(&self, mine: &[f32], n_cells: usize) -> Result<Vec<(Vec<f32>, usize)>> {
        let Some(transport) = self.transport() else { return Ok(vec![(mine.to_vec(), n_cells)]) };
        let sizes = transport.gather_words(&[mine.len() as u64, n_cells as u64])?;
        let sizes: Vec<usize> =
            sizes.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        let (sizes, _) = sizes.as_chunks::<2>();
        let longest = sizes.iter().map(|[len, _]| *len).max().unwrap_or(0);
        let padded = [mine, &vec![0.0; longest - mine.len()]].concat();
        let all = if longest > 0 { transport.gather(&padded)? } else { Vec::new() };
        let part = |(worker, [len, n_cells]): (usize, &[usize; 2])| {
            (all[worker * longest..][..*len].to_vec(), *n_cells)
        };
        Ok(sizes.iter().enumerate().map(part).collect())
    }

    /// The sums of numbers on the device, `[n]`, of all workers, in an order of its own.
    pub(crate) fn sum(&self, mine: Tensor<1>) -> Result<Tensor<1>> {
        if let Some(sum) = &self.on_device {
            return sum.sum(mine);
        }
        let Some(transport) = self.transport() else { return Ok(mine) };
        let device = mine.device();
        Ok(Tensor::from_data(transport.sum(host_values(mine))?.as_slice(), &device))
    }

    /// Waits until all workers are here.
    ///
    /// # Errors
    /// [`Error::Workers`] if one is gone.
    pub fn meet(&self) -> Result<()> {
        self.any(false).map(drop)
    }

    /// The sums of numbers of all workers.
    pub(crate) fn sums<const N: usize>(&self, mine: [u64; N]) -> Result<[u64; N]> {
        let Some(transport) = self.transport() else { return Ok(mine) };
        let all = transport.gather_words(&mine)?;
        Ok(std::array::from_fn(|place| all.iter().skip(place).step_by(N).sum()))
    }

    /// Whether it is so for any worker.
    pub(crate) fn any(&self, mine: bool) -> Result<bool> {
        Ok(self.sums([u64::from(mine)])? != [0])
    }
}
