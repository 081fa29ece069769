//! How cells become rows: they are read and tokenised on one side of a bounded channel, and
//! computed on the other.
//!
//! ```text
//! CellSource ─ window of cells ─► Tokenizer ─► channel ─► batches of similar length ─► network ─► sink
//!              one thread                      bounded    another thread
//! ```
//!
//! - Memory is that of a few windows, however many cells there are: a reader that is ahead waits.
//! - A row depends on its cell alone, not on the batch, the window or the number of threads, so that
//!   windows and batches can be chosen for speed.
//! - The sink gets the cells in their order: cells are reordered only within a window.
//! - An error on either side ends both: a reader sends it in the place of a window, and a sink that
//!   fails drops the channel.

mod counts;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Instant,
};

use rayon::prelude::*;
use scgpt_data::{
    CellSource, CellTokens, Collator, Layer, Modalities, Observer, TokenBatch, Tokenizer, buckets,
};
use scgpt_model::{CellEncoder, TokenBatchView};

pub use self::counts::{Timings, TokenCounts};
use crate::error::Result;

/// Cells read at a time, among which batches of similar length are formed: enough for hardly any
/// padding, and few enough that a window of the largest cells is small beside the network.
const WINDOW: usize = 1024;

/// Windows that may wait for the network: one is read while another is ready.
const WAITING: usize = 2;

/// Cells of a batch for each thread that takes one by itself: two seconds for the largest networks, so
/// that progress is told and a run can be cancelled.
const CELLS_A_THREAD: usize = 16;

/// A network, and how cells are laid out for it.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The network, prepared for inference.
    pub(crate) encoder: &'a CellEncoder,
    /// What pads cells to the longest of their batch.
    pub(crate) collator: Collator,
    /// Most cells computed at once, where memory grows with them.
    pub(crate) batch_size: usize,
}

impl Rows<'_> {
    /// Cell embeddings, `[n, d]`, in the order of `cells` and as the network gives them, not scaled.
    /// `domains` has the domain of every cell; without them all are of the first.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If a token is not of the vocabulary, or the network has no such domain.
    pub(crate) fn of(
        &self,
        cells: &[CellTokens],
        domains: Option<&[usize]>,
        observer: &dyn Observer,
    ) -> Result<Vec<f32>> {
        let d = self.encoder.d_model();
        let mut rows = vec![0.0; cells.len() * d];
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        for (domain, bucket) in in_domains(&lengths, domains, self.cells_at_once()) {
            observer.check_cancelled()?;
            let batch = self.collator.collate(bucket.iter().map(|&cell| (cell, &cells[cell])));
            let computed = self.encoder.embed(view(&batch, domain));
            for (&cell, row) in bucket.iter().zip(computed.chunks_exact(d)) {
                rows[cell * d..(cell + 1) * d].copy_from_slice(row);
            }
            observer.advance(bucket.len());
        }
        Ok(rows)
    }

    /// Cells of a batch: those that were asked for, or so many more that threads hardly wait for each
    /// other at its end, where that takes no memory.
    fn cells_at_once(&self) -> usize {
        if self.encoder.takes_cells_singly() {
            self.batch_size.max(CELLS_A_THREAD * rayon::current_num_threads())
        } else {
            self.batch_size
        }
    }
}

/// A batch as the network borrows it, all of one domain.
pub(crate) fn view(batch: &TokenBatch, domain: usize) -> TokenBatchView<'_> {
    let TokenBatch { n_tokens, genes, values, lengths, .. } = batch;
    TokenBatchView { n_tokens: *n_tokens, genes, values, lengths, domain }
}

/// Cells that are computed together, of one domain and of similar length, and their domain: the
/// statistics of a norm by domain hold for a whole batch, so a batch cannot mix them.
fn in_domains(
    lengths: &[usize],
    domains: Option<&[usize]>,
    size: usize,
) -> Vec<(usize, Vec<usize>)> {
    let mut cells_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for cell in 0..lengths.len() {
        cells_of.entry(domains.map_or(0, |domains| domains[cell])).or_default().push(cell);
    }
    let batches = |(domain, cells): (usize, Vec<usize>)| {
        let lengths: Vec<usize> = cells.iter().map(|&cell| lengths[cell]).collect();
        let batch = |places: Vec<usize>| places.into_iter().map(|place| cells[place]).collect();
        buckets(&lengths, size)
            .into_iter()
            .map(|bucket| (domain, batch(bucket)))
            .collect::<Vec<_>>()
    };
    cells_of.into_iter().flat_map(batches).collect()
}

/// The genes of a vocabulary that become tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenPanel<'a> {
    /// For each token, whether it is one of them.
    pub(crate) is_in: &'a [bool],
    /// Whether genes of value zero are tokens too.
    pub(crate) with_zeros: bool,
}

/// How cells become rows; by default by the genes that they express, and all in one domain.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stream<'a> {
    /// The genes that become tokens; with `None`, all that a cell expresses.
    pub(crate) panel: Option<TokenPanel<'a>>,
    /// The domain of every cell of the source, if the network tells them apart.
    pub(crate) domains: Option<&'a [usize]>,
    /// Modalities of the tokens, if there are several.
    pub(crate) modalities: Option<&'a Modalities>,
    /// For each token, whether the network was trained on it, if that is known.
    pub(crate) trained: Option<&'a [bool]>,
}

/// A number that is told of a cell by all that it expresses, however few tokens the network takes.
pub(crate) type Tell<'a> = &'a (dyn Fn(&CellTokens) -> f32 + Sync);

