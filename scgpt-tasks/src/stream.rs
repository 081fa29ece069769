//! The way of the cells: read and tokenise on one side of a bounded channel, compute on the other.

mod counts;

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Instant,
};

use scgpt_data::{
    CellSource, CellTokens, Collator, Layer, Modalities, Observer, TokenBatch, Tokenizer, buckets,
};
use scgpt_model::{CellEncoder, TokenBatchView};

pub use self::counts::{Timings, TokenCounts};
use crate::error::{Error, Result};

/// Cells read at once, among which batches of similar length are formed.
const WINDOW: usize = 1024;

/// Windows that may wait for the network.
const WAITING: usize = 2;

/// A network, and how cells are given to it.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) encoder: &'a CellEncoder,
    pub(crate) collator: Collator,
    pub(crate) batch_size: usize,
}

impl Rows<'_> {
    /// Cell embeddings `[n, d]`, as the network gives them, each cell in its domain, if there are
    /// several. A row does not depend on the batch.
    pub(crate) fn of(
        &self,
        cells: &[CellTokens],
        domains: Option<&[usize]>,
        observer: &dyn Observer,
    ) -> Result<Vec<f32>> {
        let d = self.encoder.d_model();
        let mut rows = vec![0.0; cells.len() * d];
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        for (domain, bucket) in in_domains(&lengths, domains, self.batch_size) {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let batch = self.collator.collate(bucket.iter().map(|&cell| (cell, &cells[cell])));
            let computed = self.encoder.embed(view(&batch, domain));
            for (&cell, row) in bucket.iter().zip(computed.chunks_exact(d)) {
                rows[cell * d..(cell + 1) * d].copy_from_slice(row);
            }
            observer.advance(bucket.len());
        }
        Ok(rows)
    }
}

/// A batch as the network borrows it, all of one domain.
pub(crate) fn view(batch: &TokenBatch, domain: usize) -> TokenBatchView<'_> {
    let TokenBatch { n_tokens, genes, values, lengths, .. } = batch;
    TokenBatchView { n_tokens: *n_tokens, genes, values, lengths, domain }
}

/// Cells that are computed together, of one domain and of similar length, and their domain.
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
    /// Of each token, whether it is one of them.
    pub(crate) is_in: &'a [bool],
    /// Whether genes of value zero are tokens too.
    pub(crate) with_zeros: bool,
}

/// How cells become rows; by the genes they express, all of one domain, if nothing else is said.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stream<'a> {
    /// The genes that become tokens; all that a cell expresses if none.
    pub(crate) panel: Option<TokenPanel<'a>>,
    /// The domain of every cell of the source, if the network tells them apart.
    pub(crate) domains: Option<&'a [usize]>,
    /// Modalities of the tokens, if there are several.
    pub(crate) modalities: Option<&'a Modalities>,
    /// Of each token, whether the network was trained on it, where that is known.
    pub(crate) trained: Option<&'a [bool]>,
}

/// Takes cell embeddings `[n, d]` as the network gives them, and the number of their first cell.
pub(crate) type Sink<'a> = dyn FnMut(usize, &[f32]) -> Result<()> + 'a;

/// What is known once all cells went through.
pub(crate) struct Streamed {
    /// Cells that express no known gene, ascending.
    pub(crate) empty: Vec<usize>,
    pub(crate) tokens: TokenCounts,
    pub(crate) timings: Timings,
}

/// Consecutive cells on their way to the network.
pub(crate) struct Window {
    pub(crate) first: usize,
    pub(crate) cells: Vec<CellTokens>,
    reading: f64,
    tokenising: f64,
}

impl Rows<'_> {
    /// Sends all cells of `layer` through the network, each in its domain, and their embeddings to
    /// `sink`, in order.
    pub(crate) fn stream(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        tokenizer: &Tokenizer,
        domains: Option<&[usize]>,
        sink: &mut Sink<'_>,
        observer: &dyn Observer,
    ) -> Result<Streamed> {
        let begin = Instant::now();
        observer.begin("embedding", source.summary().n_cells);
        let mut tokens = TokenCounts::new(tokenizer.config().max_length);
        let mut timings = Timings::default();
        let mut empty = Vec::new();
        windows(source, layer, tokenizer, |windows| {
            for window in windows {
                let window = window?;
                timings.reading += window.reading;
                timings.tokenising += window.tokenising;
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
        Ok(Streamed { empty, tokens, timings })
    }
}

pub(crate) type Read = Result<Window>;

/// Reads and tokenises all cells on a thread of their own, while `compute` receives them.
pub(crate) fn windows<T>(
    source: &mut dyn CellSource,
    layer: &Layer,
    tokenizer: &Tokenizer,
    compute: impl FnOnce(Receiver<Read>) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = sync_channel(WAITING);
    // If computing fails, it drops the receiver, and the reader stops at its next window.
    thread::scope(|scope| {
        scope.spawn(move || read(source, layer, tokenizer, &sender));
        compute(receiver)
    })
}

fn read(
    source: &mut dyn CellSource,
    layer: &Layer,
    tokenizer: &Tokenizer,
    sender: &SyncSender<Read>,
) {
    let n_cells = source.summary().n_cells;
    for first in (0..n_cells).step_by(WINDOW) {
        let window = window(source, layer, tokenizer, first, n_cells.min(first + WINDOW));
        let is_last = window.is_err();
        if sender.send(window).is_err() || is_last {
            return;
        }
    }
}

fn window(
    source: &mut dyn CellSource,
    layer: &Layer,
    tokenizer: &Tokenizer,
    first: usize,
    end: usize,
) -> Read {
    let begin = Instant::now();
    let block = source.read(layer, first..end)?;
    let reading = begin.elapsed().as_secs_f64();
    let cells = tokenizer.block(&block);
    Ok(Window { first, cells, reading, tokenising: begin.elapsed().as_secs_f64() - reading })
}