/// How cells are read: which matrix, and how its rows become tokens.
#[derive(Clone, Copy)]
pub(crate) struct CellReader<'a> {
    pub(crate) layer: &'a Layer,
    pub(crate) tokenizer: &'a Tokenizer,
    /// What is told of each cell.
    pub(crate) tell: Option<Tell<'a>>,
}

/// What becomes of cells.
pub(crate) struct Sink<'a> {
    /// Takes cell embeddings `[n, d]` as the network gives them, after the number of their first cell.
    pub(crate) rows: &'a mut dyn FnMut(usize, &[f32]) -> Result<()>,
    /// What is told of each cell beside its row.
    pub(crate) tell: Option<Tell<'a>>,
}

/// What is known once all cells went through the network.
pub(crate) struct Streamed {
    /// Cells that express no known gene, ascending.
    pub(crate) empty: Vec<usize>,
    /// What was [told](Sink::tell) of each cell; empty if nothing was asked.
    pub(crate) told: Vec<f32>,
    /// Counts of tokens per cell.
    pub(crate) tokens: TokenCounts,
    /// How long each stage took.
    pub(crate) timings: Timings,
}

/// Consecutive cells that go to the network.
pub(crate) struct Window {
    /// Number of the first cell in the source.
    pub(crate) first: usize,
    /// The cells' tokens, in the order of the source.
    pub(crate) cells: Vec<CellTokens>,
    /// What is told of each of them; empty if nothing was asked.
    told: Vec<f32>,
    /// Seconds that reading took.
    reading: f64,
    /// Seconds that tokenising took.
    tokenising: f64,
}

impl Rows<'_> {
    /// Sends all cells of a source through the network, each in its domain, and their embeddings to
    /// `sink`, in order.
    ///
    /// # Errors
    /// If the cells cannot be read; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so; whatever `sink`
    /// fails with.
    pub(crate) fn stream(
        &self,
        source: &mut dyn CellSource,
        reader: CellReader<'_>,
        domains: Option<&[usize]>,
        sink: &mut dyn FnMut(usize, &[f32]) -> Result<()>,
        observer: &dyn Observer,
    ) -> Result<Streamed> {
        let begin = Instant::now();
        observer.begin("embedding", source.summary().n_cells);
        let mut tokens = TokenCounts::new(reader.tokenizer.config().max_length);
        let mut timings = Timings::default();
        let (mut empty, mut told) = (Vec::new(), Vec::new());
        windows(source, reader, |windows| {
            for window in windows {
                let window = window?;
                timings.reading += window.reading;
                timings.tokenising += window.tokenising;
                told.extend_from_slice(&window.told);
                let begin = Instant::now();
                let end = window.first + window.cells.len();
                let domains = domains.map(|domains| &domains[window.first..end]);
                sink(window.first, &self.of(&window.cells, domains, observer)?)?;
                timings.computing += begin.elapsed().as_secs_f64();
                for (cell, number) in window.cells.iter().zip(window.first..) {
                    // Where genes of value zero are tokens, zeros are all that an empty cell has.
                    let is_empty = cell.values.iter().skip(1).all(|&value| value == 0.0);
                    tokens.add(cell.len(), cell.n_available, is_empty);
                    if is_empty {
                        empty.push(number);
                    }
                }
            }
            Ok(())
        })?;
        timings.total = begin.elapsed().as_secs_f64();
        Ok(Streamed { empty, told, tokens, timings })
    }
}

/// A window, or the error for which it could not be read; nothing comes after an error.
pub(crate) type Read = Result<Window>;

/// Reads and tokenises all cells on a thread of their own, while `compute` receives them, window by
/// window and in order.
///
/// # Errors
/// What `compute` returns. An error of the reader is the last thing that it receives.
pub(crate) fn windows<T>(
    source: &mut dyn CellSource,
    reader: CellReader<'_>,
    compute: impl FnOnce(Receiver<Read>) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = sync_channel(WAITING);
    // If computing fails, it drops the receiver, and the reader stops at its next window.
    thread::scope(|scope| {
        scope.spawn(move || reader.send(source, &sender));
        compute(receiver)
    })
}

impl CellReader<'_> {
    /// Sends windows until the last cell, an error, or until nobody receives them any more.
    fn send(&self, source: &mut dyn CellSource, sender: &SyncSender<Read>) {
        let n_cells = source.summary().n_cells;
        let whole = self.tokenizer.clone().within(usize::MAX);
        for first in (0..n_cells).step_by(WINDOW) {
            let window = self.window(source, first..n_cells.min(first + WINDOW), &whole);
            let is_last = window.is_err();
            if sender.send(window).is_err() || is_last {
                return;
            }
        }
    }

    /// Some cells as tokens, of as many as they may have; `whole` is the tokenizer without a limit.
    fn window(&self, source: &mut dyn CellSource, cells: Range<usize>, whole: &Tokenizer) -> Read {
        let (begin, first) = (Instant::now(), cells.start);
        let block = source.read(self.layer, cells)?;
        let reading = begin.elapsed().as_secs_f64();
        let cells = self.tokenizer.block(&block);
        let told = self.tell.map(|tell| whole.block(&block).par_iter().map(tell).collect());
        let told = told.unwrap_or_default();
        let tokenising = begin.elapsed().as_secs_f64() - reading;
        Ok(Window { first, cells, told, reading, tokenising })
    }
}
